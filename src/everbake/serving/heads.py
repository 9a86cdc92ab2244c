"""Heads of usual requests: what was read once need not be read again.

Clients repeat themselves: all that changes in the head of one request after the other is the
length of its body, if that. A head that was parsed, checked and found usual means the same the
next time, byte for byte.
"""

import msgspec

_LONGEST = 2048  # bytes of a head that is remembered
_REMEMBERED = 1000
_END = b"\r\n\r\n"


class Head(msgspec.Struct, frozen=True, gc=False):
    """What the head of a usual request says.

    Attributes:
        model: that is asked.
        length: bytes of the body behind it.
        key: what the caller gave to be answered by the same version each time.
    """

    model: str
    length: int
    key: str | None = None


class Heads:
    """The heads that one worker remembers, by their bytes."""

    def __init__(self) -> None:
        self._heads: dict[bytes, Head] = {}

    def find(self, data: bytes) -> tuple[Head, bytes] | None:
        """The head and the body of a whole request, if its head is remembered."""
        end = data.find(_END) + len(_END)
        head = self._heads.get(data[:end])
        if head is None or len(data) - end != head.length:
            return None
        return head, data[end:]

    def remember(self, begun: bytes, head: Head) -> None:
        """Keep what the head means with which these bytes begin, if it is as plain as can be."""
        end = begun.find(_END) + len(_END)
        written = begun[:end]
        lines = written.count(b"\r\n")
        plain = written.count(b"\n") == written.count(b"\r") == lines and written[:5] == b"POST "
        if end > _LONGEST or not plain:
            return
        if len(self._heads) >= _REMEMBERED:  # callers that say something new each time
            self._heads.clear()
        self._heads[written] = head
