"""Every assignment that a ref or a metadata key ever had, for those who ask who did that.

The registers keep what is live; the segments still hold all of it. An assignment knows what it superseded, so the
assignments of one register form a graph, like commits. Two of them are *concurrent* when neither superseded the other,
directly or by way of others: their writers did not know of each other. That is a conflict if their values differ and,
for refs, none of the two commits descends from the other.

It takes reading all segments, about 4 us a record, one a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from heapq import heapify, heappop, heappush

from crdtgraph.asof import AsOf
from crdtgraph.errors import NotFoundError, first_few
from crdtgraph.ids import CommitId, Dot, ReplicaId, SegmentKey
from crdtgraph.planes import LEDGER
from crdtgraph.projection import Projection
from crdtgraph.reader import Reader
from crdtgraph.records import REF_NAMESPACE, Assign
from crdtgraph.replica import Replica
from crdtgraph.scanning import MovedError, PlaneScan, Scan
from crdtgraph.steps import Stepwise

CONCURRENT_MAX = 16
"""Of many concurrent assignments the latest so many are named; the count is of all."""


class Standing(StrEnum):
    """What became of an assignment. One that waits names a commit that is not here yet."""

    LIVE = "live"
    SUPERSEDED = "superseded"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One assignment of a register, by whom, and how it stands.

    `superseded_by` are those that named it. `concurrent` counts the assignments that stood when it was made (by the
    stamps) and that its writer did not know of; the latest of them are named. `in_conflict` says that it and one of
    these, or one that was made later without knowing of it, want different things.
    """

    assign: Assign
    replica: ReplicaId
    segment: SegmentKey
    standing: Standing
    superseded_by: tuple[Dot, ...]
    concurrent: int
    concurrent_with: tuple[Dot, ...]
    in_conflict: bool


def scan_of(reader: Reader) -> Scan:
    """All records of the ledger of a graph, or of its view as of a time."""
    if isinstance(reader, AsOf):
        return reader.scan()
    assert isinstance(reader, Replica)
    return PlaneScan(reader._plane(LEDGER))


def history(reader: Reader, namespace: str, key: str) -> Stepwise[list[Assignment]]:
    """Every assignment of a register, the latest first; what supersedes comes before what it superseded.

    Raises NotFoundError when there never was one; the hint names keys like it.
    """
    scan = scan_of(reader)
    while True:
        try:
            found, keys = yield from _assignments(scan, namespace, key)
            break
        except MovedError:
            # Segments were joined meanwhile. What they held is in others now; it is quickest to look again.
            continue
    if not found:
        close = get_close_matches(key, sorted(keys), 3)
        there = first_few(sorted(keys)) or "none"
        known = f"did you mean {' or '.join(map(repr, close))}?" if close else f"there were: {there}"
        raise NotFoundError(f"{key!r} was never set", hint=known)
    return _told(reader._plane(LEDGER).projection, namespace, key, found)


_Found = tuple[Assign, ReplicaId, SegmentKey]


def _assignments(scan: Scan, namespace: str, key: str) -> Stepwise[tuple[list[_Found], set[str]]]:
    """All assignments of a register, and all keys of its namespace that ever had one."""
    found: list[_Found] = []
    keys: set[str] = set()
    for handle in scan.handles():
        batch = scan.load(handle)
        for assign in batch.assigns:
            if assign.namespace == namespace:
                keys.add(assign.key)
                if assign.key == key:
                    found.append((assign, batch.replica, batch.key))
        yield
    return found, keys


def _told(projection: Projection, namespace: str, key: str, found: list[_Found]) -> list[Assignment]:
    ordered, parents = _causal_order(found)
    superseded_by: list[list[Dot]] = [[] for _ in ordered]
    beside: list[tuple[int, list[int]]] = []
    conflicts: set[int] = set()
    standing: dict[int, None] = {}
    for place, (assign, _, _) in enumerate(ordered):
        for parent in parents[place]:
            standing.pop(parent, None)
            superseded_by[parent].append(assign.dot)
        rivals = list(standing)
        beside.append((len(rivals), rivals[-CONCURRENT_MAX:]))
        for rival in beside[-1][1]:
            if _is_conflict(projection, assign, ordered[rival][0]):
                conflicts |= {place, rival}
        standing[place] = None
    live = set(projection.registers.live(namespace, key))
    waiting = {record for record, _ in projection.pending if isinstance(record, Assign)}
    told = []
    for place, (assign, replica, segment) in enumerate(ordered):
        count, rivals = beside[place]
        became = Standing.LIVE if assign in live else Standing.WAITING if assign in waiting else Standing.SUPERSEDED
        dots = tuple(ordered[rival][0].dot for rival in reversed(rivals))
        by = tuple(superseded_by[place])
        told.append(Assignment(assign, replica, segment, became, by, count, dots, place in conflicts))
    return told[::-1]


def _causal_order(found: list[_Found]) -> tuple[list[_Found], list[list[int]]]:
    """Assignments behind those that they supersede, else by stamp and dot; and for each the places of the former."""
    entries = sorted(found, key=lambda entry: (entry[0].stamp, entry[0].dot, entry[0].value or b""))
    by_dot: dict[Dot, list[int]] = {}
    for number, (assign, _, _) in enumerate(entries):
        by_dot.setdefault(assign.dot, []).append(number)
    before = [
        [other for dot in assign.supersedes for other in by_dot.get(dot, ()) if other != number]
        for number, (assign, _, _) in enumerate(entries)
    ]
    after: list[list[int]] = [[] for _ in entries]
    for number, others in enumerate(before):
        for other in others:
            after[other].append(number)
    missing = [len(others) for others in before]
    ready = [number for number, count in enumerate(missing) if not count]
    heapify(ready)
    order: list[int] = []
    while ready:
        number = heappop(ready)
        order.append(number)
        for later in after[number]:
            missing[later] -= 1
            if not missing[later]:
                heappush(ready, later)
    # A forger can make assignments that supersede each other; these come by their stamps.
    order += [number for number, count in enumerate(missing) if count > 0]
    places = {number: place for place, number in enumerate(order)}
    return [entries[number] for number in order], [[places[other] for other in before[number]] for number in order]


def _is_conflict(projection: Projection, one: Assign, other: Assign) -> bool:
    if one.value is None or other.value is None or one.value == other.value:
        return False
    if one.namespace != REF_NAMESPACE:
        return True
    a, b = projection.nodes.get(CommitId(one.value)), projection.nodes.get(CommitId(other.value))
    if a is None or b is None:
        return True
    return not projection.is_ancestor_node(a, b) and not projection.is_ancestor_node(b, a)
