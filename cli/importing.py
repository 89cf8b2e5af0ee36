"""A graph behind a `Backend`, as the place that `import_git` writes to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from cli.answers import ids_of, list_of, of, refs_of, table_of
from cli.context import Backend
from cli.delivering import cluster_of, deliver
from crdtgraph import Graph
from crdtgraph.gitbridge import RefMove
from crdtgraph.ids import CommitId
from crdtgraph.records import Commit
from sync.protocol.calls import Plain


class BackendTarget:
    """An `ImportTarget` that asks the methods of a node; see there for what each does."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def cluster(self) -> str:
        """See `LedgerTarget`."""
        return cluster_of(self._backend)

    def unite(self, source: Graph) -> int:
        """See `LedgerTarget`."""
        return deliver(source, self._backend)

    def known_commits(self, commits: Sequence[CommitId]) -> Collection[CommitId]:
        """See `ImportTarget`."""
        return set(ids_of(self._backend.call("known_commits", commits=list(commits))))

    def known_origins(self, origins: Sequence[str]) -> Mapping[str, CommitId]:
        """See `ImportTarget`."""
        known = table_of(self._backend.call("known_origins", origins=list(origins)))
        return {origin: CommitId(of(bytes, commit)) for origin, commit in known.items()}

    def origins_of(self, commits: Sequence[CommitId]) -> Sequence[str]:
        """See `ImportTarget`."""
        return [of(str, each) for each in list_of(self._backend.call("origins_of", commits=list(commits)))]

    def commit_many(self, commits: Sequence[Commit]) -> Sequence[CommitId]:
        """See `ImportTarget`."""
        return ids_of(self._backend.call("commit_many", commits=[each.canonical() for each in commits]))

    def ref_targets(self) -> Mapping[str, tuple[CommitId, ...]]:
        """See `ImportTarget`."""
        return {ref.name: ref.targets for ref in refs_of(self._backend.call("refs"))}

    def is_ancestor(self, ancestor: CommitId, descendant: CommitId) -> bool:
        """See `ImportTarget`."""
        return of(bool, self._backend.call("is_ancestor", ancestor=ancestor, descendant=descendant))

    def set_refs(self, moves: Sequence[RefMove]) -> None:
        """See `ImportTarget`."""
        for keep in (False, True):
            targets: dict[str, Plain] = {move.name: move.target for move in moves if move.keep_others == keep}
            self._backend.call("set_refs", targets=targets, force=not keep, keep_others=keep)

    def flush(self) -> None:
        """See `ImportTarget`."""
        self._backend.call("flush")
