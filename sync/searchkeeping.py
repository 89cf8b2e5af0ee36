"""The searches of a running node: what is said in them goes to peers within milliseconds, and the janitor is at work.

No disk is waited for, or woken: packing what a search has buffered and handing it to peers is all there is to do. So it
is done ten times as often as the ledger is flushed, and only while something is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from crdtgraph.searches.plane import PREFIX
from sync.log import Log
from sync.protocol.searches import Janitor

if TYPE_CHECKING:
    from sync.node import Node


class SearchKeeping:
    """Flushes the searches of a node as long as `run` runs; `janitor` is a machine for the node's timekeeper."""

    def __init__(self, node: Node, log: Log) -> None:
        self._node = node
        self._log = log
        self._waiting = trio.lowlevel.ParkingLot()
        self.janitor = Janitor(node.graph, node.settings, node.graph.host.now_us, self._note_closed)

    async def run(self) -> None:
        """Flush for ever, and end with the graph whatever is under way about a search that ends."""
        graph = self._node.graph
        stops = [
            graph.on_search_buffered(self._waiting.unpark_all),
            graph.on_search_end(self._node.gossip.end_search),
            graph.on_search_end(lambda plane: self._node.inflight.publish(plane.removeprefix(PREFIX), {})),
        ]
        try:
            while True:
                while not graph.searches_wait():
                    # Nobody else runs between the look and the parking, so no call can be missed.
                    await self._waiting.park()
                await trio.sleep(self._node.settings.search_flush_s)
                graph.flush_searches()
        finally:
            for stop in stops:
                stop()

    def _note_closed(self, names: list[str]) -> None:
        self._log.info("searches expired", names=names)
        self._node.announce_change()
