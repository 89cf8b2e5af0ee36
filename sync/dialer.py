"""Keeping a connection to one configured peer: dial, wait, dial again.

The wait doubles with each failure up to a maximum and is jittered ("full jitter" halved: between half and the
whole of it), so that a cluster that lost a node does not greet it all at once when it is back.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping

import trio

from crdtgraph.errors import UnreachableError
from crdtgraph.ids import ReplicaId
from sync.blocklist import Blocklist
from sync.connection import Connection
from sync.log import Log
from sync.protocol.limits import Settings
from sync.transport import Address


class Backoff:
    """The waits between attempts, in seconds."""

    def __init__(self, settings: Settings, rng: random.Random) -> None:
        self._settings = settings
        self._rng = rng
        self._wait_s = settings.backoff_min_s

    def next_s(self) -> float:
        """How long to wait now."""
        wait_s = self._wait_s
        self._wait_s = min(2 * wait_s, self._settings.backoff_max_s)
        return wait_s * (0.5 + 0.5 * self._rng.random())

    def reset(self) -> None:
        """The last attempt was a success."""
        self._wait_s = self._settings.backoff_min_s


class Dialer:
    """Keeps a connection to one address.

    Args:
        address: of the peer.
        settings: how long to wait for what.
        backoff: the waits between attempts.
        dial: makes a stream, or raises UnreachableError.
        serve: takes a stream, talks until that is over, and returns the connection that it was.
        connected: the open connections of the node, by the peer's replica.
        blocklist: whom not to dial.
        log: where failures go, each once.
    """

    def __init__(
        self,
        address: Address,
        settings: Settings,
        backoff: Backoff,
        *,
        dial: Callable[[Address], Awaitable[trio.abc.Stream]],
        serve: Callable[[trio.abc.Stream], Awaitable[Connection]],
        connected: Mapping[ReplicaId, Connection],
        blocklist: Blocklist,
        log: Log,
    ) -> None:
        self.address = address
        self.replica: ReplicaId | None = None
        """Who answered there last, or said that it listens there."""
        self.failure = ""
        """Why the last attempt failed; empty while connected."""
        self._settings = settings
        self._backoff = backoff
        self._dial = dial
        self._serve = serve
        self._connected = connected
        self._blocklist = blocklist
        self._log = log
        self._hurry = trio.Event()

    def hurry(self) -> None:
        """End a wait now: something has changed that makes an attempt worthwhile."""
        self._backoff.reset()
        self._hurry.set()

    async def run(self) -> None:
        """Dial for ever, whenever the peer is neither connected nor blocked."""
        while True:
            other = self._connected.get(self.replica) if self.replica is not None else None
            if other is not None:
                self.failure = ""
                await other.closed.wait()
            elif self._blocklist.covers(self.replica, self.address):
                await self._wait(self._settings.backoff_max_s)
            else:
                await self._attempt()

    async def _attempt(self) -> None:
        settings = self._settings
        stream: trio.abc.Stream | None = None
        failure = f"no answer within {settings.dial_timeout_s:g} s"
        with trio.move_on_after(settings.dial_timeout_s):
            try:
                stream = await self._dial(self.address)
            except UnreachableError as error:
                failure = error.message
        if stream is not None:
            self.failure = ""
            connection = await self._serve(stream)
            if trio.current_time() - connection.started_at >= settings.backoff_reset_s:
                self._backoff.reset()
            failure = connection.ending.text if connection.ending is not None else ""
            if self.replica in self._connected:
                return
        if failure != self.failure:
            self._log.info("cannot keep a connection", address=self.address.text, reason=failure)
        self.failure = failure
        await self._wait(self._backoff.next_s())

    async def _wait(self, seconds: float) -> None:
        self._hurry = trio.Event()
        with trio.move_on_after(seconds):
            await self._hurry.wait()
