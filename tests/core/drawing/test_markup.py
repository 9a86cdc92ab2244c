"""A decision in a notebook: static, escaped, and told without the drawing as well."""

import re
from xml.etree import ElementTree as ET

import pytest

from everbake.core.decision import Check, Segment

SVG = "{http://www.w3.org/2000/svg}"


def parsed(decision):
    """The fragment as a tree: it is well-formed, whatever is in it."""
    return ET.fromstring(decision._repr_html_())  # noqa: S314 - our own


def texts(tree):
    return " ".join("".join(tree.itertext()).split())


def test_it_stands_alone(hurting):
    html = hurting._repr_html_()
    assert "<script" not in html
    assert "url(" not in html
    assert "@import" not in html
    assert re.findall(r"https?://[^\"]*", html) == ["http://www.w3.org/2000/svg"] * 2
    assert not re.search(r"\son\w+=|\shref=|\ssrc=", html)


def test_the_drawing_is_told_in_words_too(hurting):
    drawing = parsed(hurting).find(f".//{SVG}svg")
    title, text = drawing.find(f"{SVG}title"), drawing.find(f"{SVG}desc")
    assert drawing.get("role") == "img"
    assert drawing.get("aria-labelledby") == title.get("id")
    assert drawing.get("aria-describedby") == text.get("id")
    assert title.text.startswith("Rejected: the new model against the model in use")
    assert "site = North: -0.031, between -0.058 and -0.012, hurt." in text.text
    assert "site = West: no difference can be told, not judged." in text.text


def test_the_numbers_are_in_a_table(hurting):
    table = parsed(hurting).find(".//table")
    rows = [[texts(cell) for cell in row] for row in table.iter("tr")]
    assert rows[0][:5] == ["compared", "rows", "difference", "interval", "state"]
    assert rows[1][:5] == ["all rows", "8,412", "+0.0112", "+0.0021 to +0.0203", "● better"]
    assert ["site = North", "388", "-0.031", "-0.058 to -0.012", "■ hurt", "it is worse"] in rows


def test_two_decisions_on_one_page_do_not_share_ids(decided, hurting):
    found = re.findall(r' id="([^"]+)"', decided()._repr_html_() + hurting._repr_html_())
    assert len(found) == len(set(found)) == 8


def test_a_state_is_a_shape_and_a_word(hurting):
    told = texts(parsed(hurting))
    assert "■ Rejected" in told
    assert "▲ warn recall_score at least 0.7" in told
    assert "n = 388, hurt" in told


@pytest.mark.parametrize("place", ["name", "detail", "because", "check", "metric"])
def test_whatever_comes_from_outside_is_escaped(decided, place):
    evil = '</svg><script>alert("1")</script>&'
    part = {"name": "a = b", "detail": ""} | {place: evil}
    segment = Segment(part["name"], 9, 0.1, 0.1, 0.1, (0.0, 0.2), 0.5, "ok", part["detail"])
    changes = {"segments": (segment,)}
    changes |= {place: evil} if place in {"because", "metric"} else {}
    changes |= {"checks": (Check(evil, "fail", evil),)} if place == "check" else {}
    html = decided(**changes)._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    ET.fromstring(html)  # noqa: S314 - our own


def test_without_anything_to_draw_there_is_no_empty_drawing(decided):
    tie = decided(code="same_loss", difference=0.0, interval=(0.0, 0.0))
    assert parsed(tie).find(f".//{SVG}svg") is None
    assert parsed(tie).find(".//table") is not None
    first = decided(champion=None, difference=None, interval=None)
    assert parsed(first).find(".//table") is None
