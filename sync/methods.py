"""What can be asked of a graph and of a node, as one table: name -> handler.

Parameters and answers are plain values (see `Plain`): ids and digests are byte strings, records are tables. A commit is
named by its id or by a text to resolve. docs/protocol.md lists the methods.

A handler is one of three kinds: a function that answers at once, a generator whose parts are sent as they come (with
others served in between), or a coroutine that waits for something.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import crdtgraph
from crdtgraph import LEDGER, Commit, CommitId, Durability, Graph, LocalError, NotFoundError
from sync.limits import CHUNK_ENTRIES, COMMITS_PER_CALL_MAX
from sync.messages import Plain
from sync.node import Node
from sync.params import Params, Rev
from sync.plain import commit_to_plain, table, value_from_plain, value_to_plain

PAIRS_MAX = 500
"""Pairs in one `merge_base`: about 25 ms, during which nothing else is served."""
ORIGINS_MAX = 100_000
REVS_MAX = 1_000
PART_BYTES = 1 << 20
"""Of contents in one part of an answer; with one more value it stays well below a frame."""


@dataclass(frozen=True, slots=True)
class Target:
    """What requests are about: a graph, the node that runs it (or None), and how to stop that process."""

    graph: Graph
    node: Node | None = None
    stop: Callable[[], None] | None = None

    def running(self) -> Node:
        """The node; LocalError when the store is at rest."""
        if self.node is None:
            raise LocalError("no node is running on this store", hint="ask a node: --node PATH of its control socket")
        return self.node


Parts: TypeAlias = Generator[Plain, None, Plain]
"""Parts first, and the final result as the return value."""
Handler: TypeAlias = Callable[[Target, Params], "Plain | Parts | Awaitable[Plain]"]


def _commit_of(target: Target, rev: Rev) -> CommitId:
    return target.graph.resolve(rev) if isinstance(rev, str) else rev


# --- methods: the graph


def _status(target: Target, params: Params) -> Plain:
    params.done()
    node = target.node
    return {"graph": table(target.graph.status()), "node": None if node is None else table(node.status())}


def _digest(target: Target, params: Params) -> Plain:
    plane = params.text("plane", LEDGER)
    params.done()
    graph = target.graph
    return {"plane": plane, "digest": graph.digest(plane=plane), "set_digest": graph.set_digest(plane)}


def _refs(target: Target, params: Params) -> Plain:
    params.done()
    return [
        {"name": name, "targets": list(ref.targets), "conflicted": ref.conflicted}
        for name, ref in sorted(target.graph.refs.items())
    ]


def _set_ref(target: Target, params: Params) -> Plain:
    name, rev = params.text("name"), params.rev("target")
    force, keep_others = params.flag("force"), params.flag("keep_others")
    params.done()
    target.graph.set_ref(name, _commit_of(target, rev), force=force, keep_others=keep_others)
    return None


def _set_refs(target: Target, params: Params) -> Plain:
    revs = params.rev_table("targets", REVS_MAX)
    force, keep_others = params.flag("force"), params.flag("keep_others")
    params.done()
    targets = {name: _commit_of(target, rev) for name, rev in revs.items()}
    target.graph.set_refs(targets, force=force, keep_others=keep_others)
    return None


def _delete_ref(target: Target, params: Params) -> Plain:
    name = params.text("name")
    params.done()
    target.graph.delete_ref(name)
    return None


def _resolve(target: Target, params: Params) -> Plain:
    revs = params.revs("revs", REVS_MAX)
    params.done()
    return [_commit_of(target, rev) for rev in revs]


def _shorts(target: Target, params: Params) -> Plain:
    commits = [CommitId(each) for each in params.blobs("commits", ORIGINS_MAX)]
    params.done()
    return list(target.graph.shorts(commits))


def _show(target: Target, params: Params) -> Parts:
    revs = params.revs("revs", REVS_MAX)
    params.done()
    yield from _commits(target, iter([_commit_of(target, rev) for rev in revs]))
    return None


def _log(target: Target, params: Params) -> Parts:
    revs = params.optional_revs("revs", REVS_MAX)
    limit = params.optional_integer("limit", 0)
    plane = params.text("plane", LEDGER)
    params.done()
    starts = None if revs is None else [_commit_of(target, rev) for rev in revs]
    commits = islice(target.graph.newest_first(starts, plane=plane), limit)
    yield from _commits(target, commits, plane)
    return None


def _commits(target: Target, commits: Iterator[CommitId], plane: str = LEDGER) -> Iterator[Plain]:
    """Commits as tables, in parts of at most `CHUNK_ENTRIES` and about `PART_BYTES`."""
    while chunk := list(islice(commits, CHUNK_ENTRIES)):
        part: list[Plain] = []
        size = 0
        for commit_id, commit in zip(chunk, target.graph.get_many(chunk, plane=plane), strict=True):
            part.append(commit_to_plain(commit_id, commit))
            size += len(commit.message) + sum(len(each) for _, each in commit.changes if isinstance(each, bytes))
            if size >= PART_BYTES:
                yield part
                part, size = [], 0
        if part:
            yield part


def _state(target: Target, params: Params) -> Parts:
    rev, path = params.rev("rev"), params.optional_text("path")
    params.done()
    state = target.graph.state(_commit_of(target, rev))
    if path is not None and path not in state:
        shown = rev if isinstance(rev, str) else rev.hex()[:12]
        raise NotFoundError(f"there is no path {path!r} at {shown}", hint="leave the path out to list those there are")
    part: list[Plain] = []
    size = 0
    for name in sorted(state) if path is None else [path]:
        part.append([name, value_to_plain(state[name])])
        value = state[name]
        size += len(value) if isinstance(value, bytes) else 0
        if len(part) >= CHUNK_ENTRIES or size >= PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
    return None


def _merge_base(target: Target, params: Params) -> Plain:
    pairs = params.pairs("pairs", PAIRS_MAX)
    every, origins = params.flag("all"), params.flag("origins")
    params.done()
    graph = target.graph
    answers: list[Plain] = []
    for a, b in pairs:
        bases = graph.merge_bases(_commit_of(target, a), _commit_of(target, b))
        bases = bases if every else bases[:1]
        answers.append([graph.get(base).origin for base in bases] if origins else list(bases))
    return answers


def _is_ancestor(target: Target, params: Params) -> Plain:
    ancestor, descendant = params.rev("ancestor"), params.rev("descendant")
    params.done()
    return target.graph.is_ancestor(_commit_of(target, ancestor), _commit_of(target, descendant))


def _commit(target: Target, params: Params) -> Plain:
    parents = params.optional_revs("parents", REVS_MAX)
    message, ref = params.text("message", ""), params.optional_text("ref")
    changes = {path: value_from_plain(value) for path, value in params.table("changes").items()}
    author, time = params.optional_text("author"), params.optional_integer("time")
    origin, durability = params.text("origin", ""), params.optional_text("durability")
    params.done()
    if durability is not None and durability not in {each.value for each in Durability}:
        raise LocalError(f"{durability!r} is no durability", hint=" or ".join(each.value for each in Durability))
    return target.graph.commit(
        parents=None if parents is None else [_commit_of(target, rev) for rev in parents],
        message=message,
        changes=changes,
        ref=ref,
        author=author,
        time=time,
        origin=origin,
        durability=None if durability is None else Durability(durability),
    )


def _commit_many(target: Target, params: Params) -> Plain:
    canonical = params.blobs("commits", COMMITS_PER_CALL_MAX)
    params.done()
    try:
        commits = [Commit.from_canonical(data) for data in canonical]
    except crdtgraph.RemoteError as error:
        raise LocalError(f"commit_many: {error.message}", hint="send Commit.canonical()") from error
    return list(target.graph.commit_many(commits))


def _merge(target: Target, params: Params) -> Plain:
    name, preview = params.text("ref"), params.flag("preview")
    params.done()
    result = target.graph.preview_merge(name) if preview else target.graph.merge(name)
    return {
        "commit": result.commit,
        "parents": list(result.parents),
        "merged": result.merged,
        "conflicts": [
            {
                "path": each.path,
                "base": value_to_plain(each.base),
                "ours": value_to_plain(each.ours),
                "theirs": value_to_plain(each.theirs),
            }
            for each in result.conflicts
        ],
    }


def _meta_get(target: Target, params: Params) -> Plain:
    rev = params.rev("commit") if params.has("commit") else None
    params.done()
    return dict(target.graph.meta(None if rev is None else _commit_of(target, rev)))


def _meta_set(target: Target, params: Params) -> Plain:
    key, value = params.text("key"), params.optional_blob("value")
    rev = params.rev("commit") if params.has("commit") else None
    params.done()
    target.graph.set_meta(key, value, commit=None if rev is None else _commit_of(target, rev))
    return None


def _pending(target: Target, params: Params) -> Plain:
    params.done()
    return [
        {"kind": each.kind, "subject": each.subject, "waits_for": each.waits_for} for each in target.graph.pending()
    ]


def _heads(target: Target, params: Params) -> Plain:
    params.done()
    return list(target.graph.heads())


def _known_origins(target: Target, params: Params) -> Plain:
    wanted = params.texts("origins", ORIGINS_MAX)
    params.done()
    known = target.graph.origins()
    return {origin: known[origin] for origin in wanted if origin in known}


def _origins_of(target: Target, params: Params) -> Plain:
    commits = [CommitId(each) for each in params.blobs("commits", ORIGINS_MAX)]
    params.done()
    return [commit.origin for commit in target.graph.get_many(commits)]


def _deltas(target: Target, params: Params) -> Parts:
    plane = params.text("plane", LEDGER)
    flat = params.integers("state_vector", 1 << 20) if params.has("state_vector") else []
    params.done()
    if len(flat) % 2:
        raise LocalError("deltas: a state vector is a list [writer, clock, writer, clock, ...]")
    for delta in target.graph.deltas(plane, dict(zip(flat[::2], flat[1::2], strict=True))):
        base: list[Plain] = [number for writer in sorted(delta.base) for number in (writer, delta.base[writer])]
        yield {"plane": delta.plane, "base": base, "update": delta.update, "last": delta.last}
    return None


def _fsck(target: Target, params: Params) -> Parts:
    params.done()
    for finding in target.graph.fsck():
        yield table(finding)
    return None


def _flush(target: Target, params: Params) -> Plain:
    params.done()
    target.graph.flush()
    return None


def _compact(target: Target, params: Params) -> Plain:
    params.done()
    return target.graph.compact()


# --- methods: a running node


def _peers(target: Target, params: Params) -> Plain:
    params.done()
    return [table(each) for each in target.running().status().peers]


def _block(target: Target, params: Params) -> Plain:
    peer = params.text("peer")
    params.done()
    return list(target.running().block(peer))


def _unblock(target: Target, params: Params) -> Plain:
    peer = params.text("peer")
    params.done()
    target.running().unblock(peer)
    return None


async def _wait_for_digest(target: Target, params: Params) -> Plain:
    digest, timeout_s = params.blob("digest"), params.seconds("timeout_s", 10.0)
    params.done()
    return await target.running().wait_for_digest(digest, timeout_s)


def _stop(target: Target, params: Params) -> Plain:
    params.done()
    if target.stop is None:
        raise LocalError("nothing is running that could be stopped")
    target.stop()
    return None


METHODS: Mapping[str, Handler] = {
    "block": _block,
    "commit": _commit,
    "commit_many": _commit_many,
    "compact": _compact,
    "delete_ref": _delete_ref,
    "deltas": _deltas,
    "digest": _digest,
    "flush": _flush,
    "fsck": _fsck,
    "heads": _heads,
    "is_ancestor": _is_ancestor,
    "known_origins": _known_origins,
    "log": _log,
    "merge": _merge,
    "merge_base": _merge_base,
    "meta_get": _meta_get,
    "meta_set": _meta_set,
    "origins_of": _origins_of,
    "peers": _peers,
    "pending": _pending,
    "refs": _refs,
    "resolve": _resolve,
    "set_ref": _set_ref,
    "set_refs": _set_refs,
    "shorts": _shorts,
    "show": _show,
    "state": _state,
    "status": _status,
    "stop": _stop,
    "unblock": _unblock,
    "wait_for_digest": _wait_for_digest,
}
