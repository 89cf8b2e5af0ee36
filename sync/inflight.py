"""Simulations in flight at one running node: what a search here says, and what it hears of others.

    nursery.start_soon(node.inflight.share, "move 12", tree)        # a SearchTree beside the node; all there is to do

    node.inflight.publish("move 12", {commit: 3})                   # or by hand, after every change
    end = node.inflight.subscribe("move 12", listener)              # (writer, counts), whenever they change

`protocol/inflightexchange.py` has the rules; here they meet the node's connections and clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import trio

from crdtgraph.ids import CommitId
from sync.protocol.inflightcodec import TOPIC as INFLIGHT
from sync.protocol.inflightexchange import InFlightExchange, Listener
from sync.protocol.messages import Ephemeral

if TYPE_CHECKING:
    from sync.connection import Connection
    from sync.node import Node

__all__ = ["INFLIGHT", "InFlight"]


class Flying(Protocol):
    """What has simulations in flight; `crdtgraph.mcts.SearchTree` is one."""

    def inflight(self) -> Mapping[CommitId, int]:
        """Its own, by commit."""

    def set_remote_inflight(self, source: str, flying: Mapping[CommitId, int]) -> None:
        """What somebody else has in flight now, in place of what was said before."""


class InFlight:
    """What a node knows and says of simulations in flight.

    `exchange` is to be ticked; `look` is called when its deadline may have moved.
    """

    def __init__(self, node: Node, look: Callable[[], None]) -> None:
        self._look = look
        self._node = node
        self.exchange = InFlightExchange(node.graph.writer, node.settings.inflight_every_s, self._are_linked)

    def publish(self, search: str, counts: Mapping[CommitId, int]) -> None:
        """Tell everyone what this process has in flight in a search; it replaces what was told before.

        To be called after every change, with nothing at the end. Cheap: nothing is sent more often than
        `Settings.inflight_every_s` says. A process that ends without a word is forgotten by the others, and in a search
        that was closed nothing is in flight.
        """
        is_closed = self._node.graph.is_closed_search(search)
        self.exchange.publish(search, {} if is_closed else counts, trio.current_time())
        self._look()

    def subscribe(self, search: str, listener: Listener) -> Callable[[], None]:
        """Tell a listener (writer, counts) of each other process, now and at every change; returns what ends it."""
        return self.exchange.subscribe(search, listener)

    async def share(self, search: str, tree: Flying) -> None:
        """Tell others what a tree has in flight, and the tree what others have, until cancelled.

        One tree of a search in one process: what another one says takes its place.
        """
        known: dict[str, None] = {}

        def hear(writer: int, counts: Mapping[CommitId, int]) -> None:
            known[f"{writer:x}"] = None
            tree.set_remote_inflight(f"{writer:x}", counts)

        end = self.subscribe(search, hear)
        try:
            while True:
                self.publish(search, tree.inflight())
                await trio.sleep(self._node.settings.inflight_every_s)
        finally:
            end()
            self.publish(search, {})
            for source in known:
                tree.set_remote_inflight(source, {})

    def counts(self, search: str) -> dict[CommitId, int]:
        """What other processes have in flight in a search, added up."""
        return self.exchange.counts(search)

    @property
    def is_known(self) -> bool:
        """Whether anything is known to be in flight, or was a moment ago."""
        return self.exchange.is_known

    def join(self, connection: Connection) -> None:
        """A peer is connected."""
        self.exchange.join(connection.number, connection.wake)

    def leave(self, connection: Connection) -> None:
        """A connection has ended."""
        self.exchange.leave(connection.number)

    def next_message(self, number: int) -> Ephemeral | None:
        """What to say to a peer next; None when there is nothing."""
        return self.exchange.next_message(number, trio.current_time())

    def receive(self, connection: Connection, payload: bytes) -> None:
        """Deal with a message."""
        self.exchange.receive(connection.number, payload, trio.current_time())

    def _are_linked(self, one: int, other: int) -> bool:
        peers = self._node.gossip.peers
        if one not in peers or other not in peers:
            return False
        replica = peers[one].hello.replica
        return any(each.replica == replica for each in peers[other].neighbours)
