"""The episodes of a running node: its tracker, its graph and its store put together.

A store that refuses to keep a record is reported as for every other write, and asked again; the graph does not depend
on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import trio

from crdtgraph.episodes import Episode, Side, read_open, write_episode
from crdtgraph.errors import StoreError
from crdtgraph.ids import ReplicaId
from crdtgraph.planes import LEDGER
from crdtgraph.steps import Stepwise
from sync.protocol.episodes import Episodes
from sync.protocol.sides import Counts, Reaches, count_sides

if TYPE_CHECKING:
    from sync.connection import Connection
    from sync.node import Node
    from sync.protocol.messages import Hello, PlaneSummary
    from sync.protocol.peerstate import Peer

LOOK_S = 2.0
"""How often to look who of the lost can be reached over others, and how far we are ourselves."""
SAMPLES = 32
"""State vectors remembered, so that it is known what we had when a silent peer was last heard of."""


class Splits:
    """What a node notes of those it has lost; a machine of its timekeeper. `look` says that `deadline` has moved."""

    def __init__(self, node: Node, look: Callable[[], None]) -> None:
        self._node = node
        self._graph = node.graph
        self._look = look
        self._look_at = 0.0
        self._is_stopping = False
        self._samples: deque[tuple[float, Mapping[int, int]]] = deque(maxlen=SAMPLES)
        self._unkept: dict[int, Episode | None] = {}
        begun, number = read_open(node.graph.store)
        self._tracker = Episodes(self, Side(node.replica_id, node.name), begun, number)

    # For the timekeeper

    @property
    def deadline(self) -> float:
        """When `tick` has to be called next."""
        if self._tracker.is_counting:
            return float("-inf")
        return self._look_at if self._node.gossip.peers or self._tracker.is_waiting or self._unkept else float("inf")

    def tick(self, now: float) -> None:
        """Count a little, and look around now and then."""
        self._tracker.count()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._samples.append((now, dict(self.state_vector())))
            self._tracker.look(self._now_us())
            self._write()

    # For the node

    def stop(self) -> None:
        """The node is stopping: those that it leaves are not lost."""
        self._is_stopping = True

    def join(self, hello: Hello) -> None:
        """A peer is connected."""
        self._tracker.join(hello.replica, hello.name)

    def leave(self, connection: Connection, hello: Hello) -> None:
        """A connection ended that was the only one to its peer."""
        if self._is_stopping:
            return
        now, ending = trio.current_time(), connection.ending
        is_silent = ending is not None and ending.by_silence
        heard_at = connection.session.heard_at if is_silent else now
        cause = ending.text if ending is not None else ""
        # What is noticed at once, is noticed with what we have now.
        earlier = [vector for at, vector in self._samples if is_silent and at <= heard_at]
        silent_us = round((now - heard_at) * 1e6)
        self._tracker.leave(hello.replica, cause, self._now_us(), silent_us, earlier[-1] if earlier else None)
        self._look_at = now + LOOK_S
        self._look()

    @property
    def lost(self) -> set[ReplicaId]:
        """Who is away in an episode that goes on."""
        return self._tracker.lost

    def forget(self, replica: ReplicaId) -> None:
        """The operator says that it will not come back."""
        self._tracker.forget(replica, self._now_us())
        self._look()

    def compare(self, peer: Peer, told: PlaneSummary) -> None:
        """A peer told a summary."""
        if told.plane == LEDGER and self._tracker.is_open:
            is_equal = told.set_digest == self._graph.set_digest(LEDGER)
            self._tracker.compare(peer.hello.replica, told.state_vector, is_equal, self._now_us())
            self._look()

    def settle(self) -> None:
        """Something came from peers."""
        if self._tracker.is_open:
            self._tracker.settle(self._now_us())

    def expect(self) -> None:
        """A courier is about to bring something."""
        self._tracker.expect()

    def receive(self) -> None:
        """A courier has brought it."""
        self._tracker.receive(self._now_us())

    # What the tracker asks

    def state_vector(self) -> Mapping[int, int]:
        """See `Ledger`."""
        return self._graph.state_vector(LEDGER)

    def conflicted(self) -> frozenset[str]:
        """See `Ledger`."""
        return frozenset(self._graph.refs.conflicted())

    def reachable(self) -> set[ReplicaId]:
        """See `Ledger`."""
        return self._node.members.table.linked()

    def count(self, reaches: Reaches, ours: frozenset[ReplicaId], theirs: frozenset[ReplicaId]) -> Stepwise[Counts]:
        """See `Ledger`."""
        return count_sides(self._graph, reaches, ours, theirs)

    def keep(self, number: int, episode: Episode | None) -> None:
        """See `Ledger`."""
        self._unkept[number] = episode
        self._write()

    def _write(self) -> None:
        """Write what is to be kept; what the store refuses is tried again."""
        try:
            for number in sorted(self._unkept):
                write_episode(self._graph.store, number, self._unkept[number])
                del self._unkept[number]
        except StoreError as error:
            self._node.note_store_failure(error)

    def _now_us(self) -> int:
        return self._graph.host.now_us()
