"""Times as scripts see them."""

from datetime import UTC, datetime


def moment(seconds: object) -> str | None:
    """ISO 8601 in UTC, None for None."""
    if not isinstance(seconds, int | float):
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
