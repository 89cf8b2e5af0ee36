"""The rule about large values: in the end every machine has each of them that a live commit names, or that it wants."""

from __future__ import annotations

from collections.abc import Mapping

import trio

from crdtgraph import Graph
from crdtgraph.objects import mark_steps
from simulations.checkers import ViolationError
from simulations.process import Process

POLL_S = 1.0


async def wait_for_objects(processes: Mapping[str, Process], bound_s: float, may_lack: bool) -> None:
    """Wait until all objects are where they belong, and read every one of them.

    With `may_lack` those do not count that nobody has. Raises ViolationError if it takes longer than `bound_s`.
    """
    if not any(graph.objects.missing or any(graph.objects.whole()) for graph in _graphs(processes).values()):
        return
    with trio.move_on_after(bound_s):
        while any(_lacking(processes, may_lack).values()):  # noqa: ASYNC110 - many things may end it
            await trio.sleep(POLL_S)
    for name, lacking in _lacking(processes, may_lack).items():
        if lacking:
            some = ", ".join(each.hex()[:16] for each in sorted(lacking)[:3])
            raise ViolationError("objects arrive", f"{name} lacks {len(lacking)} ({some}) after {bound_s:.0f} s")
    for name, graph in _graphs(processes).items():
        before = graph.objects.missing
        for object_id, size in [*graph.objects.whole()]:
            for _ in graph.objects.check_steps(object_id, size):
                pass
        if graph.objects.missing > before:
            raise ViolationError("objects arrive", f"{name} cannot read {graph.objects.missing - before} of them")


def _lacking(processes: Mapping[str, Process], may_lack: bool) -> dict[str, set[bytes]]:
    """The objects that each machine lacks, though live commits name them, or it wants them and another one has them.

    Those of commits that were thrown away are wanted, too, when they come: a slow link goes on with them for a while.
    """
    graphs = _graphs(processes)
    held = {object_id for graph in graphs.values() for object_id, _ in graph.objects.whole()}
    found = {}
    for name, graph in graphs.items():
        named: dict[bytes, int] = {}
        for plane in graph.folds():
            for _ in mark_steps(plane, named):
                pass
        lacking = {each for each in named if not graph.objects.is_whole(each)}
        wanted = {object_id for object_id, _ in graph.objects.wanted()}
        found[name] = (lacking & held if may_lack else lacking) | (wanted & held)
    return found


def _graphs(processes: Mapping[str, Process]) -> dict[str, Graph]:
    return {name: process.graph for name, process in processes.items() if process.graph is not None}
