"""Decisions of all kinds, by hand: what the drawing is given."""

from dataclasses import replace

import pytest

from everbake.core.decision import Check, Decision, Evidence, Segment, Versus

_EVIDENCE = Evidence(
    method="delong",
    level=0.05,
    tolerance=0.009,
    equal_within=0.0018,
    differing=8100,
    rows_needed=0,
    rows_digest="3fa2b1c9d4" * 6,
    seed=1234567890,
    notes=("2 rows without a known outcome were left out.",),
    groups=2104,
    period=("2026-10-01", "2026-10-31"),
)
_PLAIN = Decision(
    verdict="promoted",
    code="better",
    because="Because on 8412 held-out rows the new model's roc_auc_score is better.",
    metric="roc_auc_score",
    candidate=0.8313,
    champion=0.8201,
    difference=0.0112,
    interval=(0.0021, 0.0203),
    n=8412,
    checks=(
        Check("leakage", "pass", "0 held-out rows were trained on"),
        Check("recall_score at least 0.7", "warn", "the limit is near"),
    ),
    evidence=_EVIDENCE,
)
_SEGMENTS = (
    Segment("age = 75+", 2104, 0.81, 0.80, 0.0061, (-0.004, 0.0161), 0.9, "ok", "no loss"),
    Segment("age = 18-40", 913, 0.81, 0.8, 0.002, (-0.018, 0.022), 0.9, "open", "a loss is open"),
    Segment("site = North", 388, 0.77, 0.8, -0.031, (-0.058, -0.012), 0.002, "hurt", "it is worse"),
    Segment("site = West", 12, None, None, None, None, None, "unknown", "too few rows"),
)


@pytest.fixture(scope="session")
def decided():
    """Makes a decision: a promotion, with these fields changed."""

    def make(**changes):
        evidence = replace(_EVIDENCE, **changes.pop("evidence", {}))
        return replace(_PLAIN, evidence=evidence, **changes)

    return make


@pytest.fixture(scope="session")
def hurting(decided):
    """A rejection because of a segment, with everything that a decision can hold."""
    return decided(
        verdict="rejected",
        code="segment",
        because="Because segment site = North gets worse.",
        segments=_SEGMENTS,
        best=Versus("version 9", 0.825, 0.0063, (-0.003, 0.0156)),
    )
