"""Which model a key goes to: the same everywhere and at all times."""

from hashlib import blake2b

_BYTES = 8
_PLACES = 2.0 ** (8 * _BYTES)


def arm_of_key(salt: str, key: str, share: float) -> bool:
    """Whether the canary serves this key.

    The key's place in [0, 1) is a hash of salt and key, so every process and machine agrees, and
    a larger share keeps all keys of a smaller one and adds others. Another salt shuffles all keys;
    each rollout has its own, or the same users would be the first to meet every new model.
    """
    text = f"{len(salt)}:{salt}{key}".encode("utf-8", "surrogatepass")
    place = int.from_bytes(blake2b(text, digest_size=_BYTES).digest(), "big")
    return place < share * _PLACES
