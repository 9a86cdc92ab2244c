"""A decision for a terminal: what stands there, how much of it, and what is never let through."""

import pytest

from everbake.core.decision import Check, CostCurve, Curves, Segment
from everbake.core.drawing import Style, as_lines
from everbake.core.drawing.words import width_of


def told(decision, **style):
    return "\n".join(as_lines(decision.to_dict(), Style(**style)))


def line_of(text, beginning):
    return next(line for line in text.splitlines() if line[2:].startswith(beginning))


def test_the_verdict_comes_first_and_the_sentence_next(decided):
    lines = as_lines(decided().to_dict())
    assert lines[0] == "● PROMOTED  the new model against the model in use"
    assert lines[2].startswith("Because on 8412 held-out rows")


def test_values_rows_groups_and_period_are_told(decided):
    text = " ".join(told(decided()).split())
    assert "roc_auc_score 0.8313 against 0.8201: better by 0.0112 (+0.0021 to +0.0203)" in text
    assert "8,412 held-out rows of 2,104 groups, 2026-10-01 to 2026-10-31" in text


def test_the_whole_the_best_and_the_segments_are_drawn_the_hurt_one_first(hurting):
    text = told(hurting)
    names = ["all rows", "best: version 9", "site = North", "age = 18-40", "age = 75+"]
    found = [line_of(text, name) for name in names]
    assert [text.index(line) for line in found] == sorted(text.index(line) for line in found)
    marks, words = ["●", "●", "■", "▲", "●"], ["better", "not worse", "hurt", "open", "ok"]
    assert [line[0] for line in found] == marks
    assert [line.endswith(word) for line, word in zip(found, words, strict=True)] == [True] * 5
    assert "2,104" in line_of(text, "age = 75+")
    assert "├" in line_of(text, "site = North")
    assert line_of(text, "site = West").split()[-2:] == ["not", "judged"]
    assert "┊ -0.009: the loss to be ruled out" in text
    assert "· -0.0018: counts as equal" in text


def test_evidence_names_method_level_look_rows_seed_and_resamples(decided):
    text = " ".join(
        told(decided(evidence={"look": 2, "level": 0.1 / 6, "resamples": 2000})).split()
    )
    assert "98.33 % sure, by DeLong's interval" in text
    assert "look 2 at rows 3fa2b1c9; 2,000 resamples; seed 1234567890" in text
    assert "8,100 of 8,412 rows differ" in text
    assert "note 2 rows without a known outcome were left out." in text


def test_an_inconclusive_decision_says_how_many_rows_it_takes(decided):
    text = told(decided(verdict="inconclusive", evidence={"rows_needed": 340}))
    assert text.startswith("○ INCONCLUSIVE")
    assert "about 340 more rows needed" in text


def test_who_decided_is_said_where_it_was_not_the_rows(decided):
    text = told(decided(decided_by='if_inconclusive="lean"'))
    assert 'decided by  the recipe\'s if_inconclusive="lean", not the rows alone' in text
    assert "decided by" not in told(decided())


def test_users_are_called_users(decided):
    text = told(decided(evidence={"unit": "user", "groups": 8412}))
    assert "on 8,412 held-out users, 2026-10-01" in " ".join(text.split())
    assert line_of(text, "all users")
    assert "8,100 of 8,412 users differ" in text


def test_what_decisions_cost_is_told(decided):
    one, other = CostCurve(0.2, 0.35, ((0.2, 0.35),)), CostCurve(0.25, 0.4, ((0.25, 0.4),))
    curves = Curves(candidate_cost=one, champion_cost=other, prices=(1.0, 4.0))
    text = " ".join(told(decided(curves=curves)).split())
    assert "decides the new model from 0.2 on, a row costs 0.35;" in text
    assert "the model in use from 0.25 on, a row costs 0.4;" in text
    assert "a false positive costs 1, a false negative 4" in text
    assert "decides" not in told(decided(curves=Curves()))


def test_checks_are_told_the_worst_first(decided):
    text = told(decided())
    assert text.index("▲ warn  recall_score at least 0.7: the limit") < text.index(
        "● pass  leakage"
    )


@pytest.mark.parametrize("columns", [20, 60, 80, 200])
def test_lines_keep_to_the_width_and_the_page(hurting, columns):
    lines = as_lines(hurting.to_dict(), Style(columns))
    assert all(width_of(line) <= max(60, columns) for line in lines)
    assert len(lines) <= 40


def test_many_segments_and_checks_are_counted_not_listed(decided):
    many = tuple(
        Segment(f"shop = {i}", 50, 0.8, 0.8, 0.001, (-0.01, 0.012), 1.0, "ok", "")
        for i in range(90)
    )
    hurt = Segment("shop = z", 50, 0.7, 0.8, -0.1, (-0.2, -0.05), 0.01, "hurt", "it is worse")
    checks = tuple(Check(f"limit {i}", "pass", "kept") for i in range(30))
    lines = as_lines(decided(segments=(*many, hurt), checks=checks).to_dict())
    assert len(lines) <= 40
    assert any(line.startswith("■ shop = z") for line in lines)
    assert "  and 81 more segments: 81 ok" in lines
    assert "  and 22 more checks" in lines


def test_plain_letters_do_where_there_are_no_others(hurting):
    text = told(hurting, fine=False)
    assert text.isascii()
    assert text.startswith("x REJECTED")
    assert "[" in line_of(text, "site = North")


def test_colours_are_given_to_marks_alone(hurting):
    plain = told(hurting)
    painted = told(hurting, paint=lambda text, shape: f"<{shape}>{text}</>")
    assert "<fail>■ REJECTED</>  the new model" in painted
    for shape in ("pass", "warn", "fail", "unknown"):
        painted = painted.replace(f"<{shape}>", "")
    assert painted.replace("</>", "") == plain


def test_a_first_version_has_nothing_to_be_held_against(decided):
    first = decided(
        code="first", champion=None, difference=None, interval=None, evidence={"method": "none"}
    )
    text = told(first)
    assert text.startswith("● PROMOTED  the new model\n")
    assert "roc_auc_score 0.8313 on 8,412 held-out rows" in text
    assert "no interval was needed or possible" in text
    assert "├" not in text


def test_what_acts_on_a_terminal_is_escaped(decided):
    name = "site = \x1b[2J\u202eevil\nsecond"
    hostile = Segment(name, 50, 0.7, 0.8, -0.1, (-0.2, -0.05), 0.01, "hurt", f"{name} is worse")
    text = told(decided(segments=(hostile,), because=f"Because {name}."))
    assert text.replace("\n", "").isprintable()
    assert "\\x1b[2J" in text


def test_a_decision_of_an_older_ledger_is_told_as_far_as_it_goes(decided):
    old = decided().to_dict()
    for key in ("segments", "best", "decided_by"):
        del old[key]
    old["evidence"] = {
        key: old["evidence"][key]
        for key in ("method", "level", "tolerance", "equal_within", "differing", "rows_needed")
    } | {"rows_digest": "ab", "seed": 1, "notes": []}
    assert "look 1 at rows ab" in " ".join(" ".join(as_lines(old)).split())
    old["evidence"] = None
    assert as_lines(old)[0].startswith("● PROMOTED")


def test_an_interval_that_json_could_not_hold_is_open_at_that_end(decided):
    old = decided().to_dict()
    old["metric"]["interval"] = [None, 0.5]
    text = "\n".join(as_lines(old))
    assert "(-inf to +0.5)" in text
    assert "◄" in text


def test_a_decision_prints_itself(decided):
    decision = decided()
    assert str(decision) == told(decision)
    assert repr(decision) == f"<Decision promoted (better): {decision.because}>"
