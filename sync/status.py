"""How a node is doing, as plain values for people and programs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crdtgraph.planes import LEDGER
from crdtgraph.status import PlaneStatus
from crdtgraph.store import disk_bytes
from sync.connection import Connection
from sync.dialer import Dialer
from sync.protocol.alarms import Alarm
from sync.protocol.limits import PROTOCOL_VERSION
from sync.version import software_version

if TYPE_CHECKING:
    from sync.node import Node


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """One connection, or one configured peer without any.

    `state` is "open", "greeting", "closing", "waiting" (to dial again; `failure` says why) or "blocked". Times are
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
    """A running node. `wants` names the planes that are being fetched, and from whom.

    `store_bytes` is None for a store that is on no disk, `members` counts the replicas that the node knows of.
    """

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
    version: str
    protocol: int
    uptime_s: float
    store_bytes: int | None
    members: int
    planes: tuple[PlaneStatus, ...]


def node_status(node: Node, now: float) -> NodeStatus:
    """The status of a node at `now`, in trio's time; O(connections + heads)."""
    gossip = node.gossip
    return NodeStatus(
        replica=node.replica_id.hex(),
        name=node.name,
        cluster=node.graph.cluster,
        addresses=node.addresses,
        peers=peer_statuses(node, now),
        blocked=node.blocklist.entries,
        alarms=tuple(map(_alarm_status, gossip.alarms.standing)),
        alarms_total=gossip.alarms.total,
        wants=tuple((plane, gossip.peers[want.peer].hello.replica.hex()) for plane, want in gossip.wants.by_plane()),
        ignored_planes=gossip.hearsay.ignored,
        store_failures=node.store_failures,
        version=software_version(),
        protocol=PROTOCOL_VERSION,
        uptime_s=now - node.members.started_at,
        store_bytes=store_bytes(node.graph.url),
        members=len(node.members.table.members),
        planes=tuple(map(node.graph.plane_status, node.graph.planes())),
    )


def peer_statuses(node: Node, now: float) -> tuple[PeerStatus, ...]:
    """The connections of a node, and the peers that it dials without any; O(connections)."""
    connected = {each.address for each in node.connections.values()}
    replicas = {each.peer.replica for each in node.connections.values() if each.peer is not None}
    idle = [each for each in node.dialers if each.address not in connected and each.replica not in replicas]
    return (
        *(_connection_status(node, each, now) for each in node.connections.values()),
        *(_dialer_status(node, each) for each in idle),
    )


def store_bytes(url: str) -> int | None:
    """What a store takes of a disk; None if it is on none, or nobody can tell."""
    with suppress(OSError):
        return disk_bytes(url)
    return None


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
        state="open" if connection.is_open else "greeting" if connection.ending is None else "closing",
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
