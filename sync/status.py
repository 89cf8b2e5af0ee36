"""How a node is doing, as plain values for people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crdtgraph.planes import LEDGER
from sync.alarms import Alarm
from sync.connection import Connection
from sync.dialer import Dialer

if TYPE_CHECKING:
    from sync.node import Node


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """One connection, or one configured peer without any.

    `state` is "open", "greeting", "waiting" (to dial again; `failure` says why) or "blocked". Times are
    seconds, and None where there is none yet. `agrees` compares the digests of the last summary with ours as
    they are now.
    """

    replica: str
    name: str
    address: str
    direction: str
    state: str
    agrees: bool
    bytes_in: int
    bytes_out: int
    queued_messages: int
    queued_bytes: int
    queue_drops: int
    connected_s: float | None
    last_exchange_s: float | None
    rtt_s: float | None
    neighbours: int
    failure: str = ""


@dataclass(frozen=True, slots=True)
class AlarmStatus:
    """A disagreement that stands."""

    kind: str
    plane: str
    replica: str
    text: str


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A running node. `wants` names the planes that are being fetched, and from whom."""

    replica: str
    name: str
    cluster: str
    addresses: tuple[str, ...]
    peers: tuple[PeerStatus, ...]
    blocked: tuple[str, ...]
    alarms: tuple[AlarmStatus, ...]
    alarms_total: int
    wants: tuple[tuple[str, str], ...]
    ignored_planes: int
    store_failures: int


def node_status(node: Node, now: float) -> NodeStatus:
    """The status of a node at `now`, in trio's time."""
    gossip = node.gossip
    connected = {each.address for each in node.connections.values()}
    replicas = {each.peer.replica for each in node.connections.values() if each.peer is not None}
    idle = [each for each in node.dialers if each.address not in connected and each.replica not in replicas]
    return NodeStatus(
        replica=node.replica_id.hex(),
        name=node.name,
        cluster=node.graph.cluster,
        addresses=node.addresses,
        peers=(
            *(_connection_status(node, each, now) for each in node.connections.values()),
            *(_dialer_status(node, each) for each in idle),
        ),
        blocked=node.blocklist.entries,
        alarms=tuple(map(_alarm_status, gossip.alarms.standing)),
        alarms_total=gossip.alarms.total,
        wants=tuple((plane, gossip.peers[want.peer].hello.replica.hex()) for plane, want in gossip.wants.by_plane()),
        ignored_planes=gossip.ignored_planes,
        store_failures=node.store_failures,
    )


def _connection_status(node: Node, connection: Connection, now: float) -> PeerStatus:
    hello = connection.peer
    peer = node.gossip.peers.get(connection.number)
    outbox = peer.outbox if peer is not None else None
    exchanged_at = peer.exchanged_at if peer is not None else None
    told = peer.view(LEDGER).told if peer is not None else None
    return PeerStatus(
        replica=hello.replica.hex() if hello is not None else "",
        name=hello.name if hello is not None else "",
        address=connection.shown_address,
        direction=connection.direction.value,
        state="open" if connection.is_open else "greeting",
        agrees=told is not None and told.set_digest == node.graph.set_digest(LEDGER),
        bytes_in=connection.bytes_in,
        bytes_out=connection.bytes_out,
        queued_messages=outbox.queued if outbox is not None else 0,
        queued_bytes=outbox.queued_bytes if outbox is not None else 0,
        queue_drops=outbox.drops if outbox is not None else 0,
        connected_s=now - connection.started_at,
        last_exchange_s=now - exchanged_at if exchanged_at is not None else None,
        rtt_s=connection.session.rtt_s,
        neighbours=len(peer.neighbours) if peer is not None else 0,
    )


def _dialer_status(node: Node, dialer: Dialer) -> PeerStatus:
    return PeerStatus(
        replica=dialer.replica.hex() if dialer.replica is not None else "",
        name="",
        address=dialer.address.text,
        direction="dialled",
        state="blocked" if node.blocklist.covers(dialer.replica, dialer.address) else "waiting",
        agrees=False,
        bytes_in=0,
        bytes_out=0,
        queued_messages=0,
        queued_bytes=0,
        queue_drops=0,
        connected_s=None,
        last_exchange_s=None,
        rtt_s=None,
        neighbours=0,
        failure=dialer.failure,
    )


def _alarm_status(alarm: Alarm) -> AlarmStatus:
    return AlarmStatus(alarm.kind.value, alarm.plane, alarm.replica.hex(), alarm.text)
