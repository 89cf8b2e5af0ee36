"""The members of the cluster as one running node knows them, and what the node tells them of itself.

`protocol/membership.py` has the rules; here the node's own card is made, and somebody can wait for answers to a census.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from crdtgraph.ids import ReplicaId
from crdtgraph.planes import LEDGER
from sync.protocol.alarms import Alarm
from sync.protocol.cards import AlarmCard, Card, LinkCard, PlaneCard
from sync.protocol.limits import (
    CARD_ALARMS_MAX,
    CARD_BLOCKED_MAX,
    CARD_LINKS_MAX,
    CARD_PLANES_MAX,
    CARD_TEXT_BYTES_MAX,
    CARD_WRITERS_MAX,
    PROTOCOL_VERSION,
)
from sync.protocol.membership import Member, Membership
from sync.protocol.messages import MemberMessage
from sync.segmentcounts import SegmentCounts
from sync.status import PeerStatus, peer_statuses, store_bytes
from sync.version import software_version

if TYPE_CHECKING:
    from sync.connection import Connection
    from sync.node import Node


@dataclass(frozen=True, slots=True)
class Answers:
    """The members after a census, by replica, and which of them answered it."""

    members: tuple[Member, ...]
    answered: frozenset[ReplicaId]


class Members:
    """The members that a node knows. `nonce` is that of its hello, `rng` is for jitter.

    `look` is called when the deadline of `table` may have moved.
    """

    def __init__(self, node: Node, nonce: bytes, rng: random.Random, look: Callable[[], None]) -> None:
        self.started_at = trio.current_time()
        self.started_us = _count(node.graph.host.now_us())
        self.commits_in = SegmentCounts(node.graph)
        self._node = node
        self.nonce = nonce
        self._look = look
        self._news = trio.Event()
        self.table = Membership(
            node.replica_id,
            nonce,
            make=self._card,
            now_us=lambda: _count(node.graph.host.now_us()),
            settings=node.settings,
            rng=rng,
            now=trio.current_time(),
            changed=self._announce,
            given_up=lambda replica: node.splits.forget(replica),
        )

    def join(self, connection: Connection, replica: ReplicaId) -> None:
        """A peer is connected."""
        self.table.join(connection.number, replica, connection.wake, trio.current_time())

    def leave(self, connection: Connection) -> None:
        """A connection has ended; one that never joined is ignored."""
        self.table.leave(connection.number, trio.current_time())

    def next_message(self, number: int) -> MemberMessage | None:
        """What to say next on a connection."""
        return self.table.next_message(number, trio.current_time())

    def refresh(self) -> None:
        """Something about the node may have changed that others should know."""
        self.table.review_soon(trio.current_time())
        self._look()

    def forget(self, replica: ReplicaId) -> None:
        """Drop a member here and everywhere."""
        self.table.forget(replica, trio.current_time())
        self._look()

    async def census(self, timeout_s: float) -> Answers:
        """Ask all members for a new card, and wait until those answered that connections lead to, or for so long."""
        before = self.table.begin_census(trio.current_time())
        self._look()
        with trio.move_on_after(timeout_s):
            while self.table.unanswered(before):
                await self._news.wait()
        members = tuple(self.table.members[replica] for replica in sorted(self.table.members))
        newer = (each.card for each in members if each.card.number > before.get(each.card.replica, -1))
        return Answers(members, frozenset(card.replica for card in newer))

    def _announce(self) -> None:
        self._news.set()
        self._news = trio.Event()

    def _card(self, number: int, leaving: bool) -> Card:
        """The node as it is now; O(connections + heads + refs + writers)."""
        node = self._node
        graph, alarms = node.graph, node.gossip.alarms
        status = graph.status()
        return Card(
            replica=node.replica_id,
            nonce=self.nonce,
            number=number,
            name=_cut(node.name),
            version=_cut(software_version()),
            protocol=PROTOCOL_VERSION,
            addresses=node.addresses,
            started_us=self.started_us,
            issued_us=_count(graph.host.now_us()),
            leaving=leaving,
            store_bytes=store_bytes(graph.url),
            refs=status.refs,
            conflicted_refs=status.conflicted_refs,
            buffered=status.buffered,
            alarms_total=alarms.total,
            planes=self._planes(),
            links=() if leaving else _links(peer_statuses(node, trio.current_time())),
            blocked=tuple(map(_cut, node.blocklist.entries[:CARD_BLOCKED_MAX])),
            alarms=tuple(map(_alarm, alarms.standing[-CARD_ALARMS_MAX:])),
            timings=node.metrics.summaries(trio.current_time()),
        )

    def _planes(self) -> tuple[PlaneCard, ...]:
        graph = self._node.graph
        room = CARD_WRITERS_MAX
        cards = []
        # Of the ledger only: searches come and go by the second, and everyone is told of every card.
        for name in sorted(graph.stored_planes(), key=lambda name: (name != LEDGER, name))[:CARD_PLANES_MAX]:
            plane, vector = graph.plane_status(name), graph.state_vector(name)
            told = dict(vector) if len(vector) <= room else {}
            room -= len(told)
            cards.append(
                PlaneCard(
                    plane=name,
                    digest=plane.digest,
                    set_digest=plane.set_digest,
                    commits=plane.commits,
                    live=plane.live,
                    pending=plane.pending,
                    heads=plane.heads,
                    segments=plane.segments,
                    holes=plane.holes,
                    reach=sum(vector.values()),
                    vector=told,
                )
            )
        return tuple(cards)


def _links(peers: Sequence[PeerStatus]) -> tuple[LinkCard, ...]:
    """The links of a node, open ones first, so that it is the others that are left out of a long list."""
    ordered = sorted((peer for peer in peers if peer.state != "closing"), key=lambda peer: peer.state != "open")
    return tuple(map(_link, ordered[:CARD_LINKS_MAX]))


def _link(peer: PeerStatus) -> LinkCard:
    return LinkCard(
        replica=bytes.fromhex(peer.replica),
        address=_cut(peer.address),
        state=peer.state,
        agrees=peer.agrees,
        queued_messages=peer.queued_messages,
        queued_bytes=peer.queued_bytes,
        queue_drops=peer.queue_drops,
        rtt_us=_scaled(peer.rtt_s, 1e6),
        exchanged_ms=_scaled(peer.last_exchange_s, 1e3),
        failure=_cut(peer.failure),
    )


def _alarm(alarm: Alarm) -> AlarmCard:
    return AlarmCard(alarm.kind.value, alarm.plane, alarm.replica)


def _scaled(seconds: float | None, units: float) -> int | None:
    return None if seconds is None else _count(round(seconds * units))


def _count(number: int) -> int:
    """A wall clock may stand before 1970; nobody else has to know how far."""
    return max(0, number)


def _cut(text: str) -> str:
    """The beginning of a text, as much as a card may hold."""
    return text.encode("utf-8", "replace")[:CARD_TEXT_BYTES_MAX].decode("utf-8", "ignore")
