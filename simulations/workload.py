"""A program on one machine that uses its graph: commits, merges, refs, metadata, counters, discards.

Everything goes through the public API of the real `Graph`, and everything that it was told is noted in the journal.
A call that raises must have changed nothing: the digest is compared each time.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import trio

from crdtgraph import CommitId, Durability, Graph, LocalError, StoreError
from crdtgraph.objects import INLINE_BYTES_MAX, Collected, reference_of
from crdtgraph.records import Commit, ordered_changes
from simulations.checkers import ViolationError
from simulations.journal import Journal, Record, Written
from simulations.scenario import TREE_OPERATIONS
from simulations.scenario import Workload as Properties
from simulations.sharing import assign, share
from simulations.speculation import search, speculate
from simulations.tallies import Tallies
from simulations.trace import Trace
from simulations.treesearching import TreeSearching
from sync import Node

REFS = ("main", "next", "topic")
"""The first few refs, for which writers contend; further ones are numbered."""
KEYS = ("color", "owner")
SEVERAL_STEPS = ("commit_many", "search", "speculate", "share", "assign", "tree_promote", "tree_close", "tree_compact")
"""Operations of which a part may stay when they fail."""
RECENT = 30
"""How far back, in commits, a new commit's parents mostly lie."""
BURST = 10
OBJECT_VALUES = 1_000
"""Large values begin in so many ways: few enough that some come again."""


@dataclass(frozen=True, slots=True)
class Order:
    """An operation that a scenario asks for, so many times; with `ref` about that one, with `commits` of that size."""

    operation: str
    count: int
    ref: str = ""
    commits: int | None = None


class Workload:
    """What runs beside one node. `step` does one operation; `run` and `obey` go on for ever."""

    def __init__(
        self,
        graph: Graph,
        name: str,
        journal: Journal,
        trace: Trace,
        rng: random.Random,
        properties: Properties,
        tallies: Tallies | None = None,
    ) -> None:
        self.graph = graph
        self.name = name
        self._journal = journal
        self._own = journal.begin(graph.writer, name)
        self._trace = trace
        self._rng = rng
        self._properties = properties
        self._refs = [REFS[each] if each < len(REFS) else f"branch-{each}" for each in range(properties.refs)]
        self._kinds = sorted(properties.weights)
        self._weights = [properties.weights[kind] for kind in self._kinds]
        self._said: list[Record] = []
        self._compaction: Generator[None, None, bool] | None = None
        self._collection: Generator[None, None, Collected] | None = None
        self._tallies = tallies if tallies is not None else Tallies()
        self._trees: TreeSearching | None = None
        self._node: Node | None = None
        self._done = 0
        self._orders: deque[Order] = deque()
        self._batch_commits: int | None = None
        self._news = trio.lowlevel.ParkingLot()

    async def run(self, is_writing: Callable[[], bool]) -> None:
        """Work at a mean rate, in bursts now and then, while `is_writing` says so."""
        properties = self._properties
        while properties.operations_per_s and self._kinds and is_writing():
            await trio.sleep(self._rng.expovariate(properties.operations_per_s))
            for _ in range(BURST if self._rng.random() < properties.bursts else 1):
                if is_writing() and (properties.operations_max is None or self._done < properties.operations_max):
                    self._done += 1
                    self.step()

    def order(self, order: Order) -> None:
        """Have an operation done by `obey`."""
        self._orders.append(order)
        self._news.unpark_all()

    async def obey(self) -> None:
        """Do what is ordered, for ever."""
        while True:
            while not self._orders:
                await self._news.park()
            order = self._orders.popleft()
            refs = self._refs
            self._refs, self._batch_commits = [order.ref] if order.ref else refs, order.commits
            for _ in range(order.count):
                self.step(order.operation)
            self._refs, self._batch_commits = refs, None
            await trio.lowlevel.checkpoint()

    def step(self, kind: str = "") -> None:
        """One operation, a random one by default; ViolationError if it failed and changed something all the same."""
        if not kind:
            [kind] = self._rng.choices(self._kinds, self._weights)
        operation: Callable[[], str] = getattr(self if kind not in TREE_OPERATIONS else self._searching(), f"_{kind}")
        with suppress(StoreError):  # The trace has it, and the program goes on.
            self.attempt(kind, operation, is_one_step=kind not in SEVERAL_STEPS)

    def attempt(self, kind: str, operation: Callable[[], str], *, is_one_step: bool = True) -> None:
        """Do something and note what came of it; raises StoreError if the disk refused.

        Of what is one step nothing may be left when it fails.
        """
        before = self.graph.digest()
        self._said = []
        try:
            outcome = operation()
        except LocalError as error:
            outcome = f"refused: {error.message}"
            self._check_unchanged(before, outcome)
        except StoreError as error:
            self._trace.note(self.name, kind, f"failed: {error.message}")
            if is_one_step:
                self._check_unchanged(before, error.message)
            self._own.doubtful += self._said
            self.acknowledge()
            raise
        else:
            self._own.made += self._said
        self.acknowledge()
        self._trace.note(self.name, kind, outcome)

    def attend(self, node: Node) -> None:
        """The node beside runs."""
        self._node = node

    def rest(self) -> None:
        """Nothing more is to be done: what is under way is given up."""
        if self._trees is not None:
            self._trees.rest()

    def say(self) -> CommitId:
        """Add a commit that is durable, and given to peers, when this returns; raises StoreError."""
        parents, time, message = tuple(self.graph.heads()[:1]), self.graph.now_us(), self.tag()
        commit = Commit(parents, self.name, time, message)

        def operation() -> str:
            self.note_commit(commit)
            durable = Durability.CRITICAL
            made = self.graph.commit(parents=parents, message=message, author=self.name, time=time, durability=durable)
            return made.hex()[:12]

        self.attempt("say", operation)
        return commit.id

    def acknowledge(self) -> None:
        """Note what the graph says is durable."""
        if self.graph.flush_due() is None:
            self._own.acknowledge()

    def note(self, record: Record) -> None:
        """This is about to be said by the operation under way."""
        self._said.append(record)

    def note_commit(self, commit: Commit) -> None:
        """This commit is about to be made by the operation under way."""
        self._said.append(("commit", commit.id, None))
        self._journal.written[commit.id] = Written(commit.parents, commit.message, commit.changes)

    def add_all(self, commits: Sequence[Commit]) -> list[CommitId]:
        """`Graph.commit_many`, noted; raises StoreError."""
        noted: list[Record] = []
        for commit in commits:
            self._journal.written[commit.id] = Written(commit.parents, commit.message, commit.changes)
            noted.append(("commit", commit.id, None))
        try:
            made = self.graph.commit_many(commits)
        except StoreError:
            # It is not one step: what was added before the failure stays, and any part may be on the disk.
            self._own.doubtful += noted
            self._own.made += [record for record in noted if record[1] in self.graph]
            raise
        self._own.made += noted
        return made

    def tag(self) -> str:
        """A text that nobody has said yet."""
        return f"{self.name} {self._rng.getrandbits(64):016x}"

    def some_parents(self, count: int) -> list[CommitId]:
        """Something to build on: heads, or what is recent; nothing in an empty graph."""
        if not len(self.graph):
            return []
        if self._rng.random() < 0.3:
            return self._rng.sample(heads := self.graph.heads(), min(count, len(heads)))
        return list(dict.fromkeys(self._some_commit() for _ in range(count)))

    def _check_unchanged(self, before: bytes, outcome: str) -> None:
        if self.graph.digest() != before:
            raise ViolationError("a call that raises changes nothing", f"{self.name} {outcome}")

    # Operations: each prepares what it is about to say in `_said`, which counts if the call returns.

    def _commit(self) -> str:
        return self._add(self.some_parents(1), durability=self._rng.choice((None, None, None, Durability.CRITICAL)))

    def _commit_on_ref(self) -> str:
        ref = self._rng.choice(self._refs)
        targets = self.graph.refs.targets(ref)
        parents = [self._rng.choice(targets)] if targets else self.some_parents(1)
        return self._add(parents, ref=ref, durability=self._rng.choice((None, None, Durability.NORMAL)))

    def _commit_merge(self) -> str:
        return self._add(self.some_parents(self._rng.randint(2, 4)))

    def _commit_large(self) -> str:
        ref = self._rng.choice((None, self._refs[0]))
        parents = list(self.graph.refs.targets(ref)[:1]) if ref else self.some_parents(1)
        data = self._rng.randbytes(self._properties.large_bytes)
        # Each value as large as it may be within a commit.
        pieces = [data[at : at + INLINE_BYTES_MAX] for at in range(0, len(data), INLINE_BYTES_MAX)]
        return self._add(parents, ref=ref, changes={f"large/{number:03}": each for number, each in enumerate(pieces)})

    def _commit_object(self) -> str:
        """A value that is kept as an object, now and then one that was there before or has parts of it."""
        size = self._rng.choice((INLINE_BYTES_MAX + 1, 70_000, self._properties.large_bytes + INLINE_BYTES_MAX))
        data = random.Random(self._rng.randrange(OBJECT_VALUES)).randbytes(size)
        return self._add(self.some_parents(1), changes={f"object/{self._rng.randrange(3)}": data})

    def _collect_garbage(self) -> str:
        """One step of a collection, as it goes on beside other work."""
        steps = self._collection or self.graph.collect_steps()
        self._collection = None
        for _ in steps:
            self._collection = steps
            break
        return "to be continued" if self._collection else "the last"

    def _commit_many(self) -> str:
        parents = tuple(self.some_parents(1))
        # Now and then more than the buffer takes at once.
        most = min(self._rng.choice((5, 5, 30, self._properties.batch_commits_max)), self._properties.batch_commits_max)
        commits = []
        for number in range(self._batch_commits or self._rng.randint(1, most)):
            commits.append(Commit(parents, self.name, self.graph.now_us(), f"{self.tag()} {number}"))
            parents = (commits[-1].id,)
        self.add_all(commits)
        return str(len(commits))

    def _search(self) -> str:
        return search(self, self._rng)

    def _speculate(self) -> str:
        return speculate(self, self._rng)

    def _share(self) -> str:
        return share(self, self._rng)

    def _assign(self) -> str:
        return assign(self, self._rng, self._tallies.assignments)

    def _merge(self) -> str:
        ref = self._rng.choice(self._refs)
        result = self.graph.preview_merge(ref)
        if result.merged:
            self._said = [("commit", result.commit, None), ("assign", f"ref {ref}", result.commit)]
        if self.graph.merge(ref) != result:
            raise ViolationError("a merge is what its preview said", f"{self.name} merged {ref}")
        if result.merged and self._journal.merges.setdefault(result.parents, result.commit) != result.commit:
            raise ViolationError("equal heads merge alike", f"{self.name} merged {ref} into {result.commit.hex()[:16]}")
        return f"{ref} {result.commit.hex()[:12]} of {len(result.parents)}"

    def _set_ref(self) -> str:
        return self._point(keep_others=self._rng.random() < 0.5)

    def _force_ref(self) -> str:
        return self._point(force=True)

    def _delete_ref(self) -> str:
        ref = self._rng.choice(self._refs)
        self._said = [("assign", f"ref {ref}", None)]
        self.graph.delete_ref(ref)
        return ref

    def _set_meta(self) -> str:
        key = self._rng.choice(KEYS)
        commit = self._some_commit() if self._rng.random() < 0.5 else None
        value = self.tag().encode() if self._rng.random() < 0.8 else None
        self._said = [("assign", f"meta/{'graph' if commit is None else commit.hex()} {key}", value)]
        self.graph.set_meta(key, value, commit=commit)
        return key

    def _count(self) -> str:
        commit = self._some_commit()
        vector = tuple(self._rng.randint(-(10**6), 10**6) for _ in range(self._rng.randint(1, 4)))
        self._said = [("count", commit, vector)]
        self.graph.count(commit, vector)
        return commit.hex()[:12]

    def _discard(self) -> str:
        commit = self._some_commit()
        self._said = [("discard", commit, None)]
        self.graph.discard(commit)
        return commit.hex()[:12]

    def _flush(self) -> str:
        self.graph.flush()
        return ""

    def _compact(self) -> str:
        before = self.graph.digest()
        joined = self.graph.compact()
        if self.graph.digest() != before:
            raise ViolationError("a compaction changes no digest", self.name)
        return str(joined)

    def _compact_step(self) -> str:
        """One step of a compaction as a node does it, with other operations between the steps."""
        steps = self._compaction or self.graph.compact_steps()
        self._compaction = None
        before = self.graph.digest()
        for _ in steps:
            self._compaction = steps
            break
        if self.graph.digest() != before:
            raise ViolationError("a compaction changes no digest", self.name)
        return "to be continued" if self._compaction else "the last"

    # Inside

    def _searching(self) -> TreeSearching:
        if self._trees is None:
            # Dice of its own, so that all else about a seed is as it is without.
            self._trees = TreeSearching(self, self._tallies, random.Random(self._rng.getrandbits(64)), self._node)
        return self._trees

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
        time = self.graph.now_us()
        named = {path: reference_of(each) if len(each) > INLINE_BYTES_MAX else each for path, each in changes.items()}
        commit = Commit(tuple(parents), self.name, time, self.tag(), ordered_changes(named))
        self.note_commit(commit)
        if ref is not None:
            self._said.append(("assign", f"ref {ref}", commit.id))
        made = self.graph.commit(
            parents=parents,
            message=commit.message,
            changes=changes,
            ref=ref,
            author=self.name,
            time=time,
            durability=durability,
        )
        if made != commit.id:
            raise ViolationError("ids match content", f"{made.hex()} is not {commit.id.hex()}")
        return f"{made.hex()[:12]} {ref or ''}"

    def _point(self, *, force: bool = False, keep_others: bool = False) -> str:
        ref, target = self._rng.choice(self._refs), self._some_commit()
        if self.graph.refs.targets(ref) != (target,):
            self._said = [("assign", f"ref {ref}", target)]
        self.graph.set_ref(ref, target, force=force, keep_others=keep_others)
        return f"{ref} {target.hex()[:12]}"

    def _some_commit(self) -> CommitId:
        size = len(self.graph)
        if not size:
            raise LocalError("the graph is empty")
        first = 0 if self._rng.random() < 0.1 else max(0, size - RECENT)
        commit = self.graph.id_of(self._rng.randrange(first, size))
        if self._rng.random() < 0.8:
            # Mostly not what was thrown away, or after a search hardly anything would follow from what was kept.
            while not self.graph.is_live(commit) and (parents := self.graph.parents(commit)):
                commit = parents[0]
        return commit
