"""Searches that the programs on all machines share: each grows them, counts, assigns, discards, promotes, ends one."""

from __future__ import annotations

import random

from crdtgraph import Commit, CommitId, Graph, Search
from simulations.assignments import Assignments
from simulations.speculation import Program

SHARED_OPEN = 2
"""Searches that are at work at a time, as far as a machine knows."""
RECENT = 12
"""How far back, in commits, what is made in a search mostly builds."""
STEPS_MAX = 6
DISCARD_SHARE, PROMOTE_SHARE, CLOSE_SHARE = 0.3, 0.2, 0.04
REGISTERS = ("line", "note")
ASSIGN_SHARE, REMOVE_SHARE = 0.5, 0.1


def share(program: Program, rng: random.Random, assignments: Assignments) -> str:
    """Do some of what a worker of a search does, in one of those that are shared."""
    graph = program.graph
    names = [f"shared {number}" for number in range(len(graph.closed_searches()) + SHARED_OPEN)]
    name = rng.choice([each for each in names if not graph.is_closed_search(each)][:SHARED_OPEN])
    search = graph.search(name)
    ground = program.some_parents(2)
    for _ in range(rng.randint(1, STEPS_MAX)):
        known = list(dict.fromkeys([*ground, *_recent(graph, search.plane)]))
        parents = rng.sample(known, min(len(known), rng.choice((1, 1, 1, 2))))
        made = search.commit(parents=parents, author=program.name, message=program.tag())
        search.count(rng.choice([*parents, made]), (1, rng.randint(-1_000, 1_000)))
    _assign(program, search, made, assignments)
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


def _assign(program: Program, search: Search, made: CommitId, assignments: Assignments) -> None:
    """Set a register of a search to what was just made, or remove what is there."""
    # Dice of its own: what else is done is as it would be without.
    dice = random.Random(made)
    if dice.random() < ASSIGN_SHARE:
        value = None if dice.random() < REMOVE_SHARE else bytes(made)
        assignments.assign(search, program.graph.writer, dice.choice(REGISTERS), value)
        search.raise_to("best", dice.randrange(1_000), made)


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
