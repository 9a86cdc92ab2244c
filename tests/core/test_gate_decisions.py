"""Models that decide: metrics of decisions and of labels see what each makes of its scores."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from everbake.core.gate import Given, Rules, judge_rows, rail
from everbake.core.metrics import AtLeast, metric_name, metric_of
from everbake.metrics import mean_cost
from everbake.statistics.mean import wider_interval

N = 800


def drawn(seed=1):
    random = np.random.default_rng(seed)
    x = random.normal(size=N)
    y = (random.random(N) < 1 / (1 + np.exp(-(2 * x - 2)))).astype(int)
    return y, 1 / (1 + np.exp(-(2 * x - 2))), 1 / (1 + np.exp(-(1.5 * x - 1)))


def judged(y, champion, candidate, metric, cuts, guardrails=()):
    way = metric_of(metric).better
    rules = Rules(metric_name(metric), metric, way, "refresh", 0.05, 0.01, 0.0, "keep")
    rules = replace(rules, guardrails=tuple(map(rail, guardrails)))
    return judge_rows(Given(y, champion, candidate, thresholds=(*cuts, None)), rules)


def test_costs_are_compared_row_by_row_at_each_models_own_threshold():
    y, one, other = drawn()
    metric = mean_cost(false_positive=1, false_negative=20)
    told = judged(y, one, other, metric, (0.05, 0.3))

    def costs(scores, cut):
        return np.where(scores >= cut, 1.0 - y, 20.0 * y)

    before, after = costs(one, 0.05), costs(other, 0.3)
    assert (told.champion, told.candidate) == pytest.approx((before.mean(), after.mean()))
    assert told.interval == pytest.approx(wider_interval(before - after, told.evidence.level))
    assert told.evidence.differing == np.sum(before != after)


@pytest.mark.parametrize(
    "metric", [accuracy_score, balanced_accuracy_score, f1_score, precision_score, recall_score]
)
def test_metrics_of_labels_see_labels(metric):
    y, one, other = drawn()
    told = judged(y, one, other, metric, (0.5, 0.4))
    assert told.champion == pytest.approx(metric(y, one >= 0.5))
    assert told.candidate == pytest.approx(metric(y, other >= 0.4))


@pytest.mark.parametrize("labels", [(0, 1), (-1, 1), (False, True), ("no", "yes"), (1.0, 2.0)])
def test_labels_are_those_of_the_outcomes(labels):
    y, one, _ = drawn()
    outcomes = np.where(y == 1, labels[1], labels[0])
    told = judged(outcomes, None, one, accuracy_score, (None, 0.5))
    assert told.candidate == pytest.approx(np.mean((one >= 0.5) == (y == 1)))
    assert told.verdict == "promoted"


def test_scores_are_seen_by_all_others():
    y, one, other = drawn()
    told = judged(y, one, other, roc_auc_score, (0.9, 0.1))
    assert told.candidate == pytest.approx(roc_auc_score(y, other))


def test_a_limit_on_what_is_found_holds_at_the_threshold():
    y, one, other = drawn()
    for cut, state in ((0.1, "pass"), (0.9, "fail")):
        told = judged(y, one, other, roc_auc_score, (0.5, cut), [AtLeast(recall_score, 0.7)])
        assert told.checks[0].state == state


def test_a_score_of_single_precision_decides_as_it_does_in_serving():
    y = np.array([0, 1] * 20)
    scores = np.full(40, 0.7, dtype=np.float32)  # a little less than 0.7
    told = judged(y, None, scores, recall_score, (None, 0.7))
    assert [float(one) >= 0.7 for one in scores] == [False] * 40
    assert told.candidate == 0.0


def test_where_only_one_text_came_nobody_can_say_which_outcome_it_is():
    y = np.array(["ok"] * 40)
    metric = mean_cost(false_positive=1, false_negative=20)
    told = judged(y, np.full(40, 0.1), np.full(40, 0.3), metric, (0.5, 0.2))
    assert told.verdict == "inconclusive"
    assert "outcome ok" in told.because
    # Of accuracy it is the usual one.
    assert judged(y, None, np.full(40, 0.1), accuracy_score, (None, 0.5)).candidate == 1.0


def test_a_rare_outcome_is_decided_by_the_scores_and_not_by_labels():
    y, one, other = drawn()
    y[:] = 0
    y[:5] = 1
    told = judged(y, one, other, f1_score, (0.5, 0.5))
    assert "log loss decides" in told.because
    assert told.evidence.differing == N
