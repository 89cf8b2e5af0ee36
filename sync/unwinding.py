"""Leaving what was entered, so that whoever is outside sees the error that was raised inside."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType


async def unwind(
    stack: AsyncExitStack, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> None:
    """Leave a stack with a nursery in it, because of this error or none.

    What the body raised comes out as it was raised, and not in a group, unless something of the nursery's own came on
    top.
    """
    try:
        await stack.__aexit__(kind, error, trace)
    except BaseExceptionGroup as group:
        if error is None or group.split(lambda each: each is error)[1] is not None:
            raise
