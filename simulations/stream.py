"""`SimStream`: what a TCP connection is to a program, over a virtual wire.

A connection is two pipes, one a direction; each lies on a `Wire` (wire.py), the path from one host to another. A pipe
never loses, repeats or reorders: TCP doesn't. What it does is what TCP does to its users:

- bytes arrive later, in other pieces than they were sent in;
- a sender stops when a window's worth is unread or under way (back-pressure);
- a cut path is a silence; everything arrives after it, unless one side gave up before;
- a reset may strike in mid-frame: the receiver gets some prefix of what was sent, then `BrokenResourceError`;
- a peer whose machine died says nothing at all, and only bytes sent after its return are answered, by a reset;
- closing with unread bytes resets the connection, and words under way may be lost with it.

All timing is on one `Agenda`, so no task runs for a connection. The semantics are those of `trio.SocketStream`, checked
by `trio.testing.check_half_closeable_stream`.
"""

from __future__ import annotations

import operator
import random
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial

import trio

from simulations.wire import Wire

PIECE_BYTES = 16 << 10
"""Bytes travel in pieces of at most this size: about what a network card takes at once."""
READ_BYTES = 64 << 10
"""What `receive_some` gives at most when it is not told."""


class Receiver(Enum):
    """What is at the receiving end of a pipe."""

    OPEN = auto()
    CLOSED = auto()
    VANISHED = auto()


@dataclass(slots=True)
class _Item:
    """On its way: bytes, the end of them (b""), or a reset (None)."""

    data: bytes | None
    is_lost: bool = False


class Pipe:
    """Bytes from one endpoint to the other. `observe` is told of every piece that arrives, for the trace."""

    def __init__(self, forth: Wire, back: Wire, observe: Callable[[str], None]) -> None:
        self.wire = forth
        self.reverse: Pipe = self
        self.receiver = Receiver.OPEN
        self.ready = bytearray()
        self.is_ended = False
        self.is_broken = False
        self.readers = trio.lowlevel.ParkingLot()
        self.writers = trio.lowlevel.ParkingLot()
        self.is_stalled = False
        self._back = back
        self._observe = observe
        self._flight: deque[_Item] = deque()
        self._held: deque[_Item] = deque()
        self._last_arrival = 0.0
        self._unacknowledged = 0
        self._is_release_due = False

    # The sending end

    @property
    def room(self) -> int:
        """Bytes that may be sent now."""
        return self.wire.properties.window_bytes - self._unacknowledged

    def send(self, data: bytes | None) -> None:
        """Put bytes, their end (b"") or a reset (None) on the wire."""
        item = _Item(data)
        size = len(data) if data else 0
        self._unacknowledged += size
        self._flight.append(item)
        self._last_arrival = max(self._last_arrival, self.wire.arrival(size))
        self.wire.agenda.at(self._last_arrival, partial(self._arrive, item))

    def lose_tail(self, rng: random.Random) -> None:
        """Of what is under way only some prefix will arrive."""
        items = [item for item in (*self._held, *self._flight) if not item.is_lost]
        kept = rng.randint(0, len(items))
        for item in items[kept:]:
            item.is_lost = True
        if kept and (last := items[kept - 1].data):
            items[kept - 1].data = last[: rng.randint(1, len(last))]

    # The receiving end

    def take(self, size: int) -> bytes:
        """Read what has arrived; the sender hears of it one latency later."""
        data = bytes(self.ready[:size])
        del self.ready[:size]
        back = self._back
        back.agenda.at(trio.current_time() + back.properties.latency_s, partial(self._acknowledge, len(data)))
        return data

    def hold(self) -> None:
        """Nothing arrives, though the path is open: a stalled stream."""
        self.is_stalled = True

    def release(self) -> None:
        """The stall is over."""
        self.is_stalled = False
        self._release_soon()

    def wake(self) -> None:
        """Everyone who waits at either end looks again."""
        self.readers.unpark_all()
        self.writers.unpark_all()

    # Inside

    def _acknowledge(self, size: int) -> None:
        if self._back.is_cut:
            self._back.on_heal(partial(self._acknowledge, size))
        else:
            self._unacknowledged -= size
            self.writers.unpark_all()

    def _arrive(self, item: _Item) -> None:
        self._flight.popleft()
        if self.wire.is_cut or self.is_stalled or self._held:
            if not self._held and self.wire.is_cut:
                self.wire.on_heal(self._release_soon)
            self._held.append(item)
        else:
            self._deliver(item)

    def _release_soon(self) -> None:
        if self._held and not self._is_release_due:
            self._is_release_due = True
            self.wire.agenda.at(trio.current_time() + self.wire.delay_s(), self._release)

    def _release(self) -> None:
        self._is_release_due = False
        while self._held and not (self.wire.is_cut or self.is_stalled):
            self._deliver(self._held.popleft())
        if self._held and self.wire.is_cut:
            self.wire.on_heal(self._release_soon)

    def _deliver(self, item: _Item) -> None:
        data = item.data
        if item.is_lost or self.receiver is Receiver.VANISHED or self.is_broken:
            return
        self._observe("reset" if data is None else f"{len(data)} {zlib.crc32(data):08x}")
        if data is None:
            self.is_broken = True
            self.reverse.wake()
        elif self.receiver is Receiver.CLOSED:
            if data:
                self.reverse.send(None)
        elif data:
            self.ready += data
        else:
            self.is_ended = True
        self.readers.unpark_all()


class SimStream(trio.abc.HalfCloseableStream):
    """One endpoint of a connection; make two with `stream_pair`."""

    def __init__(self, outgoing: Pipe, incoming: Pipe, rng: random.Random) -> None:
        self.outgoing = outgoing
        self.incoming = incoming
        self.is_closed = False
        self._rng = rng
        self._is_eof_sent = False
        self._is_sending = False
        self._is_receiving = False
        self._was_short = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See trio. Returns when the last bytes are within the window."""
        with _Busy(self, "_is_sending"):
            await trio.lowlevel.checkpoint()
            self._check_sending()
            rest = memoryview(bytes(data))
            half_window = max(1, self.outgoing.wire.properties.window_bytes // 2)
            while rest:
                # Little by little would be the silly window syndrome, which real senders avoid in the same way.
                await self._wait_for_room(min(len(rest), PIECE_BYTES, half_window))
                size = min(len(rest), self.outgoing.room, PIECE_BYTES)
                self.outgoing.send(bytes(rest[:size]))
                rest = rest[size:]

    async def wait_send_all_might_not_block(self) -> None:
        """See trio."""
        with _Busy(self, "_is_sending"):
            await trio.lowlevel.checkpoint()
            self._check_sending()
            await self._wait_for_room(1)

    async def send_eof(self) -> None:
        """See trio."""
        with _Busy(self, "_is_sending"):
            await trio.lowlevel.checkpoint()
            if self.is_closed:
                raise trio.ClosedResourceError("this stream was closed")
            self._send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See trio. Often gives fewer bytes than there are, and then the rest at once."""
        limit = READ_BYTES if max_bytes is None else operator.index(max_bytes)
        if limit < 1:
            raise ValueError(f"max_bytes is {limit}; at least 1 is needed")
        with _Busy(self, "_is_receiving"):
            if not self._must_wait():
                await trio.lowlevel.checkpoint()
            while self._must_wait():
                await self.incoming.readers.park()
            if self.is_closed:
                raise trio.ClosedResourceError("this stream was closed")
            if self.incoming.ready:
                return self.incoming.take(self._read_size(min(limit, len(self.incoming.ready))))
            if self.incoming.is_broken:
                raise trio.BrokenResourceError("the connection was reset")
            return b""

    async def aclose(self) -> None:
        """See trio."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Close at once; with bytes unread that is a reset."""
        if self.is_closed:
            return
        self.is_closed = True
        self.incoming.receiver = Receiver.CLOSED
        if self.incoming.ready:
            self.outgoing.lose_tail(self._rng)
            self.outgoing.send(None)
        elif not self.incoming.is_broken:
            self._send_eof()
        self._wake()

    def vanish(self) -> None:
        """The machine is gone: no word to the peer, and only some of what was under way arrives."""
        if not self.is_closed:
            self.is_closed = True
            self.incoming.receiver = Receiver.VANISHED
            self.outgoing.lose_tail(self._rng)
            self._wake()

    def bury(self) -> None:
        """The machine is back and does not know this connection: bytes for it are answered with a reset."""
        if self.incoming.receiver is Receiver.VANISHED:
            self.incoming.receiver = Receiver.CLOSED

    def reset(self) -> None:
        """Something on the path broke the connection: a prefix of what is under way arrives, then a reset."""
        for pipe in (self.outgoing, self.incoming):
            pipe.lose_tail(self._rng)
            pipe.send(None)

    def _send_eof(self) -> None:
        if not self._is_eof_sent:
            self._is_eof_sent = True
            self.outgoing.send(b"")

    def _check_sending(self) -> None:
        if self.is_closed or self._is_eof_sent:
            raise trio.ClosedResourceError("this stream was closed")
        if self.incoming.is_broken:
            raise trio.BrokenResourceError("the connection was reset")

    async def _wait_for_room(self, size: int) -> None:
        while self.outgoing.room < size:
            await self.outgoing.writers.park()
            self._check_sending()

    def _must_wait(self) -> bool:
        pipe = self.incoming
        return not (pipe.ready or self.is_closed or pipe.is_broken or pipe.is_ended)

    def _read_size(self, available: int) -> int:
        # What came in two pieces shows what ten would show, and at a fifth of the cost.
        self._was_short = not self._was_short and self._rng.random() < self.incoming.wire.properties.fragmentation
        return self._rng.randint(1, available) if self._was_short else available

    def _wake(self) -> None:
        self.incoming.wake()
        self.outgoing.wake()


class _Busy:
    """Refuses a second task in the same half of a stream."""

    def __init__(self, stream: SimStream, flag: str) -> None:
        self._stream = stream
        self._flag = flag

    def __enter__(self) -> None:
        if getattr(self._stream, self._flag):
            raise trio.BusyResourceError("another task is using this half of the stream")
        setattr(self._stream, self._flag, True)

    def __exit__(self, *_: object) -> None:
        setattr(self._stream, self._flag, False)


def stream_pair(
    forth: Wire, back: Wire, rng: random.Random, observe: Callable[[str, str], None] = lambda *_: None
) -> tuple[SimStream, SimStream]:
    """A connection: the end that dialled and the end that accepted. `observe` gets ("forth" or "back", what came)."""
    there = Pipe(forth, back, partial(observe, "forth"))
    here = Pipe(back, forth, partial(observe, "back"))
    there.reverse, here.reverse = here, there
    return SimStream(there, here, rng), SimStream(here, there, rng)
