"""How new the rows of a batch are: the latest of their times."""

from datetime import UTC, datetime

import pytest

from everbake.core.dataset import Special


def seconds(*parts):
    return datetime(*parts, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["2024-01-03T00:00:00", "2024-03-01T12:30:00.5"], seconds(2024, 3, 1, 12, 30, 0, 500000)),
        (["2024-03-01T12:00:00+02:00", "2024-01-01T00:00:00Z"], seconds(2024, 3, 1, 10)),
        (["2024-01-03", ""], seconds(2024, 1, 3)),
        (["1700000000", "1700000001"], None),  # a number may count anything
        (["first", "second"], None),
    ],
)
def test_it_is_the_latest_time_that_there_is(bench, times, expected):
    bench.special = Special("y", time="t")
    rows = "\n".join(f"{time},1" for time in times)
    assert bench.csv(f"t,y\n{rows}\n").newest == expected


def test_without_a_time_column_and_over_several_files(bench):
    bench.file("a.csv", "t,y\n2024-05-01T00:00:00,1\n")
    bench.file("b.csv", "t,y\n2024-04-01T00:00:00,1\n")
    assert bench.parse("a.csv", "b.csv").newest is None
    bench.special = Special("y", time="t")
    assert bench.parse("a.csv", "b.csv").newest == seconds(2024, 5, 1)
