"""Takes secrets out of text that is about to be kept."""

import re
from collections.abc import Iterable, Mapping

HIDDEN = "[redacted]"
_TELLING = re.compile(r"secret|token|passw|api_?key|credential|private", re.IGNORECASE)
_SHORTEST = 6  # shorter values would take harmless words out
_PATTERNS = (
    re.compile(r"(?i)\b((?:[a-z_]*(?:secret|token|passw(?:or)?d|api_?key))\s*[=:]\s*)[^\s,;\"']+"),
    re.compile(r"(\b)AKIA[0-9A-Z]{16}\b"),
    re.compile(r"(://[^/\s:@]+:)[^/\s@]+(?=@)"),
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
