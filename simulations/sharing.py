"""Searches that the programs on all machines share: each grows, counts, discards, promotes, assigns, may end one."""

from __future__ import annotations

import random

from crdtgraph import Commit, CommitId, Graph
from simulations.assignments import Assignments
from simulations.speculation import Program

SHARED_OPEN = 2
"""Searches that are at work at a time, as far as a machine knows."""
RECENT = 12
"""How far back, in commits, what is made in a search mostly builds."""
STEPS_MAX = 6
DISCARD_SHARE, PROMOTE_SHARE, CLOSE_SHARE = 0.3, 0.2, 0.04
REGISTERS = ("line", "note")
REMOVE_SHARE = 0.1


def share(program: Program, rng: random.Random) -> str:
    """Do some of what a worker of a search does, in one of those that are shared."""
    graph = program.graph
    name = _choose(graph, rng)
    search = graph.search(name)
    ground = program.some_parents(2)
    for _ in range(rng.randint(1, STEPS_MAX)):
        known = list(dict.fromkeys([*ground, *_recent(graph, search.plane)]))
        parents = rng.sample(known, min(len(known), rng.choice((1, 1, 1, 2))))
        made = search.commit(parents=parents, author=program.name, message=program.tag())
        search.count(rng.choice([*parents, made]), (1, rng.randint(-1_000, 1_000)))
    own = [commit for commit in _recent(graph, search.plane) if commit in search]
    if rng.random() < DISCARD_SHARE:
        search.discard(rng.choice(own))
    if rng.random() < PROMOTE_SHARE:
        best = rng.choice(own)
        for commit in _missing(graph, search.plane, best):
            program.note_commit(commit)
        search.promote(best)
    if rng.random() < CLOSE_SHARE:
        program.note(("assign", f"search {name}", b"closed"))
        search.close()
        return f"{name} is closed"
    return name


def assign(program: Program, rng: random.Random, assignments: Assignments) -> str:
    """Set a register of one of those searches, or remove what is there, and offer a number to another one."""
    graph = program.graph
    search = graph.search(_choose(graph, rng))
    value = program.tag().encode()
    key = rng.choice(REGISTERS)
    assignments.assign(search, graph.writer, key, None if rng.random() < REMOVE_SHARE else value)
    search.raise_to("best", rng.randrange(1_000), value)
    return f"{search.name}: {key}"


def _choose(graph: Graph, rng: random.Random) -> str:
    names = [f"shared {number}" for number in range(len(graph.closed_searches()) + SHARED_OPEN)]
    return rng.choice([each for each in names if not graph.is_closed_search(each)][:SHARED_OPEN])


def _recent(graph: Graph, plane: str) -> list[CommitId]:
    """The latest commits of a search, bases among them, in order of arrival."""
    count = graph.plane_status(plane).commits
    return [graph.id_of(node, plane=plane) for node in range(max(0, count - RECENT), count)]


def _missing(graph: Graph, plane: str, commit: CommitId) -> list[Commit]:
    """What a promotion has to copy, parents first."""
    found: dict[CommitId, Commit] = {}
    stack = [commit]
    while stack:
        each = stack.pop()
        if each not in graph and each not in found:
            found[each] = graph.get(each, plane=plane)
            stack += found[each].parents
    return sorted(found.values(), key=lambda each: graph.generation(each.id, plane=plane))
