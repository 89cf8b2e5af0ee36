"""Where a tree begins, what of it goes to the ledger, and how a later search goes on from there.

Promoted commits take what was counted of them along, as metadata: one register a search ("mcts/NAME"), whose value is
the three sums at the time. It is a register and not a counter of the ledger because two writers who promote the same
node would count it twice; of two values the later stands. A tree of a search that goes on from earlier ones adds to the
counters of its own what *other* searches left; that it does is a register of the search, so that all its trees count
alike. The root carries a mark with the problem's fingerprint ("mcts-root").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crdtgraph.errors import LocalError
from crdtgraph.graph import Graph
from crdtgraph.ids import CommitId
from crdtgraph.mcts.errors import ProblemMismatchError
from crdtgraph.mcts.growth import AUTHOR
from crdtgraph.mcts.lines import Best, Node, line, visited
from crdtgraph.mcts.nodes import Edge
from crdtgraph.mcts.sharing import META_PREFIX, SharedGrowth, write_statistics
from crdtgraph.reader import show_id
from crdtgraph.searches.search import Search

ROOT_MESSAGE = "mcts "
"""Begins the message of the commit that stands for the initial state; the problem's identity follows."""
ROOT_KEY = "mcts-root"
"""Metadata of a promoted root: the fingerprint of the problem."""


class Keeper:
    """The way between a tree and the ledger."""

    def __init__(self, graph: Graph, search: Search, growth: SharedGrowth) -> None:
        self._graph = graph
        self._search = search
        self._growth = growth

    # Where it begins

    def plant(self, root: CommitId | None) -> tuple[Any, ...]:
        """Begin at a commit, or at the one that stands for the initial state; returns the actions that lead there."""
        growth, referee = self._growth, self._growth.referee
        state = referee.initial()
        if root is None:
            root = self._search.commit(
                parents=(),
                message=ROOT_MESSAGE + referee.identity,
                changes=referee.changes(state),
                author=AUTHOR,
                time=0,
            )
        commit = self._search.get(root)
        actions: list[Any] = []
        mover = growth.first_mover(state)
        for text in self._texts_to(root):
            choices = referee.actions(state)
            texts = referee.texts(state, choices) if choices else []
            texts = list(map(str, choices)) if texts is None else texts
            if text not in texts:
                raise LocalError(
                    f"{text!r:.80}, the message of a commit that the root follows from, is no action there",
                    hint="begin at a commit that a tree of this problem has made, or one with another author than "
                    f"{AUTHOR!r}",
                )
            if referee.chances(state, choices) is None:
                mover = referee.player(state)
            actions.append(choices[texts.index(text)])
            state = referee.apply(state, actions[-1])
        growth.plant(root, commit.time, state, mover)
        growth.note(root, growth.root)
        growth.learn_root()
        growth.adopt_children(growth.root, root)
        return tuple(actions)

    def _texts_to(self, root: CommitId) -> list[str]:
        """The messages of what trees made down to a commit, from the first."""
        texts: list[str] = []
        commit = self._search.get(root)
        while commit.author == AUTHOR and commit.parents:
            texts.append(commit.message)
            commit = self._search.get(commit.parents[0])
        return texts[::-1]

    @staticmethod
    def root_of(graph: Graph, target: CommitId | str, fingerprint: bytes) -> CommitId:
        """The nearest promoted root at or above a commit."""
        commit = graph.resolve(target) if isinstance(target, str) else target
        start = commit
        while ROOT_KEY not in graph.meta(commit):
            parents = graph.parents(commit)
            if not parents:
                raise LocalError(
                    f"no search has promoted commit {show_id(start)}",
                    hint="resume from what SearchTree.promote returned, or from the ref it was given",
                )
            commit = parents[0]
        found = graph.meta(commit)[ROOT_KEY]
        if found != fingerprint:
            raise ProblemMismatchError(
                f"commit {show_id(start)} is of a search for {found.decode(errors='replace'):.200}, "
                f"this problem is {fingerprint.decode():.200}",
                hint="resume with the problem that it was found with",
            )
        return commit

    # Going on

    def find(self, actions: Sequence[Any]) -> Edge:
        """The edge that actions lead to from the root, which were all tried."""
        edge = self._growth.root
        for action in actions:
            position = edge.child
            found = [each for each in (*position.edges, *position.pruned) if each.action == action]
            if not found:
                raise LocalError(
                    f"the action {action!r:.80} was not tried there", hint=f"these were: {_texts(position.edges)}"
                )
            edge = found[0]
        return edge

    def advance(self, action: Any, *, discard: bool) -> None:
        """Begin at the child that an action leads to."""
        growth = self._growth
        root, position = growth.root, growth.root.child
        found = [edge for edge in (*position.edges, *position.pruned) if edge.action == action]
        if found:
            edge = found[0]
            if not edge.child.is_known:
                growth.enter([root], edge)
        else:
            numbers = [number for number in position.untried if position.actions[number] == action]
            if not numbers:
                raise LocalError(
                    f"{action!r:.80} is no action at the root",
                    hint="actions are " + (", ".join(map(str, position.actions[:20])) or "none: it is over"),
                )
            edge = growth.expand(position, [root], numbers[0])
        growth.follow(edge, [root])
        if not edge.child.is_known:
            growth.enter([root], edge)
        if edge.child.state is None:
            edge.child.state = growth.state([root, edge])
        if discard:
            for other in position.edges:
                if other is not edge:
                    growth.throw_away(other)
        growth.root = edge
        growth.sweep()

    # To the ledger

    def promote(self, target: CommitId | Sequence[Node] | None, *, ref: str | None, visits_min: int | None) -> CommitId:
        """Copy a node and those above it, and others, to the ledger with what was counted of them."""
        growth = self._growth
        if visits_min is not None and (type(visits_min) is not int or visits_min < 1):
            raise LocalError(f"visits_min is {visits_min!r:.80}", hint="it is a number of visits, at least 1")
        if isinstance(target, bytes):
            commit = target
        elif target is None:
            commit = self._commit_of([edge.action for edge in line(growth.root, Best.VISITS, growth.referee.ends)])
        elif (nodes := _nodes_of(target)) is not None:
            commit = self._commit_of([node.action for node in nodes])
        else:
            raise LocalError(
                f"{target!r:.80} is no node of the tree",
                hint="promote a commit id, such as node.commit, or a line of nodes, such as tree.best_line()",
            )
        # First, because a ref that cannot move ends it before anything else is copied.
        copied = self._search.promote(commit, ref=ref)
        also: list[CommitId] = []
        if visits_min is not None:
            also = [each for edge in visited(growth.root, visits_min) for each in edge.commits]
        copied += [each for one in also for each in self._search.promote(one)]
        growth.search.flush()
        kept = dict.fromkeys([*also, *copied, *self._above(commit)])
        for each in kept:
            self._keep(each)
        root = growth.root.commit
        assert root is not None, "the root has a commit"
        if self._graph.meta(root).get(ROOT_KEY) != growth.referee.fingerprint:
            self._graph.set_meta(ROOT_KEY, growth.referee.fingerprint, commit=root)
        return commit

    def _commit_of(self, actions: Sequence[Any]) -> CommitId:
        """The commit at the end of exactly these actions from the root; a transposition was reached by others."""
        growth = self._growth
        path = [growth.root]
        commit = growth.root.commit
        assert commit is not None, "the root has a commit"
        for number in range(len(actions)):
            edge = self.find(actions[: number + 1])
            path.append(edge)
            after = [each for each in edge.commits if self._search.get(each).parents[0] == commit]
            if after:
                commit = after[0]
                continue
            commit = self._search.commit(
                parents=(commit,),
                message=edge.text,
                changes=growth.referee.changes(growth.state(path)),
                author=AUTHOR,
                time=growth.time,
            )
            growth.add_way(edge, commit)
            if edge.child.is_known:
                growth.adopt_children(edge, commit)
        return commit

    def _above(self, commit: CommitId) -> list[CommitId]:
        """A promoted commit and what is above it up to the root, which all may have been counted since."""
        found = [commit]
        while found[-1] != self._growth.root.commit and (parents := self._graph.parents(found[-1])):
            found.append(parents[0])
        return found

    def _keep(self, commit: CommitId) -> None:
        counted = self._search.counters(commit)
        key = META_PREFIX + self._search.name
        if counted and self._graph.meta(commit).get(key) != (value := write_statistics(counted)):
            self._graph.set_meta(key, value, commit=commit)


def _texts(edges: Sequence[Edge]) -> str:
    return ", ".join([edge.text for edge in edges[:20]]) or "none"


def _nodes_of(given: object) -> list[Node] | None:
    """The nodes of a line; None for anything else."""
    if not isinstance(given, Sequence):
        return None
    nodes = [node for node in given if isinstance(node, Node)]
    return nodes if len(nodes) == len(given) else None
