"""Looking at an exported repository with git itself, and what is hard to export."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from hypothesis import strategies as st

from crdtgraph import CommitId, Graph, Reference
from crdtgraph.gitbridge import (
    GraphTarget,
    import_git,
)
from crdtgraph.gitbridge.names import CLASH_MARK, MARK
from tests import recorded

from ..interchange.replicas import PLANE, open_replica
from .repositories import GitRepository

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
AUTHORS = TEXT | st.sampled_from(
    ["", " ", "Ann <ann@x>", " <a@b>", "<a@b>", "A <", "A\nB <c>", "w3", "A <b> <c>", "\0", "A <b>\r"]
)
TIMES = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2 * 10**15)
PATHS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8) | st.sampled_from(
    ["a", "a/b", "a/b/c", ".git", ".git/x", "..", "./a", "/", "a/", "//", "%%", "%%=a", "GIT~1", ".git ", "x\\.git",
     "\0", ".git/modes/a", ".git/modes/a/b", ".git/bytes/%FF", ".git/bytes/a", ".gitignore", ".g\u200cit", ".git/tree"]
)  # fmt: skip
VALUES = (
    st.binary(max_size=40)
    | st.none()
    | st.sampled_from([b"100755", b"120000"])
    | st.builds(
        Reference,
        st.sampled_from(["git-blob", "git-commit", "x"]),
        st.binary(min_size=20, max_size=21),
        st.integers(0, 9),
    )
)


def git(repository: Path, *arguments: str, stdin: bytes = b"", check: bool = True) -> str:
    """What a git command prints, both streams together."""
    done = subprocess.run(
        ["git", "-C", str(repository), *arguments],
        env=recorded.environment(repository.parent),
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout.decode(errors="replace")
    return done.stdout.decode(errors="surrogateescape").strip()


def assert_in_order(repository: Path, *, exports: int = 1) -> None:
    """Git finds nothing to complain about, and nothing that is left over but the trees of earlier ledgers."""
    said = git(repository, "fsck", "--strict", "--no-progress").splitlines()
    assert len([line for line in said if line.startswith("dangling tree ")]) < exports
    assert [line for line in said if not line.startswith(("dangling tree ", "notice: HEAD points to an unborn"))] == []


def oids(repository: Path) -> dict[CommitId, str]:
    """The git commit of each exported one, from the headers alone."""
    raw = git(repository, "log", "--all", "--format=raw")
    found = re.findall(r"^commit ([0-9a-f]{40})(?:\n.+)*?\ncrdtgraph ([0-9a-f]{64}) ", raw, re.M)
    return {CommitId(bytes.fromhex(ours)): theirs for theirs, ours in found}


def assert_same_shape(graph: Graph, repository: Path) -> None:
    names = oids(repository)
    shape = dict(
        line.split(" ", 1) if " " in line else (line, "")
        for line in git(repository, "rev-list", "--all", "--parents").splitlines()
    )
    assert shape == {
        names[commit]: " ".join(names[parent] for parent in graph.get(commit).parents) for commit in graph.topological()
    }


def assert_comes_back(graph: Graph, repository: Path) -> None:
    with open_replica(1_000) as fresh:
        report = import_git(repository, GraphTarget(fresh))
        assert report.commits_added == 0
        assert report.ledger is not None
        assert report.ledger.digest == graph.digest() == fresh.digest()
        assert fresh.set_digest(PLANE) == graph.set_digest(PLANE)
        assert {name: ref.targets for name, ref in fresh.refs.items()} == {
            name: ref.targets for name, ref in graph.refs.items()
        }


def tree_of(repository: Path, commit: str) -> dict[str, tuple[str, str]]:
    """Path -> mode and content of the tree of a commit."""
    found = {}
    for line in git(repository, "ls-tree", "-r", "-z", commit).split("\0"):
        if line:
            facts, _, path = line.partition("\t")
            mode, kind, oid = facts.split()
            found[path] = mode, git(repository, "cat-file", kind, oid) if kind == "blob" else oid
    return found


def names_bytes(path: str) -> bool:
    return path == ".git/bytes/%FF"


def path_of(path: str) -> bytes:
    """The path of the graph that a path in a tree stands for, by the table in `names.py`."""
    names = []
    for name in path.encode(errors="surrogateescape").split(b"/"):
        if name.startswith(MARK):
            name = name[len(CLASH_MARK if name.startswith(CLASH_MARK) else MARK) :]
            name = re.sub(rb"%(..)", lambda found: bytes.fromhex(found[1].decode()), name)
        names.append(name)
    return b"/".join(names)


def cloned(target: Path, folder: Path) -> GitRepository:
    git(target.parent, "clone", "-q", str(target), str(folder))
    repository = GitRepository(folder)
    repository.time += 10_000
    return repository
