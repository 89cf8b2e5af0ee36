"""A graph as a git repository: every visible commit, every ref, and the segments beside them.

A git commit follows from a commit and its ancestors alone, so two replicas make the same ones, and what is exported
once is never made again. Everything is written before any ref moves, and the ledger's ref last: whatever stops an
export, the repository stays one that git finds in order, and the next run goes on.

| in the graph | in git |
| --- | --- |
| commit | the same parents, author, time and message (`identity.py`), and the state as tree (`trees.py`) |
| ref `NAME`, `tags/NAME` | `refs/heads/NAME`, `refs/tags/NAME`, escaped where git refuses them (`names.py`) |
| other targets of a ref in conflict | `refs/conflicts/2/NAME`, `refs/conflicts/3/NAME`, ... |
| commit without children and ref | `refs/crdtgraph/heads/ID` |
| all segments | `refs/crdtgraph/ledger` (`ledger.py`) |

Nothing that was added to the repository is lost: a commit there that the graph does not have is an error, and importing
it the remedy.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import pygit2

from crdtgraph.gitbridge.history import GitOid
from crdtgraph.gitbridge.identity import commit_object
from crdtgraph.gitbridge.importer import ORIGIN_PREFIX
from crdtgraph.gitbridge.ledger import write_ledger
from crdtgraph.gitbridge.names import git_refs, ref_names
from crdtgraph.gitbridge.packs import PackWriter, object_id
from crdtgraph.gitbridge.repository import GitTarget, GitTargetError
from crdtgraph.gitbridge.trees import StateTree
from crdtgraph.graph import Graph
from crdtgraph.ids import CommitId
from crdtgraph.reader import Reader

CHUNK_COMMITS = 1_000
CONFLICTS = "refs/conflicts/"
HEADS_WITHOUT_REF = "refs/crdtgraph/heads/"

Progress = Callable[[int, int], object]
"""Called with the commits that are done and those that there are to make."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export did: commits written and found there already, refs changed, and git objects written in all."""

    commits_written: int
    commits_known: int
    refs_changed: int
    objects_written: int


def export_git(
    graph: Graph,
    path: str | os.PathLike[str],
    *,
    reader: Reader | None = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Export a graph to a bare git repository; run it again to add what is new.

    Args:
        graph: what to export; it is flushed if it is open for writing.
        path: an absent or empty folder, an empty bare repository, or that of an earlier export of this cluster.
        reader: a view of the graph to export instead, such as the graph as of an earlier time; without the segments.
        progress: called between chunks of commits; it may raise to stop.

    Raises GitTargetError if anything else is at that place, or commits that the graph lacks. Cost: about 150 us a new
    commit and one read of every commit that was exported before; memory for 64 MiB of objects, and ids and folders.
    """
    if not graph.read_only:
        graph.flush()
    try:
        return _export(graph, GitTarget.open(path, graph.cluster), reader, progress)
    except pygit2.GitError as failure:
        raise GitTargetError(f"{os.fspath(path)} cannot be written: {failure}") from None


def _export(graph: Graph, target: GitTarget, reader: Reader | None, progress: Progress | None) -> ExportReport:
    export = _Export(graph if reader is None else reader, target)
    export.find_known()
    known = len(export.oids)
    written = export.write_commits(progress)
    refs = export.refs()
    ledger = None
    if reader is None:
        ledger = write_ledger(graph, refs, target.ledger, export.objects.write)
    export.objects.flush()
    changed = target.set_refs(refs, export.newest())
    if ledger is not None:
        target.set_ledger(ledger)
    return ExportReport(written, known, changed, export.objects.written)


class _Export:
    """`oids` has the git commit of every commit that was written or found."""

    def __init__(self, reader: Reader, target: GitTarget) -> None:
        self.reader = reader
        self.target = target
        self.objects = PackWriter(target.repository)
        self.oids: dict[CommitId, GitOid] = {}
        self._made_by_git: set[CommitId] = set()
        self._states: dict[CommitId, StateTree] = {}

    def find_known(self) -> None:
        """Read which commits are there; GitTargetError if the graph lacks one of them."""
        origins: Mapping[str, CommitId] | None = None
        for oid, exported in self.target.commits():
            if exported is not None and exported.id in self.reader:
                self.oids[exported.id] = oid
                continue
            if origins is None:
                origins = self.reader.origins()
            # What was committed in git and imported since is a commit of the graph, and stays what it is here.
            imported = origins.get(ORIGIN_PREFIX + oid.hex())
            if imported is None:
                tips = self.target.tips()
                raise GitTargetError(
                    f"{self.target.path} holds git commit {oid.hex()}"
                    + (f" at {tips[oid]}" if oid in tips else "")
                    + ", which the graph does not have",
                    hint=f"bring it in first: crdtgraph import git {self.target.path}",
                )
            self.oids[imported] = oid
            self._made_by_git.add(imported)

    def write_commits(self, progress: Progress | None) -> int:
        """Make the git commits of all others, parents first; how many they were."""
        reader = self.reader
        new = [commit for commit in map(reader.id_of, range(len(reader))) if commit not in self.oids]
        waiting = Counter(parents[0] for parents in map(reader.parents, new) if parents)
        remaining = iter(new)
        done = 0
        while chunk := list(islice(remaining, CHUNK_COMMITS)):
            if progress is not None:
                progress(done, len(new))
            self._write_chunk(chunk, waiting)
            done += len(chunk)
        if progress is not None:
            progress(done, len(new))
        return done

    def refs(self) -> dict[str, GitOid]:
        """Every ref of the export with the git commit that it points at."""
        refs = self.reader.refs
        found: dict[str, CommitId] = {name: refs[ours].targets[0] for ours, name in git_refs(list(refs)).items()}
        rank = 2
        while conflicted := {name: ref.targets[rank - 1] for name, ref in refs.items() if len(ref.targets) >= rank}:
            names = ref_names(conflicted)
            found |= {f"{CONFLICTS}{rank}/{names[name]}": target for name, target in conflicted.items()}
            rank += 1
        named = {target for ref in refs.values() for target in ref.targets}
        found |= {HEADS_WITHOUT_REF + head.hex(): head for head in self.reader.heads() if head not in named}
        return {name: self.oids[commit] for name, commit in found.items()}

    def newest(self) -> GitOid | None:
        """The commit that comes first in a log."""
        return next((self.oids[commit] for commit in self.reader.newest_first()), None)

    def _write_chunk(self, chunk: Sequence[CommitId], waiting: Counter[CommitId]) -> None:
        write = self.objects.write
        for commit_id, commit in zip(chunk, self.reader.get_many(chunk), strict=True):
            before = StateTree.empty()
            if commit.parents:
                before = self._state(commit.parents[0])
                waiting[commit.parents[0]] -= 1
                if not waiting[commit.parents[0]]:
                    # Nobody builds on that state any more.
                    del self._states[commit.parents[0]]
            state = before.changed(commit.changes, write) if commit.changes else before
            if waiting[commit_id]:
                self._states[commit_id] = state
            parents = [self.oids[parent] for parent in commit.parents]
            self.oids[commit_id] = write(b"commit", commit_object(commit_id, commit, state.oid(write), parents))

    def _state(self, commit: CommitId) -> StateTree:
        """The state at a commit; one that was exported before is made again, and not written."""
        state = self._states.get(commit)
        if state is None:
            content = self.reader.state(commit).items()
            if commit in self._made_by_git:
                # The repository may have another tree for it than its state would give: what follows is written whole.
                state = StateTree.empty().changed(content, self.objects.write)
            else:
                state = StateTree.empty().changed(content, object_id)
                state.oid(object_id)
            self._states[commit] = state
        return state
