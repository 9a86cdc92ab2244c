"""Arguments of all kinds: each ends in a verdict or in an error of four parts, with no warning."""

import datetime as dt
import json
import warnings
from decimal import Decimal
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from everbake.core.gate import Rail, judge
from everbake.core.metrics import AtLeast, AtMost
from everbake.errors import EverbakeError, UsageError, UserCodeError
from everbake.metrics import log_loss, mean_absolute_error, mean_squared_error

N = 60
RNG = np.random.default_rng(7)
Y = np.abs(RNG.normal(size=N)) + 0.1
BEFORE = Y + np.abs(RNG.normal(size=N)) * 0.5
AFTER = Y + np.abs(RNG.normal(size=N)) * 0.45
LABELS = np.where(RNG.random(N) < 0.5, "yes", "no")
ask = partial(judge, Y, BEFORE, AFTER, metric=mean_squared_error)


def ends_in_words(*arguments, **options):
    """The verdict, or the code of the error; anything else is a fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            decision = judge(*arguments, **options)
        except EverbakeError as error:
            return error.code if error.what and error.mend else "an error without parts"
    json.dumps(decision.to_dict(), allow_nan=False)
    return decision.verdict


class TestTypes:
    @pytest.mark.parametrize(
        "kind",
        [
            np.float32,
            np.float16,
            object,
            partial(pd.Series, dtype="Float64"),
            partial(pd.Series, dtype="float64[pyarrow]"),
            lambda values: pd.Series(values, index=np.random.default_rng(1).permutation(N)),
            lambda values: pd.DataFrame({"only": values}),
            lambda values: [Decimal(str(value)) for value in values],
        ],
    )
    def test_numbers_of_every_kind_are_read_by_position(self, kind):
        made = [np.asarray(Y, kind) if isinstance(kind, type) else kind(Y)]
        made += [
            np.asarray(v, kind) if isinstance(kind, type) else kind(v) for v in (BEFORE, AFTER)
        ]
        code = ends_in_words(*made, metric=sk.mean_squared_error)
        assert code in {ask().verdict, "EB310"}

    @pytest.mark.parametrize("dtype", ["category", "string", "str", object])
    def test_labels_of_every_kind(self, dtype):
        wrong = np.where(np.arange(N) < 20, "yes", LABELS)
        plain = judge(LABELS, LABELS, wrong, metric=sk.accuracy_score)
        made = [pd.Series(each, dtype=dtype) for each in (LABELS, LABELS, wrong)]
        assert judge(*made, metric=sk.accuracy_score).interval == plain.interval

    def test_whole_numbers_beyond_floats_stay_apart(self):
        y = [2**70 + int(label == "yes") for label in LABELS]
        other = [2**70 + 1] * N
        decision = judge(y, y, other, metric=mean_labels, better="higher")
        assert decision.candidate == np.mean(LABELS == "yes")
        assert ends_in_words([10**400] * N, Y, Y, metric=sk.mean_squared_error) == "promoted"

    def test_labels_are_never_rounded(self):
        y = 2**40 + np.arange(N) % 2
        decision = judge(y, y, np.full(N, 2**40), metric=sk.accuracy_score)
        assert decision.candidate == 0.5
        assert decision.verdict == "rejected"

    def test_labels_do_not_tell_how_exact_probabilities_are(self):
        y = 10**9 + np.arange(400) % 2
        before = np.random.default_rng(2).random(400)
        decision = judge(y, before, 1 - before, metric=sk.roc_auc_score)
        assert decision.code not in {"same_predictions", "both_exact"}

    def test_masked_values_are_missing_answers(self):
        masked = np.ma.array(AFTER, mask=np.arange(N) == 3)
        decision = judge(Y, BEFORE, masked, metric=mean_squared_error)
        assert decision.code == "bad_output"
        assert "first: row 4" in decision.because

    @pytest.mark.parametrize("scale", [1e200, 1e150, 1e80, 1e-160, 1e-200])
    @pytest.mark.parametrize(
        "metric", [sk.mean_squared_error, sk.root_mean_squared_error, sk.r2_score, sk.max_error]
    )
    def test_figures_at_the_edge_of_the_range(self, scale, metric):
        code = ends_in_words(Y * scale, BEFORE * scale, AFTER * scale, metric=metric)
        assert code in {"promoted", "inconclusive", "EB311", "EB310"}

    def test_figures_too_large_for_an_interval_say_so(self):
        decision = judge(Y * 1e80, BEFORE * 1e80, AFTER * 1e80, metric=mean_squared_error)
        assert (decision.verdict, decision.code) == ("inconclusive", "not_finite")
        assert decision.because == (
            "Because the figures on all 60 held-out rows are too large for an interval. "
            "The model in use stays."
        )

    @pytest.mark.parametrize("place", range(3))
    def test_lists_of_different_lengths(self, place):
        three = [[1.0, 2.0], [1.0, 2.0], [1.0, 2.5]]
        three[place] = [[1.0], [1.0, 2.0]]
        assert ends_in_words(*three, metric=sk.mean_squared_error) in {
            "EB310",
            "rejected",
            "promoted",
        }

    @pytest.mark.parametrize("y", [[], 1.0, "abc", None, np.zeros((2, 2, 2))])
    def test_outcomes_that_are_none(self, y):
        assert ends_in_words(y, y, y, metric=mean_squared_error) == "EB050"

    def test_text_and_numbers_together_are_no_outcomes(self):
        mixed = np.array([1, "a"] * 30, object)
        with pytest.raises(UsageError, match="EB050 30 of 60 outcomes are text"):
            judge(mixed, mixed, mixed, metric=sk.accuracy_score)


def mean_labels(y_true, y_pred):
    return float(np.mean([a == b for a, b in zip(y_true, y_pred, strict=True)]))


class TestMetrics:
    @pytest.mark.parametrize("answer", ["0.3", b"1", None, 1j, 10**400])
    def test_what_is_no_number(self, answer):
        def odd(y_true, y_pred):
            return answer

        with pytest.raises(UserCodeError, match="EB311 the metric odd returned"):
            judge(Y, BEFORE, AFTER, metric=odd, better="lower")

    def test_a_limit_whose_metric_raises_over_one_class_is_unknown(self):
        def strict(y_true, y_pred):
            if len(np.unique(y_true)) < 2:
                raise ValueError("only one class present")
            return 1.0

        y = np.ones(N, int)
        limit = AtLeast(strict, 0.5)
        decision = judge(y, y, y, metric=sk.accuracy_score, guardrails=[limit])
        assert (decision.verdict, decision.code) == ("inconclusive", "guardrail_unknown")
        assert "strict raised ValueError: only one class present" in decision.because

    @pytest.mark.parametrize("metric", [sk.log_loss, log_loss])
    def test_an_outcome_that_does_not_occur_is_inconclusive(self, metric):
        rng = np.random.default_rng(4)
        y, before, after = rng.integers(0, 3, N), *rng.dirichlet(np.ones(4), (2, N))
        decision = judge(y, before, after, metric=metric)
        assert (decision.verdict, decision.code) == ("inconclusive", "one_class")
        assert "only 3 of the 4 outcomes that the model knows occur" in decision.because

    def test_columns_of_unknown_labels_are_no_log_loss(self):
        with pytest.raises(ValueError, match="3 columns of probabilities, 2 outcomes occur"):
            log_loss([0, 2], [[0.1, 0.1, 0.8], [0.1, 0.1, 0.8]])
        assert log_loss([1, 1], [[0.25, 0.75]] * 2) == pytest.approx(-np.log(0.75))


class TestOptions:
    @pytest.mark.parametrize(
        "options",
        [
            {"tolerance": "x"},
            {"tolerance": None},
            {"tolerance": float("nan")},
            {"tolerance": True},
            {"equal_within": "x"},
            {"rule": "challenge", "min_gain": float("nan")},
            {"confidence": "x"},
            {"seed": -1},
            {"seed": 1.5},
            {"look": 0},
            {"look": 1.5},
            {"look": "x"},
            {"look": True},
            {"guardrails": AtMost(mean_squared_error, 1)},
            {"guardrails": None},
            {"guardrails": [AtMost(mean_squared_error, float("nan"))]},
            {"guardrails": [AtMost(mean_squared_error, "1")]},
            {"guardrails": [AtMost(mean_squared_error, None)]},
            {"guardrails": [AtMost("mse", 1)]},
            {"guardrails": [Rail("at_most", "mse", mean_squared_error, float("inf"))]},
            {"segments": ["sex"]},
            {"segments": "sex"},
            {"segments": {3: Y}},
            {"segments": {("a", "b"): (Y,)}},
            {"segments": {("a", 3): (Y, Y)}},
        ],
    )
    def test_an_option_that_means_nothing(self, options):
        assert ends_in_words(Y, BEFORE, AFTER, **{"metric": mean_squared_error} | options) == (
            "EB052"
        )

    @pytest.mark.parametrize("rows", ["abc", 5, {"a": [1, 2]}, pd.DataFrame({"a": range(3)})])
    def test_rows_that_are_not_one_for_each_outcome(self, rows):
        def with_rows(y_true, y_pred, rows):
            return float(np.mean(np.abs(y_true - y_pred)))

        options = {"metric": with_rows, "better": "lower", "rows": rows}
        assert ends_in_words(Y, BEFORE, AFTER, **options) == "EB050"

    @pytest.mark.parametrize("look", [10**7, 10**18, 10**400, np.int64(2)])
    def test_a_look_however_late(self, look):
        decision = ask(look=look)
        json.dumps(decision.to_dict(), allow_nan=False)
        assert decision.interval[0] < ask().interval[0]

    def test_numpys_numbers_are_written_as_plain_ones(self):
        json.dumps(ask(seed=np.int64(3), look=np.int64(2)).to_dict(), allow_nan=False)

    def test_a_tiny_champion_needs_more_rows_than_can_be_counted(self):
        def loss(y_true, y_pred):
            return 1e-300 + float(np.mean(np.abs(y_pred))) ** 3

        decision = judge(Y, np.zeros(N), AFTER - AFTER.mean(), metric=loss, better="lower")
        assert decision.verdict in {"rejected", "inconclusive"}


class TestWeights:
    @pytest.mark.parametrize("scale", [1e-310, 1e-150, 1e150, 1e307])
    def test_their_size_does_not_matter(self, scale):
        weights = np.random.default_rng(5).integers(1, 5, N).astype(float)
        plain = ask(weights=weights)
        scaled = ask(weights=weights * scale)
        assert scaled.interval == pytest.approx(plain.interval, rel=1e-6)

    def test_one_giant_weight_is_one_row(self):
        decision = ask(weights=np.append(1e9, np.ones(N - 1)))
        assert (decision.verdict, decision.code) == ("inconclusive", "too_few_rows")
        assert "the 60 held-out rows are worth only 1 of equal weight" in decision.because
        assert ends_in_words(
            Y, BEFORE, AFTER, metric=sk.r2_score, weights=np.append(1e300, np.ones(N - 1))
        ) == ("inconclusive")


class TestSegments:
    @pytest.mark.parametrize(
        "column",
        [
            [{1}] * N,
            [[1], [2, 3]] * 30,
            np.array([1, "a", None] * 20, object),
            np.array([None] * N, object),
            pd.Categorical(["x", "y"] * 30),
            pd.Series(["x", None] * 30, dtype="string"),
            pd.date_range("2020", periods=N, tz="UTC"),
            [dt.date(2020, 1, 1 + i % 20) for i in range(N)],
            Y + 0j,
        ],
    )
    def test_columns_of_every_kind(self, column):
        values = pd.Series(column).to_numpy()
        options = {"metric": mean_squared_error, "segments": {"column": values}}
        assert ends_in_words(Y, BEFORE, AFTER, **options) == ask().verdict

    def test_a_frame_is_a_mapping_of_columns(self):
        decision = ask(segments=pd.DataFrame({"part": ["a", "b"] * 30}))
        assert {each.name for each in decision.segments} == {"part = a", "part = b"}

    def test_days_with_a_time_zone_are_cut_as_times(self):
        days = pd.date_range("2020", periods=N, tz="Europe/Berlin").to_numpy()
        names = [each.name for each in ask(segments={"day": days}).segments]
        assert len(names) == 5 or names == ["day: 5 values"]
        labels = [name for name in names if "<= day <" in name]
        assert not labels or all("T23:00:00" in label for label in labels)


class TestGroups:
    def test_a_giant_cluster_tells_nothing_even_if_all_its_rows_agree(self):
        zeros = np.zeros(N)
        decision = judge(zeros, zeros + 2, zeros + 1, metric=mean_absolute_error, groups=np.ones(N))
        assert (decision.verdict, decision.code) == ("inconclusive", "few_groups")
        assert "worth only 1 independent group;" in decision.because
