"""The rules about trees that many machines grow, once all agree: nothing counted is lost, and nothing stays in flight.

What a process counted that still runs is everywhere, to the last count; of one that crashed, what it had given away.
The same goes for what it assigned to registers, unless that was replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

import trio

from crdtgraph import Graph
from simulations.checkers import ViolationError
from simulations.process import Process
from simulations.tallies import Tallies
from sync.protocol.limits import INFLIGHT_EXPIRY_S

LOOK_S = 0.5
SLACK_S = 2.0
"""States in flight are given away by one node after the other, each of which keeps them for as long."""


async def check_searches(processes: Mapping[str, Process], tallies: Tallies, under_way_s: float) -> None:
    """Look, once all machines agree, whether they have what was counted, and wait until nothing is in flight.

    A message may be under way for `under_way_s`. Raises ViolationError if a count is lost, or anything stays in flight.
    """
    if not any(graph.searches() for graph in _graphs(processes).values()):
        return
    for process in processes.values():
        if process.workload is not None:
            process.workload.rest()
    graphs = _graphs(processes)
    writers = [graph.writer for graph in graphs.values()]
    for name, graph in graphs.items():
        tallies.check(name, graph, whole=writers)
        tallies.assignments.check(name, graph, writers)
    await _check_flights(processes, INFLIGHT_EXPIRY_S + SLACK_S + under_way_s)


async def _check_flights(processes: Mapping[str, Process], bound_s: float) -> None:
    """Nobody works on anything any more, so nothing is in flight soon, whatever those said that are gone."""
    for _ in range(ceil(bound_s / LOOK_S)):
        if not _flights(processes):
            return
        await trio.sleep(LOOK_S)
    for name, search, count in _flights(processes):
        raise ViolationError("what is in flight lands", f"{name} has {count} in {search!r}, and nobody works")


def _flights(processes: Mapping[str, Process]) -> list[tuple[str, str, int]]:
    """What each machine takes to be in flight: its name, the search, how many simulations."""
    found = []
    for name, process in processes.items():
        node, graph = process.node, process.graph
        if node is not None and graph is not None:
            flights = [(name, search, sum(node.inflight.counts(search).values())) for search in graph.searches()]
            found += [flight for flight in flights if flight[2]]
    return found


def _graphs(processes: Mapping[str, Process]) -> dict[str, Graph]:
    return {name: process.graph for name, process in processes.items() if process.graph is not None}
