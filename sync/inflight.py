"""Simulations in flight at one running node: what a search here says, and what it hears of others.

    end = node.inflight.subscribe("move 12", tree.set_remote_inflight)      # (writer, counts), whenever they change
    node.inflight.publish("move 12", tree.inflight())                       # after every change; the node spaces them

`inflightexchange.py` has the rules; here they meet the node's connections and clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import trio

from crdtgraph.ids import CommitId
from sync.inflightcodec import TOPIC as INFLIGHT
from sync.inflightexchange import InFlightExchange, Listener

if TYPE_CHECKING:
    from sync.connection import Connection
    from sync.node import Node

__all__ = ["INFLIGHT", "InFlight"]


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
        `Settings.inflight_every_s` says. A process that ends without a word is forgotten by the others.
        """
        self.exchange.publish(search, counts, trio.current_time())
        self._look()

    def subscribe(self, search: str, listener: Listener) -> Callable[[], None]:
        """Tell a listener (writer, counts) of each other process, now and at every change; returns what ends it."""
        return self.exchange.subscribe(search, listener)

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
        self.exchange.leave(connection.number, trio.current_time())

    def receive(self, connection: Connection, payload: bytes) -> None:
        """Deal with a message."""
        self.exchange.receive(connection.number, payload, trio.current_time())

    def _are_linked(self, one: int, other: int) -> bool:
        peers = self._node.gossip.peers
        if one not in peers or other not in peers:
            return False
        replica = peers[one].hello.replica
        return any(each.replica == replica for each in peers[other].neighbours)
