"""Revsets against git: random commits and ranges of a recorded history, rebuilt as a git repository and imported."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import crdtgraph
from crdtgraph import Graph
from crdtgraph.gitbridge import GraphTarget, import_git
from crdtgraph.revsets import evaluate
from tests import recorded

RANGES = 200
ANCESTRIES = 20


@dataclass(frozen=True)
class Oracle:
    """A git repository and the graph that was imported from it."""

    repository: Path
    graph: Graph
    oids: list[str]
    origins: dict[int, str]

    def select(self, text: str) -> set[str]:
        """What a revset selects, as git's ids."""
        return {self.origins[node] for node in evaluate(self.graph, text, now_us=0).nodes}

    def git(self, *arguments: str) -> list[str]:
        return recorded.git(self.repository, *arguments)

    def pairs(self) -> list[tuple[str, str]]:
        """The same random pairs in every run; every other one has both commits near each other."""
        rng = random.Random(4)
        pairs = []
        for number in range(RANGES):
            place = rng.randrange(len(self.oids))
            other = min(place + rng.randrange(300), len(self.oids) - 1) if number % 2 else rng.randrange(len(self.oids))
            pairs.append((self.oids[place], self.oids[other]))
        return pairs


@pytest.fixture(scope="module")
def oracle(recorded_repository: Path) -> Iterator[Oracle]:
    with crdtgraph.open("memory:") as graph:
        import_git(recorded_repository, GraphTarget(graph))
        origins = {graph.node(commit): origin.removeprefix("git:") for origin, commit in graph.origins().items()}
        yield Oracle(recorded_repository, graph, recorded.git(recorded_repository, "rev-list", "--all"), origins)


def in_threads(ask: Callable[..., list[str]], questions: list[tuple[str, ...]]) -> list[list[str]]:
    """Git's answers, in the order of the questions; it is the start of processes that takes the time."""
    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(lambda question: ask(*question), questions))


def test_ranges_are_those_of_rev_list(oracle: Oracle) -> None:
    pairs = oracle.pairs()
    sizes = []
    for (a, b), expected in zip(
        pairs, in_threads(oracle.git, [("rev-list", f"{a}..{b}") for a, b in pairs]), strict=True
    ):
        found = oracle.select(f"only(git:{b}, git:{a})")
        assert found == oracle.select(f"git:{a}..git:{b}") == set(expected)
        sizes.append(len(found))
    assert min(sizes) == 0
    assert max(sizes) > 10_000
    assert sum(0 < size < 1_000 for size in sizes) > RANGES // 5


def test_ancestors_are_those_of_rev_list(oracle: Oracle) -> None:
    commits = [a for a, _ in oracle.pairs()[:ANCESTRIES]]
    for commit, expected in zip(commits, in_threads(oracle.git, [("rev-list", each) for each in commits]), strict=True):
        assert oracle.select(f"ancestors(git:{commit})") == set(expected)


def test_merge_bases_are_those_of_git(oracle: Oracle) -> None:
    pairs = oracle.pairs()[: RANGES // 2]
    answers = in_threads(oracle.git, [("merge-base", "--all", a, b) for a, b in pairs if a != b])
    for (a, b), expected in zip([(a, b) for a, b in pairs if a != b], answers, strict=True):
        assert oracle.select(f"merge_base(git:{a}, git:{b})") == set(expected)
        assert oracle.select(f"fork_point(git:{a} | git:{b})") == set(expected)


def test_heads_roots_and_merges_are_those_of_git(oracle: Oracle) -> None:
    assert oracle.select("heads()") == set(oracle.git("for-each-ref", "--format=%(objectname)"))
    assert oracle.select("roots()") == set(oracle.git("rev-list", "--max-parents=0", "--all"))
    # Git counts a parent that stands twice as two, and the index has one edge for it.
    rows = [line.split() for line in oracle.git("rev-list", "--parents", "--all")]
    assert oracle.select("merges()") == {row[0] for row in rows if len(set(row)) > 2}
    assert oracle.select("all()") == set(oracle.oids)


def test_every_listing_has_children_before_parents(oracle: Oracle) -> None:
    listed = evaluate(oracle.graph, "all()", now_us=0)
    place = {oracle.origins[oracle.graph.node(commit)]: number for number, commit in enumerate(listed)}
    for line in oracle.git("rev-list", "--parents", "--all"):
        child, *parents = line.split()
        assert all(place[child] < place[parent] for parent in parents)
