"""How a version takes over, as a recipe declares it."""

import pytest
from sklearn.metrics import mean_squared_error

import everbake
from everbake import Canary, Gate, Recipe, Replace, Shadow, Table
from everbake.core.describing import describe
from everbake.errors import RecipeError

DAY = 86400.0


def recipe(**changes):
    return Recipe(
        name="m",
        data=Table(label="y"),
        train=lambda rows: rows,
        predict=lambda model, rows: rows,
        gate=Gate(mean_squared_error),
        **changes,
    )


def parts(rollout):
    """Kind and shares of each part."""
    return [(part.kind, part.shares) for part in rollout.described()]


@pytest.mark.parametrize(
    ("declare", "code", "hint"),
    [
        (lambda: Canary(share=2), "EB204", "between 0.001 and 0.999"),
        (lambda: Canary(share=0.0), "EB204", "between 0.001 and 0.999"),
        (lambda: Canary(share=1.0), "EB204", "between 0.001 and 0.999"),
        (lambda: Canary(share=float("nan")), "EB204", "a finite number|between 0.001 and 0.999"),
        (lambda: Canary(share=()), "EB204", "between 0.001 and 0.999"),
        (lambda: Canary(share=(0.5, 0.1)), "EB204", "shares grow"),
        (lambda: Canary(share=(0.1, 0.1)), "EB204", "shares grow"),
        (lambda: Canary(share="half"), "EB204", "Canary"),
        (lambda: Canary(share=(0.1, "half")), "EB204", "Canary"),
        (lambda: Canary(unit="user"), "EB204", '"request" or "key"'),
        (lambda: Canary(least=0), "EB204", "0 < least <= most"),
        (lambda: Canary(least=11, most=10), "EB204", "0 < least <= most"),
        (lambda: Canary(least=1.5), "EB204", "a whole number"),
        (lambda: Canary(dwell="a while"), "EB204", "span of time"),
        (lambda: Canary(dwell_before="1 moon"), "EB204", "span of time"),
        (lambda: Canary(limit=14), "EB204", "a text"),
        (lambda: Canary(latency="fast"), "EB204", "span of time"),
        (lambda: Canary(shares=0.1), "EB208", "did you mean 'share'"),
        (lambda: Canary(error_rate=1.0), "EB204", "between 0 and 1"),
        (lambda: Canary(error_margin=-0.1), "EB204", "above 0"),
        (lambda: Canary(margin=0.0), "EB204", "above 0"),
        (lambda: Shadow(margin=-1.0), "EB204", "above 0"),
        (lambda: Shadow(least=0), "EB204", "0 < least <= most"),
        (lambda: Shadow(limit="soon"), "EB204", "span of time"),
        (lambda: Shadow(segment=["a"]), "EB208", "did you mean 'segments'"),
        (lambda: Shadow(share=0.1), "EB208", "share"),
        (lambda: Replace(share=0.1), "EB208", "share"),
        (lambda: recipe(rollout="canary"), "EB204", "Replace|Canary"),
        (lambda: recipe(rollout=0.1), "EB204", "Replace|Canary"),
        (lambda: recipe(rolout=Canary()), "EB208", "did you mean 'rollout'"),
    ],
)
def test_a_wrong_declaration_is_refused_with_what_would_be_right(declare, code, hint):
    with pytest.raises(RecipeError, match=hint) as told:
        declare()
    assert told.value.code == code
    assert told.value.mend


def test_replacing_at_once_is_the_default_and_has_no_parts():
    assert isinstance(recipe().rollout, Replace)
    assert describe(recipe(), "pandas").rollout == ()


def test_parts_follow_one_another_however_they_are_chained():
    chained = [("shadow", (0.0,)), ("canary", (0.1,)), ("canary", (0.5,))]
    assert parts(Shadow() >> Canary() >> Canary(share=0.5)) == chained
    assert parts(Shadow() >> (Canary() >> Canary(share=0.5))) == chained
    assert parts((Shadow() >> Canary()) >> Canary(share=0.5)) == chained
    assert describe(recipe(rollout=Shadow() >> Canary()), "pandas").rollout == (
        *Shadow().described(),
        *Canary().described(),
    )


def test_each_share_is_a_stage_and_the_last_takes_the_longest():
    (part,) = Canary(share=[0.01, 0.1, 0.5], least=500, dwell="2d").described()
    assert part.shares == (0.01, 0.1, 0.5)
    assert part.dwell == (3600.0, 3600.0, 2 * DAY)
    assert part.least == (200, 200, 500)


def test_the_defaults_are_plain_data():
    (part,) = Canary().described()
    assert (part.unit, part.shares, part.dwell, part.least) == ("request", (0.1,), (DAY,), (1000,))
    assert (part.limit, part.most, part.latency) == (14 * DAY, 1_000_000, None)
    assert (part.error_rate, part.margins, part.relative) == (0.01, (0.005, 0.01), 0.25)
    assert (part.margin, part.segments) == (None, ())
    (shadow,) = Shadow(segments=["origin"]).described()
    assert (shadow.kind, shadow.unit, shadow.segments) == ("shadow", "request", ("origin",))


def test_the_latency_is_read_as_seconds():
    assert Canary(latency="50ms").described()[0].latency == 0.05


def test_they_are_part_of_the_public_face():
    assert {"Canary", "Replace", "Shadow"} <= set(everbake.__all__)
    assert sorted(everbake.__all__) == everbake.__all__ == dir(everbake)
    for name in everbake.__all__:
        assert getattr(everbake, name).__name__ == name
