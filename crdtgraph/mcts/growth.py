"""How the tree grows: the way down to a leaf, what is made there, and what is said of it on the way back.

A descent follows the rule's choice from the root until it comes to a position that nobody has evaluated, or whose
rewards are certain. A position is on a path once: an edge that would lead back to one is left out of the choice for
that descent (cycles are cut there), so nothing is counted twice in one backpropagation.

An action becomes a commit of the search when it is first followed: its parent is the commit of the edge that led here,
author and time are the root's, the message is the action's text. So what two writers expand alike is one commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from math import sqrt
from operator import sub
from random import Random
from typing import Any

from crdtgraph.errors import NotFoundError
from crdtgraph.ids import CommitId
from crdtgraph.mcts.nodes import Edge, Key, Position, without
from crdtgraph.mcts.proving import prove
from crdtgraph.mcts.referee import CHANCE, Fixed, Referee
from crdtgraph.mcts.rules import Chooser
from crdtgraph.mcts.statistics import UNIT
from crdtgraph.mcts.widening import Widening
from crdtgraph.searches.search import Search

AUTHOR = "mcts"
"""Of all commits of a tree."""
NODES_MAX = 500_000
"""Commits that a tree keeps in memory by default: some 1 GB for a small game, with the plane's part."""
STATES_MAX = 200_000
"""States that are kept; those of the other nodes are made again when they are needed."""


class Growth:
    """The tree in memory, and its commits in the search."""

    def __init__(
        self,
        search: Search,
        referee: Referee,
        chooser: Chooser,
        rng: Random,
        *,
        widening: Widening | None,
        solve: bool,
        nodes_max: int,
    ) -> None:
        self.search = search
        self.referee = referee
        self.chooser = chooser
        self.rng = rng
        self.nodes_max = nodes_max
        self.by_commit: dict[CommitId, Edge] = {}
        self.by_key: dict[Key, Position] = {}
        self.dirty: list[Edge] = []
        self.time = 0
        self.thinks = False
        """Whether evaluations of this problem come with priors: then others' nodes are evaluated here, too."""
        self.greatest = referee.loss - 1
        """Of a problem of one player: the greatest reward that a simulation of this tree had, and from where."""
        self.greatest_at: CommitId | None = None
        self._widening = widening
        self._solve = solve
        self._mark = 0
        self._states = 0

    def first_mover(self, state: Any) -> int:
        """Nobody moved into the initial state: its value is seen by whoever moves last in a round.

        So is that of what follows by chance alone, wherever a tree begins.
        """
        actions = self.referee.actions(state)
        decides = bool(actions) and self.referee.chances(state, actions) is None
        return ((self.referee.player(state) if decides else 0) - 1) % self.referee.players

    def plant(self, commit: CommitId, time: int, state: Any, mover: int) -> None:
        """Begin at a commit of the search or the ledger, with the state there and who moved into it."""
        self.time = time
        edge = Edge(Position(mover), None, "", Position(mover))
        edge.commit = commit
        edge.child = self.reach(state, edge.child)
        self.root = edge
        self.by_commit[commit] = edge

    def descend(self) -> list[Edge]:
        """The edges from the root to the position that is to be evaluated next; makes it if it is new.

        Raises ProblemError when the problem fails on the way; then nothing has changed that matters.
        """
        mark = self.new_mark()
        path = [self.root]
        position = self.root.child
        position.mark = mark
        fast, thinks = self.chooser.fast, self.thinks
        while position.proven is None and (position.visits or position.flying):
            if thinks and position.wants_priors:
                break
            if fast is not None and not position.untried and not position.flying and position.edges:
                # `_next` would come to the same; most steps end here.
                edge = fast.pick(position, position.edges)
                child = edge.child
                if edge.commit is not None and child.is_known and child.mark != mark and position.chances is None:
                    path.append(edge)
                    position = child
                    position.mark = mark
                    continue
            following = self._next(position, path)
            if following is None:
                break
            path.append(following)
            position = following.child
            position.mark = mark
        return path

    def settle(self, path: list[Edge], rewards: Fixed) -> None:
        """Count one simulation that ended with these rewards at every edge of a path, each seen by its mover."""
        squares = [reward * reward // UNIT for reward in rewards]
        dirty = self.dirty
        for edge in path:
            child = edge.child
            mover = child.mover
            reward = rewards[mover]
            edge.visits += 1
            edge.value += reward
            edge.squared += squares[mover]
            child.visits += 1
            child.value += reward
            if child.proven is None:
                child.mean = child.value / child.visits
                edge.spread = 1 / sqrt(edge.visits)
            else:
                edge.spread = 0.0
            if not edge.is_dirty:
                edge.is_dirty = True
                dirty.append(edge)
        if reward > self.greatest and len(rewards) == 1:
            self.greatest, self.greatest_at = reward, edge.commit
        if self._solve and child.proven is not None:
            prove(path, self.referee)

    def fly(self, path: list[Edge], change: int) -> None:
        """A simulation along a path began (1) or ended (-1)."""
        for edge in path:
            edge.flying += change
            edge.child.flying += change

    def flush(self) -> None:
        """Count in the search what was not counted there yet."""
        dirty, count = self.dirty, self.search.count
        while dirty:
            edge = dirty[-1]
            new = (edge.visits, edge.value, edge.squared)
            if new == edge.counted:
                pass
            elif edge.commit is None:
                # It lost its commit to a discard further up meanwhile, and with it goes what was seen on that way.
                edge.take_back()
            else:
                # A discarded commit may have been let go of, and what is counted of it is of no interest.
                with suppress(NotFoundError):
                    count(edge.commit, map(sub, new, edge.counted))
                edge.counted = new
            edge.is_dirty = False
            dirty.pop()

    def state(self, path: Sequence[Edge]) -> Any:
        """The state at the end of a path, made again from the nearest one that is kept."""
        position = path[-1].child
        if position.state is not None:
            return position.state
        start = len(path) - 1
        while path[start].child.state is None:
            start -= 1
        state = path[start].child.state
        for edge in path[start + 1 :]:
            state = self.referee.apply(state, edge.action)
        return state

    def think(self, position: Position, priors: list[float] | None) -> None:
        """Take over priors that an evaluation gave, if it gave any."""
        position.was_evaluated = True
        if priors is None or position.priors is not None or not position.actions:
            return
        self.thinks = True
        self._use_priors(position, priors)
        for edge in position.edges:
            edge.prior = position.prior(list(position.actions).index(edge.action))

    # Positions

    def reach(self, state: Any, fresh: Position) -> Position:
        """The position of a state: one that is known by its key, or `fresh`, which learns what there is to know."""
        referee = self.referee
        key: Key | None = None
        if referee.key is not None:
            key = (fresh.mover, referee.position(state))
            found = self.by_key.get(key)
            if found is not None:
                return found
        actions = referee.actions(state)
        if not actions:
            fresh.prove(referee.read(referee.evaluate(state, self.rng), actions)[0])
        else:
            texts = referee.texts(state, actions)
            chances = referee.chances(state, actions)
            player = CHANCE if chances is not None else referee.player(state)
            priors = None if chances is not None else referee.priors(state, actions)
            fresh.player, fresh.texts, fresh.chances, fresh.actions = player, texts, chances, tuple(actions)
            fresh.untried = range(len(actions))
            if priors is not None:
                self._use_priors(fresh, priors)
        if self._states < STATES_MAX or not self.by_commit:
            self._states += 1
            fresh.state = state
        fresh.is_known = True
        if key is not None:
            fresh.key = key
            self.by_key[key] = fresh
        return fresh

    def enter(self, path: Sequence[Edge], edge: Edge) -> None:
        """Find out which position an edge leads to that follows the path; what others added there is added here."""
        state = self.referee.apply(self.state(path), edge.action)
        edge.lead_to(self.reach(state, edge.child))
        for commit in edge.commits:
            self.adopt_children(edge, commit)

    def enter_all(self) -> None:
        """Find out where all edges lead. O(tree), one call of `apply` for each that nobody here came along."""
        entered = True
        while entered:
            # What is found on one way to a position may add edges to it after it was looked at on another way.
            entered = False
            mark = self.new_mark()
            stack = [[self.root]]
            while stack:
                path = stack.pop()
                position = path[-1].child
                if position.mark == mark:
                    continue
                position.mark = mark
                for edge in position.edges:
                    if not edge.child.is_known:
                        self.enter(path, edge)
                        entered = True
                    stack.append([*path, edge])

    def adopt_children(self, edge: Edge, commit: CommitId) -> None:
        """Add what others made of a commit; `sharing` knows how."""

    def note(self, commit: CommitId, edge: Edge) -> None:
        """A commit is of this edge."""
        self.by_commit[commit] = edge

    def open_edge(self, position: Position, number: int) -> Edge:
        """Take an action of a position from those that nobody tried: an edge whose other end is not known yet."""
        mover = position.player if position.player != CHANCE else position.mover
        edge = Edge(position, position.actions[number], position.text(number), Position(mover), position.prior(number))
        untried = position.open()
        if untried[-1] == number:
            untried.pop()
        else:
            untried.remove(number)
        position.edges += (edge,)
        return edge

    def new_mark(self) -> int:
        """A number that no position is marked with yet."""
        self._mark += 1
        return self._mark

    def sweep(self) -> None:
        """Forget what cannot be reached from the root any more. O(what stays)."""
        by_commit: dict[CommitId, Edge] = {}
        by_key: dict[Key, Position] = {}
        mark = self.new_mark()
        self._states = 0
        stack = [self.root]
        while stack:
            edge = stack.pop()
            by_commit.update(dict.fromkeys(edge.commits, edge))
            position = edge.child
            if position.mark == mark:
                continue
            position.mark = mark
            self._states += position.state is not None
            if position.key is not None:
                by_key[position.key] = position
            stack += position.edges
            stack += position.pruned
        self.by_commit, self.by_key = by_commit, by_key

    # The way down

    def _next(self, position: Position, path: list[Edge]) -> Edge | None:
        if position.chances is not None:
            return self._draw(position, path)
        edges = position.edges
        if not edges and not position.untried and position.pruned:
            # All were thrown away, by several writers who each kept another one. They are compared further, and
            # nothing grows below them.
            return self.chooser.choose(position, position.pruned, may_expand=False)
        mark = position.mark
        while True:
            expands = bool(position.untried) and len(self.by_commit) < self.nodes_max
            if expands and self._widening is not None:
                expands = self._widening.allows(len(position.edges), position.visits + position.flying)
            if not edges and not expands:
                return None
            edge = self.chooser.choose(position, edges, may_expand=expands)
            if edge is None:
                edge = self.expand(position, path, self._pick(position))
            elif not edge.child.is_known:
                self.enter(path, edge)
            if edge.child.mark != mark and self.follow(edge, path).child.is_known:
                return edge
            # It leads back to where this descent came through, or was thrown away by others.
            edges = without(edges, edge)

    def _draw(self, position: Position, path: list[Edge]) -> Edge | None:
        assert position.chances is not None
        number = self.rng.choices(range(len(position.actions)), position.chances)[0]
        text = position.text(number)
        for edge in (*position.edges, *position.pruned):
            if edge.text == text:
                if edge in position.pruned:
                    return edge
                if not edge.child.is_known:
                    self.enter(path, edge)
                break
        else:
            if len(self.by_commit) >= self.nodes_max:
                return None
            edge = self.expand(position, path, number)
        return self.follow(edge, path) if edge.child.mark != position.mark else None

    def _pick(self, position: Position) -> int:
        untried = position.open()
        if position.priors is not None:
            return untried[-1]
        # At random, so that no order of the problem's favours some; it is the last one, too, for a rule to see.
        last = int(self.rng.random() * len(untried))
        untried[last], untried[-1] = untried[-1], untried[last]
        return untried[-1]

    def expand(self, position: Position, path: list[Edge], number: int) -> Edge:
        """Try an action for the first time. Nothing has changed when the problem fails."""
        mover = position.player if position.player != CHANCE else position.mover
        state = self.referee.apply(self.state(path), position.actions[number])
        child = self.reach(state, Position(mover))
        edge = self.open_edge(position, number)
        edge.lead_to(child)
        return edge

    def follow(self, edge: Edge, path: Sequence[Edge]) -> Edge:
        """Make the commit of an edge at the end of a path, if it has none."""
        if edge.commit is None:
            parent = path[-1].commit
            assert parent is not None, "every edge of a path has a commit"
            changes = self.referee.changes(self.state([*path, edge]))
            commit = self.search.commit(
                parents=(parent,), message=edge.text, changes=changes, author=AUTHOR, time=self.time
            )
            edge.commit = commit
            self.note(commit, edge)
        return edge

    def _use_priors(self, position: Position, priors: list[float]) -> None:
        position.priors = priors
        # Shuffled first: among equals none is favoured by the problem's order. The best comes last.
        untried = position.open()
        self.rng.shuffle(untried)
        untried.sort(key=priors.__getitem__)
