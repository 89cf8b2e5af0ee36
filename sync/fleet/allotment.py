"""Who gets how many workers, and how much of the budget at a time. Arithmetic alone.

Workers go one after the other to the node that has most room for one more, so machines of one size get the same and a
larger one gets more. The budget is given out in *leases*: each is a share of what is left, so the first are long and
the last are short, and all nodes come to the end together (guided self-scheduling, Polychronopoulos and Kuck 1987).
What a node did not use comes back, and what it took with it when it was lost is given out again.
"""

from __future__ import annotations

from collections.abc import Mapping

from crdtgraph.errors import LocalError
from sync.fleet.plan import Place

LEASE_SHARE = 2
"""A lease is at most what is left, by the number of nodes, by this. Larger: smaller leases, more calls."""
LEASE_MIN = 16
"""Iterations worth a call of their own."""


def spread(workers: int, rooms: Mapping[str, float], cpus_per_worker: float) -> dict[str, int]:
    """How many workers each node gets.

    Args:
        workers: how many are wanted.
        rooms: node -> the CPUs that it has.
        cpus_per_worker: what one takes; 0 for workers that take none, which then go to all nodes alike.

    Returns:
        Node -> workers, for all nodes; fewer than wanted where there is no room for more.
    """
    given = dict.fromkeys(sorted(rooms), 0)
    for _ in range(workers):
        fitting = [node for node in given if (given[node] + 1) * cpus_per_worker <= rooms[node]]
        if not fitting:
            break
        # The emptiest, and of two alike the first by name: whoever counts again comes to the same.
        given[min(fitting, key=lambda node: (given[node] + 1) / max(rooms[node], 1e-9))] += 1
    return given


def check_places(places: Mapping[str, Place], *, workers: int, cpus_per_worker: float, beyond_loopback: bool) -> None:
    """Raise LocalError for nodes that could not talk to each other, or that have no room for so many workers."""
    hosts = sorted({place.host for place in places.values()})
    if len(hosts) > 1 and not beyond_loopback:
        raise LocalError(
            f"the Ray nodes are on {len(hosts)} machines ({', '.join(hosts[:3])}), and the nodes of a fleet talk on "
            "loopback only, because peers are not authenticated yet",
            hint="where all who can reach these machines are trusted, give beyond_loopback=True",
        )
    room = sum(int(place.cpus / cpus_per_worker) for place in places.values()) if cpus_per_worker else workers
    if room < workers:
        raise LocalError(
            f"{workers} workers of {cpus_per_worker:g} CPUs do not fit the cluster, which has room for {room}",
            hint="take fewer, or a smaller cpus_per_worker",
        )


def lease(left: int, nodes: int) -> int:
    """How many iterations a node is given at once, of those that are left to give."""
    return min(left, max(LEASE_MIN, left // (LEASE_SHARE * max(nodes, 1))))
