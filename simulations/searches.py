"""The rules about trees that many machines grow, once all agree: nothing counted is lost, and nothing stays in flight.

What a process counted that still runs is everywhere, to the last count; of one that crashed, what it had given away.
"""

from __future__ import annotations

from collections.abc import Mapping

import trio

from crdtgraph import Graph
from simulations.checkers import ViolationError
from simulations.process import Process
from simulations.tallies import Tallies
from sync.limits import INFLIGHT_EXPIRY_S

SLACK_S = 2.0
"""States in flight are given away by one node after the other, each of which keeps them for as long."""


async def check_searches(processes: Mapping[str, Process], tallies: Tallies) -> None:
    """Look, once all machines agree, whether they have what was counted, and wait until nothing is in flight.

    Raises ViolationError if a count is lost, or if anything stays in flight.
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
    await _check_flights(processes)


async def _check_flights(processes: Mapping[str, Process]) -> None:
    """Nobody works on anything any more, so nothing is in flight, whatever those said that are gone."""
    nodes = [process.node for process in processes.values() if process.node is not None]
    if any(node.inflight.is_known for node in nodes):
        await trio.sleep(INFLIGHT_EXPIRY_S + SLACK_S)
    for name, process in processes.items():
        node, graph = process.node, process.graph
        if node is not None and graph is not None:
            for search in graph.searches():
                counts = node.inflight.counts(search)
                if counts:
                    raise ViolationError(
                        "what is in flight lands", f"{name} has {sum(counts.values())} in {search!r}, and nobody works"
                    )


def _graphs(processes: Mapping[str, Process]) -> dict[str, Graph]:
    return {name: process.graph for name, process in processes.items() if process.graph is not None}
