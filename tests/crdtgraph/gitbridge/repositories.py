"""Repositories that the git command made, and a graph that is a dictionary, for imports."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import crdtgraph
from crdtgraph.gitbridge import ImportReport, RefAction, RefMove
from crdtgraph.ids import CommitId
from crdtgraph.records import RECORD_BYTES_MAX, Commit, Value

SECONDS = 1_700_000_000


class GitRepository:
    """A repository on disk, driven by the git command with nothing of the user's configuration."""

    def __init__(self, path: Path, *init_options: str) -> None:
        self.path = path
        self.time = SECONDS
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main", *init_options)

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Ann Author",
            "GIT_AUTHOR_EMAIL": "ann@example.invalid",
            "GIT_AUTHOR_DATE": f"{self.time} +0200",
            "GIT_COMMITTER_NAME": "Carl Committer",
            "GIT_COMMITTER_EMAIL": "carl@example.invalid",
            "GIT_COMMITTER_DATE": f"{self.time + 5} +0000",
        }
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=environment, input=stdin, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode(errors="surrogateescape").strip()

    def commit(self, message: str, files: Mapping[str, bytes | None] | None = None) -> str:
        """Commit all that is in the working copy after writing (or with None removing) `files`."""
        for name, content in (files or {}).items():
            place = self.path / name
            if content is None:
                place.unlink()
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
        self.time += 60
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--file=-", stdin=message.encode())
        return self.head()

    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def write_commit(self, *parents: str, header: bytes = b"", message: bytes = b"made by hand\n") -> str:
        """A commit object whose bytes we choose, with the empty tree."""
        tree = self.git("hash-object", "-t", "tree", "-w", "--stdin")
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
        lines += [f"author A <a@b> {SECONDS} +0000", f"committer A <a@b> {SECONDS} +0000"]
        raw = "\n".join(lines).encode() + b"\n" + header + b"\n" + message
        return self.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=raw)


class DictionaryGraph:
    """The least that an import needs of a graph, and what the import asked of it."""

    def __init__(self) -> None:
        self.commits: dict[CommitId, Commit] = {}
        self.refs: dict[str, tuple[CommitId, ...]] = {}
        self.asked: list[str] = []
        self.questions = 0
        self.batches: list[int] = []
        self.durable: set[CommitId] = set()

    def cluster(self) -> str:
        return "default"

    def unite(self, source: crdtgraph.Graph) -> int:
        raise AssertionError("no repository here has a ledger")

    def known_commits(self, commits: Sequence[CommitId]) -> set[CommitId]:
        return self.commits.keys() & set(commits)

    def known_origins(self, origins: Sequence[str]) -> Mapping[str, CommitId]:
        self.asked += origins
        self.questions += 1
        wanted = set(origins)
        return {commit.origin: name for name, commit in self.commits.items() if commit.origin in wanted}

    def origins_of(self, commits: Sequence[CommitId]) -> Sequence[str]:
        return [self.commits[each].origin for each in commits]

    def commit_many(self, commits: Sequence[Commit]) -> Sequence[CommitId]:
        self.batches.append(len(commits))
        for commit in commits:
            assert all(parent in self.commits for parent in commit.parents), "a child before its parent"
            assert len(commit.canonical()) <= RECORD_BYTES_MAX
            self.commits[commit.id] = commit
        return [commit.id for commit in commits]

    def ref_targets(self) -> Mapping[str, tuple[CommitId, ...]]:
        return dict(self.refs)

    def is_ancestor(self, ancestor: CommitId, descendant: CommitId) -> bool:
        waiting = [descendant]
        while waiting:
            each = waiting.pop()
            if each == ancestor:
                return True
            waiting.extend(self.commits[each].parents)
        return False

    def set_refs(self, moves: Sequence[RefMove]) -> None:
        for move in moves:
            others = self.refs.get(move.name, ()) if move.keep_others else ()
            self.refs[move.name] = (move.target, *others)

    def flush(self) -> None:
        self.durable = set(self.commits)

    # What the tests look at.

    def by_origin(self, oid: str) -> Commit:
        [found] = [commit for commit in self.commits.values() if commit.origin == f"git:{oid}"]
        return found

    def ref(self, name: str) -> Commit:
        [target] = self.refs[name]
        return self.commits[target]

    def state(self, commit: Commit) -> dict[str, Value]:
        """The recorded paths and values after a commit, replayed along first parents."""
        line = [commit]
        while line[-1].parents:
            line.append(self.commits[line[-1].parents[0]])
        state: dict[str, Value] = {}
        for each in reversed(line):
            state.update(each.changes)
        return {path: value for path, value in state.items() if value is not None}


def actions(report: ImportReport) -> dict[str, RefAction]:
    return {outcome.name: outcome.action for outcome in report.refs}
