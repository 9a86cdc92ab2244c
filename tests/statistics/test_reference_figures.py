"""Figures that every method must reproduce, each computed once with SciPy apart from this code.

Rows are numbered from 1 and made of sines, so that anybody can type them again anywhere.
"""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from everbake.statistics.auroc import delong
from everbake.statistics.bootstrap import Plan, weighted_error
from everbake.statistics.calibration import calibration_error, calibration_line
from everbake.statistics.clusters import grouped_interval, time_blocks
from everbake.statistics.mean import (
    Shape,
    hall_interval,
    hurt_probabilities,
    hurt_probability,
    mean_interval,
    padded,
    t_interval,
    wider_interval,
)
from everbake.statistics.multiplicity import holm
from everbake.statistics.power import normal_rows, rows_for
from everbake.statistics.proportions import (
    mcnemar_one_sided,
    mcnemar_two_sided,
    tango_interval,
    wilson_bounds,
)
from everbake.statistics.quantiles import normal
from everbake.statistics.smooth import explained_differences, root_differences
from everbake.statistics.weighted import average_precision

EXACT = 1e-8


def steps(n):
    return np.arange(1, n + 1, dtype=float)


def gives(value, figures, tolerance=EXACT):
    assert value == pytest.approx(figures, rel=0, abs=tolerance)


# --- means of row differences (Hall 1992) ---------------------------------------------------------


def test_students_interval():
    d = np.sin(steps(20)) + 0.2
    gives(t_interval(d), (-0.0937950033, 0.5936171917))
    gives(t_interval(d), stats.t.interval(0.95, 19, loc=d.mean(), scale=stats.sem(d)), 1e-12)


def test_halls_interval():
    gives(hall_interval(np.sin(steps(20)) + 0.2), (-0.1002245653, 0.5875350578))


def test_the_wider_interval_of_skewed_rows():
    d = np.exp(2 * np.sin(steps(30))) - 1
    gives(t_interval(d), (0.4013327097, 2.2989898721))
    gives(hall_interval(d), (0.4924623662, 2.4280348207))
    gives(wider_interval(d), (0.4013327097, 2.4280348207))


def test_few_rows_are_padded_with_both_extremes():
    d = 0.1 + 0.05 * np.sin(steps(10))
    gives(padded(d)[-2:], (0.1494679123, -0.1494679123))
    gives(wider_interval(padded(d)), (-0.1152996044, 0.1419523271))
    assert mean_interval(d).lower == wider_interval(padded(d))[0]


def test_one_sided_p_of_being_hurt():
    d = 1 - np.exp(2 * np.sin(steps(30)))
    gives(hurt_probabilities(Shape.of(d)), (0.0034347467, 0.0010758775))
    gives(hurt_probability(d), 0.0034347467)


def test_root_mean_squared_error():
    i = steps(40)
    e0, e1 = 1.2 * np.sin(i), np.sin(i) + 0.1 * np.cos(7 * i)
    gives(np.sqrt([np.mean(e0**2), np.mean(e1**2)]), (0.8577511307, 0.7212906326))
    gives(wider_interval(root_differences(e0**2, e1**2)), (0.1085894969, 0.1677635324))


def test_explained_variance():
    i = steps(40)
    y, e0, e1 = 2 * np.sin(i), 1.2 * np.sin(3 * i), np.sin(3 * i) + 0.1 * np.cos(7 * i)
    d = explained_differences(y, e0**2, e1**2)
    gives(d.mean(), 0.1159051226)
    gives(wider_interval(d), (0.0763336108, 0.1561874280))


# --- right or wrong (Tango 1998, McNemar 1947, Wilson 1927) ---------------------------------------


def test_mcnemars_exact_test():
    gives(mcnemar_two_sided(12, 2), 0.012939453125, 1e-14)
    gives(mcnemar_one_sided(12, 2), 0.0064697265625, 1e-14)
    gives([mcnemar_one_sided(5, 0), mcnemar_one_sided(6, 0)], (0.03125, 0.015625), 1e-14)


@pytest.mark.parametrize(
    ("table", "interval"),
    [
        ((12, 2, 100), (0.0310005187, 0.1818816695)),
        ((6, 0, 50), (0.0400906890, 0.2380481738)),
        ((3, 9, 500), (-0.0286140126, 0.0018594688)),
        ((0, 0, 1000), (-0.0038267585, 0.0038267585)),
    ],
)
def test_tangos_score_interval(table, interval):
    gives(tango_interval(*table), interval)


def likely_tables(p10, p01, n):
    """Tables (b, c) of `n` pairs that are not all but impossible, with their probabilities."""
    ends = [int(stats.binom.ppf(1 - 1e-10, n, p)) + 2 for p in (p10, p01)]
    tables = np.array(list(product(*(range(min(end, n + 1)) for end in ends))))
    tables = tables[tables.sum(axis=1) <= n]
    all_pairs = np.column_stack([tables, n - tables.sum(axis=1)])
    return tables, stats.multinomial.pmf(all_pairs, n, [p10, p01, 1 - p10 - p01])


def exact_coverage(interval, n, p10=0.008, p01=0.002):
    """Percentage of tables of `n` pairs whose interval holds the true difference."""
    tables, masses = likely_tables(p10, p01, n)
    pairs = zip(tables.tolist(), masses.tolist(), strict=True)
    truth = p10 - p01
    held = [mass for (b, c), mass in pairs if inside(interval(b, c, n), truth)]
    return 100 * sum(held)


def inside(pair, truth):
    return pair[0] <= truth <= pair[1]


def student_of_table(b, c, n):
    return t_interval(np.repeat([1.0, -1.0, 0.0], [b, c, n - b - c]))


@pytest.mark.parametrize(
    ("interval", "n", "coverage"),
    [(tango_interval, 1000, 94.66), (student_of_table, 1000, 94.16), (student_of_table, 20, 18.21)],
)
def test_exact_coverage_of_rare_differences(interval, n, coverage):
    gives(exact_coverage(interval, n), coverage, 0.01)


def test_wilsons_one_sided_bounds():
    lower = [wilson_bounds(170, 200)[0], wilson_bounds(169, 200)[0]]
    gives(lower, (0.8038124011, 0.7983316078))


# --- areas (DeLong 1988 by Sun and Xu 2014), average precision ------------------------------------


def sixty_rows(digits=15):
    """Outcomes and the scores of two models."""
    i = steps(60)
    y = np.sin(i) > 0.3
    return y, np.round(0.8 * y + np.cos(3 * i), digits), np.round(1.1 * y + np.cos(5 * i), digits)


def test_areas_of_ten_rows():
    y = np.array([0, 0, 1, 1, 0, 1, 0, 1, 0, 0], dtype=bool)
    s0 = np.array([0.1, 0.4, 0.35, 0.8, 0.3, 0.6, 0.6, 0.9, 0.2, 0.5])
    s1 = np.array([0.2, 0.3, 0.5, 0.7, 0.1, 0.6, 0.4, 0.95, 0.35, 0.5])
    areas = delong(y, s0, s1)
    gives(
        (areas.champion, areas.candidate, areas.variance),
        (0.8541666667, 0.9791666667, 0.0140046296),
    )


@pytest.mark.parametrize(
    ("digits", "figures"),
    [
        (15, (0.7828571429, 0.8320000000, 0.0068284082)),
        (1, (0.7760000000, 0.8285714286, 0.0068501513)),
    ],
)
def test_areas_of_sixty_rows_without_and_with_ties(digits, figures):
    areas = delong(*sixty_rows(digits))
    gives((areas.champion, areas.candidate, areas.variance), figures)


def test_average_precision_and_its_standard_errors():
    y, s0, s1 = sixty_rows()
    old, new = average_precision(y, s0), average_precision(y, s1)
    once = np.ones((1, 60))
    gives([old(once)[0], new(once)[0]], (0.7691232472, 0.8168328909))
    gives(new((1 + np.arange(1, 61) % 3.0)[None])[0], 0.8061203931)
    gives(sk.average_precision_score(y, s1, sample_weight=1 + np.arange(1, 61) % 3), 0.8061203931)

    def error(codes):
        plan = Plan(60, codes, 5, resamples=20_000)
        return weighted_error(lambda weights: new(weights) - old(weights), plan)

    assert error(y.astype(int)) == pytest.approx(0.0879, rel=0.03)  # drawn within each class
    assert error(None) == pytest.approx(0.0931, rel=0.04)  # Poisson counts


# --- dependent rows (Ibragimov and Mueller 2010) --------------------------------------------------


def test_groups():
    i = np.arange(1, 61)
    d = np.sin(i) + 0.3 * np.sin(i / 9)
    interval = grouped_interval(d, (i - 1) // 6)
    gives((interval.lower, interval.upper), (-0.1085961831, 0.1714814088))
    gives(interval.sd / np.sqrt(60), 0.0619049810)
    gives(t_interval(d), (-0.1605912521, 0.2234764778))


def test_ten_blocks_of_time():
    d = np.sin(steps(200) / 7)
    interval = grouped_interval(d, time_blocks(200))
    gives((interval.lower, interval.upper), (-0.2805678849, 0.4158045810))
    gives(t_interval(d), (-0.0303109888, 0.1655476850))


# --- many claims, rows needed, looks --------------------------------------------------------------


def test_holms_correction():
    gives(holm([0.001, 0.012, 0.03, 0.2]), (0.004, 0.036, 0.06, 0.2), 1e-15)


def test_rows_needed():
    assert (normal_rows(0.2, 0.05), rows_for(0.2, 0.05)) == (126, 128)
    others = [rows_for(0.2, 0.1), rows_for(0.5, 0.05), rows_for(0.2, 0.2)]
    assert others == [34, 787, 10]


@pytest.mark.parametrize(
    ("sd", "rows"),
    [
        (0.1, (785, 197, 32, 8)),
        (0.2, (3140, 785, 126, 32)),
        (0.5, (19_623, 4906, 785, 197)),
    ],
)
def test_rows_needed_by_the_normal_distribution(sd, rows):
    assert tuple(normal_rows(sd, delta) for delta in (0.01, 0.02, 0.05, 0.1)) == rows


def test_quantiles_of_the_error_that_each_look_spends():
    z = [normal(1 - 0.10 / (look * (look + 1)) / 2) for look in (1, 2, 3, 4, 10)]
    gives(z, (1.960, 2.394, 2.638, 2.807, 3.317), 0.001)


# --- calibration (Cox 1958, Broecker 2012) --------------------------------------------------------


def test_calibration_of_two_hundred_rows():
    i = np.arange(1, 201)
    p = 0.05 + 0.9 * (37 * i % 200) / 200
    y = (61 * i % 200) / 200 < p
    line = calibration_line(y, p)
    gives((line.intercept, line.slope), (0.0110470, 0.8688430), 1e-6)
    gives((line.intercept_error, line.slope_error), (0.1606405, 0.1443047), 1e-6)
    found = calibration_error(y, p, bins=10)
    gives((found.plug_in, found.expected, found.square), (0.01955, 0.0750483, -0.0094752), 1e-6)
