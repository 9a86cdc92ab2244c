"""A future as the other end of a callback."""

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


def settle(future: "asyncio.Future[T]", value: T) -> None:
    """Hand over what was waited for, unless whoever waited has gone."""
    if not future.done():
        future.set_result(value)
