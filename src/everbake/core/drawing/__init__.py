"""A decision as a person reads it: as lines of text, or as HTML with an SVG.

Everything here starts from a decision's JSON (`Decision.to_dict`, or what the ledger keeps), so
that it reads old decisions as well, and knows nothing of how a verdict was reached. One layout
serves both forms: values become places between 0 and 1, and only then columns or percent.
"""

from everbake.core.drawing.lines import Style, as_lines
from everbake.core.drawing.marks import MARKS, PLAIN_MARKS
from everbake.core.drawing.markup import as_html

__all__ = ["MARKS", "PLAIN_MARKS", "Style", "as_html", "as_lines"]
