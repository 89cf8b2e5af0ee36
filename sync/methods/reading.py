"""Methods that read a graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from crdtgraph import LEDGER, CommitId, NotFoundError, Value
from sync.methods.selecting import batches, selection
from sync.methods.target import REVS_MAX, Handler, Parts, Target, parted
from sync.params import Params
from sync.plain import commit_to_plain, table, value_to_plain
from sync.protocol.calls import Plain
from sync.protocol.limits import CHUNK_ENTRIES

PAIRS_MAX = 500
"""Pairs in one `merge_base`: about 25 ms, during which nothing else is served."""
ORIGINS_MAX = 100_000


def _status(target: Target, params: Params) -> Plain:
    params.done()
    node = target.node
    status = target.graph.status() if target.view is None else target.view.status()
    return {"graph": table(status), "node": None if node is None else table(node.status())}


def _digest(target: Target, params: Params) -> Plain:
    plane = params.text("plane", LEDGER)
    params.done()
    # Which segments there were then nobody knows: compactions have joined them since.
    set_digest = target.graph.set_digest(plane) if target.view is None else None
    return {"plane": plane, "digest": target.reader.digest(plane=plane), "set_digest": set_digest}


def _refs(target: Target, params: Params) -> Plain:
    params.done()
    return [
        {"name": name, "targets": list(ref.targets), "conflicted": ref.conflicted}
        for name, ref in sorted(target.reader.refs.items())
    ]


def _resolve(target: Target, params: Params) -> Plain:
    revs = params.revs("revs", REVS_MAX)
    params.done()
    return [target.commit_of(rev) for rev in revs]


def _shorts(target: Target, params: Params) -> Plain:
    commits = [CommitId(each) for each in params.blobs("commits", ORIGINS_MAX)]
    params.done()
    return list(target.reader.shorts(commits))


def _show(target: Target, params: Params) -> Parts:
    revs = params.revs("revs", REVS_MAX)
    params.done()
    yield from parted(_commits(target, iter([target.commit_of(rev) for rev in revs])))
    return None


def _log(target: Target, params: Params) -> Parts:
    revs = params.optional_revs("revs", REVS_MAX)
    limit = params.optional_integer("limit", 0)
    plane = params.text("plane", LEDGER)
    params.done()
    selected = yield from selection(target, ["all()"] if revs is None else revs, plane)
    for ids in batches(target, selected, limit, plane):
        yield from parted(_commits(target, iter(ids), plane))
        if not ids:
            yield []
    return None


def _commits(target: Target, commits: Iterator[CommitId], plane: str = LEDGER) -> Iterator[tuple[Plain, int]]:
    """Commits as tables, with the sizes of their contents."""
    while chunk := list(islice(commits, CHUNK_ENTRIES)):
        for commit_id, commit in zip(chunk, target.reader.get_many(chunk, plane=plane), strict=True):
            size = len(commit.message) + sum(_size(value) for _, value in commit.changes)
            yield commit_to_plain(commit_id, commit), size


def _state(target: Target, params: Params) -> Parts:
    rev, path = params.rev("rev"), params.optional_text("path")
    params.done()
    state = target.reader.state(target.commit_of(rev))
    if path is not None and path not in state:
        shown = rev if isinstance(rev, str) else rev.hex()[:12]
        raise NotFoundError(f"there is no path {path!r} at {shown}", hint="leave the path out to list those there are")
    values = ((name, state[name]) for name in (sorted(state) if path is None else [path]))
    yield from parted(([name, value_to_plain(value)], _size(value)) for name, value in values)
    return None


def _diff(target: Target, params: Params) -> Parts:
    after = target.commit_of(params.rev("after"))
    before = target.commit_of(params.rev("before")) if params.has("before") else None
    params.done()
    reader = target.reader
    if before is None:
        before = next(iter(reader.parents(after)), None)
    yield from parted(
        (
            [change.path, value_to_plain(change.before), value_to_plain(change.after)],
            _size(change.before) + _size(change.after),
        )
        for change in reader.diff(before, after)
    )
    return None


def _size(value: Value) -> int:
    return len(value) if isinstance(value, bytes) else 0


def _merge_base(target: Target, params: Params) -> Plain:
    pairs = params.pairs("pairs", PAIRS_MAX)
    every, origins = params.flag("all"), params.flag("origins")
    params.done()
    graph = target.reader
    answers: list[Plain] = []
    for a, b in pairs:
        bases = graph.merge_bases(target.commit_of(a), target.commit_of(b))
        bases = bases if every else bases[:1]
        answers.append([graph.get(base).origin for base in bases] if origins else list(bases))
    return answers


def _is_ancestor(target: Target, params: Params) -> Plain:
    ancestor, descendant = params.rev("ancestor"), params.rev("descendant")
    params.done()
    return target.reader.is_ancestor(target.commit_of(ancestor), target.commit_of(descendant))


def _meta_get(target: Target, params: Params) -> Plain:
    rev = params.rev("commit") if params.has("commit") else None
    params.done()
    return dict(target.reader.meta(None if rev is None else target.commit_of(rev)))


def _merge_policies(target: Target, params: Params) -> Plain:
    from crdtgraph.state.policies import stored_policies

    params.done()
    return [[pattern, policy.value] for pattern, policy in stored_policies(target.reader.meta()).items()]


def _pending(target: Target, params: Params) -> Plain:
    params.done()
    return [
        {"kind": each.kind, "subject": each.subject, "waits_for": each.waits_for, "since_us": each.since_us}
        for each in target.reader.pending()
    ]


def _heads(target: Target, params: Params) -> Plain:
    params.done()
    return list(target.reader.heads())


def _known_origins(target: Target, params: Params) -> Plain:
    wanted = params.texts("origins", ORIGINS_MAX)
    params.done()
    known = target.reader.origins()
    return {origin: known[origin] for origin in wanted if origin in known}


def _known_commits(target: Target, params: Params) -> Plain:
    commits = [CommitId(each) for each in params.blobs("commits", ORIGINS_MAX)]
    params.done()
    return [commit for commit in commits if commit in target.reader]


def _origins_of(target: Target, params: Params) -> Plain:
    commits = [CommitId(each) for each in params.blobs("commits", ORIGINS_MAX)]
    params.done()
    return [commit.origin for commit in target.reader.get_many(commits)]


def _fsck(target: Target, params: Params) -> Parts:
    params.done()
    for finding in target.graph.fsck():
        yield table(finding)
    return None


TABLE: Mapping[str, Handler] = {
    "diff": _diff,
    "digest": _digest,
    "fsck": _fsck,
    "heads": _heads,
    "is_ancestor": _is_ancestor,
    "known_commits": _known_commits,
    "known_origins": _known_origins,
    "log": _log,
    "merge_base": _merge_base,
    "merge_policies": _merge_policies,
    "meta_get": _meta_get,
    "origins_of": _origins_of,
    "pending": _pending,
    "refs": _refs,
    "resolve": _resolve,
    "shorts": _shorts,
    "show": _show,
    "state": _state,
    "status": _status,
}
