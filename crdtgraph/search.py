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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from crdtgraph.durability import Durability
from crdtgraph.errors import LocalError
from crdtgraph.ids import CommitId
from crdtgraph.planes import Plane
from crdtgraph.records import NAME_BYTES_MAX, Commit, Value, check_name
from crdtgraph.segment import Records
from crdtgraph.signing import Identity
from crdtgraph.store import Batch, Keyspace

if TYPE_CHECKING:
    from crdtgraph.graph import Graph
    from crdtgraph.state import State

NAMESPACE = "search"
"""Of the assignments that remember closed searches; the key is the name."""
CLOSED = b"closed"
PREFIX = "search/"
"""How the names of search planes begin."""
SEARCHES_MAX = 256
"""Open at once in one graph; each has buffers and caches of its own."""
LARGE_SEARCH = 10_000
"""Commits beyond which the end of a search is worth the milliseconds that giving memory back to the system takes."""


class _Nowhere:
    """The store of a search: it takes everything and keeps nothing. What is read comes from the document in memory."""

    url = "search:"
    read_only = False

    def write(self, batch: Batch, *, sync: bool) -> None:
        pass

    def sync(self) -> None:
        pass

    def get(self, keyspace: Keyspace, key: bytes) -> bytes | None:
        return None

    def scan(self, keyspace: Keyspace, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        return iter(())

    def close(self) -> None:
        pass


class SearchPlane(Plane):
    """The plane of one search, above a ledger."""

    def __init__(self, name: str, identity: Identity, ledger: Plane) -> None:
        super().__init__(PREFIX + name, _Nowhere(), identity)
        self.ledger = ledger

    def knows_parent(self, parent: CommitId) -> bool:
        """Whether a commit can build on this one: it is here or in the ledger. O(1)."""
        return parent in self.projection.nodes or parent in self.ledger.projection.nodes

    def below(self, commits: Iterable[CommitId]) -> tuple[CommitId, ...]:
        """The commits of the ledger nearest to these, which are of the ledger or of the search. O(commits between)."""
        ledger = self.ledger.projection.nodes
        found: dict[CommitId, None] = {}
        for commit in commits:
            found.update(dict.fromkeys((commit,) if commit in ledger else self.missing(commit)[1]))
        return tuple(found)

    def has_parent(self, parent: CommitId) -> bool:
        """Whether a commit can build on this one; a commit of the ledger becomes a base. O(1)."""
        if parent in self.projection.nodes:
            return True
        node = self.ledger.projection.nodes.get(parent)
        if node is None:
            return False
        base = Records([parent], [self.ledger.commit(parent)], [0])
        self.projection.add_base(parent, self.ledger.projection.times[node], self.contents.start(base))
        return True

    def flush(self, *, sync: bool, ahead: Records | None = None) -> None:
        """Pack what is buffered into a segment of the document; there is no disk to wait for."""
        super().flush(sync=True, ahead=ahead)

    def missing(self, commit: CommitId) -> tuple[list[Commit], tuple[CommitId, ...]]:
        """The commit and its ancestors that the ledger lacks, parents first, and the ledger's commits below them."""
        ledger, projection = self.ledger.projection.nodes, self.projection
        found: set[int] = set()
        below: dict[CommitId, None] = {}
        stack = [projection.nodes[commit]]
        while stack:
            node = stack.pop()
            if projection.ids[node] in ledger:
                below[projection.ids[node]] = None
            elif node not in found:
                found.add(node)
                stack += projection.dag.parents(node)
        return [self.contents.get(projection.locations[node]) for node in sorted(found)], tuple(below)

    def drop(self) -> None:
        """Let go of everything now; references in circles would keep it until the garbage collector comes."""
        del (
            self.projection.refs,
            self.projection,
            self.beside,
            self.contents,
            self.outgoing,
            self.buffer,
            self.on_buffered,
        )


class Search:
    """An open search. A context manager that closes it at the end.

    What needs no search of its own is asked of the graph, with `plane=search.plane`. Methods raise LocalError once the
    search is closed.
    """

    def __init__(self, graph: Graph, name: str) -> None:
        self._graph = graph
        self.name = name

    @property
    def plane(self) -> str:
        """The name of its plane, for `graph.get(..., plane=search.plane)` and the like."""
        return PREFIX + self.name

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

    def count(self, commit: CommitId, vector: Iterable[int]) -> None:
        """Add a vector of signed 64-bit integers to the counters that a commit has in this search."""
        self._graph.count(commit, vector, plane=self._with(commit))

    def counters(self, commit: CommitId) -> tuple[int, ...]:
        """The totals counted for a commit in this search; empty when nothing was."""
        return self._graph.counters(commit, plane=self._with(commit))

    def discard(self, commit: CommitId) -> None:
        """Throw a commit and all that follows from it away: readable, no longer live. About 0.1 us a commit.

        Raises LocalError for a base, which the ledger holds.
        """
        self._graph.discard(commit, plane=self._with(commit))

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

    def _with(self, commit: CommitId) -> str:
        """The plane, with a commit of the ledger among its bases."""
        home = self._home()
        home.has_parent(commit)
        return home.name

    def _home(self) -> SearchPlane:
        try:
            return self._graph._searches[self.plane]
        except KeyError:
            raise LocalError(
                f"search {self.name!r} is closed",
                hint="what was promoted is in the ledger; open a search of another name",
            ) from None


def check_search_name(name: object) -> str:
    """A caller's name of a search; LocalError says what is wrong with it."""
    checked = check_name(name, "search")
    size = len(checked.encode())
    if size > NAME_BYTES_MAX - len(PREFIX):
        raise LocalError(
            f"search name {checked[:40]!r}... has {size} bytes", hint=f"at most {NAME_BYTES_MAX - len(PREFIX)} go"
        )
    return checked
