"""Methods that change a graph."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING

from crdtgraph import LEDGER, Commit, CommitId, Durability, LocalError, RemoteError, Write, WriteKind
from sync.methods.target import REVS_MAX, Handler, Target
from sync.params import Params
from sync.plain import merge_to_plain, value_from_plain
from sync.protocol.calls import Plain
from sync.protocol.limits import COMMITS_PER_CALL_MAX

if TYPE_CHECKING:
    from sync.node import Node


def _set_ref(target: Target, params: Params) -> Plain | Awaitable[Plain]:
    name, rev = params.text("name"), params.rev("target")
    force, keep_others = params.flag("force"), params.flag("keep_others")
    params.done()
    durability, node = grouped(target, WriteKind.REF, None, name)
    commit = target.commit_of(rev)
    target.graph.set_ref(name, commit, force=force, keep_others=keep_others, durability=durability)
    return None if node is None else once_durable(node, None)


def _set_refs(target: Target, params: Params) -> Plain | Awaitable[Plain]:
    revs = params.rev_table("targets", REVS_MAX)
    force, keep_others = params.flag("force"), params.flag("keep_others")
    params.done()
    durability, node = grouped(target, WriteKind.REF, None, *revs)
    targets = {name: target.commit_of(rev) for name, rev in revs.items()}
    target.graph.set_refs(targets, force=force, keep_others=keep_others, durability=durability)
    return None if node is None else once_durable(node, None)


def _delete_ref(target: Target, params: Params) -> Plain | Awaitable[Plain]:
    name = params.text("name")
    params.done()
    durability, node = grouped(target, WriteKind.REF, None, name)
    target.graph.delete_ref(name, durability=durability)
    return None if node is None else once_durable(node, None)


def durability_of(params: Params) -> Durability | None:
    """The class that a request asks for, or None."""
    given = params.optional_text("durability")
    if given is not None and given not in {each.value for each in Durability}:
        raise LocalError(f"{given!r} is no durability", hint=" or ".join(each.value for each in Durability))
    return None if given is None else Durability(given)


def _commit(target: Target, params: Params) -> Plain | Awaitable[Plain]:
    parents = params.optional_revs("parents", REVS_MAX)
    message, ref = params.text("message", ""), params.optional_text("ref")
    changes = {path: value_from_plain(value) for path, value in params.table("changes").items()}
    author, time = params.optional_text("author"), params.optional_integer("time")
    origin = params.text("origin", "")
    durability, node = grouped(target, WriteKind.COMMIT, durability_of(params), *([] if ref is None else [ref]))
    params.done()
    meter = target.graph.meter if node is not None else None
    began_ns = 0 if meter is None else meter.now_ns()
    with nullcontext() if meter is None else meter.deferred():
        made = target.graph.commit(
            parents=None if parents is None else [target.commit_of(rev) for rev in parents],
            message=message,
            changes=changes,
            ref=ref,
            author=author,
            time=time,
            origin=origin,
            durability=durability,
        )
    return made if node is None else _once_committed(node, made, began_ns)


def grouped(target: Target, kind: WriteKind, chosen: Durability | None, *moves: str) -> tuple[Durability, Node | None]:
    """The class to write in, and the node whose next fsync the answer has to wait for.

    In a node many clients may wait for the disk at once. What they write is NORMAL then, and they share an fsync.
    """
    durability = target.graph.durability_of(Write(kind, LEDGER, moves=moves), chosen)
    if durability is Durability.CRITICAL and target.node is not None:
        return Durability.NORMAL, target.node
    return durability, None


async def once_durable(node: Node, result: Plain) -> Plain:
    """The result, once all that was written so far is on disk."""
    await node.flusher.durable()
    return result


async def _once_committed(node: Node, commit: CommitId, began_ns: int) -> Plain:
    """A critical commit is over when the disk has it, and so counts its time."""
    await node.flusher.durable()
    if (meter := node.graph.meter) is not None:
        from crdtgraph.metering import commit_series

        meter.record(commit_series(Durability.CRITICAL), began_ns)
    return commit


def _commit_many(target: Target, params: Params) -> Plain:
    canonical = params.blobs("commits", COMMITS_PER_CALL_MAX)
    params.done()
    try:
        commits = [Commit.from_canonical(data) for data in canonical]
    except RemoteError as error:
        raise LocalError(f"commit_many: {error.message}", hint="send Commit.canonical()") from error
    return list(target.graph.commit_many(commits))


def _merge(target: Target, params: Params) -> Plain:
    name, preview, durability = params.text("ref"), params.flag("preview"), durability_of(params)
    policies = params.text_table("policies", REVS_MAX) if params.has("policies") else None
    params.done()
    graph = target.graph
    if preview:
        result = graph.preview_merge(name, policies=policies)
    else:
        result = graph.merge(name, policies=policies, durability=durability)
    return merge_to_plain(result)


def _merge_policy_set(target: Target, params: Params) -> Plain | Awaitable[Plain]:
    pattern, policy = params.text("pattern"), params.optional_text("policy")
    params.done()
    target.graph.set_merge_policy(pattern, policy)
    return None if target.node is None else once_durable(target.node, None)


def _meta_set(target: Target, params: Params) -> Plain:
    key, value = params.text("key"), params.optional_blob("value")
    rev = params.rev("commit") if params.has("commit") else None
    params.done()
    target.graph.set_meta(key, value, commit=None if rev is None else target.commit_of(rev))
    return None


def _flush(target: Target, params: Params) -> Plain:
    params.done()
    target.graph.flush()
    return None


def _compact(target: Target, params: Params) -> Plain:
    params.done()
    return target.graph.compact()


TABLE: Mapping[str, Handler] = {
    "commit": _commit,
    "commit_many": _commit_many,
    "compact": _compact,
    "delete_ref": _delete_ref,
    "flush": _flush,
    "merge": _merge,
    "merge_policy_set": _merge_policy_set,
    "meta_set": _meta_set,
    "set_ref": _set_ref,
    "set_refs": _set_refs,
}
