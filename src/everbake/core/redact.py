"""Takes secrets out of text that is about to be kept."""

import re
from collections.abc import Iterable, Mapping

HIDDEN = "[redacted]"
_TELLING = re.compile(
    r"secret|token|passw|passphrase|pwd|api_?key|access_?key|credential|private", re.IGNORECASE
)
_SHORTEST = 6  # shorter values would take harmless words out
# Each keeps its first group and takes out the rest.
_PATTERNS = (
    re.compile(
        r"""(?i)([\w.-]*(?:secret|token|passw(?:or)?d|passphrase|pwd|api_?key|access_?key|credential)s?
        (?:[_-]?(?:key|id|value))?["']?\s*[=:]\s*["']?)(?!\[redacted\])[^\s,;"']+""",
        re.VERBOSE,
    ),
    re.compile(r"(?i)(\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}"),
    re.compile(r"(\b)(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"(\b)(?:gh[pousr]_|github_pat_|glpat-|sk-|xox[abprs]-)[\w-]{8,}"),
    re.compile(r"(\b)eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"),
    re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)"),
    re.compile(
        r"()-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL
    ),
)


def secrets_in(environment: Mapping[str, str]) -> list[str]:
    """The values of variables whose names tell that they are secret."""
    return [
        value
        for name, value in environment.items()
        if _TELLING.search(name) and len(value) >= _SHORTEST
    ]


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without these secrets, and without what looks like one.

    >>> redacted("password=hunter2 done")
    'password=[redacted] done'
    """
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    for pattern in _PATTERNS:
        text = pattern.sub(lambda match: match[1] + HIDDEN, text)
    return text


def kept(text: str, environment: Mapping[str, str]) -> str:
    """What may be kept of a text from the user's code: no secrets, and nothing unwritable.

    Args:
        text: whatever an exception said; half of a surrogate pair in it can be written nowhere.
        environment: whose secret values are taken out.
    """
    return redacted(writable(text), secrets_in(environment))


def writable(text: str) -> str:
    """The text with halves of surrogate pairs escaped: UTF-8 has none for them.

    >>> writable("a" + chr(0xD800)).isascii()
    True
    """
    return text.encode("utf-8", "backslashreplace").decode()
