"""A graph in this process as the place that `import_git` writes to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from crdtgraph.gitbridge.importer import RefMove
from crdtgraph.ids import CommitId
from crdtgraph.records import Commit
from crdtgraph.union import unite

if TYPE_CHECKING:
    from crdtgraph.graph import Graph


class GraphTarget:
    """An `ImportTarget` over an open `Graph`, which stays the caller's to close."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def cluster(self) -> str:
        """See `LedgerTarget`."""
        return self.graph.cluster

    def unite(self, source: Graph) -> int:
        """See `LedgerTarget`."""
        return unite(source, self.graph)

    def known_commits(self, commits: Sequence[CommitId]) -> Collection[CommitId]:
        """See `ImportTarget`."""
        return {commit for commit in commits if commit in self.graph}

    def known_origins(self, origins: Sequence[str]) -> Mapping[str, CommitId]:
        """See `ImportTarget`. The first call reads the contents of all commits, later ones only new ones."""
        known = self.graph.origins()
        return {origin: known[origin] for origin in origins if origin in known}

    def origins_of(self, commits: Sequence[CommitId]) -> Sequence[str]:
        """See `ImportTarget`."""
        return [commit.origin for commit in self.graph.get_many(commits)]

    def commit_many(self, commits: Sequence[Commit]) -> Sequence[CommitId]:
        """See `ImportTarget`."""
        return self.graph.commit_many(commits)

    def ref_targets(self) -> Mapping[str, tuple[CommitId, ...]]:
        """See `ImportTarget`."""
        return {name: ref.targets for name, ref in self.graph.refs.items()}

    def is_ancestor(self, ancestor: CommitId, descendant: CommitId) -> bool:
        """See `ImportTarget`."""
        return self.graph.is_ancestor(ancestor, descendant)

    def set_refs(self, moves: Sequence[RefMove]) -> None:
        """See `ImportTarget`."""
        for keep in (False, True):
            targets = {move.name: move.target for move in moves if move.keep_others == keep}
            self.graph.set_refs(targets, force=not keep, keep_others=keep)

    def flush(self) -> None:
        """See `ImportTarget`."""
        self.graph.flush()
