"""What a `predict` may look like to be nothing but the model, and what ends it."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from everbake.host.standin import Traced, trace_predict

ROWS = pd.DataFrame(
    {
        "a": [0.5, 1.5, 2.5, 3.5, 4.5, 9.0],
        "b": [3, 1, 4, 1, 5, 9],
        "note": ["x", "y", "x", "z", "y", "x"],
        "target": [1.0, 2.0, 3.0, 4.0, 5.0, 6.5],
    }
)
AB = ["a", "b"]
REGRESSION = LinearRegression().fit(ROWS[AB], ROWS["target"])
LABELS = ROWS["note"].map({"x": "no", "y": "yes", "z": "yes"})
CLASSIFIER = LogisticRegression().fit(ROWS[AB], LABELS)
THREE = LogisticRegression().fit(ROWS[AB], ROWS["note"])
PAIR = LinearRegression().fit(ROWS[AB], ROWS[["target", "a"]])


def _in_a_helper(model, rows):
    columns = [name for name in rows.columns if name in ("a", "b")]
    frame = rows.loc[:, columns].copy()
    return list(model.predict(frame))


SAME = {
    "subset": (lambda m, r: m.predict(r[AB]), REGRESSION, Traced("predict", ("a", "b"), None)),
    "helper": (_in_a_helper, REGRESSION, Traced("predict", ("a", "b"), None)),
    "names": (
        lambda m, r: m.predict(r[m.feature_names_in_]),
        REGRESSION,
        Traced("predict", ("a", "b"), None),
    ),
    "isinstance": (
        lambda m, r: m.predict(r[AB]) if isinstance(m, LinearRegression) else 1 / 0,
        REGRESSION,
        Traced("predict", ("a", "b"), None),
    ),
    "series": (
        lambda m, r: pd.Series(m.predict(r[AB]), index=r.index),
        REGRESSION,
        Traced("predict", ("a", "b"), None),
    ),
    "numpy": (
        lambda m, r: m.predict(r[AB].to_numpy()),
        REGRESSION,
        Traced("predict", ("a", "b"), None),
    ),
    "numpy, other order": (
        lambda m, r: m.predict(r[["b", "a"]].values),
        REGRESSION,
        Traced("predict", ("b", "a"), None),
    ),
    "labels": (lambda m, r: m.predict(r[AB]), CLASSIFIER, Traced("predict", ("a", "b"), None)),
    "chance": (
        lambda m, r: m.predict_proba(r[AB])[:, 1],
        CLASSIFIER,
        Traced("predict_proba", ("a", "b"), 1),
    ),
    "chance by name": (
        lambda m, r: m.predict_proba(r[AB])[:, list(m.classes_).index("y")],
        THREE,
        Traced("predict_proba", ("a", "b"), 1),
    ),
    "chances": (
        lambda m, r: m.predict_proba(r[AB]),
        THREE,
        Traced("predict_proba", ("a", "b"), None),
    ),
    "score": (
        lambda m, r: m.decision_function(r[AB]),
        CLASSIFIER,
        Traced("decision_function", ("a", "b"), None),
    ),
    "several": (lambda m, r: m.predict(r[AB]), PAIR, Traced("predict", ("a", "b"), None)),
    "one of several": (
        lambda m, r: m.predict(r[AB])[:, 0],
        PAIR,
        Traced("predict", ("a", "b"), 0),
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_a_predict_that_only_calls_the_model_is_seen_as_that(case):
    predict, model, expected = SAME[case]
    assert trace_predict(predict, ROWS, model) == expected


@pytest.mark.parametrize("case", SAME)
def test_one_row_suffices(case):
    predict, model, expected = SAME[case]
    assert trace_predict(predict, ROWS.head(1), model) == expected


def _mutates_rows(model, rows):
    rows["a"] *= 2
    return model.predict(rows[AB])


def _mutates_answer(model, rows):
    answer = model.predict(rows[AB])
    answer[answer < 0] = 0
    return answer


def _swallows(model, rows):
    try:
        extra = model.coef_.sum()
    except Exception:  # noqa: BLE001
        extra = 0.0
    return model.predict(rows[AB]) + extra


CHANGED = {
    "clip": lambda m, r: np.clip(m.predict(r[AB]), 0, None),
    "wide clip": lambda m, r: np.clip(m.predict(r[AB]), -1e200, 1e200),
    "maximum": lambda m, r: np.maximum(m.predict(r[AB]), 0),
    "round": lambda m, r: m.predict(r[AB]).round(),
    "fine round": lambda m, r: m.predict(r[AB]).round(12),
    "exp": lambda m, r: np.exp(np.minimum(m.predict(r[AB]), 100)),
    "expm1": lambda m, r: np.expm1(np.minimum(m.predict(r[AB]), 100)),
    "abs": lambda m, r: np.abs(m.predict(r[AB])),
    "threshold": lambda m, r: m.predict(r[AB]) > 0.5,
    "number from threshold": lambda m, r: (m.predict(r[AB]) > 0.5).astype(float),
    "constant": lambda m, r: m.predict(r[AB]) + 1e-9,
    "float32": lambda m, r: m.predict(r[AB]).astype(np.float32),
    "int": lambda m, r: np.nan_to_num(m.predict(r[AB]), posinf=0, neginf=0).round().astype("i8"),
    "nan_to_num": lambda m, r: np.nan_to_num(m.predict(r[AB])),
    "column": lambda m, r: m.predict(r[AB]).reshape(-1, 1),
    "sorted": lambda m, r: np.sort(m.predict(r[AB])),
    "mean": lambda m, r: np.full(len(r), m.predict(r[AB]).mean()),
    "branch on huge": lambda m, r: np.where(r["a"] > 1e6, 0, m.predict(r[AB])),
    "branch on real": lambda m, r: np.where(r["b"] == 9, 0, m.predict(r[AB])),
    "branch on zero": lambda m, r: np.where(r["a"] == 0, 0, m.predict(r[AB])),
    "branch on text": lambda m, r: np.where(r["note"] == "z", 0, m.predict(r[AB])),
    "branch on missing": lambda m, r: np.where(r["a"].isna(), 0, m.predict(r[AB])),
    "branch on count": lambda m, r: m.predict(r[AB]) + (1 if len(r) == 1 else 0),
    "rows mutated": _mutates_rows,
    "answer mutated": _mutates_answer,
    "scaled": lambda m, r: m.predict(r[AB] / 100),
    "filled": lambda m, r: m.predict(r[AB].fillna(0)),
    "clipped input": lambda m, r: m.predict(r[AB].clip(upper=1e6)),
    "float32 input": lambda m, r: m.predict(r[AB].astype(np.float32)),
    "shuffled input": lambda m, r: m.predict(r[AB].iloc[::-1]),
    "renamed input": lambda m, r: m.predict(r[["b", "a"]].set_axis(AB, axis=1)),
    "new column": lambda m, r: m.predict(r.assign(b=r["a"] * 2)[AB]),
    "twice": lambda m, r: (m.predict(r[AB]) + m.predict(r[AB])) / 2,
    "row by row": lambda m, r: [m.predict(r[AB].iloc[[i]])[0] for i in range(len(r))],
    "never": lambda m, r: np.zeros(len(r)),
    "coefficients": lambda m, r: r["a"] * m.coef_[0] + r["b"] * m.coef_[1],
    "swallows": _swallows,
    "part of the model": lambda m, r: m["model"].predict(r[AB]),
    "raises": lambda m, r: 1 / 0,
    "exits": lambda m, r: exit(3),  # noqa: PLR1722
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_predict_that_does_more_ends_native_with_the_reason(case):
    reason = trace_predict(CHANGED[case], ROWS, REGRESSION)
    assert isinstance(reason, str)
    assert reason.startswith("native: ")


CLASSIFIED = {
    "threshold": lambda m, r: (m.predict_proba(r[AB])[:, 1] > 0.3).astype(int),
    "equals": lambda m, r: m.predict(r[AB]) == "yes",
    "renamed": lambda m, r: pd.Series(m.predict(r[AB])).map({"yes": "YES", "no": "NO"}),
    "clipped chance": lambda m, r: np.clip(m.predict_proba(r[AB])[:, 1], 1e-6, 1 - 1e-6),
    "difference": lambda m, r: np.diff(m.predict_proba(r[AB]))[:, 0],
    "complement": lambda m, r: 1 - m.predict_proba(r[AB])[:, 0],
    "best": lambda m, r: m.classes_[m.predict_proba(r[AB]).argmax(axis=1)],
    "reversed": lambda m, r: m.predict_proba(r[AB])[:, ::-1],
    "log": lambda m, r: m.predict_log_proba(r[AB]),
}


@pytest.mark.parametrize("case", CLASSIFIED)
def test_a_predict_that_decides_for_itself_ends_native(case):
    reason = trace_predict(CLASSIFIED[case], ROWS, CLASSIFIER)
    assert isinstance(reason, str)
    assert reason.startswith("native: ")


def test_features_end_native():
    reason = trace_predict(SAME["subset"][0], ROWS, REGRESSION, features=lambda rows: rows)
    assert reason == "native: the recipe has a features function"


def test_no_rows_end_native():
    assert isinstance(trace_predict(SAME["subset"][0], ROWS.head(0), REGRESSION), str)


def test_warnings_of_the_user_do_not_leak():
    def warns(model, rows):
        warnings.warn("look here", stacklevel=1)
        return model.predict(rows[AB].to_numpy())

    assert isinstance(trace_predict(warns, ROWS, REGRESSION), Traced)


def test_the_rows_stay_as_they_were():
    before = ROWS.copy()
    trace_predict(_mutates_rows, ROWS, REGRESSION)
    pd.testing.assert_frame_equal(ROWS, before)
