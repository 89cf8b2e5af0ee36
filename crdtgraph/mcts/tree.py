"""`SearchTree`: Monte Carlo tree search in a search of the graph, alone or with any number of others.

    with crdtgraph.open(url) as graph:
        tree = SearchTree(graph, Nim(), name="move 12", seed=7)
        tree.run(Budget(iterations=10_000))
        tree.promote(ref="best")

Inside it is ask and tell: `ask` selects leaves and marks them as in flight, whoever likes evaluates them, `tell` takes
the answers back up the tree. `run` does all three. Trees of other processes on a search of the same name grow the same
tree; what they find is taken over every few iterations, and nobody waits for anybody.

With one writer, equal seeds make equal commits: no clock and no randomness comes in but by arguments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from crdtgraph.errors import LocalError
from crdtgraph.graph import Graph
from crdtgraph.ids import CommitId
from crdtgraph.mcts.keeping import Keeper
from crdtgraph.mcts.lines import Best, Node, line, ordered, top, view
from crdtgraph.mcts.referee import Referee
from crdtgraph.mcts.running import Runner
from crdtgraph.mcts.sharing import GREATEST_KEY
from crdtgraph.mcts.statistics import UNIT, Statistics


class SearchTree(Runner):
    """A search tree of one problem. A context manager that counts what is left to count at the end.

    Args:
        search: an open search, or a graph, of which the search `name` is opened or joined. A search may have several
            trees, in one process or in many.
        problem: see `Problem`. Trees of one search must have the same.
        name: of the search, when a graph is given.
        root: a commit of the search or the ledger where the tree begins, by default one that stands for the problem's
            initial state. When it, or what it follows from, was made by a tree, its actions are applied first.
        rule: how to select: `UCT()` (the default), `PUCT()` or one of your own.
        rng: the source of all that is random, or `seed` for a new one; by default the seed is 0.
        in_flight: how simulations that are under way count in the selection.
        widening: progressive widening, by default none.
        solve: take over what is proven by the ends of lines that were seen (MCTS solver).
        nodes_max: so many commits in memory at most; beyond, hopeless subtrees are discarded, and if all have hope, no
            new nodes are made.
        resumed: count what earlier searches promoted of the same commits, too, as `resume` does; by default everything
            begins with nothing. What one tree of a search says holds for all of them.

    Raises ProblemError and ProblemMismatchError for a problem that cannot be searched here, LocalError for what else is
    wrong.
    """

    @classmethod
    def resume(cls, graph: Graph, target: CommitId | str, problem: Any, *, name: str, **options: Any) -> SearchTree:
        """Go on from what an earlier search promoted, in a new search.

        Args:
            graph: whose ledger has it.
            target: a promoted commit, or a ref or another name of one.
            problem: the same as before.
            name: of the new search; that of one that was closed cannot be used again.
            options: as for a new tree.

        The tree begins at the root that the earlier one had, and its promoted nodes begin with what was counted of
        them, in all trees of the new search. Raises LocalError when nothing was promoted there, ProblemMismatchError
        when it is about another problem.
        """
        root = Keeper.root_of(graph, target, Referee(problem).fingerprint)
        return cls(graph, problem, name=name, root=root, resumed=True, **options)

    # What was found

    @property
    def root(self) -> CommitId:
        """The commit at the root."""
        commit = self._growth.root.commit
        assert commit is not None, "the root has a commit"
        return commit

    @property
    def actions(self) -> tuple[Any, ...]:
        """The actions from the problem's initial state to the root."""
        return self._actions

    def best_action(self, best: Best = Best.VISITS) -> Any:
        """What to do at the root. Raises LocalError while nothing was tried there."""
        edges = ordered(self._growth.root.child, best, self._referee.ends)
        if not edges:
            raise LocalError("nothing was tried at the root yet", hint="run the tree first")
        return edges[0].action

    def best_line(self, best: Best = Best.VISITS) -> list[Node]:
        """What is likely to happen from the root on: the best child, the best after it, and so on.

        It ends where nothing was tried, where chance moves, and where it would come back to itself.
        """
        edges = line(self._growth.root, best, self._referee.ends)
        return [view(edge, depth) for depth, edge in enumerate(edges, 1)]

    def children(self, line: Sequence[Any] = ()) -> list[Node]:
        """What was tried at the root, or after these actions, the best first. Raises LocalError where nobody was."""
        edge = self._keeper.find(line)
        return [view(child, len(line) + 1) for child in ordered(edge.child, Best.VISITS, self._referee.ends)]

    def top(self, depth: int = 2, visits_min: int = 1) -> Iterator[Node]:
        """The root and what is below it, to a depth, each node after its parent, the best first."""
        for edge, level in top(self._growth.root, depth, visits_min, self._referee.ends):
            yield view(edge, level)

    def greatest(self) -> tuple[float, CommitId] | None:
        """The greatest reward that any writer's simulation had, and the node that it began from.

        Of problems of one player, whose best is what is looked for, and not the mean; None before the end of a run and
        for other problems.
        """
        found = self.search.greatest(GREATEST_KEY)
        return None if found is None else (found.number / UNIT, CommitId(found.payload))

    def statistics(self, commit: CommitId) -> Statistics:
        """What this tree knows to be counted of the position that a commit leads to; nothing of one it never saw.

        Transpositions are added up, what is not flushed yet is in it, squares are those of this way alone.
        """
        edge = self._growth.by_commit.get(commit)
        return Statistics() if edge is None else Statistics(edge.child.visits, edge.child.value, edge.squared)

    # Keeping and throwing away

    def promote(
        self,
        target: CommitId | Sequence[Node] | None = None,
        *,
        ref: str | None = None,
        visits_min: int | None = None,
    ) -> CommitId:
        """Copy a node with all above it to the ledger, together with what was counted of them; returns its commit.

        Args:
            target: a commit of the tree, or a line of nodes; by default the best line.
            ref: point this ref at it; LocalError if it cannot move there.
            visits_min: also copy every node below the root with at least so many visits, for `resume` to go on with.
        """
        self.flush()
        return self._keeper.promote(target, ref=ref, visits_min=visits_min)

    def advance(self, action: Any, *, discard: bool = False) -> None:
        """An action was taken: the node it leads to is the root from now on, and the rest of the tree is forgotten.

        With `discard` the rest is thrown away for all writers, too. Raises LocalError for what is no action at the
        root.
        """
        self.flush()
        self._keeper.advance(action, discard=discard)
        self._actions = (*self._actions, self._growth.root.action)
