"""A search: a plane for commits most of which are thrown away, and that is thrown away itself at the end.

    with graph.search("move 12") as search:
        child = search.commit(parents=[node], changes={"board": board})
        search.count(child, [1, reward])
        search.discard(loser)
        search.promote(best, ref="main")

What is said in a search is speculative: it is folded like everything else and read at once, and it goes to no disk. It
waits in a buffer of at most 256 records, and the call that finds it full packs it into a segment, which takes a ninth
of the memory; nothing is ever dropped on the way. The first commits of a search build on commits of the ledger, its
*bases*. Dropping one entry at a time would leave traces in the document for ever; a plane dropped whole leaves nothing.
The ledger keeps one small assignment (namespace "search") of each search that was closed, so that no name is used
twice and whoever comes late with such a search knows that it is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from crdtgraph.bulk import Draft, commit_batch
from crdtgraph.durability import Durability
from crdtgraph.errors import LocalError
from crdtgraph.ids import CommitId
from crdtgraph.records import Commit, Count, Discard, Value, check_name, check_vector
from crdtgraph.searches.plane import PREFIX, SearchPlane
from crdtgraph.searches.registers import (
    GREATEST_NAMESPACE,
    VALUE_NAMESPACE,
    Greatest,
    check_value,
    earliest,
    greatest,
    offer,
    values,
)
from crdtgraph.searches.watching import Watch
from crdtgraph.steps import run

if TYPE_CHECKING:
    from crdtgraph.graph import Graph
    from crdtgraph.state import State


class Search:
    """An open search. A context manager that closes it at the end.

    What needs no search of its own is asked of the graph, with `plane=search.plane`. Methods raise LocalError once the
    search is closed.
    """

    def __init__(self, graph: Graph, name: str) -> None:
        self._graph = graph
        self.name = name
        self.plane = PREFIX + name
        """The name of its plane, for `graph.get(..., plane=search.plane)` and the like."""

    @property
    def is_open(self) -> bool:
        """Whether it has not been closed yet."""
        return self.plane in self._graph._searches

    def __enter__(self) -> Search:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __contains__(self, commit: object) -> bool:
        projection = self._home().projection
        node = projection.nodes.get(commit) if isinstance(commit, bytes) else None  # type: ignore[call-overload]
        return node is not None and node not in projection.bases

    def __len__(self) -> int:
        """How many commits it holds, discarded ones among them; bases are not counted."""
        projection = self._home().projection
        return len(projection) - len(projection.bases)

    def live_count(self) -> int:
        """How many of its commits are live. O(commits), at the speed of memory."""
        return self._home().projection.live_count()

    def commit(
        self,
        *,
        parents: Iterable[CommitId],
        message: str = "",
        changes: Mapping[str, Value] | None = None,
        ref: str | None = None,
        author: str | None = None,
        time: int | None = None,
        durability: Durability | None = None,
    ) -> CommitId:
        """Add a commit to the search and return its id; about 8 us. Parents may be of the search or of the ledger.

        One whose durability is chosen to be NORMAL or CRITICAL, or that moves a ref, is promoted in the same call.
        Other arguments and errors as for `Graph.commit`.
        """
        return self._graph.commit(
            parents=parents,
            message=message,
            changes=changes,
            ref=ref,
            author=author,
            time=time,
            durability=durability,
            plane=self._home().name,
        )

    def commit_many(self, drafts: Iterable[Draft], *, durability: Durability | None = None) -> list[CommitId]:
        """Add a batch of commits, all of them or none, and return their ids in order; about 8 us each.

        A draft may name earlier ones of the batch as parents, by their place. Raises what `commit` raises, with the
        place of the draft.
        """
        return run(commit_batch(self._graph, drafts, plane=self._home().name, durability=durability))

    def count(self, commit: CommitId, vector: Iterable[int]) -> None:
        """Add a vector of signed 64-bit integers to the counters that a commit has in this search; about 2 us.

        Counts of one commit between two flushes are added up in one record, so a commit that is counted a thousand
        times a second costs what ten of them cost.
        """
        home = self._home()
        if commit not in home.projection.nodes:
            home.has_parent(commit)
            self._graph._node(home, commit)
        stamp = self._graph._clock.tick()
        home.add_count(Count(commit, check_vector(vector), stamp))
        if home.watches:
            home.note_counted(commit, self)

    def counters(self, commit: CommitId) -> tuple[int, ...]:
        """The totals counted for a commit in this search; empty when nothing was."""
        return self._graph.counters(commit, plane=self._with(commit))

    def discard(self, commit: CommitId) -> None:
        """Throw a commit and all that follows from it away: readable, no longer live. About 0.1 us a commit.

        Raises LocalError for a base, which the ledger holds.
        """
        home = self._home()
        if commit not in home.projection.nodes:
            home.has_parent(commit)
        if self._graph._is_new_discard(home, commit):
            stamp = self._graph._clock.tick()
            home.add(Discard(commit, stamp))

    def is_live(self, commit: CommitId) -> bool:
        """Whether neither the commit nor an ancestor in the search was discarded."""
        return self._graph.is_live(commit, plane=self._with(commit))

    def get(self, commit: CommitId) -> Commit:
        """The content of a commit of the search, or of a base."""
        return self._graph.get(commit, plane=self._with(commit))

    def state(self, commit: CommitId) -> State:
        """Path -> value at a commit of the search, which goes on from the ledger's; see `Graph.state`."""
        return self._graph.state(commit, plane=self._with(commit))

    def parents(self, commit: CommitId) -> tuple[CommitId, ...]:
        """Parents in order; none for a base, whose parents are the ledger's to tell."""
        return self._graph.parents(commit, plane=self._with(commit))

    def children(self, commit: CommitId) -> tuple[CommitId, ...]:
        """Children within the search, ordered by id."""
        return self._graph.children(commit, plane=self._with(commit))

    def heads(self) -> Sequence[CommitId]:
        """Commits without children in the search, ordered by id."""
        return self._graph.heads(plane=self._home().name)

    def assign(self, key: str, value: bytes | None) -> None:
        """Set a register of the search to a value, None to remove it; replaces the values that are known here.

        Values that were assigned at the same time elsewhere stay beside it. Raises LocalError for a name or a value
        that is wrong; a value has at most 64 KiB.
        """
        home = self._home()
        check_name(key, "register")
        self._assign(home, VALUE_NAMESPACE, key, None if value is None else check_value(value, "value"))

    def values(self, key: str) -> tuple[bytes, ...]:
        """All concurrent values of a register, the latest first; empty when there is none. Equal on all replicas."""
        return values(self._home().projection.registers, key)

    def earliest(self, key: str) -> bytes | None:
        """Of all concurrent values of a register the one that was assigned first, by its writer's clock; None if none.

        For what is said once, where whoever comes later is to give way. Equal on all replicas.
        """
        return earliest(self._home().projection.registers, key)

    def raise_to(self, key: str, number: int, payload: bytes = b"") -> Greatest:
        """Offer a number, and what belongs to it, to a register that keeps the greatest; returns what it holds then.

        Of equal numbers the greater payload stays, so all replicas read the same. Something like the best value so far
        with the line that led to it. `number` is a signed 64-bit integer; an offer that is not greater writes nothing.
        """
        home = self._home()
        check_name(key, "register")
        offered = offer(number, payload)
        found = greatest(home.projection.registers, key)
        if found is not None and found >= (number, payload):
            return found
        self._assign(home, GREATEST_NAMESPACE, key, offered)
        return Greatest(number, payload)

    def greatest(self, key: str) -> Greatest | None:
        """The greatest number that anybody offered with `raise_to`, and its payload; None when nobody did."""
        return greatest(self._home().projection.registers, key)

    def watch(self) -> Watch:
        """Look at what comes in from others from now on; see `crdtgraph.searches.watching`."""
        home = self._home()
        watch = Watch(home, self)
        home.watches.append(watch)
        return watch

    def flush(self) -> None:
        """Pack what is buffered and give it to peers now; they need not wait for the next time that it is done."""
        self._home().flush(sync=True)

    def promote(
        self, commit: CommitId, *, ref: str | None = None, durability: Durability | None = None
    ) -> list[CommitId]:
        """Copy a commit and its missing ancestors to the ledger; see `Graph.promote`."""
        return self._graph.promote(commit, plane=self._home().name, ref=ref, durability=durability)

    def close(self) -> None:
        """Drop the search whole, and remember in the ledger that it is over. Closing again does nothing.

        What was promoted stays. O(1) and what it takes to give the memory back.
        """
        if self.is_open:
            self._graph.close_search(self.name)

    def _assign(self, home: SearchPlane, namespace: str, key: str, value: bytes | None) -> None:
        dots = {assign.dot for assign in home.projection.registers.live(namespace, key)}
        assign = self._graph._assign(namespace, key, value, tuple(sorted(dots)))
        home.add(assign)
        home.note_assigned(key, self)

    def _with(self, commit: CommitId) -> str:
        """The plane, with a commit of the ledger among its bases."""
        home = self._home()
        home.has_parent(commit)
        return home.name

    def _home(self) -> SearchPlane:
        try:
            return self._graph._searches[self.plane]
        except KeyError:
            if self._graph.is_closed_search(self.name):
                hint = "what was promoted is in the ledger; open a search of another name"
            else:
                hint = "nothing was said in it; open it again with graph.search"
            raise LocalError(f"search {self.name!r} is closed", hint=hint) from None
