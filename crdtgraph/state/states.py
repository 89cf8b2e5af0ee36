"""Finding the state at any commit: cached, stored as rows, or replayed from the nearest that is.

A commit's state follows from its first parent's, so one walks down first parents to the nearest state that is known and
applies the changes of the commits in between. Searches build on commits of the ledger, so a walk may begin in a search
and end in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from crdtgraph.cache import Cache, LearnedPolicy, Policy
from crdtgraph.errors import StoreError
from crdtgraph.ids import CommitId
from crdtgraph.limits import CACHE_BYTES_MAX
from crdtgraph.records import Value
from crdtgraph.state.replay import replay
from crdtgraph.state.row import DamagedError
from crdtgraph.state.rows import STEP_ENTRIES, Rows
from crdtgraph.state.stored import Stored
from crdtgraph.state.view import EMPTY, State
from crdtgraph.steps import Stepwise
from crdtgraph.store import Store

if TYPE_CHECKING:
    from crdtgraph.reader import Source

STATE_BYTES = 400
"""What a state takes beyond its own changes."""
KEPT_AT_ONCE = 256
"""Rows that a read leaves behind when it had to walk far; about 5 ms."""
SUM_AT_ONCE = 8_192
KEPT_STEPS_MAX = 16
"""Steps of 2 ms that a read takes for them at most."""
APART_MAX = 512
"""First parents of either side that are compared commit by commit."""
REPLAYED_MAX = 15
"""A walk beyond this leaves rows behind."""


_MASK = (1 << 256) - 1


class Place(NamedTuple):
    """A commit by where it is."""

    home: Source
    node: int

    @property
    def commit(self) -> CommitId:
        """Its id."""
        return self.home.projection.ids[self.node]


class Apart(NamedTuple):
    """The first parents that only one of two commits has, the latest first, and the one where they meet."""

    left: list[Place]
    right: list[Place]
    meet: Place | None


class States:
    """States of the commits of a ledger and of what builds on it. `store` is None where nothing is to be stored."""

    def __init__(self, ledger: Source, store: Store | None) -> None:
        self._ledger = ledger
        self._rows = None if store is None else Rows(store)
        self._cache: Cache[CommitId, State] = Cache(bytes_max=CACHE_BYTES_MAX, policy=LearnedPolicy())
        self._looked_at = self._sum = 0
        self._lost: int | None = None

    def at(self, home: Source, node: int) -> State:
        """The state at a node. O(1) when it is cached, else O(changes since the nearest known one)."""
        commit = home.projection.ids[node]
        cached = self._cache.get(commit)
        return self._make(home, node) if cached is None else cached

    def many(self, home: Source, nodes: Sequence[int]) -> list[State]:
        """The states at many nodes, in the order given; parents are made before children, which share with them."""
        found = {node: self.at(home, node) for node in sorted(set(nodes))}
        return [found[node] for node in nodes]

    def make_steps(self) -> Stepwise[int]:
        """Make the rows that the ledger's live commits lack, in steps of about 2 ms; returns how many were made.

        Raises StoreError when the disk refuses.
        """
        rows = self._rows
        if rows is None or not rows.can_write:
            return 0
        if self._lost is None:
            yield from self._skip_looked_at(rows)
        elif rows.lost != self._lost:
            self._looked_at = self._sum = 0
        self._lost = rows.lost
        projection, made, start = self._ledger.projection, 0, self._looked_at
        while self._looked_at < len(projection):
            node = self._looked_at
            commit = projection.ids[node]
            if node not in projection.discards and rows.get(commit) is None:
                parent = projection.dag.first_parent(node)
                above = None if parent is None else projection.ids[parent]
                if (yield from rows.make_steps(commit, above, _changes(Place(self._ledger, node)))):
                    made += 1
            if self._looked_at == node:
                self._looked_at = node + 1
                self._sum += int.from_bytes(commit, "big")
            if rows.take_work() >= STEP_ENTRIES or not node % 64:
                yield
        if self._looked_at > start:
            rows.mark(self._looked_at, (self._sum & _MASK).to_bytes(32, "big"))
        rows.flush()
        return made

    def needs_rows(self) -> int:
        """How many commits `make_steps` would look at."""
        return 0 if self._rows is None or not self._rows.can_write else len(self._ledger.projection) - self._looked_at

    def apart(self, before: Place, after: Place) -> Apart | None:
        """What either commit has of first parents that the other has not; None when that is too far to see."""
        walks = [self._first_parents(before), self._first_parents(after)]
        seen: list[dict[CommitId, Place]] = [{}, {}]
        running = [True, True]
        for _ in range(APART_MAX):
            for side in (0, 1):
                place = next(walks[side], None) if running[side] else None
                if place is None:
                    running[side] = False
                    continue
                seen[side][place.commit] = place
                if place.commit in seen[1 - side]:
                    left, right = [_until(place.commit, each) for each in seen]
                    return Apart(left, right, place)
            if not any(running):
                return Apart([*seen[0].values()], [*seen[1].values()], None)
        return None

    def last_set(self, places: Iterable[Place]) -> dict[str, Value]:
        """What each path that these commits set, the latest first, was set to last."""
        found: dict[str, Value] = {}
        for place in places:
            for path, value in self._own_changes(place):
                found.setdefault(path, value)
        return found

    def values(self, place: Place | None, paths: Iterable[str]) -> dict[str, Value]:
        """The values of some paths at a commit, None for those that it lacks.

        Looks no further down first parents than the nearest known state, or where the last of the paths was set.
        """
        found: dict[str, Value] = dict.fromkeys(paths)
        wanted = set(found)
        for each in self._first_parents(place) if place is not None else ():
            if not wanted:
                break
            known = self._known(each)
            if known is not None:
                return found | {path: known.get(path) for path in wanted}
            for path, value in _changes(each):
                if path in wanted:
                    found[path] = value
                    wanted.discard(path)
        return found

    def far_apart(self, before: State, after: State) -> set[str]:
        """Paths outside of which two states are equal: what their rows do not share, page by page.

        O(entries of the rows and pages that only one has).
        """
        paths = set(before.changes) | set(after.changes)
        if before.below is not None and after.below is not None:
            with suppress(DamagedError):
                return paths | before.below.paths_apart(after.below)
        return paths | set(before) | set(after)

    def place(self, home: Source, node: int) -> Place:
        """Where a commit is: in the ledger, if a search only builds on it."""
        return self._settled(home, node)

    @property
    def cache(self) -> Cache[CommitId, State]:
        """The states that were read lately."""
        return self._cache

    def use_cache(self, bytes_max: int, policy: Policy[CommitId]) -> None:
        """Keep states by another policy, in so many bytes; what is cached now is forgotten."""
        self._cache = Cache(bytes_max=bytes_max, policy=policy)

    def prefetch(self, home: Source, node: int) -> int:
        """Make the states that are likely to be read soon, now that this one was; returns how many."""
        made = 0
        for commit in self._cache.prefetch(home.projection.ids[node]):
            for source in (home, self._ledger):
                if commit in source.projection.nodes:
                    self._make(source, source.projection.nodes[commit], prefetched=True)
                    made += 1
                    break
        return made

    def forget(self, commits: Iterable[CommitId]) -> None:
        """Drop states that nobody will ask for any more."""
        for commit in commits:
            self._cache.discard(commit)

    def clear_cache(self) -> None:
        """Forget all states that were read, as after opening anew."""
        self._cache = Cache(bytes_max=self._cache.bytes_max, policy=LearnedPolicy())
        if self._rows is not None:
            self._rows.clear_cache()

    # Inside

    def _make(self, home: Source, node: int, *, prefetched: bool = False) -> State:
        commit = home.projection.ids[node]
        walked: list[Place] = []
        state = EMPTY
        for place in self._first_parents(self._settled(home, node)):
            known = self._known(place)
            if known is not None:
                state = known
                break
            walked.append(place)
        # What was set again in between counts once. It is a state of its own even if nothing has changed.
        merged: dict[str, Value] = {}
        for place in reversed(walked):
            merged.update(_changes(place))
        state = state.with_changes(merged.items())
        self._cache.put(commit, state, state.weight + STATE_BYTES, prefetched=prefetched)
        state.on_grown = partial(self._note_grown, commit)
        if len(walked) > REPLAYED_MAX:
            # A disk that refuses costs nobody a state.
            with suppress(StoreError):
                self._leave_rows(walked)
        return state

    def _skip_looked_at(self, rows: Rows) -> Stepwise[None]:
        """Begin after the commits that an earlier process has looked at; they may stand in another order now."""
        count, named = rows.marked()
        ids, total = self._ledger.projection.ids, 0
        if count <= len(ids):
            for start in range(0, count, SUM_AT_ONCE):
                for commit in ids[start : min(start + SUM_AT_ONCE, count)]:
                    total += int.from_bytes(commit, "big")
                yield
            if (total & _MASK).to_bytes(32, "big") == named:
                self._looked_at, self._sum = count, total

    def _own_changes(self, place: Place) -> Iterable[tuple[str, Value]]:
        row = self._rows.get(place.commit) if self._rows is not None and place.home is self._ledger else None
        if row is not None and row.level == 0 and self._rows is not None:
            with suppress(DamagedError):
                return list(row.items(self._rows.page))
        return _changes(place)

    def _known(self, place: Place) -> State | None:
        commit = place.commit
        cached = self._cache.peek(commit)
        if cached is not None:
            return cached
        if self._rows is not None and place.home is self._ledger:
            row = self._rows.get(commit)
            if row is not None:
                return State(below=Stored(commit, self._rows, self._replay))
            if place.node < self._looked_at and place.node not in place.home.projection.discards:
                self._rows.lost += 1
        return None

    def _replay(self, commit: CommitId) -> Mapping[str, Value]:
        return replay(self._ledger.projection, self._ledger.contents, self._ledger.projection.nodes[commit])

    def _settled(self, home: Source, node: int) -> Place:
        """The same commit in the ledger, if a search only builds on it."""
        if node in home.projection.bases:
            return Place(self._ledger, self._ledger.projection.nodes[home.projection.ids[node]])
        return Place(home, node)

    def _first_parents(self, place: Place) -> Iterator[Place]:
        """A commit and those before it along first parents, across planes."""
        while True:
            yield place
            parent = place.home.projection.dag.first_parent(place.node)
            if parent is None:
                return
            place = self._settled(place.home, parent)

    def _note_grown(self, commit: CommitId, state: State) -> None:
        if self._cache.peek(commit) is state:
            self._cache.put(commit, state, state.weight + STATE_BYTES)

    def _leave_rows(self, walked: list[Place]) -> None:
        rows = self._rows
        if rows is None or not rows.can_write:
            return
        stored = [place for place in walked if place.home is self._ledger]
        steps = 0
        for place in stored[: -KEPT_AT_ONCE - 1 : -1]:
            parent = place.home.projection.dag.first_parent(place.node)
            above = None if parent is None else place.home.projection.ids[parent]
            for _ in rows.make_steps(place.commit, above, _changes(place)):
                steps += 1
                if steps > KEPT_STEPS_MAX:
                    # A whole state is being written: not while somebody waits for another one.
                    rows.flush()
                    return
        rows.flush()


def _changes(place: Place) -> Iterable[tuple[str, Value]]:
    (changes,) = place.home.contents.changes([place.home.projection.locations[place.node]])
    return changes


def _until(commit: CommitId, seen: Mapping[CommitId, Place]) -> list[Place]:
    return list(takewhile(lambda each: each.commit != commit, seen.values()))
