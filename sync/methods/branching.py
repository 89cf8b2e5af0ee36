"""Methods for those who work on branches of a node's graph: see `crdtgraph.branches.branching`."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

from crdtgraph import CommitId, Durability, LocalError, OnConflict, WriteKind
from sync.methods.target import REVS_MAX, Handler, Target
from sync.methods.writing import durability_of, grouped, once_durable
from sync.params import Params
from sync.plain import merge_to_plain, value_from_plain
from sync.protocol.calls import Plain

MAIN = "main"


def _branches(target: Target, params: Params) -> Plain:
    prefix, into = params.text("prefix", ""), params.text("into", MAIN)
    params.done()
    return [
        {
            "name": each.name,
            "targets": list(each.targets),
            "ahead": each.ahead,
            "behind": each.behind,
            "author": each.author,
            "time": each.time,
            "title": each.title,
        }
        for each in target.graph.branches(prefix, into=into)
    ]


def _branch_open(target: Target, params: Params) -> Plain:
    name = params.text("name")
    start = params.rev("from") if params.has("from") else None
    params.done()
    return target.graph.open_branch(name, start)


def _branch_commit(target: Target, params: Params) -> Plain | Awaitable[Plain]:
    name, head, message = params.text("name"), _head(params), params.text("message", "")
    changes = {path: value_from_plain(value) for path, value in params.table("changes").items()}
    author, time = params.optional_text("author"), params.optional_integer("time")
    durability, node = grouped(target, WriteKind.COMMIT, durability_of(params) or Durability.NORMAL)
    params.done()
    made = target.graph.extend_branch(
        name, head, message=message, changes=changes, author=author, time=time, durability=durability
    )
    return made if node is None else once_durable(node, made)


def _branch_merge(target: Target, params: Params) -> Plain | Awaitable[Plain]:
    name, into, head = params.text("branch"), params.text("into"), _head(params)
    policies = params.text_table("policies", REVS_MAX) if params.has("policies") else None
    on_conflict, remove = params.text("on_conflict", OnConflict.RAISE.value), params.flag("remove")
    durability, node = grouped(target, WriteKind.REF, durability_of(params), into)
    params.done()
    if name == into:
        raise LocalError(f"branch {name!r} cannot be merged into itself", hint="name another ref as `into`")
    graph = target.graph
    commits = (*graph.refs.targets(name), *([] if head is None else [head]))
    if not commits:
        graph.refs.require(name)
    result = graph.merge_into(into, commits, policies=policies, on_conflict=on_conflict, durability=durability)
    if remove and (result.merged or not result.conflicts) and name in graph.refs:
        graph.delete_ref(name, durability=Durability.NORMAL)
    plain: Plain = merge_to_plain(result)
    return plain if node is None else once_durable(node, plain)


def _branch_remove(target: Target, params: Params) -> Plain | Awaitable[Plain]:
    name, into, force = params.text("name"), params.text("into", MAIN), params.flag("force")
    params.done()
    durability, node = grouped(target, WriteKind.REF, None, name)
    ahead = target.graph.remove_branch(name, into=into, force=force, durability=durability)
    return ahead if node is None else once_durable(node, ahead)


def _head(params: Params) -> CommitId | None:
    head = params.optional_blob("head")
    return None if head is None else CommitId(head)


TABLE: Mapping[str, Handler] = {
    "branch_commit": _branch_commit,
    "branch_merge": _branch_merge,
    "branch_open": _branch_open,
    "branch_remove": _branch_remove,
    "branches": _branches,
}
