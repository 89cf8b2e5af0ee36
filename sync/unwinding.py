"""How the stack of a node's tasks is left, so that whoever used the node sees the error that ended it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType


async def unwind(
    stack: AsyncExitStack, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> None:
    """Leave a stack that has a nursery in it.

    What the body raised comes out as it was raised, unless something of ours came on top.
    """
    try:
        await stack.__aexit__(kind, error, trace)
    except BaseExceptionGroup as group:
        if error is None or group.split(lambda each: each is error)[1] is not None:
            raise
