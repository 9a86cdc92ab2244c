"""The demo's report: one HTML file that needs nothing else."""

from html import escape
from string import Template

from everbake.interfaces.demo.plot import chart
from everbake.interfaces.demo.result import Result
from everbake.interfaces.demo.wording import HEADS, Line, finding, legend, summary, table_lines
from everbake.interfaces.demo.year import shipped

_KINDS = ("month", "figure", "verdict", "because", "figure", "figure")


def page(result: Result, going_on: dict[str, str]) -> str:
    """The report.

    Args:
        result: what the replay found out.
        going_on: what to do next, and the commands that do it.
    """
    return Template(shipped("report.html")).substitute(
        title=escape(finding(result)),
        summary=escape(summary(result)),
        chart=chart(result),
        legend=escape(legend(result)),
        heads="".join(_head(head, kind) for head, kind in zip(HEADS, _KINDS, strict=True)),
        rows="\n".join(_row(line) for line in table_lines(result)),
        going="\n".join(_step(what, command) for what, command in going_on.items()),
    )


def _head(head: str, kind: str) -> str:
    return f'<th scope="col" class="{kind}">{escape(head)}</th>'


def _row(line: Line) -> str:
    verdict = line[HEADS.index("verdict")].rpartition(" ")[2]
    cells = (
        f'<td class="{kind}">{escape(cell)}</td>' for kind, cell in zip(_KINDS, line, strict=True)
    )
    return f'<tr class="{verdict}">{"".join(cells)}</tr>'


def _step(what: str, command: str) -> str:
    return f"<p>{escape(what)}</p>\n<pre>{escape(command)}</pre>"
