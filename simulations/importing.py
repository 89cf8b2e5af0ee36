"""A git import on one machine of a world: a made-up repository, brought in batch by batch, and taken up again.

The importer's own promise is used to cut it into steps: an import that stops between two batches goes on behind the
last whole one. So faults strike between batches, and a process that died in one imports the rest when it is back.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence

import pygit2
import trio

from crdtgraph.errors import StoreError
from crdtgraph.gitbridge import GraphTarget, RefMove, import_git
from crdtgraph.gitbridge.history import GitOid
from crdtgraph.gitbridge.packs import PackWriter
from crdtgraph.ids import CommitId
from crdtgraph.records import Commit
from simulations.workload import Workload

RETRY_S = 1.0
"""After the disk refused."""
FIRST_TIME_S = 1_600_000_000
BRANCHES = 3
MERGES = 0.1
"""The share of commits that join two branches."""


class _BatchDoneError(Exception):
    """Raised in the importer's progress callback, where it may be."""


class GitImport:
    """One import. `run` does what is left of it, in whatever process; `close` removes the repository."""

    def __init__(self, commits: int, batch_every_s: float, rng: random.Random) -> None:
        self.is_done = False
        self._batch_every_s = batch_every_s
        self._folder = tempfile.TemporaryDirectory(prefix="crdtgraph-simulation-")
        make_repository(self._folder.name, commits, rng)

    async def run(self, workload: Workload) -> None:
        """Import batch after batch until all is there."""
        while not self.is_done:
            try:
                workload.attempt("import", lambda: self._import_batch(workload), is_one_step=False)
            except StoreError:
                await trio.sleep(RETRY_S)
            else:
                await trio.sleep(self._batch_every_s)

    def close(self) -> None:
        """Remove the repository."""
        self._folder.cleanup()

    def _import_batch(self, workload: Workload) -> str:
        def stop_after_one(done: int, total: int) -> None:
            if 0 < done < total:
                raise _BatchDoneError

        try:
            report = import_git(self._folder.name, _Noted(workload), progress=stop_after_one)
        except _BatchDoneError:
            return "a batch"
        self.is_done = True
        return f"the last {report.commits_added} and {len(report.refs)} refs"


class _Noted(GraphTarget):
    """Notes what is made, as the workload does for its own operations."""

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload.graph)
        self._workload = workload

    def commit_many(self, commits: Sequence[Commit]) -> Sequence[CommitId]:
        """See `ImportTarget`."""
        return self._workload.add_all(commits)

    def set_refs(self, moves: Sequence[RefMove]) -> None:
        """See `ImportTarget`."""
        for move in moves:
            if self.graph.refs.targets(move.name) != (move.target,):
                self._workload.note(("assign", f"ref {move.name}", move.target))
        super().set_refs(moves)


def make_repository(folder: str, commits: int, rng: random.Random) -> None:
    """A bare git repository of so many commits on a few branches, with merges and tags; the same for the same dice.

    The objects are written as one pack: a file for each would take 2 ms a commit.
    """
    repository = pygit2.init_repository(folder, bare=True)
    objects = PackWriter(repository)
    tree = objects.write(b"tree", b"")
    tips: list[GitOid] = []
    for number in range(commits):
        who = f"author {rng.randrange(5)} <author@example.org> {FIRST_TIME_S + 60 * number} +0000"
        branch = rng.randrange(BRANCHES)
        parents = [tips[branch % len(tips)]] if tips else []
        if len(tips) > 1 and rng.random() < MERGES:
            parents.append(tips[(branch + 1) % len(tips)])
        lines = [f"tree {tree.hex()}", *(f"parent {parent.hex()}" for parent in dict.fromkeys(parents))]
        lines += [f"author {who}", f"committer {who}", "", f"imported {number}"]
        commit = objects.write(b"commit", "\n".join(lines).encode())
        if branch < len(tips):
            tips[branch] = commit
        else:
            tips.append(commit)
    objects.flush()
    for number, tip in enumerate(tips):
        name = f"refs/heads/{'main' if not number else f'imported-{number}'}"
        repository.references.create(name, pygit2.Oid(raw=tip))
    repository.references.create("refs/tags/v1", pygit2.Oid(raw=tips[0]))
