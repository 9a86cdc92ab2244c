"""Which requests a challenger gets: by hash, so the same on every worker, after every restart."""

import hashlib

_SPAN = 2.0**64


def position(salt: str, unit: str) -> float:
    """Where a unit lies in [0, 1): uniform over units, and independent from salt to salt.

    A unit belongs to the challenger while its position is below the challenger's share, so a
    growing share only adds units.

    >>> position("a", "user-1") == position("a", "user-1") != position("b", "user-1")
    True
    """
    state = hashlib.blake2b(unit.encode(), digest_size=8, key=salt.encode()[:64])
    return int.from_bytes(state.digest(), "big") / _SPAN
