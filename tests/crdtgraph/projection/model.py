"""A model of the projection in plain sets and dicts, which knows nothing of this library but the records."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from crdtgraph.ids import Dot
from crdtgraph.pending import PendingCommit, PendingCount
from crdtgraph.projection import Projection
from crdtgraph.records import Assign, Commit, Count, Discard

Record = Commit | Assign | Count | Discard


# The model


@dataclass(frozen=True)
class Content:
    """What a user can see, as plain values."""

    visible: frozenset[bytes]
    live: frozenset[bytes]
    registers: frozenset[tuple[str, str, bytes | None, Dot]]
    counters: tuple[tuple[bytes, tuple[int, ...]], ...]
    refs: tuple[tuple[str, tuple[bytes, ...]], ...]

    def digested(self) -> object:
        """The part that digests are of."""
        return self.live, self.registers, tuple(item for item in self.counters if item[0] in self.live)


@dataclass
class Model:
    """All meaning of a bag of records, worked out from scratch at every question."""

    records: list[Record]
    commits: dict[bytes, Commit] = field(init=False)
    visible: set[bytes] = field(init=False)
    order: list[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.commits = {record.id: record for record in self.records if isinstance(record, Commit)}
        self.visible, self.order = set(), []
        while ready := [
            id
            for id, commit in self.commits.items()
            if id not in self.visible and all(parent in self.visible for parent in commit.parents)
        ]:
            self.visible.update(ready)
            self.order += ready

    def ancestors(self, commit: bytes) -> set[bytes]:
        found: set[bytes] = set()
        todo = [commit]
        while todo:
            for parent in self.commits[todo.pop()].parents:
                if parent not in found:
                    found.add(parent)
                    todo.append(parent)
        return found

    def generation(self, commit: bytes) -> int:
        height: dict[bytes, int] = {}
        for each in self.order:
            height[each] = 1 + max((height[parent] for parent in self.commits[each].parents), default=0)
        return height[commit]

    def live_commits(self) -> set[bytes]:
        roots = {record.commit for record in self.records if isinstance(record, Discard)}
        return {commit for commit in self.visible if not (self.ancestors(commit) | {commit}) & roots}

    def live_assigns(self) -> list[Assign]:
        applied = [r for r in self.records if isinstance(r, Assign) and not self.is_pending(r)]
        gone = {(r.namespace, r.key, dot) for r in applied for dot in r.supersedes}
        return [r for r in applied if (r.namespace, r.key, r.dot) not in gone]

    def is_pending(self, record: Record) -> bool:
        if isinstance(record, Commit):
            return record.id not in self.visible
        if isinstance(record, Assign):
            return record.namespace == "ref" and record.value is not None and record.value not in self.visible
        return record.commit not in self.visible

    def targets(self, name: str) -> tuple[bytes, ...]:
        live = [r for r in self.live_assigns() if (r.namespace, r.key) == ("ref", name)]
        values = {r.value for r in live if r.value is not None}
        best = [v for v in values if not any(v in self.ancestors(other) for other in values)]
        rank = {v: (self.generation(v), self.commits[v].time, v) for v in best}
        return tuple(sorted(best, key=lambda value: rank[value], reverse=True))

    def counters(self) -> dict[bytes, tuple[int, ...]]:
        found: dict[bytes, list[int]] = {}
        for record in self.records:
            if isinstance(record, Count) and record.commit in self.visible:
                total = found.setdefault(record.commit, [])
                total += [0] * (len(record.vector) - len(total))
                for place, number in enumerate(record.vector):
                    total[place] += number
        for total in found.values():
            while total and total[-1] == 0:
                total.pop()
        return {commit: tuple(total) for commit, total in found.items() if total}

    def pending(self) -> Counter[str]:
        waiting = [record for record in self.records if self.is_pending(record)]
        once = {record for record in waiting if not isinstance(record, Count)}
        return Counter([type(r).__name__ for r in once] + ["Count" for r in waiting if isinstance(r, Count)])

    def content(self) -> Content:
        names = sorted({r.key for r in self.live_assigns() if r.namespace == "ref" and r.value is not None})
        return Content(
            frozenset(self.visible),
            frozenset(self.live_commits()),
            frozenset((r.namespace, r.key, r.value, r.dot) for r in self.live_assigns()),
            tuple(sorted(self.counters().items())),
            tuple((name, self.targets(name)) for name in names),
        )


# The same, read from a projection


def content_of(projection: Projection) -> Content:
    return Content(
        frozenset(projection.ids),
        frozenset(commit for commit in projection.ids if projection.is_live(commit)),
        frozenset((r.namespace, r.key, r.value, r.dot) for r in projection.registers),
        tuple(projection.counters),
        tuple((name, ref.targets) for name, ref in sorted(projection.refs.items())),
    )


def pending_of(projection: Projection) -> Counter[str]:
    names = {PendingCommit: "Commit", PendingCount: "Count"}
    return Counter(names.get(type(record), type(record).__name__) for record, _ in projection.pending)
