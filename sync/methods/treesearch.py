"""Methods about trees that are searched in a node, or that it has heard of: the top of one, its best line kept."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING

import trio

from crdtgraph import CommitId, Durability, LocalError, NotFoundError, ReplicaId
from crdtgraph.refs import RefElsewhereError
from sync.methods.target import Handler, Target
from sync.params import Params
from sync.protocol.calls import Plain

if TYPE_CHECKING:
    from crdtgraph.mcts.inspecting import Inspection, SearchNode

NODES_MAX = 10_000
"""Of a tree in one answer: about 20 ms to find."""
DEPTH_MAX = 100
NODES_A_STEP = 512
"""Found before others get a turn, some 10 ms; the numbers of fewer are of one moment."""


def _mcts_tree(target: Target, params: Params) -> Awaitable[Plain]:
    name, at = params.text("search"), params.optional_text("at")
    depth, width = params.integer("depth", 2, 0, DEPTH_MAX), params.integer("width", 8, 1, NODES_MAX)
    params.done()
    tree = _inspection(target, name)

    async def work() -> Plain:
        start = tree.root() if at is None else tree.resolve(at)
        nodes: list[SearchNode] = []
        for node in tree.top(start, depth, width):
            if len(nodes) >= NODES_MAX:
                raise LocalError(f"the answer has more than {NODES_MAX} nodes", hint="ask for less depth or width")
            nodes.append(node)
            if len(nodes) % NODES_A_STEP == 0:
                await trio.lowlevel.checkpoint()
        writers: dict[CommitId, dict[ReplicaId, int]] = {}
        for found in tree.visits_by_writer({node.commit for node in nodes}):
            writers = found
            await trio.lowlevel.checkpoint()
        return {
            "search": name,
            "problem": tree.problem,
            "commits": len(tree),
            "nodes": [
                {
                    "commit": node.commit,
                    "depth": node.depth,
                    "action": node.action,
                    "visits": node.statistics.visits,
                    "mean": node.statistics.mean,
                    "deviation": node.statistics.deviation,
                    "children": node.children,
                    "writers": [
                        [replica, visits]
                        for replica, visits in sorted(
                            writers.get(node.commit, {}).items(), key=lambda entry: (-entry[1], entry[0])
                        )
                    ],
                }
                for node in nodes
            ],
        }

    return work()


def _mcts_promote(target: Target, params: Params) -> Awaitable[Plain]:
    name, rev, ref = params.text("search"), params.optional_text("commit"), params.optional_text("ref")
    force = params.flag("force")
    params.done()
    tree, node = _inspection(target, name), target.running()

    async def work() -> Plain:
        root = tree.root()
        if rev is None:
            line = tree.best_line(root)
            if not line:
                raise LocalError(f"nothing was tried yet in search {name!r}", hint="wait, or name a commit")
            commit = line[-1]
        else:
            commit = tree.resolve(rev)
        if ref is not None:
            # First, because a ref that cannot move ends it before anything is copied.
            _point(target, ref, commit, force=force)
        kept = tree.promote(commit)
        await node.flusher.durable()
        return {"commit": commit, "line": [*kept], "actions": [tree.action(each) for each in kept[1:]]}

    return work()


def _point(target: Target, ref: str, commit: CommitId, *, force: bool) -> None:
    try:
        target.graph.set_ref(ref, commit, force=force, durability=Durability.NORMAL)
    except RefElsewhereError as error:
        raise LocalError(
            f"{error.message}; nothing was promoted",
            hint="name another ref, or move this one all the same: --force of crdtgraph mcts promote (force=True)",
        ) from None


def _inspection(target: Target, name: str) -> Inspection:
    if target.node is None:
        raise NotFoundError(
            f"no search {name!r} is open in a store at rest", hint="ask the process that searches: --node PATH"
        )
    from crdtgraph.mcts.inspecting import Inspection

    return Inspection(target.graph, name)


TABLE: Mapping[str, Handler] = {
    "mcts_promote": _mcts_promote,
    "mcts_tree": _mcts_tree,
}
