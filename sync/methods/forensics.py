"""Methods for those who ask what was said, when and by whom: the history of a register, and the log of operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from crdtgraph import CommitId, LocalError
from crdtgraph.planes import LEDGER
from crdtgraph.reader import Reader, meta_namespace
from crdtgraph.records import REF_NAMESPACE, Assign, Commit, Count
from sync.methods.selecting import in_parts
from sync.methods.target import Handler, Parts, Target, parted
from sync.params import Params
from sync.protocol.calls import Plain

if TYPE_CHECKING:
    from crdtgraph.episodes import Episode, Side
    from crdtgraph.history import Assignment
    from crdtgraph.operations import Operation
    from crdtgraph.steps import Stepwise

KINDS = ("commit", "assign", "count", "discard")
"""How parameters and answers call the four records."""


def _history(target: Target, params: Params) -> Parts:
    from crdtgraph.history import history

    name, meta = params.text("name"), params.flag("meta")
    rev = params.rev("commit") if params.has("commit") else None
    limit = params.optional_integer("limit", 0)
    params.done()
    if rev is not None and not meta:
        raise LocalError("history: refs are no metadata of a commit", hint="say meta, too")
    commit = None if rev is None else target.commit_of(rev)
    namespace = meta_namespace(commit) if meta else REF_NAMESPACE
    found = yield from in_parts(history(target.reader, namespace, name))
    yield from parted((_assignment(target.reader, each), len(each.assign.value or b"")) for each in found[:limit])
    return None


def _assignment(reader: Reader, found: Assignment) -> dict[str, Plain]:
    assign = found.assign
    return {
        "stamp_us": assign.stamp,
        "writer": f"{assign.dot.writer:x}",
        "replica": found.replica,
        "segment": found.segment.text,
        "dot": assign.dot.text,
        "value": assign.value,
        "subject": _subject(reader, assign),
        "state": found.standing.value,
        "supersedes": [dot.text for dot in assign.supersedes],
        "superseded_by": [dot.text for dot in found.superseded_by],
        "concurrent": found.concurrent,
        "concurrent_with": [dot.text for dot in found.concurrent_with],
        "conflict": found.in_conflict,
    }


def _subject(reader: Reader, assign: Assign) -> str | None:
    """The first line of the commit that a ref was set to, if it is here."""
    if assign.namespace != REF_NAMESPACE or assign.value is None or CommitId(assign.value) not in reader:
        return None
    return reader.get(CommitId(assign.value)).message.partition("\n")[0]


def _ops(target: Target, params: Params) -> Parts:
    from crdtgraph.operations import operations
    from crdtgraph.scanning import RecordKind

    writer, name = params.optional_text("writer"), params.optional_text("kind")
    limit = params.optional_integer("limit", 0)
    params.done()
    if name is not None and name not in KINDS:
        raise LocalError(f"ops: {name[:40]!r} is no kind of record", hint=f"kinds: {', '.join(KINDS)}")
    said = operations(target.reader, writer=writer, kind=None if name is None else RecordKind[name.upper()])
    yield from parted(_limited(said, limit))
    return None


def _limited(said: Iterator[Operation | None], limit: int | None) -> Iterator[tuple[Plain, int] | None]:
    """At most `limit` operations in all; None after each step, in which nothing may have been found."""
    given = 0
    for operation in said if limit != 0 else ():
        if operation is None:
            yield None
        else:
            yield _operation(operation), _size(operation)
            given += 1
            if given == limit:
                break


def _size(operation: Operation) -> int:
    return len(operation.record.value or b"") if isinstance(operation.record, Assign) else 100


def _operation(said: Operation) -> dict[str, Plain]:
    record = said.record
    row: dict[str, Plain] = {
        "stamp_us": said.stamp,
        "writer": f"{said.writer:x}",
        "replica": said.replica,
        "segment": said.segment.text,
        "kind": said.kind.name.lower(),
        "commit": said.commit,
        "author": None,
        "subject": None,
        "changes": None,
        "namespace": None,
        "key": None,
        "value": None,
        "dot": None,
        "supersedes": None,
        "vector": None,
    }
    if isinstance(record, Commit):
        subject = record.message.partition("\n")[0]
        return row | {"author": record.author, "subject": subject, "changes": len(record.changes)}
    if isinstance(record, Assign):
        dots: list[Plain] = [dot.text for dot in record.supersedes]
        told: dict[str, Plain] = {"namespace": record.namespace, "key": record.key, "value": record.value}
        return row | told | {"dot": record.dot.text, "supersedes": dots}
    if isinstance(record, Count):
        return row | {"commit": record.commit, "vector": list(record.vector)}
    return row | {"commit": record.commit}


def _episodes(target: Target, params: Params) -> Parts:
    """Oldest first. What goes on is counted as if it ended now."""
    from crdtgraph.episodes import read_episodes

    params.done()
    for _, episode in read_episodes(target.graph.store):
        if not episode.ended:
            episode = yield from in_parts(_as_of_now(target, episode))
        yield [_episode(episode)]
    return None


def _as_of_now(target: Target, episode: Episode) -> Stepwise[Episode]:
    from sync.protocol.sides import Reaches, count_sides

    held = target.graph.state_vector(LEDGER)
    ours, theirs = (frozenset(each.replica for each in side) for side in (episode.ours, episode.theirs))
    counts = yield from count_sides(target.graph, Reaches(dict(episode.base), held, held), ours, theirs)
    return replace(episode, commits_ours=counts.ours, commits_theirs=counts.theirs, exact=False)


def _episode(episode: Episode) -> dict[str, Plain]:
    return {
        "from_us": episode.from_us,
        "to_us": episode.to_us,
        "returned_us": episode.returned_us,
        "kind": episode.kind,
        "ours": [_side(each) for each in episode.ours],
        "theirs": [_side(each) for each in episode.theirs],
        "commits_ours": episode.commits_ours,
        "commits_theirs": episode.commits_theirs,
        "exact": episode.exact,
        "conflicts": list(episode.conflicts),
        "conflicts_total": episode.conflicts_total,
        "cause": episode.cause,
        "ended": episode.ended,
    }


def _side(side: Side) -> Plain:
    return {"replica": side.replica, "name": side.name}


TABLE: Mapping[str, Handler] = {"episodes": _episodes, "history": _history, "ops": _ops}
