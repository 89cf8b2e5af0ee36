"""Methods that change a graph."""

from __future__ import annotations

from collections.abc import Mapping

from crdtgraph import Commit, Durability, LocalError, RemoteError
from sync.calls import Plain
from sync.limits import COMMITS_PER_CALL_MAX
from sync.methods.target import REVS_MAX, Handler, Target
from sync.params import Params
from sync.plain import value_from_plain, value_to_plain


def _set_ref(target: Target, params: Params) -> Plain:
    name, rev = params.text("name"), params.rev("target")
    force, keep_others = params.flag("force"), params.flag("keep_others")
    params.done()
    target.graph.set_ref(name, target.commit_of(rev), force=force, keep_others=keep_others)
    return None


def _set_refs(target: Target, params: Params) -> Plain:
    revs = params.rev_table("targets", REVS_MAX)
    force, keep_others = params.flag("force"), params.flag("keep_others")
    params.done()
    targets = {name: target.commit_of(rev) for name, rev in revs.items()}
    target.graph.set_refs(targets, force=force, keep_others=keep_others)
    return None


def _delete_ref(target: Target, params: Params) -> Plain:
    name = params.text("name")
    params.done()
    target.graph.delete_ref(name)
    return None


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
        parents=None if parents is None else [target.commit_of(rev) for rev in parents],
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
    except RemoteError as error:
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
    "meta_set": _meta_set,
    "set_ref": _set_ref,
    "set_refs": _set_refs,
}
