"""Methods for workers that have no replica: many writes or questions in one request, in a search or in the ledger.

A batch is checked whole before anything of it is written, and an error names the item by its place. Work goes on in
steps of about a millisecond, with everybody else served in between: gossip, other clients, and batches of theirs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

import trio

from crdtgraph import LEDGER, CommitId, Durability, Graph, LocalError, Search, WriteKind
from crdtgraph.bulk import BATCH_ITEMS_MAX, Draft, commit_batch, count_batch, discard_batch, promote_steps
from crdtgraph.ids import COMMIT_ID_BYTES
from crdtgraph.searches.plane import PREFIX
from sync.callers import WORKERS_VERSION
from sync.methods.target import Handler, Target
from sync.methods.writing import durability_of, grouped, once_durable
from sync.params import Params
from sync.plain import commit_to_plain, value_from_plain, value_to_plain
from sync.protocol.calls import Plain

if TYPE_CHECKING:
    from crdtgraph.steps import Stepwise

_Result = TypeVar("_Result")
READ_STEP_ITEMS = 32
"""Answered in one step: unpacking a segment for one of them takes 0.3 ms at worst."""
DRAFT_FIELDS = 5


def _hello(target: Target, params: Params) -> Plain:
    version, name = params.integer("version", 0, 0, 1 << 31), params.text("name", "")
    params.done()
    if target.caller is not None:
        target.caller.greet(name, version)
    graph = target.graph
    return {
        "version": WORKERS_VERSION,
        "replica": graph.replica_id,
        "cluster": graph.cluster,
        "author": graph.author,
    }


def _search_open(target: Target, params: Params) -> Plain:
    graph, name = _greeted(target), params.text("name")
    params.done()
    return graph.search(name).plane


def _search_close(target: Target, params: Params) -> Plain:
    graph, name = _greeted(target), params.text("name")
    params.done()
    if PREFIX + name in graph._searches:
        graph.close_search(name)
    return None


def _commit_batch(target: Target, params: Params) -> Awaitable[Plain]:
    graph, plane = _plane(target, params)
    drafts = _drafts(params)
    chosen = durability_of(params)
    params.done()
    durability, node = chosen, None
    if plane == LEDGER:
        durability, node = grouped(target, WriteKind.COMMIT, chosen)
    elif chosen is Durability.CRITICAL:
        durability, node = Durability.NORMAL, target.node

    async def work() -> Plain:
        made = b"".join(await _in_steps(commit_batch(graph, drafts, plane=plane, durability=durability)))
        return made if node is None else await once_durable(node, made)

    return work()


def _count_batch(target: Target, params: Params) -> Awaitable[Plain]:
    graph, plane = _plane(target, params)
    commits, vectors = _ids(params), params.entries("vectors", BATCH_ITEMS_MAX)
    params.done()
    if len(commits) != len(vectors):
        raise LocalError(f"count_batch: {len(commits)} commits and {len(vectors)} vectors", hint="one for each commit")
    for place, vector in enumerate(vectors):
        if not isinstance(vector, list):
            raise LocalError(f"count_batch: item {place}: {vector!r:.60} is no list of integers")
    pairs = zip(commits, cast("list[Sequence[int]]", vectors), strict=True)
    return _in_steps(count_batch(graph, pairs, plane=plane))


def _discard_batch(target: Target, params: Params) -> Awaitable[Plain]:
    graph, plane = _plane(target, params)
    commits = _ids(params)
    params.done()
    return _in_steps(discard_batch(graph, commits, plane=plane))


def _promote(target: Target, params: Params) -> Awaitable[Plain]:
    graph, plane = _plane(target, params)
    (commit,), ref = _ids(params, "commit", 1, 1), params.optional_text("ref")
    params.done()
    durability, node = grouped(target, WriteKind.PROMOTE, None, *([] if ref is None else [ref]))

    async def work() -> Plain:
        steps = promote_steps(graph, commit, plane=plane, ref=ref, durability=durability)
        copied = b"".join(await _in_steps(steps))
        return copied if node is None else await once_durable(node, copied)

    return work()


def _search_assign(target: Target, params: Params) -> Plain:
    search, key, value = _search(target, params), params.text("key"), params.optional_blob("value")
    params.done()
    search.assign(key, value)
    return None


def _search_values(target: Target, params: Params) -> Plain:
    search, key = _search(target, params), params.text("key")
    params.done()
    return list(search.values(key))


def _get_batch(target: Target, params: Params) -> Awaitable[Plain]:
    return _reading(
        target, params, lambda graph, commit, plane: commit_to_plain(commit, graph.get(commit, plane=plane))
    )


def _children_batch(target: Target, params: Params) -> Awaitable[Plain]:
    return _reading(target, params, lambda graph, commit, plane: b"".join(graph.children(commit, plane=plane)))


def _counters_batch(target: Target, params: Params) -> Awaitable[Plain]:
    return _reading(target, params, lambda graph, commit, plane: list(graph.counters(commit, plane=plane)))


def _live_batch(target: Target, params: Params) -> Awaitable[Plain]:
    return _reading(target, params, lambda graph, commit, plane: graph.is_live(commit, plane=plane))


def _state_batch(target: Target, params: Params) -> Awaitable[Plain]:
    def state(graph: Graph, commit: CommitId, plane: str) -> Plain:
        return {path: value_to_plain(value) for path, value in graph.state(commit, plane=plane).items()}

    return _reading(target, params, state)


def _reading(target: Target, params: Params, read: Callable[[Graph, CommitId, str], Plain]) -> Awaitable[Plain]:
    """A question about each of many commits, answered in their order."""
    graph, plane = _plane(target, params)
    commits = _ids(params)
    params.done()

    async def work() -> Plain:
        found: list[Plain] = []
        for place, commit in enumerate(commits):
            if place and place % READ_STEP_ITEMS == 0:
                await trio.lowlevel.checkpoint()
            try:
                home = graph._open_plane(plane)
                if plane != LEDGER and home is not None:
                    graph._searches[plane].has_parent(commit)
                found.append(read(graph, commit, plane))
            except LocalError as error:
                raise type(error)(f"item {place}: {error.message}", error.hint) from None
        return found

    return work()


async def _in_steps(steps: Stepwise[_Result]) -> _Result:
    try:
        while True:
            try:
                next(steps)
            except StopIteration as done:
                result: _Result = done.value
                return result
            # Shielded: a node that stops does not leave half of a batch behind.
            await trio.lowlevel.cancel_shielded_checkpoint()
    finally:
        steps.close()


def _greeted(target: Target) -> Graph:
    if target.caller is not None:
        target.caller.require_greeting()
    return target.graph


def _plane(target: Target, params: Params) -> tuple[Graph, str]:
    graph, plane = _greeted(target), params.text("plane", LEDGER)
    graph._plane(plane)  # Raises when there is none.
    return graph, plane


def _search(target: Target, params: Params) -> Search:
    graph, plane = _plane(target, params)
    if plane == LEDGER:
        raise LocalError(f"{params.method} is about a search", hint="name its plane; search_open answers with it")
    return Search(graph, plane.removeprefix(PREFIX))


def _ids(params: Params, name: str = "commits", count_min: int = 0, count_max: int = BATCH_ITEMS_MAX) -> list[CommitId]:
    """Ids as one byte string, one after the other. A batch may be empty: a leaf has no children to ask about."""
    data = params.blob(name)
    count, rest = divmod(len(data), COMMIT_ID_BYTES)
    if rest or not count_min <= count <= count_max:
        raise LocalError(
            f"{params.method}: parameter {name!r} has {len(data)} bytes",
            hint=f"ids of {COMMIT_ID_BYTES} bytes, one after the other; at most {count_max} of them",
        )
    return [CommitId(data[start : start + COMMIT_ID_BYTES]) for start in range(0, len(data), COMMIT_ID_BYTES)]


def _drafts(params: Params) -> Iterable[Draft]:
    """Drafts as rows of parents, message, changes, author, time; their contents are checked by whoever makes them."""
    rows = params.entries("commits", BATCH_ITEMS_MAX)
    for place, row in enumerate(rows):
        if type(row) is not list or len(row) != DRAFT_FIELDS:
            raise LocalError(
                f"{params.method}: item {place} is {row!r:.60}", hint="a row of parents, message, changes, author, time"
            )
        changes = row[2]
        if changes is None:
            continue
        if type(changes) is not dict:
            raise LocalError(f"{params.method}: item {place} has changes {changes!r:.60}", hint="{path: value} or nil")
        for value in changes.values():
            if type(value) is list:
                row[2] = _values(params, place, changes)
                break
    return cast("list[Draft]", rows)


def _values(params: Params, place: int, changes: Mapping[str, Plain]) -> Plain:
    try:
        return cast("Plain", {path: value_from_plain(value) for path, value in changes.items()})
    except LocalError as error:
        raise LocalError(f"{params.method}: item {place}: {error.message}", error.hint) from None


TABLE: Mapping[str, Handler] = {
    "children_batch": _children_batch,
    "commit_batch": _commit_batch,
    "count_batch": _count_batch,
    "counters_batch": _counters_batch,
    "discard_batch": _discard_batch,
    "get_batch": _get_batch,
    "hello": _hello,
    "live_batch": _live_batch,
    "search_assign": _search_assign,
    "search_close": _search_close,
    "search_open": _search_open,
    "search_promote": _promote,
    "search_values": _search_values,
    "state_batch": _state_batch,
}
