"""Figures and names as they are written, whoever reads them: a terminal or a browser."""

from math import floor, isfinite, log10
from unicodedata import east_asian_width

_DIGITS = 4
_LARGEST = 9  # powers of ten that are written in full
_SHORT = 8  # of a digest: enough to tell two apart by eye
_PERCENT = 100


def plain(value: object) -> str:
    r"""A text on one line in which nothing acts on a terminal or turns the line's direction round.

    Names of segments come out of the data, and with them whatever somebody wrote there.

    >>> print(plain("a" + chr(27) + "[2J" + chr(10) + "b"))
    a\x1b[2J b
    """
    text = " ".join(str(value).split())
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def figure(value: float) -> str:
    """A figure with four digits.

    >>> figure(0.83125), figure(27368.4)
    ('0.8313', '27,370')
    """
    return _number(value, _DIGITS, "-")


def signed(value: float, digits: int = 3) -> str:
    """A difference, with its sign unless it is 0.

    >>> signed(0.0123456), signed(-98765.0), signed(0.0)
    ('+0.0123', '-98,800', '0')
    """
    return _number(value, digits, "+") if value else "0"


def _number(value: float, digits: int, sign: str) -> str:
    """So many digits; in full up to billions, where `g` would write powers of ten."""
    if isfinite(value) and abs(value) >= 1:
        power = floor(log10(abs(value)))
        if digits <= power <= _LARGEST:
            return f"{round(value, digits - 1 - power):{sign},.0f}"
    return f"{value:{sign}.{digits}g}"


def between(interval: tuple[float, float]) -> str:
    """An interval.

    >>> between((-0.5, float("inf")))
    '-0.5 to +inf'
    """
    return f"{signed(interval[0])} to {signed(interval[1])}"


def count(number: int) -> str:
    """A number of things.

    >>> count(12345)
    '12,345'
    """
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """A number of things with their name in singular or plural.

    >>> counted(1, "row"), counted(2, "row")
    ('1 row', '2 rows')
    """
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def confidence(level: float) -> str:
    """How sure a two-sided interval of this level is.

    >>> confidence(0.05), confidence(0.1 / 6)
    ('95 %', '98.33 %')
    """
    return f"{_PERCENT * (1 - level):.{_DIGITS}g} %" if isfinite(level) else "an interval"


def short(digest: str) -> str:
    """The beginning of a digest."""
    return digest[:_SHORT]


def width_of(text: str) -> int:
    """Columns that a text takes on a terminal: wide letters take two.

    >>> width_of("größe"), width_of("東京")
    (5, 4)
    """
    return sum(1 + (east_asian_width(each) in "WF") for each in text)


def fitted(text: str, width: int, more: str) -> str:
    """The text in exactly so many columns: filled up with blanks, or cut, ending with `more`.

    >>> fitted("abcdef", 4, "…"), fitted("ab", 4, "…")
    ('abc…', 'ab  ')
    """
    if width_of(text) > width:
        room = width - width_of(more)
        while width_of(text) > room:
            text = text[:-1]
        text += more
    return text + " " * (width - width_of(text))
