"""What a search of a million iterations takes: bytes gossiped, bytes held, memory, while 98.7 % of it is thrown away.

Two writers grow one tree. In each iteration one of them walks down to a leaf, adds a commit, and counts every commit on
the way (visits, value, value squared). What it flushes is pushed to the other at once, as nodes do. After so many
iterations a move is made: the tree goes on below the most visited child of the root, and its siblings are discarded
with all that follows from them; now and then the least visited commits are. So the live tree stays about as large as it
is, and everything else should follow it and not the number of iterations.

Both replicas are in this process, so its memory is that of two and of the trees that the two writers walk in.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from statistics import mean
from time import perf_counter

import crdtgraph
from benchmarks.commit import resident_bytes
from benchmarks.report import Report
from crdtgraph import Commit, CommitId, Delta, Graph, Search

ITERATIONS = 1_000_000
SAMPLES = 50
MOVE_EVERY = 5_000
PRUNE_EVERY = 1_000
PRUNED = 20
"""Commits that are thrown away between two moves, with what follows from them."""
BRANCHING = 7
FLUSH_EVERY = 50
"""Iterations; at 5,000 a second a flush each 10 ms."""
ROOT = Commit((), "mcts", 0, "root")


@dataclass(slots=True)
class _Node:
    """A commit as a writer sees it."""

    commit: CommitId
    parent: _Node | None
    visits: int = 0
    children: dict[str, _Node] = field(default_factory=dict)
    tried: int = 0


class _Writer:
    """One replica, and the tree that is walked in."""

    def __init__(self, graph: Graph, seed: int) -> None:
        self.graph = graph
        graph.commit_many([ROOT])
        self.search: Search = graph.search("size")
        self.watch = self.search.watch()
        self.rng = Random(seed)
        self.root = _Node(ROOT.id, None)
        self.nodes = {ROOT.id: self.root}
        self.moves = 0
        self.sent = 0
        self.inbox: list[Delta] = []

    def iterate(self) -> None:
        """One iteration: select, expand, evaluate, backpropagate."""
        rng, node, path = self.rng, self.root, [self.root]
        while node.tried >= BRANCHING and node.children:
            # As a good rule would: most of the time the best one, and any now and then.
            children = list(node.children.values())
            node = max(children, key=_visits) if rng.random() < 0.4 else children[rng.randrange(len(children))]
            path.append(node)
        if node.tried < BRANCHING:
            action = str(node.tried)
            node.tried += 1
            if action not in node.children:
                made = self.search.commit(parents=(node.commit,), message=action, author="mcts", time=0)
                if self.search.is_live(made):
                    node = self._add(made, action, node)
                    path.append(node)
        value = rng.randrange(-1_000_000, 1_000_001)
        vector = (1, value, value * value // 1_000_000)
        for each in path:
            each.visits += 1
            self.search.count(each.commit, vector)

    def move(self) -> None:
        """Go on below the most visited child, and throw the others away."""
        best = max(self.root.children.values(), key=_visits, default=None)
        if best is None:
            return
        for child in [*self.root.children.values()]:
            if child is not best:
                self._discard(child)
        self.moves += 1
        self.search.raise_to("root", self.moves, best.commit)
        self.root = best

    def prune(self) -> None:
        """Throw some of the least visited leaves away."""
        leaves = sorted((node for node in self.nodes.values() if node.parent and not node.children), key=_visits)
        for node in leaves[:PRUNED]:
            if node is not self.root:
                self._discard(node)

    def receive(self) -> None:
        """Fold what the other has sent."""
        while self.inbox:
            delta = self.inbox.pop(0)
            self.graph.receive(delta.plane, delta.update)

    def look(self) -> None:
        """Take in what the other has done."""
        self.receive()
        news = self.watch.take()
        for commit in news.commits:
            if commit not in self.nodes and self.search.is_live(commit):
                parent = self.nodes.get(self.search.parents(commit)[0])
                if parent is not None:
                    self._add(commit, self.search.get(commit).message, parent)
        for commit in news.counted:
            if node := self.nodes.get(commit):
                node.visits = self.search.counters(commit)[0]
        for commit in news.discarded:
            if node := self.nodes.get(commit):
                self._forget(node)
        found = self.search.greatest("root")
        if found is not None and found.number > self.moves:
            self.moves, self.root = found.number, self.nodes[CommitId(found.payload)]

    def _add(self, commit: CommitId, action: str, parent: _Node) -> _Node:
        node = self.nodes[commit] = parent.children[action] = _Node(commit, parent)
        return node

    def _discard(self, node: _Node) -> None:
        self.search.discard(node.commit)
        self._forget(node)

    def _forget(self, node: _Node) -> None:
        if node.parent is not None:
            node.parent.children = {name: each for name, each in node.parent.children.items() if each is not node}
        stack = [node]
        while stack:
            each = stack.pop()
            self.nodes.pop(each.commit, None)
            stack += each.children.values()
            each.parent = None


def run(*, quick: bool) -> Report:
    """Measure and report."""
    iterations = 60_000 if quick else ITERATIONS
    report = Report(
        "mcts-size",
        {"iterations": iterations, "writers": 2, "iterations_a_move": MOVE_EVERY, "branching": BRANCHING},
    )
    with crdtgraph.open("memory:") as one, crdtgraph.open("memory:") as other:
        writers = [_Writer(one, 1), _Writer(other, 2)]
        for source, target in (writers, reversed(writers)):
            source.graph.on_durable(_push(source, target))
        _measure(report, writers, iterations)
        for _ in range(2):
            # What the first round brings may make the other write once more.
            for writer in writers:
                writer.receive()
                writer.search.flush()
        for writer in writers:
            writer.receive()
        digests = {writer.graph.digest(plane=writer.search.plane) for writer in writers}
        report.hold("replicas that differ at the end", len(digests) - 1, "", "==", 0)
    return report


def _measure(report: Report, writers: list[_Writer], iterations: int) -> None:
    every = iterations // SAMPLES
    sent, began = 0, perf_counter()
    longest = 0.0
    for done in range(1, iterations + 1):
        # Half a flush each: the one looks when the other has flushed.
        writer = writers[done // FLUSH_EVERY % 2]
        writer.iterate()
        if done % FLUSH_EVERY == 0:
            at = perf_counter()
            writer.search.flush()
            longest = max(longest, perf_counter() - at)
            writers[(done // FLUSH_EVERY + 1) % 2].look()
        if done % PRUNE_EVERY == 0:
            writers[0].prune()
        if done % MOVE_EVERY == 0:
            writers[0].move()
            writers[1].look()
        if done % every == 0:
            total = sum(each.sent for each in writers)
            report.results[f"after {done}"] = _sample(writers, done, (total - sent) / every)
            sent = total
    rows = list(report.results.values())
    total = sum(each.sent for each in writers)
    # The tree is small at first, and so is everything.
    early, late = rows[SAMPLES // 4 : SAMPLES // 2], rows[-SAMPLES // 4 :]
    shares = {name: _mean(late, name) / _mean(early, name) for name in ("live_commits", *FOLLOWS)}
    made = float(rows[-1]["commits_made"] or 1)
    report.results["all"] = {
        "seconds": round(perf_counter() - began, 1),
        "iterations_per_s": round(iterations / (perf_counter() - began)),
        "discarded_share": round(1 - float(rows[-1]["live_commits"] or 0) / made, 4),
        "gossiped_bytes_an_iteration": round(total / iterations, 1),
        "longest_flush_ms": round(longest * 1e3, 1),
        **{f"{name}_late_over_early": round(share, 3) for name, share in shares.items()},
    }
    for name in FOLLOWS:
        # A live tree that has grown may take more.
        grown = shares[name] / max(1.0, shares["live_commits"])
        report.hold(f"{name} of the last quarter, for as large a live tree", grown, "of the second", "<=", 1.25)


FOLLOWS = ("plane_bytes", "nodes", "resident_mb", "gossiped_bytes_an_iteration")


def _mean(rows: list[dict[str, float | int | str | bool | None]], name: str) -> float:
    return mean(float(row[name] or 0) for row in rows) or 1.0


def _sample(writers: list[_Writer], done: int, gossiped: float) -> dict[str, float | int | str | bool | None]:
    plane = writers[0].graph._searches[writers[0].search.plane]
    gc.collect()
    return {
        "iterations": done,
        "commits_made": done,
        "live_commits": plane.projection.live_count(),
        "nodes": len(plane.projection),
        "segments": plane.segment_count(),
        "segments_made": sum(plane.document.state_vector.values()),
        "plane_bytes": plane.document.bytes,
        "snapshot_bytes": len(plane.document.snapshot()),
        "pending": len(plane.projection.pending),
        "resident_mb": round(resident_bytes() / 1e6, 1),
        "gossiped_bytes_an_iteration": round(gossiped, 1),
    }


def _push(source: _Writer, target: _Writer) -> Callable[[Delta], None]:
    def push(delta: Delta) -> None:
        source.sent += len(delta.update)
        if delta.plane == source.search.plane:
            target.inbox.append(delta)

    return push


def _visits(node: _Node) -> int:
    return node.visits
