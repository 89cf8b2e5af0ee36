"""All numbers about a running node but its durations, one list for `crdtgraph metrics`, JSON and Prometheus alike.

Names follow Prometheus' conventions: the unit last, in seconds and bytes; counters, which only grow, end in `_total`.
docs/metrics.md explains every one, and a test holds it to this list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from crdtgraph.planes import LEDGER
from sync.protocol.alarms import AlarmKind
from sync.status import NodeStatus, node_status

if TYPE_CHECKING:
    from sync.node import Node

PREFIX = "crdtgraph_"
PEER_STATES = ("open", "greeting", "closing", "waiting", "blocked")


@dataclass(frozen=True, slots=True)
class Measure:
    """One number, with what it is about; those of one `name` differ in their labels."""

    name: str
    text: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_counter(self) -> bool:
        """Whether it only grows, until the node starts anew."""
        return self.name.endswith("_total")


def measures(node: Node) -> list[Measure]:
    """Everything as of now. O(connections x planes + heads + pending records)."""
    now = trio.current_time()
    status = node_status(node, now)
    found = [*_process(status), *_planes(status), *_ledger(node), *_store(node, status), *_peers(status)]
    return [*found, *_agreement(node, now), *_alarms(status)]


def _process(status: NodeStatus) -> Iterator[Measure]:
    labels = {
        "replica": status.replica,
        "cluster": status.cluster,
        "name": status.name,
        "version": status.version,
        "protocol": str(status.protocol),
    }
    yield Measure("info", "Always 1; the labels say which node it is.", 1, labels)
    yield Measure("uptime_seconds", "Since the node started.", status.uptime_s)


def _planes(status: NodeStatus) -> Iterator[Measure]:
    # A label for each search would make new series for ever.
    for plane in (each for each in status.planes if each.name == LEDGER):
        labels = {"plane": plane.name}
        yield Measure("commits", "Commits that are visible.", plane.commits, labels)
        yield Measure("live_commits", "Commits that are visible and not discarded.", plane.live, labels)
        yield Measure("heads", "Commits without children.", plane.heads, labels)
        yield Measure("segments", "Signed batches of records.", plane.segments, labels)
        yield Measure("pending_records", "Records that wait for commits that are not here.", plane.pending, labels)
        yield Measure("holes", "Compacted segments whose records have not come.", plane.holes, labels)
        yield Measure("log_bytes", "What the store holds of a plane.", plane.log_bytes, labels)
        yield Measure(
            "document_bytes", "How much of that is still needed; the rest is to go.", plane.document_bytes, labels
        )


def _ledger(node: Node) -> Iterator[Measure]:
    graph = node.graph
    status = graph.status()
    now_us = graph.host.now_us()
    waits_s = max((now_us - each.since_us for each in graph.pending()), default=0) / 1e6
    yield Measure("pending_oldest_seconds", "Age of the oldest record that waits; 0 if none does.", max(0.0, waits_s))
    yield Measure("refs", "Refs.", status.refs)
    yield Measure("conflicted_refs", "Refs with more than one target.", status.conflicted_refs)
    searches = list(map(graph.search_status, graph.searches()))
    yield Measure("searches_open", "Searches that are open here.", len(searches))
    yield Measure("search_commits", "Commits of all open searches.", sum(each.commits for each in searches))
    yield Measure("search_bytes", "Segments of all open searches.", sum(each.bytes for each in searches))
    refused = node.gossip.hearsay.refused
    yield Measure("searches_refused", "Searches that peers have and there is no room for.", len(refused))
    yield Measure("searches_expired_total", "Searches that the janitor closed.", node.searches.janitor.closed)
    yield Measure("searches_closed", "Searches that the ledger remembers as closed.", len(graph.closed_searches()))
    yield Measure("buffered_records", "Records that are not written yet.", status.buffered)


def _store(node: Node, status: NodeStatus) -> Iterator[Measure]:
    if status.store_bytes is not None:
        yield Measure("store_bytes", "What the store takes of the disk.", status.store_bytes)
    yield Measure("store_failures_total", "How often the store refused to write.", status.store_failures)
    due = node.graph.needs_compaction()
    yield Measure("compaction_due", "1 while there is enough to join or to drop for a compaction.", due)
    if (meter := node.graph.meter) is not None:
        began_ns = meter.syncing_since_ns
        takes_s = 0.0 if began_ns is None else max(0, meter.now_ns() - began_ns) / 1e9
        yield Measure("fsync_running_seconds", "How long the fsync takes that is under way; 0 if none is.", takes_s)


def _peers(status: NodeStatus) -> Iterator[Measure]:
    states = Counter(peer.state for peer in status.peers)
    for state in PEER_STATES:
        yield Measure("peers", "Peers by the state of the connection.", states[state], {"state": state})
    yield Measure("members", "Members of the cluster that the node knows of.", status.members)
    queued = sum(peer.queued_bytes for peer in status.peers)
    yield Measure("queued_bytes", "What waits to be sent to peers.", queued)
    yield Measure("ignored_planes_total", "Messages about planes that are not kept here.", status.ignored_planes)


def _agreement(node: Node, now: float) -> Iterator[Measure]:
    unequal, longest_s = 0, 0.0
    for connection in node.connections.values():
        peer = node.gossip.peers.get(connection.number)
        # Of searches that are written to, peers hold different parts most of the time.
        for plane in (LEDGER,) if peer is not None else ():
            view = peer.views.get(plane) if peer is not None else None
            if view is None or view.told is None or view.told.set_digest == node.graph.set_digest(plane):
                continue
            unequal += 1
            since = connection.started_at if view.agreed_at is None else view.agreed_at
            longest_s = max(longest_s, now - since)
    yield Measure(
        "planes_unequal", "Planes of connected peers whose last summary differs from what is here now.", unequal
    )
    yield Measure("unequal_seconds", "How long ago the one that has differed longest last agreed.", longest_s)


def _alarms(status: NodeStatus) -> Iterator[Measure]:
    kinds = Counter(alarm.kind for alarm in status.alarms)
    for kind in AlarmKind:
        yield Measure(
            "alarms", "Peers that should agree and do not, by what is wrong.", kinds[kind.value], {"kind": kind.value}
        )
    yield Measure("alarms_raised_total", "How often such an alarm was raised.", status.alarms_total)
