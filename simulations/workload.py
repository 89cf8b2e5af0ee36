"""A program on one machine that uses its graph: commits, merges, refs, metadata, counters, discards.

Everything goes through the public API of the real `Graph`, and everything that it was told is noted in the journal.
A call that raises must have changed nothing: the digest is compared each time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from types import MappingProxyType

import trio

from crdtgraph import CommitId, Durability, Graph, LocalError, StoreError
from crdtgraph.records import Commit, ordered_changes

from .checkers import ViolationError
from .journal import Journal, Record, Written
from .trace import Trace

REFS = ("main", "next", "topic")
"""Few, so that writers contend for them."""
KEYS = ("color", "owner")
RECENT = 30
"""How far back, in commits, a new commit's parents mostly lie."""
BATCH_COMMITS_MAX = (5, 5, 30, 300)
"""One of these; the last is more than the buffer takes at once."""
LARGE_BYTES = 200_000
"""More than half a segment: such a commit takes the path of large ones."""

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "commit": 30,
        "commit_on_ref": 15,
        "commit_merge": 5,
        "commit_many": 2,
        "commit_large": 1,
        "merge": 6,
        "set_ref": 4,
        "force_ref": 2,
        "delete_ref": 1,
        "set_meta": 8,
        "count": 15,
        "discard": 2,
        "flush": 2,
        "compact": 1,
    }
)
"""How often each operation comes, before a world's own dice."""


class Workload:
    """What runs beside one node. `step` does one operation; `run` goes on for ever."""

    def __init__(
        self,
        graph: Graph,
        name: str,
        journal: Journal,
        trace: Trace,
        rng: random.Random,
        weights: Mapping[str, float] = WEIGHTS,
    ) -> None:
        self._graph = graph
        self._name = name
        self._journal = journal
        self._own = journal.begin(graph.writer, name)
        self._trace = trace
        self._rng = rng
        self._kinds = sorted(weights)
        self._weights = [weights[kind] for kind in self._kinds]
        self._said: list[Record] = []

    async def run(self, operations_per_s: float, is_writing: Callable[[], bool]) -> None:
        """Work at a mean rate, in bursts now and then, while `is_writing` says so."""
        while True:
            await trio.sleep(self._rng.expovariate(operations_per_s))
            for _ in range(self._rng.choice((1, 1, 1, 10)) if is_writing() else 0):
                self.step()

    def step(self) -> None:
        """One random operation; ViolationError if it failed and changed something all the same."""
        [kind] = self._rng.choices(self._kinds, self._weights)
        operation: Callable[[], str] = getattr(self, f"_{kind}")
        before = self._graph.digest()
        self._said = []
        try:
            outcome = operation()
        except LocalError as error:
            outcome = f"refused: {error.message}"
            self._check_unchanged(before, outcome)
        except StoreError as error:
            outcome = f"failed: {error.message}"
            self._check_unchanged(before, outcome)
            self._own.doubtful += self._said
        else:
            self._own.made += self._said
        self.acknowledge()
        self._trace.note(self._name, kind, outcome)

    def acknowledge(self) -> None:
        """Note what the graph says is durable."""
        if self._graph.flush_due() is None:
            self._own.acknowledge()

    def _check_unchanged(self, before: bytes, outcome: str) -> None:
        if self._graph.digest() != before:
            raise ViolationError("a call that raises changes nothing", f"{self._name} {outcome}")

    # Operations: each prepares what it is about to say in `_said`, which counts if the call returns.

    def _commit(self) -> str:
        return self._add(self._some_parents(1), durability=self._rng.choice((None, None, None, Durability.CRITICAL)))

    def _commit_on_ref(self) -> str:
        ref = self._rng.choice(REFS)
        targets = self._graph.refs.targets(ref)
        parents = [self._rng.choice(targets)] if targets else self._some_parents(1)
        return self._add(parents, ref=ref, durability=self._rng.choice((None, None, Durability.NORMAL)))

    def _commit_merge(self) -> str:
        return self._add(self._some_parents(self._rng.randint(2, 4)))

    def _commit_large(self) -> str:
        ref = self._rng.choice((None, REFS[0]))
        parents = list(self._graph.refs.targets(REFS[0])[:1]) if ref else self._some_parents(1)
        return self._add(parents, ref=ref, changes={"large": self._rng.randbytes(LARGE_BYTES)})

    def _commit_many(self) -> str:
        parents = tuple(self._some_parents(1))
        commits = []
        for number in range(self._rng.randint(2, self._rng.choice(BATCH_COMMITS_MAX))):
            text = f"{self._tag()} {number}"
            commits.append(Commit(parents, self._name, self._graph.now_us(), text))
            parents = (commits[-1].id,)
        for commit in commits:
            self._note_commit(commit)
        # It is not one step: what was added before a failure stays. So one that fails may say any part.
        try:
            self._graph.commit_many(commits)
        except StoreError:
            self._own.doubtful += self._said
            self._own.made += [record for record in self._said if record[1] in self._graph]
            self._said = []
            return "failed in a batch"
        return str(len(commits))

    def _merge(self) -> str:
        ref = self._rng.choice(REFS)
        result = self._graph.preview_merge(ref)
        if result.merged:
            self._said = [("commit", result.commit, None), ("assign", f"ref {ref}", result.commit)]
        if self._graph.merge(ref) != result:
            raise ViolationError("a merge is what its preview said", f"{self._name} merged {ref}")
        return f"{ref} {result.commit.hex()[:12]} of {len(result.parents)}"

    def _set_ref(self) -> str:
        return self._point(keep_others=self._rng.random() < 0.5)

    def _force_ref(self) -> str:
        return self._point(force=True)

    def _delete_ref(self) -> str:
        ref = self._rng.choice(REFS)
        self._said = [("assign", f"ref {ref}", None)]
        self._graph.delete_ref(ref)
        return ref

    def _set_meta(self) -> str:
        key = self._rng.choice(KEYS)
        commit = self._some_commit() if self._rng.random() < 0.5 else None
        value = self._tag().encode() if self._rng.random() < 0.8 else None
        self._said = [("assign", f"meta/{'graph' if commit is None else commit.hex()} {key}", value)]
        self._graph.set_meta(key, value, commit=commit)
        return key

    def _count(self) -> str:
        commit = self._some_commit()
        vector = tuple(self._rng.randint(-(10**6), 10**6) for _ in range(self._rng.randint(1, 4)))
        self._said = [("count", commit, vector)]
        self._graph.count(commit, vector)
        return commit.hex()[:12]

    def _discard(self) -> str:
        commit = self._some_commit()
        self._said = [("discard", commit, None)]
        self._graph.discard(commit)
        return commit.hex()[:12]

    def _flush(self) -> str:
        self._graph.flush()
        return ""

    def _compact(self) -> str:
        before = self._graph.digest()
        joined = self._graph.compact()
        if self._graph.digest() != before:
            raise ViolationError("a compaction changes no digest", self._name)
        return str(joined)

    # Inside

    def _add(
        self,
        parents: list[CommitId],
        *,
        ref: str | None = None,
        durability: Durability | None = None,
        changes: Mapping[str, bytes] | None = None,
    ) -> str:
        if changes is None:
            paths = self._rng.sample(("a", "b", "c/d"), self._rng.randint(0, 2))
            changes = {path: self._rng.randbytes(self._rng.randint(0, 60)) for path in paths}
        time = self._graph.now_us()
        commit = Commit(tuple(parents), self._name, time, self._tag(), ordered_changes(changes))
        self._note_commit(commit)
        if ref is not None:
            self._said.append(("assign", f"ref {ref}", commit.id))
        made = self._graph.commit(
            parents=parents,
            message=commit.message,
            changes=changes,
            ref=ref,
            author=self._name,
            time=time,
            durability=durability,
        )
        if made != commit.id:
            raise ViolationError("ids match content", f"{made.hex()} is not {commit.id.hex()}")
        return f"{made.hex()[:12]} {ref or ''}"

    def _note_commit(self, commit: Commit) -> None:
        self._said.append(("commit", commit.id, None))
        self._journal.written[commit.id] = Written(commit.parents, commit.message, commit.changes)

    def _point(self, *, force: bool = False, keep_others: bool = False) -> str:
        ref, target = self._rng.choice(REFS), self._some_commit()
        if self._graph.refs.targets(ref) != (target,):
            self._said = [("assign", f"ref {ref}", target)]
        self._graph.set_ref(ref, target, force=force, keep_others=keep_others)
        return f"{ref} {target.hex()[:12]}"

    def _tag(self) -> str:
        return f"{self._name} {self._rng.getrandbits(64):016x}"

    def _some_commit(self) -> CommitId:
        size = len(self._graph)
        if not size:
            raise LocalError("the graph is empty")
        first = 0 if self._rng.random() < 0.1 else max(0, size - RECENT)
        return self._graph.id_of(self._rng.randrange(first, size))

    def _some_parents(self, count: int) -> list[CommitId]:
        if not len(self._graph):
            return []
        if self._rng.random() < 0.3:
            return self._rng.sample(heads := self._graph.heads(), min(count, len(heads)))
        return list(dict.fromkeys(self._some_commit() for _ in range(count)))
