"""One connection: two tasks around a `Session`, one that reads and one that writes, and an orderly end.

The reader waits for bytes until the session's deadline, so silence is only ever measured while we really
listen. The writer pulls: it takes what is to be said, gathers it into one write of about `WRITE_BYTES`, and
asks again when that is on its way; a peer that does not read stops the pulling, and nothing piles up here.

Whatever ends a connection ends only this connection: the peer's mistakes (`RemoteError`) and a broken stream
are noted in `ending`. Every other exception is a bug or a broken store and is raised.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import trio

from crdtgraph.errors import RemoteError
from crdtgraph.ids import ReplicaId
from sync.protocol.codec import encode_message
from sync.protocol.framing import encode_frame
from sync.protocol.limits import LINK_BYTES_PER_S_MIN, READ_BYTES, WRITE_BYTES, Settings
from sync.protocol.messages import (
    Ephemeral,
    Error,
    ErrorCode,
    Goodbye,
    GossipMessage,
    Hello,
    MemberMessage,
    NodeMessage,
    ObjectMessage,
)
from sync.protocol.session import RemoteClosedError, RemoteTimeoutError, Session
from sync.protocol.state import State
from sync.transport import Address

BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError)
"""What a stream raises when the other side is gone, or this side closed it meanwhile."""


class Direction(StrEnum):
    """Who asked for a connection."""

    DIALLED = "dialled"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection ended. `by_fault` is False for a goodbye from either side and for a plain close.

    `by_silence` says that the peer may have been out of reach since it was last heard of.
    """

    text: str
    by_fault: bool
    by_silence: bool = False


class Connection:
    """One stream to one peer.

    Args:
        stream: connected, owned from now on.
        number: unique in the node and growing.
        direction: who dialled.
        address: what was dialled; None for an accepted one.
        hello: what we say of ourselves.
        greet: called with the peer's hello; a Goodbye in return ends the connection, a RemoteError too.
        handle: called with every further message.
        pull: gives the next message to send, or None.
        pull_bulk: the same, for what has one message a write, and only when there is nothing else.
        pull_last: the same, for what may have one message at the end of each write: others never have to wait for more.
        leave: called once, as soon as the connection takes no further part; last words may still follow.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        *,
        number: int,
        direction: Direction,
        address: Address | None,
        hello: Hello,
        settings: Settings,
        greet: Callable[[Connection, Hello], Goodbye | None],
        handle: Callable[[Connection, NodeMessage], Awaitable[None]],
        pull: Callable[[int], GossipMessage | None],
        pull_bulk: Callable[[int], ObjectMessage | Ephemeral | None],
        pull_last: Callable[[int], MemberMessage | Ephemeral | None],
        leave: Callable[[Connection], None],
    ) -> None:
        self.number = number
        self.direction = direction
        self.address = address
        self.bytes_in = 0
        self.bytes_out = 0
        self.started_at = trio.current_time()
        self.session = Session(hello, settings, self.started_at)
        self.ending: Ending | None = None
        self.closed = trio.Event()
        """Set when the node has forgotten the connection."""
        self._stream = stream
        self._settings = settings
        self._greet = greet
        self._handle = handle
        self._pull = pull
        self._pull_bulk = pull_bulk
        self._pull_last = pull_last
        self._leave = leave
        self._news = trio.Event()
        self._idle = trio.Event()
        self._reading = trio.CancelScope()
        self._writing = trio.CancelScope()
        self._last_words = b""

    @property
    def peer(self) -> Hello | None:
        """The peer's hello, once it was read."""
        return self.session.peer

    @property
    def shown_address(self) -> str:
        """For people: what was dialled, or where the peer says it listens, or nothing."""
        if self.address is not None:
            return self.address.text
        return self.peer.addresses[0] if self.peer is not None and self.peer.addresses else ""

    @property
    def is_open(self) -> bool:
        """Whether both said hello and nobody goodbye."""
        return self.session.state is State.OPEN and self.ending is None

    def wake(self) -> None:
        """There may be something to send."""
        if self._idle.is_set():
            self._idle = trio.Event()
        self._news.set()

    async def drain(self) -> None:
        """Return when all there is to say has been handed to the transport, or the connection is over."""
        while self.ending is None and not self._idle.is_set():
            await self._idle.wait()

    def end(self, text: str, last_words: Error | Goodbye | None = None, *, by_silence: bool = False) -> None:
        """Close it soon, after these last words. The first reason given is the one that counts."""
        if self.ending is None:
            words = self.session.farewell(last_words) if last_words is not None else b""
            self._end(Ending(text, isinstance(last_words, Error), by_silence), words)

    def _end(self, ending: Ending, last_words: bytes) -> None:
        if self.ending is not None:
            return
        self.ending = ending
        self._idle.set()
        self._last_words = last_words
        self._reading.cancel()
        if last_words:
            # The frame that is being written goes first: half a frame would make the words unreadable.
            self._writing.deadline = trio.current_time() + self._settings.goodbye_timeout_s
            self._news.set()
        else:
            self._writing.cancel()
        self._leave(self)

    async def run(self) -> None:
        """Talk until one side ends it, say the last words, and close the stream; `ending` says why."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._guard, self._write, self._writing)
                nursery.start_soon(self._guard, self._read, self._reading)
            if self._last_words:
                with trio.move_on_after(self._settings.goodbye_timeout_s), suppress(*BROKEN):
                    await self._read_out()
        finally:
            await trio.aclose_forcefully(self._stream)

    async def _read_out(self) -> None:
        """Read what is under way: closing a socket with unread bytes resets it, and our last words are lost."""
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            await self._stream.send_eof()
            while await self._stream.receive_some(READ_BYTES):
                pass

    async def _guard(self, work: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        with scope:
            try:
                await work()
            except RemoteError as error:
                by_fault = not (isinstance(error, RemoteClosedError) and not error.code)
                self._end(
                    Ending(error.message, by_fault, isinstance(error, RemoteTimeoutError)), self.session.fail(error)
                )
            except BROKEN:
                self._end(Ending("the connection broke", by_fault=False), b"")

    async def _read(self) -> None:
        session = self.session
        while True:
            with trio.move_on_at(session.deadline) as waiting:
                data = await self._stream.receive_some(READ_BYTES)
            now = trio.current_time()
            if waiting.cancelled_caught:
                session.tick(now)
                self._wake_for_session()
                continue
            self.bytes_in += len(data)
            session.receive_data(data, now)
            while (message := session.next_message(now)) is not None:
                self._wake_for_session()
                if not isinstance(message, Hello):
                    await self._handle(self, message)
                elif (goodbye := self._greet(self, message)) is not None:
                    self.end(goodbye.reason, goodbye)
            self._wake_for_session()

    def _wake_for_session(self) -> None:
        # What gossip has to say it says by itself.
        if self.session.has_output:
            self.wake()

    async def _write(self) -> None:
        data = self.session.start()
        while self.ending is None:
            if data:
                await self._send(data)
            else:
                self._idle.set()
                await self._news.wait()
                self._news = trio.Event()
            data = self._gather()
        # Without any there may be half a frame on the wire, and nothing can follow that.
        if self._last_words:
            await self._send(self._last_words)

    async def _send(self, data: bytes) -> None:
        """Hand bytes to the transport in pieces, so that the time for each is a limit on progress, not on size."""
        timeout_s = self._settings.send_timeout_s
        size = max(1, int(LINK_BYTES_PER_S_MIN * timeout_s))
        rest = memoryview(data)
        with trio.CancelScope() as waiting:
            while rest:
                piece, rest = rest[:size], rest[size:]
                waiting.deadline = trio.current_time() + timeout_s
                await self._stream.send_all(piece)
                self.bytes_out += len(piece)
                self.session.note_sent(trio.current_time())
        if waiting.cancelled_caught:
            self._end(Ending(f"the peer did not read {size} bytes within {timeout_s:g} s", True, True), b"")

    def _gather(self) -> bytes:
        """The next write: whatever there is to say, up to about `WRITE_BYTES`."""
        session = self.session
        frames = [session.take_output()]
        size = len(frames[0])
        while size < WRITE_BYTES and self.is_open and (message := self._pull(self.number)) is not None:
            frame = session.send(message)
            frames.append(frame)
            size += len(frame)
        if size < WRITE_BYTES and self.is_open and (bulk := self._pull_bulk(self.number)) is not None:
            frames.append(session.send(bulk))
        if self.is_open and (last := self._pull_last(self.number)) is not None:
            frames.append(session.send(last))
        return b"".join(frames)


async def part(connections: Mapping[int, Connection], settings: Settings) -> None:
    """End all connections because this node stops, with a goodbye."""
    with trio.move_on_after(settings.goodbye_timeout_s):
        # What was written last is on disk now; whoever reads gets it before we go.
        for connection in [*connections.values()]:
            await connection.drain()
    with trio.move_on_after(2 * settings.goodbye_timeout_s):
        for connection in [*connections.values()]:
            connection.end("this node is stopping", Goodbye("stopping"))
        for connection in [*connections.values()]:
            await connection.closed.wait()


async def refuse(stream: trio.abc.Stream, settings: Settings) -> None:
    """Tell a peer that there are too many, and close the stream."""
    words = Error(ErrorCode.BUSY, "too many connections are open or half open; try later")
    with trio.move_on_after(settings.goodbye_timeout_s):
        with suppress(trio.BrokenResourceError):
            await stream.send_all(encode_frame(encode_message(words)))
    await trio.aclose_forcefully(stream)


def dialled_at_once(old: Connection, new: Connection, settings: Settings) -> bool:
    """Whether two connections lead to one process and were begun at the same time, each end unaware of the other."""
    is_same = old.peer is not None and new.peer is not None and old.peer.nonce == new.peer.nonce
    return is_same and new.started_at - old.started_at <= settings.duplicate_window_s


def loser(old: Connection, new: Connection, ours: ReplicaId, settings: Settings) -> Connection:
    """Which of two connections to one replica goes; both said hello. Both ends decide alike.

    Of two that were dialled at once the one dialled by the smaller replica id stays. In all other cases the peer would
    not have dialled if it knew the old one: it restarted, or lost it.
    """
    if old.peer is None or new.peer is None:
        return new if new.peer is None else old
    if old.direction is new.direction or not dialled_at_once(old, new, settings):
        return old
    stays = Direction.DIALLED if ours < new.peer.replica else Direction.ACCEPTED
    return new if old.direction is stays else old
