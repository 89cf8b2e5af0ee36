"""Asking a running node through its control socket, under trio: `blocking.py` for programs that have an event loop."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import suppress
from types import TracebackType

import trio

from sync.client.blocking import Conversation, tcp_port
from sync.protocol.calls import Plain, Reply, ReplyKind
from sync.protocol.limits import READ_BYTES


class ControlClient:
    """A client under trio; an async context manager made by `connect`. Requests of several tasks take turns."""

    def __init__(self, stream: trio.abc.Stream, path: str) -> None:
        self._stream = stream
        self._conversation = Conversation(path)
        self._turn = trio.Lock()

    @classmethod
    async def connect(cls, path: str | os.PathLike[str]) -> ControlClient:
        """Connect to a control socket, or to "tcp:HOST:PORT"; raises UnreachableError."""
        port = tcp_port(os.fspath(path))
        try:
            stream: trio.SocketStream
            if port is None:
                stream = await trio.open_unix_socket(os.fspath(path))
            else:
                stream = await trio.open_tcp_stream(*port)
        except OSError as error:
            raise Conversation(os.fspath(path)).absent(error) from None
        return cls(stream, os.fspath(path))

    async def __aenter__(self) -> ControlClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stream.aclose()

    async def call(self, method: str, **params: Plain) -> Plain:
        """The result of a method; of one that answers in parts, the list of them."""
        parts: list[Plain] = []
        async with self._turn:
            await self._send(method, params)
            while (reply := await self._receive()).kind is ReplyKind.PART:
                parts.append(reply.data)
        return parts or reply.data

    async def stream(self, method: str, **params: Plain) -> AsyncIterator[Plain]:
        """The parts of a method that answers in parts, as they come. Run it to its end, or close the client."""
        async with self._turn:
            await self._send(method, params)
            while (reply := await self._receive()).kind is ReplyKind.PART:
                yield reply.data

    async def _send(self, method: str, params: dict[str, Plain]) -> None:
        request = self._conversation.ask(method, params)
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            # A node that has hung up already may have said why, and that is still to be read.
            with suppress(trio.BrokenResourceError):
                await self._stream.send_all(request)
        except trio.ClosedResourceError:
            raise self._conversation.closed() from None
        except trio.Cancelled:
            # Half of it may be on its way, and what follows would be read as the other half.
            await trio.aclose_forcefully(self._stream)
            raise

    async def _receive(self) -> Reply:
        conversation = self._conversation
        while (reply := conversation.next_reply()) is None:
            try:
                conversation.receive(await self._stream.receive_some(READ_BYTES))
            except trio.BrokenResourceError:
                raise conversation.lost("it closed the connection") from None
            except trio.ClosedResourceError:
                raise conversation.closed() from None
        return reply
