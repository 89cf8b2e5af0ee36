"""An exported repository, imported: the commits of the graph come back as what they were, and so does the ledger.

A git commit with a header whose seal fits (`identity.py`) is not a commit of git but one of a graph, and is made again
from it, with its own id; the hash says that it is the same. One that a git tool altered after the export has a header
that does not fit any more: it is a commit of git like any other, and the report names it. The segments in the ledger
are received as from a peer, if it is of the same cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from crdtgraph.gitbridge.history import GitHistory, GitOid, GitRef
from crdtgraph.gitbridge.identity import HEADER, ExportedCommit, exported_commit, restore
from crdtgraph.gitbridge.ledger import read_ledger
from crdtgraph.gitbridge.names import graph_ref
from crdtgraph.ids import CommitId
from crdtgraph.records import Commit

if TYPE_CHECKING:
    from crdtgraph.graph import Graph

_TAG_PREFIX = "tags/"


class LedgerTarget(Protocol):
    """What takes the ledger of an exported repository."""

    def cluster(self) -> str:
        """The cluster that the graph belongs to."""
        ...

    def unite(self, source: Graph) -> int:
        """Take all that `source` holds, durably; under how many keys there was less."""
        ...


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """What became of the ledger of an exported repository.

    `segments_received` were new. If it is of another `cluster` none is received, and only the history imported.
    """

    cluster: str
    is_ours: bool
    segments_received: int
    digest: bytes


class ExportedHistory:
    """What an export left in a git repository; of most repositories nothing."""

    def __init__(self, history: GitHistory) -> None:
        self._history = history
        self._settled: Mapping[str, tuple[CommitId, ...]] = {}
        self.altered: list[GitOid] = []
        """Commits with a header that does not fit, in the order in which they were made."""

    def receive_ledger(self, target: LedgerTarget) -> LedgerReport | None:
        """Give the segments of the repository's ledger to the target; None if it has no ledger."""
        source = read_ledger(self._history.repository, self._history.path)
        if source is None:
            return None
        with source:
            is_ours = source.cluster == target.cluster()
            received = target.unite(source) if is_ours else 0
            if is_ours:
                self._settled = {name: ref.targets for name, ref in source.refs.items()}
            return LedgerReport(source.cluster, is_ours, received, source.digest())

    def commit(self, oid: GitOid) -> ExportedCommit | None:
        """What an export said of a git commit, unless it was altered since."""
        data = self._history.commit(oid).read_raw()
        return exported_commit(data) if _has_header(data) else None

    def draft(self, oid: GitOid, ids: Mapping[GitOid, CommitId]) -> Commit | None:
        """The commit of the graph that a git commit was made of; None if it is one of git. `ids` has its parents."""
        commit = self._history.commit(oid)
        data = commit.read_raw()
        if not _has_header(data):
            return None
        exported = exported_commit(data)
        if exported is None:
            self.altered.append(oid)
            return None
        return restore(exported, [ids[parent.raw] for parent in commit.parent_ids], self._history.file_content)

    def refs(self, named: Sequence[GitRef], ids: Mapping[GitOid, CommitId]) -> list[GitRef]:
        """The refs under the names that they have in the graph, without those that are still where the ledger says.

        What the ledger says of those is all there is to say: who moved them, and which targets a ref in conflict has.
        """
        found = []
        for ref in named:
            name = self._name(ref)
            if ids[ref.oid] not in self._settled.get(name, ()):
                found.append(GitRef(name, ref.oid))
        return found

    def _name(self, ref: GitRef) -> str:
        if self.commit(ref.oid) is None:
            return ref.name
        prefix = _TAG_PREFIX if ref.name.startswith(_TAG_PREFIX) else ""
        return prefix + graph_ref(ref.name.removeprefix(prefix))


def _has_header(data: bytes) -> bool:
    return data.find(b"\n" + HEADER + b" ", 0, data.find(b"\n\n") + 1) >= 0
