"""The repository that a graph is exported to: a new one, or that of an earlier export.

Whose export it is stands in its configuration, as `crdtgraph.cluster`, from before anything is written to it: so an
export that was stopped is known as one, and nothing else is ever written over.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import pygit2

from crdtgraph.errors import LocalError
from crdtgraph.gitbridge.history import LEDGER_REF, OBJECT_ERRORS, GitHistory, GitObjectError, GitOid
from crdtgraph.gitbridge.identity import ExportedCommit, exported_commit
from crdtgraph.gitbridge.ledger import ledger_tree, refs_written
from crdtgraph.gitbridge.names import HEADS

CLUSTER_KEY = "crdtgraph.cluster"
REFS_PACKED_MIN = 100
"""From so many new refs on they are put into one file."""

_PARENT = re.compile(rb"^parent ([0-9a-f]{40})$", re.MULTILINE)


class GitTargetError(LocalError):
    """A place that nothing can be exported to, because something else is there."""


class GitTarget:
    """An open repository of exports."""

    def __init__(self, repository: pygit2.Repository, path: str) -> None:
        self.repository = repository
        self.path = path
        self.ledger = ledger_tree(repository)

    @classmethod
    def open(cls, path: str | os.PathLike[str], cluster: str) -> GitTarget:
        """Open the repository of an earlier export of this cluster, or make one in an empty place.

        Raises GitTargetError if anything else is there.
        """
        text, folder = os.fspath(path), Path(path)
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            repository = pygit2.init_repository(text, bare=True, initial_head="main")
        else:
            repository = _existing(text)
        owner = _cluster(repository)
        if owner is None:
            if not repository.head_is_unborn or any(repository.references.iterator()):
                raise _refused(text, "is a git repository that no export of a graph made")
            repository.config[CLUSTER_KEY] = cluster
        elif owner != cluster:
            raise _refused(text, f"is the export of another cluster, {owner!r}")
        return cls(repository, text)

    def commits(self) -> Iterator[tuple[GitOid, ExportedCommit | None]]:
        """Every commit that a ref of the repository reaches, with what its header says."""
        database = self.repository.odb
        waiting = list(self.tips())
        seen = set(waiting)
        while waiting:
            oid = waiting.pop()
            try:
                _, data = database.read(pygit2.Oid(raw=oid))
            except OBJECT_ERRORS as failure:
                raise GitObjectError(f"commit {oid.hex()} in {self.path} cannot be read: {failure}") from None
            yield oid, exported_commit(data)
            for parent in _PARENT.findall(data, 0, data.index(b"\n\n")):
                found = bytes.fromhex(parent.decode())
                if found not in seen:
                    seen.add(found)
                    waiting.append(found)

    def tips(self) -> dict[GitOid, str]:
        """The commits that refs lead to, each with the name of one of those."""
        history = GitHistory(self.repository, self.path)
        refs = sorted(self.repository.references.iterator(), key=lambda each: bytes(each.raw_name), reverse=True)
        found = {history.peeled(each): str(each.name) for each in refs}
        return {oid: name for oid, name in found.items() if oid is not None}

    def set_refs(self, refs: Mapping[str, GitOid], head: GitOid | None) -> int:
        """Point the refs of the export at these commits, remove those of the last one that are none any more.

        `head` is for a HEAD without any branch. Returns how many were changed. Refs that no export wrote stay.
        """
        references = self.repository.references
        stale = sorted(refs_written(self.ledger).keys() - refs.keys())
        gone = [name for name in stale if name in references]
        for name in gone:
            references.delete(name)
        moved = 0
        for name, oid in sorted(refs.items()):
            if name not in references or references[name].target != pygit2.Oid(raw=oid):
                self._set(name, oid)
                moved += 1
        if moved >= REFS_PACKED_MIN:
            self.repository.compress_references()
        self._set_head(refs, head)
        return len(gone) + moved

    def set_ledger(self, tree: GitOid) -> None:
        """Let this tree be the ledger."""
        self._set(LEDGER_REF, tree)

    def _set(self, name: str, oid: GitOid) -> None:
        try:
            self.repository.references.create(name, pygit2.Oid(raw=oid), force=True)
        except OBJECT_ERRORS as failure:
            raise GitTargetError(f"ref {name} of {self.path} cannot be written: {failure}") from None

    def _set_head(self, refs: Mapping[str, GitOid], head: GitOid | None) -> None:
        """HEAD is a branch of the export: the one it is, `main`, `master`, or the first."""
        branches = sorted(name for name in refs if name.startswith(HEADS))
        if not branches and head is not None:
            self.repository.set_head(pygit2.Oid(raw=head))
            return
        present = self.repository.references["HEAD"].target
        if branches and present not in branches:
            usual = [name for name in (f"{HEADS}main", f"{HEADS}master") if name in branches]
            self.repository.set_head(next(iter([*usual, *branches])))


def _existing(path: str) -> pygit2.Repository:
    try:
        repository = pygit2.Repository(path, pygit2.enums.RepositoryOpenFlag.NO_SEARCH)
    except OBJECT_ERRORS:
        raise _refused(path, "holds something else than a git repository") from None
    if not repository.is_bare:
        raise _refused(path, "is a working copy, whose files nobody would change with its branches")
    return repository


def _cluster(repository: pygit2.Repository) -> str | None:
    return cast(str, repository.config[CLUSTER_KEY]) if CLUSTER_KEY in repository.config else None


def _refused(path: str, what: str) -> GitTargetError:
    return GitTargetError(
        f"{path} {what}",
        hint="name a new folder; work on a clone of it: git clone DIR, and `import git` brings it back",
    )
