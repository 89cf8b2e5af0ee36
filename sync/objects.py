"""The large values of one running node: fetched from its peers, given to them, waited for.

`protocol/objectfetch.py` has the rules; here they meet the node's connections, clock and disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from crdtgraph.errors import StoreCorruptError, StoreError
from crdtgraph.records import Reference
from sync.protocol.limits import COLLECT_PAUSE_S
from sync.protocol.messages import Ephemeral, Hello, ObjectMessage
from sync.protocol.objectfetch import ObjectExchange

if TYPE_CHECKING:
    from sync.connection import Connection
    from sync.node import Node


class Objects:
    """What a node has to do with objects. `exchange` is to be ticked; `look` says that its deadline may have moved."""

    def __init__(self, node: Node, look: Callable[[], None]) -> None:
        self._node = node
        self._look_at_time = look
        self._store = node.graph.objects
        self._news = trio.Event()
        self.exchange = ObjectExchange(
            self._store, node.settings, node.gossip.alarms, changed=self._announce, failed=node.note_store_failure
        )

    async def run(self) -> None:
        """Look for what is missing, where that was never done; then collect garbage now and then, for ever."""
        self._store.on_wanted = self._look
        try:
            if not self._store.is_scanned:
                for _ in self._node.graph.look_for_objects_steps():
                    await trio.lowlevel.checkpoint()
            while True:
                await trio.sleep(self._node.settings.collect_every_s)
                await self._collect()
        finally:
            self._store.on_wanted = list

    def join(self, connection: Connection, hello: Hello) -> None:
        """A peer is connected."""
        self.exchange.join(connection.number, hello, connection.wake, trio.current_time())

    def leave(self, connection: Connection) -> None:
        """A connection has ended."""
        self.exchange.leave(connection.number, trio.current_time())

    def receive(self, connection: Connection, message: ObjectMessage | Ephemeral) -> None:
        """Deal with a message."""
        self.exchange.receive(connection.number, message, trio.current_time())

    async def fetch(self, reference: Reference, timeout_s: float) -> bool:
        """Whether an object is here, or comes within so many seconds; it is wanted from now on."""
        self._store.want([reference])
        with trio.move_on_after(timeout_s):
            while not self._store.has(reference):
                await self._news.wait()
        return self._store.has(reference)

    async def _collect(self) -> None:
        if self._store.is_collecting or not (self._store.missing or any(self._store.whole())):
            return
        try:
            for _ in self._node.graph.collect_steps():
                await trio.sleep(COLLECT_PAUSE_S)
        except StoreCorruptError:
            raise
        except StoreError as error:
            self._node.note_store_failure(error)

    def _look(self) -> None:
        self.exchange.look_again(trio.current_time())
        self._look_at_time()

    def _announce(self) -> None:
        self._news.set()
        self._news = trio.Event()
        self._node.announce_change()
