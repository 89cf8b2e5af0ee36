"""What a tree and a search tell each other: other trees on the search, here and elsewhere, grow the same tree.

Commits of others are taken over below positions that this tree knows; the rest waits in the search until a descent
comes by, so nothing is computed for what nobody looks at. Counters are read as totals, whoever counted, so it makes no
difference in which order news comes, or how often. What was discarded is not chosen any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from crdtgraph.errors import LocalError, NotFoundError
from crdtgraph.graph import Graph
from crdtgraph.ids import CommitId
from crdtgraph.mcts.errors import ProblemMismatchError
from crdtgraph.mcts.growth import Growth
from crdtgraph.mcts.nodes import Edge, without
from crdtgraph.mcts.statistics import Statistics
from crdtgraph.reader import show_id

PROBLEM_KEY = "mcts/problem"
"""The register of a search that holds what problem it is about."""
LINE_KEY = "mcts/line"
"""The register with the end of the best line, by the root's visits: of all writers the one who knew most."""
GREATEST_KEY = "mcts/greatest"
"""The register with the greatest reward of a problem of one player, in fixed point, and the node it was found from."""
EARLIER_KEY = "mcts/earlier"
"""The register that is set once a tree of a search goes on from what earlier ones promoted: then all its trees do."""
META_PREFIX = "mcts/"
"""Begins the metadata that holds what was counted of a promoted commit; the search's name follows."""


class SharedGrowth(Growth):
    """A tree that takes part in its search."""

    graph: Graph
    has_company = False
    """Whether anybody else was heard of."""
    resumed = False
    """Whether what earlier searches promoted counts."""
    _watch = None

    def join(self, graph: Graph, *, resumed: bool) -> None:
        """Say which problem this is, and listen from now on. Raises ProblemMismatchError if the search has another.

        With `resumed` what earlier searches promoted counts from now on, for all trees of the search.
        """
        self.graph = graph
        self._far: dict[str, dict[CommitId, int]] = {}
        self._far_waiting: dict[CommitId, int] = {}
        self.check_problem()
        if self.search.earliest(PROBLEM_KEY) is None:
            self.search.assign(PROBLEM_KEY, self.referee.fingerprint)
        if resumed and not self.search.values(EARLIER_KEY):
            self.search.assign(EARLIER_KEY, self.search.name.encode())
        self.resumed = bool(self.search.values(EARLIER_KEY))
        self._watch = self.search.watch()

    def leave(self) -> None:
        """Listen no more."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def check_problem(self) -> None:
        """Raise ProblemMismatchError if somebody began to search for the solution of another problem before.

        Of two that could not know of each other the earlier goes on. Were both told, one mistake of somebody who comes
        late would end the search for all who work at it.
        """
        value = self.search.earliest(PROBLEM_KEY)
        if value is not None and value != self.referee.fingerprint:
            raise ProblemMismatchError(
                f"search {self.search.name!r} is about {value.decode(errors='replace'):.200}, "
                f"this problem is {self.referee.fingerprint.decode():.200}",
                hint="take another name for the search, or the problem that it was begun with; equal are format, "
                "players, range of rewards and identity",
            )

    def hear(self) -> None:
        """Take over what is new in the search. O(news)."""
        if self._watch is None:
            return
        # Each time, and before any news is taken: whoever goes on after the error is to hear it again.
        self.check_problem()
        news = self._watch.take()
        if not news:
            return
        by_commit = self.by_commit
        if news.counted or news.discarded:
            self.has_company = True
        if EARLIER_KEY in news.assigned and not self.resumed:
            self.resumed = True
            for known in dict.fromkeys(by_commit.values()):
                known.learn(self._totals(known))
        for commit in news.commits:
            if commit not in by_commit:
                self.has_company = True
                parents = self._parents(commit)
                edge = by_commit.get(parents[0]) if parents else None
                found = None if edge is None else self._adopt(edge, commit)
                if found is not None and found.child.is_known:
                    self.adopt_children(found, commit)
        for commit in news.counted:
            edge = by_commit.get(commit)
            if edge is not None:
                edge.learn(self._totals(edge))
        for commit in news.discarded:
            self._discarded(commit)
        root = self.root.commit
        if news.discarded and root is not None and not self._is_live(root):
            raise LocalError(
                f"the root of the tree, commit {show_id(root)}, was thrown away in search {self.search.name!r}",
                hint="somebody went on elsewhere: begin a tree at what is left, or in a search of another name",
            )

    def adopt_children(self, edge: Edge, commit: CommitId) -> None:
        """Take over what others made of a commit, in the search or, in earlier searches, in the ledger."""
        stack = [(edge, commit)]
        while stack:
            parent, commit = stack.pop()
            children = self._children(commit)
            if commit in self.graph:
                children += self.graph.children(commit)
            for child in children:
                found = self._adopt(parent, child) if child not in self.by_commit else None
                if found is not None and found.child.is_known:
                    stack.append((found, child))

    def follow(self, edge: Edge, path: Sequence[Edge]) -> Edge:
        """As in `Growth`. The commit may be there already: others made it after one that nobody here had come to.

        They may have thrown it away, too; then the edge is pruned, and leads nowhere that is known.
        """
        if edge.commit is None:
            before = len(self.search)
            commit = super().follow(edge, path).commit
            if commit is None or len(self.search) > before:
                return edge
            if self._is_live(commit):
                edge.learn(self._totals(edge))
                if edge.child.is_known:
                    self.adopt_children(edge, commit)
            elif any(map(self._is_live, self._parents(commit))):
                self._judge(edge)
        return edge

    def learn_root(self) -> None:
        """Take over what was counted of the root."""
        self.root.learn(self._totals(self.root))

    def offer(self, line: Sequence[Edge]) -> None:
        """Write the best line and the greatest reward into the search's registers, if nobody knows better."""
        end = line[-1].commit if line else None
        if end is not None:
            self.search.raise_to(LINE_KEY, self.root.visits, end)
        if self.greatest_at is not None:
            self.search.raise_to(GREATEST_KEY, self.greatest, self.greatest_at)

    def fly_far(self, source: str, flying: Mapping[CommitId, int]) -> None:
        """What somebody else has in flight now, by commit; replaces what they said before."""
        for commit, count in flying.items():
            if type(count) is not int or count < 0:
                raise LocalError(f"{count!r:.80} simulations are in flight at {commit!r:.40}", hint="count from 0 on")
        for change, mapping in ((-1, self._far.pop(source, {})), (1, flying)):
            for commit, count in mapping.items():
                edge = self.by_commit.get(commit)
                self._far_waiting[commit] = self._far_waiting.get(commit, 0) + change * count
                if not self._far_waiting[commit]:
                    del self._far_waiting[commit]
                if edge is not None:
                    edge.flying += change * count
                    edge.child.flying += change * count
        if flying:
            self._far[source] = dict(flying)

    # Inside

    def _adopt(self, parent: Edge, commit: CommitId) -> Edge | None:
        """Take over a commit that follows from an edge's, if it is an action there; else it is not ours."""
        position = parent.child
        if not position.is_known or not position.actions:
            return None
        try:
            text = self.search.get(commit).message
        except NotFoundError:
            return None
        edge = next((edge for edge in (*position.edges, *position.pruned) if edge.text == text), None)
        if edge is None:
            number = next((number for number in position.untried if position.text(number) == text), None)
            if number is None:
                return None
            edge = self.open_edge(position, number)
        self.add_way(edge, commit)
        return edge

    def add_way(self, edge: Edge, commit: CommitId) -> None:
        """A commit is of this edge, too. One that is live says that the action is not pruned after all."""
        if edge.commit is None:
            edge.commit = commit
        else:
            edge.others = (*edge.others, commit)
        self.note(commit, edge)
        if self._is_live(commit) and edge not in edge.home.pruned:
            edge.learn(self._totals(edge))
        else:
            self._judge(edge)

    def note(self, commit: CommitId, edge: Edge) -> None:
        """A commit is of this edge; what others have in flight there counts from now on."""
        self.by_commit[commit] = edge
        if commit in self._far_waiting:
            edge.flying += self._far_waiting[commit]
            edge.child.flying += self._far_waiting[commit]

    def _land(self, commit: CommitId, edge: Edge) -> None:
        """A commit is of this edge no more; what others have in flight there does not count any longer."""
        if commit in self._far_waiting:
            edge.flying -= self._far_waiting[commit]
            edge.child.flying -= self._far_waiting[commit]

    def sweep(self) -> None:
        """As in `Growth`. A position that stays may have been reached by a way that is forgotten."""
        before = self.by_commit
        super().sweep()
        for commit in self._far_waiting:
            if commit in before and commit not in self.by_commit:
                self._land(commit, before[commit])

    def _totals(self, edge: Edge) -> Statistics:
        total = Statistics()
        for commit in edge.commits:
            with suppress(NotFoundError):
                total = total.plus(Statistics.of(self.search.counters(commit)))
            if self.resumed and commit in self.graph:
                total = total.plus(self._earlier(commit))
        return total

    def _earlier(self, commit: CommitId) -> Statistics:
        """What other searches counted of a commit before they promoted it."""
        total, own = Statistics(), META_PREFIX + self.search.name
        for key, value in self.graph.meta(commit).items():
            if key.startswith(META_PREFIX) and key != own:
                total = total.plus(read_statistics(value))
        return total

    def throw_away(self, edge: Edge) -> None:
        """Discard what an edge leads to, for all writers, those commits that are not of the ledger."""
        roots = [commit for commit in edge.commits if commit in self.search]
        for commit in roots:
            self.search.discard(commit)
        for commit in roots:
            self._discarded(commit)

    def _discarded(self, root: CommitId) -> None:
        """A commit and all that follows from it is not live any more. O(what follows)."""
        touched: dict[Edge, None] = {}
        stack = [root]
        while stack:
            commit = stack.pop()
            edge = self.by_commit.get(commit)
            if edge is not None and edge is not self.root:
                touched[edge] = None
            stack += self._children(commit)
        for edge in touched:
            self._judge(edge)

    def _judge(self, edge: Edge) -> None:
        """Go on with the commits of an edge that are live. What that comes to depends on what is discarded alone.

        Without any it is pruned, and chosen no more, if one of them was thrown away itself, after a commit that is
        live. Else all went with what they followed from, on another way to this position than those that are left; it
        has another commit when it is followed again.
        """
        position = edge.home
        live = [commit for commit in edge.commits if self._is_live(commit)]
        if not live and any(self._is_live(parent) for commit in edge.commits for parent in self._parents(commit)):
            if edge in position.edges:
                position.edges = without(position.edges, edge)
                position.pruned += (edge,)
                edge.cut()
            edge.learn(self._totals(edge))
            return
        for commit in edge.commits:
            if commit not in live:
                del self.by_commit[commit]
                self._land(commit, edge)
        edge.commit, edge.others = (live[0], tuple(live[1:])) if live else (None, ())
        if edge in position.pruned:
            position.pruned = without(position.pruned, edge)
            position.edges += (edge,)
        edge.learn(self._totals(edge))

    # A search lets go of what was discarded below discarded commits; what is not there any more is not live.

    def _is_live(self, commit: CommitId) -> bool:
        try:
            return self.search.is_live(commit)
        except NotFoundError:
            return False

    def _children(self, commit: CommitId) -> tuple[CommitId, ...]:
        try:
            return self.search.children(commit)
        except NotFoundError:
            return ()

    def _parents(self, commit: CommitId) -> tuple[CommitId, ...]:
        try:
            return self.search.parents(commit) or (self.graph.parents(commit) if commit in self.graph else ())
        except NotFoundError:
            return ()


def write_statistics(statistics: Sequence[int]) -> bytes:
    """Statistics as the value of a commit's metadata."""
    return b" ".join(b"%d" % number for number in Statistics.of(statistics))


def read_statistics(value: bytes) -> Statistics:
    """The statistics of a commit's metadata; none for what is no such value."""
    try:
        numbers = [int(number) for number in value.split()]
    except ValueError:
        numbers = []
    return Statistics(*numbers) if len(numbers) == 3 else Statistics()
