"""What every writer said, the latest first: the log of operations.

By the stamps of the records. Little more is read than is given: the last ten operations of a large graph come at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from crdtgraph.errors import AmbiguousError, LocalError, NotFoundError
from crdtgraph.history import scan_of
from crdtgraph.ids import CommitId, ReplicaId, SegmentKey
from crdtgraph.reader import Reader
from crdtgraph.records import Assign, Commit, Count, Discard
from crdtgraph.scanning import MovedError, RecordKind, Said, Scan, newest_first
from crdtgraph.steps import Stepwise

PREFIX_DIGITS_MIN = 4
SHOWN_MAX = 10
STEP_RECORDS = 1_000
"""Records of other kinds that are passed over in one step, about a millisecond."""
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Operation:
    """One record, when and by whom it was said, and in which segment it lies. `commit` is the id of a commit."""

    stamp: int
    writer: int
    replica: ReplicaId
    segment: SegmentKey
    kind: RecordKind
    record: Commit | Assign | Count | Discard
    commit: CommitId | None = None


def operations(
    reader: Reader, *, writer: str | None = None, kind: RecordKind | None = None
) -> Iterator[Operation | None]:
    """All records, the latest stamp first; None after each step without one.

    Args:
        reader: a graph, or its view as of a time.
        writer: only those of this writer or replica, by its id or the beginning of it in hex, at least 4 digits.
        kind: only those of this kind.

    Raises:
        NotFoundError, AmbiguousError: no writer and no replica begins so, or several do.
    """
    scan = scan_of(reader)
    if writer is None:
        yield from _operations(newest_first(scan), kind)
        return
    steps = _matching(scan, writer)
    while True:
        try:
            next(steps)
            yield None
        except StopIteration as done:
            writers: set[int] = done.value
            break
    yield from _operations(newest_first(scan, lambda handle: handle.key.writer in writers), kind)


def _operations(said: Iterator[Said | None], kind: RecordKind | None) -> Iterator[Operation | None]:
    passed = 0
    for each in said:
        if each is None:
            yield None
        elif kind is None or each.kind is kind:
            yield _operation(each)
        else:
            passed += 1
            if passed % STEP_RECORDS == 0:
                yield None


def _operation(said: Said) -> Operation:
    batch, place = said.batch, said.position
    record: Commit | Assign | Count | Discard
    commit = None
    match said.kind:
        case RecordKind.COMMIT:
            record, commit = batch.commit(place), batch.ids[place]
        case RecordKind.ASSIGN:
            record = batch.assigns[place]
        case RecordKind.COUNT:
            record = batch.counts[place]
        case RecordKind.DISCARD:
            record = batch.discards[place]
    return Operation(said.stamp, said.writer, batch.replica, batch.key, said.kind, record, commit)


def _matching(scan: Scan, prefix: str) -> Stepwise[set[int]]:
    """The writers that are meant: the one that begins so, or all those of the replica that does."""
    if len(prefix) < PREFIX_DIGITS_MIN or not set(prefix) <= _HEX:
        raise LocalError(
            f"{prefix[:40]!r} is no writer",
            hint=f"write at least {PREFIX_DIGITS_MIN} hex digits of a writer or a replica",
        )
    replicas: dict[int, ReplicaId] = {}
    for handle in scan.handles():
        if handle.key.writer not in replicas:
            # A segment that was joined with others meanwhile is not the only one of its writer.
            with suppress(MovedError):
                replicas[handle.key.writer] = scan.replica(handle)
            yield
    by_replica = {replica for replica in replicas.values() if replica.hex().startswith(prefix)}
    by_writer = {writer for writer in replicas if f"{writer:x}".startswith(prefix)}
    found = [f"replica {replica.hex()}" for replica in sorted(by_replica)]
    found += [f"writer {writer:x} of replica {replicas[writer].hex()}" for writer in sorted(by_writer)]
    if len(found) == 1:
        return by_writer or {writer for writer, replica in replicas.items() if replica in by_replica}
    if found:
        hint = "give more digits; candidates:\n  " + "\n  ".join(found[:SHOWN_MAX])
        raise AmbiguousError(f"{prefix!r} is the beginning of {len(found)} writers and replicas", hint=hint)
    known = ", ".join(sorted({replica.hex()[:8] for replica in replicas.values()})[:SHOWN_MAX])
    raise NotFoundError(
        f"no writer and no replica begins with {prefix!r}", hint=f"replicas that wrote: {known or 'none'}"
    )
