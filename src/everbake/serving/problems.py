"""What a request is refused with: problem documents as RFC 9457 describes them."""

from dataclasses import dataclass

import msgspec

from everbake.errors import Stop

# Code: status and title. The longer explanations stand with all other codes.
PROBLEMS: dict[str, tuple[int, str]] = {
    "EB500": (500, "internal error of the server"),
    "EB501": (404, "no such address"),
    "EB502": (404, "unknown model"),
    "EB503": (503, "no champion yet"),
    "EB504": (405, "method not allowed"),
    "EB505": (421, "host not allowed"),
    "EB506": (415, "not JSON"),
    "EB507": (415, "encoded body"),
    "EB508": (400, "broken JSON"),
    "EB509": (400, "no rows"),
    "EB510": (413, "request too large"),
    "EB511": (422, "not a list of rows"),
    "EB512": (422, "missing field"),
    "EB513": (422, "unknown field"),
    "EB514": (422, "null not allowed"),
    "EB515": (422, "wrong value"),
    "EB516": (422, "row refused by the model"),
    "EB517": (500, "model failed"),
    "EB518": (500, "prediction is no finite number"),
    "EB519": (503, "too many requests waiting"),
    "EB520": (503, "prediction log cannot be written"),
    "EB521": (503, "version not available"),
    "EB522": (504, "model took too long"),
    "EB523": (431, "headers too large"),
    "EB524": (400, "not HTTP"),
    "EB525": (408, "request took too long to arrive"),
    "EB526": (503, "not ready"),
    "EB532": (400, "broken tensor"),
    "EB533": (422, "tensors that do not fit"),
    "EB534": (404, "version does not serve"),
    "EB535": (400, "not a form of rows"),
    "EB536": (400, "model not named"),
    "EB540": (400, "no labels"),
    "EB541": (422, "wrong label"),
    "EB542": (503, "labels cannot be kept"),
    "EB543": (403, "another site's page"),
    "EB547": (422, "no labels for lists"),
    "EB560": (422, "name given twice"),
    "EB561": (400, "header given twice"),
}


@dataclass(frozen=True)
class Place:
    """Where in the request the fault is.

    Attributes:
        row: position in `rows`, counted from 0.
        column: the field.
    """

    row: int | None = None
    column: str | None = None


class ProblemError(Stop):
    """A request that is not answered with predictions.

    Args:
        code: a key of `PROBLEMS`.
        what: what is wrong, in one clause.
        place: where in the request.
        mend: what to do.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        code: str,
        what: str,
        place: Place = Place(),
        *,
        mend: str = "",
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        where = "" if place.row is None else f"row {place.row}"
        super().__init__(code, what, where=where, mend=mend)
        self.place = place
        self.headers = headers
        self.status = PROBLEMS[code][0]

    def document(self) -> bytes:
        """The problem as JSON."""
        content: dict[str, object] = {
            "type": f"urn:everbake:error:{self.code}",
            "title": PROBLEMS[self.code][1],
            "status": self.status,
            "detail": self.what,
            "code": self.code,
            "row": self.place.row,
            "column": self.place.column,
        }
        if self.mend:
            content["mend"] = self.mend
        return msgspec.json.encode(content)
