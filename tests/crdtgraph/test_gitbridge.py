"""Import of git histories that the git command made, into a graph that is a dictionary."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import crdtgraph
from crdtgraph.errors import LocalError, NotFoundError
from crdtgraph.gitbridge import (
    GitHistoryError,
    GitObjectError,
    GraphTarget,
    ImportReport,
    RefAction,
    RefMove,
    changes,
    import_git,
)
from crdtgraph.gitbridge import importer as importer_module
from crdtgraph.gitbridge.history import GitHistory
from crdtgraph.gitbridge.texts import (
    MESSAGE_BYTES_MAX,
    decode_message,
    decode_text,
    escape_name,
    unescape_name,
)
from crdtgraph.ids import CommitId
from crdtgraph.records import RECORD_BYTES_MAX, Commit, Reference, Value

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


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    return GitRepository(tmp_path / "repository")


@pytest.fixture
def graph() -> DictionaryGraph:
    return DictionaryGraph()


def actions(report: ImportReport) -> dict[str, RefAction]:
    return {outcome.name: outcome.action for outcome in report.refs}


# What a commit becomes


def test_a_commit_keeps_author_author_time_message_and_origin(
    repository: GitRepository, graph: DictionaryGraph
) -> None:
    oid = repository.commit("Subject\n\nBody with ümlaut")
    import_git(repository.path, graph)
    assert graph.ref("main") == Commit(
        parents=(),
        author="Ann Author <ann@example.invalid>",
        time=(SECONDS + 60) * 1_000_000,
        message="Subject\n\nBody with ümlaut\n",
        changes=(),
        origin=f"git:{oid}",
    )


def test_parents_of_a_merge_keep_their_order(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    arms = []
    for name in ("c", "a", "b"):
        repository.git("checkout", "--quiet", "-b", name, "main")
        arms.append(repository.commit(name, {name: b"x"}))
    repository.git("checkout", "--quiet", "main")
    repository.commit("ours", {"main": b"x"})
    ours = repository.head()
    repository.git("merge", "--quiet", "--no-ff", "-m", "octopus", "c", "a", "b")
    import_git(repository.path, graph)
    merge = graph.ref("main")
    assert [graph.commits[parent].origin for parent in merge.parents] == [f"git:{oid}" for oid in (ours, *arms)]


def test_a_parent_named_twice_counts_once(repository: GitRepository, graph: DictionaryGraph) -> None:
    root = repository.commit("root")
    twice = repository.write_commit(root, root)
    repository.git("update-ref", "refs/heads/twice", twice)
    import_git(repository.path, graph)
    assert len(graph.by_origin(twice).parents) == 1


@pytest.mark.parametrize(
    "header, message, text",
    [
        (b"encoding ISO-8859-1\n", b"caf\xe9\n", "café\n"),
        (b"encoding windows-1251\n", b"\xef\xf0\xe8\n", "при\n"),
        (b"", b"caf\xe9 noir\n", "caf\ufffd noir\n"),
        (b"encoding no-such-thing\n", "naïve\n".encode(), "naïve\n"),
        (b"encoding utf-7\n", b"+2AA-\n", "+2AA-\n"),
        (b"encoding unicode_escape\n", b"\\ud800\n", "\\ud800\n"),
    ],
)
def test_messages_are_read_by_their_encoding_header(
    repository: GitRepository, graph: DictionaryGraph, header: bytes, message: bytes, text: str
) -> None:
    oid = repository.write_commit(header=header, message=message)
    repository.git("update-ref", "refs/heads/odd", oid)
    import_git(repository.path, graph)
    assert graph.by_origin(oid).message == text
    graph.by_origin(oid).canonical()


@given(st.binary(max_size=40), st.sampled_from(["utf-8", "utf-7", "latin-1", "shift_jis", "euc-jp", "idna", "x"]))
def test_any_bytes_in_any_encoding_become_storable_text(data: bytes, encoding: str) -> None:
    decode_text(data, encoding).encode()


def test_an_endless_message_is_cut_with_a_mark() -> None:
    text = decode_message("é".encode() * MESSAGE_BYTES_MAX, None)
    assert MESSAGE_BYTES_MAX - 4 < len(text.encode()) <= MESSAGE_BYTES_MAX
    assert text.endswith("[cut: the message was longer]\n")
    exact = "x" * MESSAGE_BYTES_MAX
    assert decode_message(exact.encode(), None) == exact


# Which commits and refs


def test_branches_keep_their_names_and_tags_get_a_folder(repository: GitRepository, graph: DictionaryGraph) -> None:
    first = repository.commit("first")
    repository.git("tag", "light")
    repository.git("tag", "-a", "annotated", "-m", "x")
    repository.git("tag", "-a", "tag-of-a-tag", "annotated", "-m", "x")
    repository.git("branch", "topic/one")
    second = repository.commit("second")
    import_git(repository.path, graph)
    origins = {name: graph.ref(name).origin for name in graph.refs}
    assert origins == {
        "main": f"git:{second}",
        "topic/one": f"git:{first}",
        "tags/light": f"git:{first}",
        "tags/annotated": f"git:{first}",
        "tags/tag-of-a-tag": f"git:{first}",
    }


def test_tags_of_trees_and_files_and_dangling_refs_are_skipped_and_named(
    repository: GitRepository, graph: DictionaryGraph
) -> None:
    repository.commit("first", {"file": b"x"})
    repository.git("tag", "tree", "HEAD^{tree}")
    repository.git("tag", "-a", "file", "HEAD:file", "-m", "x")
    repository.git("symbolic-ref", "refs/heads/dangling", "refs/heads/nowhere")
    report = import_git(repository.path, graph)
    assert report.skipped == ("refs/heads/dangling", "refs/tags/file", "refs/tags/tree")
    assert set(graph.refs) == {"main"}


def test_a_damaged_tag_is_an_error_and_not_a_tag_of_something_else(
    repository: GitRepository, graph: DictionaryGraph
) -> None:
    repository.commit("first")
    repository.git("tag", "-a", "v1", "-m", "x")
    oid = repository.git("rev-parse", "refs/tags/v1").strip()
    loose = repository.path / ".git" / "objects" / oid[:2] / oid[2:]
    loose.chmod(0o644)
    loose.write_bytes(b"no zlib stream")
    with pytest.raises(GitObjectError, match=oid):
        import_git(repository.path, graph)


def test_a_tag_takes_the_name_that_a_branch_would_share_with_it(
    repository: GitRepository, graph: DictionaryGraph
) -> None:
    tagged = repository.commit("tagged")
    repository.git("tag", "v1")
    repository.commit("other")
    repository.git("branch", "tags/v1")
    report = import_git(repository.path, graph)
    assert graph.ref("tags/v1").origin == f"git:{tagged}"
    assert report.skipped == ("refs/heads/tags/v1",)


def test_commits_of_a_detached_head_and_of_other_refs_come_too(
    repository: GitRepository, graph: DictionaryGraph
) -> None:
    root = repository.commit("root")
    repository.git("checkout", "--quiet", "--detach")
    detached = repository.commit("detached")
    elsewhere = repository.write_commit(root)
    repository.git("update-ref", "refs/remotes/origin/main", elsewhere)
    report = import_git(repository.path, graph)
    assert report.commits_added == 3
    assert graph.by_origin(detached)
    assert graph.by_origin(elsewhere)
    assert set(graph.refs) == {"main"}


def test_a_folder_inside_a_working_copy_will_do(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root", {"folder/file": b"x"})
    assert import_git(repository.path / "folder", graph).commits_added == 1


def test_a_branch_whose_name_is_not_utf8_gets_an_escaped_one(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    repository.git("update-ref", os.fsdecode(b"refs/heads/caf\xe9"), "HEAD")
    import_git(repository.path, graph)
    assert set(graph.refs) == {"main", ".git/bytes/caf%E9"}


# Trees


def test_without_trees_a_commit_has_no_changes(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root", {"file": b"x"})
    import_git(repository.path, graph)
    assert graph.ref("main").changes == ()


def test_changes_are_all_paths_of_a_root_then_what_changed(repository: GitRepository, graph: DictionaryGraph) -> None:
    root = repository.commit("root", {"b": b"1", "a/z": b"\x00\xff binary", "c": b"2"})
    second = repository.commit("second", {"b": b"changed", "c": None, "a.txt": b"new"})
    empty = repository.commit("empty")
    import_git(repository.path, graph, trees=True)
    assert graph.by_origin(root).changes == (("a/z", b"\x00\xff binary"), ("b", b"1"), ("c", b"2"))
    assert graph.by_origin(second).changes == (("a.txt", b"new"), ("b", b"changed"), ("c", None))
    assert graph.by_origin(empty).changes == ()


def test_changes_of_a_merge_are_against_its_first_parent(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root", {"file": b"x"})
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit("side", {"side": b"s"})
    repository.git("checkout", "--quiet", "main")
    repository.commit("ours", {"ours": b"o"})
    repository.git("merge", "--quiet", "-m", "merge", "side")
    import_git(repository.path, graph, trees=True)
    assert graph.ref("main").changes == (("side", b"s"),)


def test_contents_up_to_64_kib_are_kept_and_larger_ones_referred_to(
    repository: GitRepository, graph: DictionaryGraph
) -> None:
    repository.commit("root", {"fits": b"x" * 65_536, "large": b"y" * 65_537, "none": b""})
    blob = bytes.fromhex(repository.git("rev-parse", "HEAD:large"))
    import_git(repository.path, graph, trees=True)
    assert dict(graph.ref("main").changes) == {
        "fits": b"x" * 65_536,
        "large": Reference("git-blob", blob, 65_537),
        "none": b"",
    }


def test_modes_links_and_submodules_are_kept(repository: GitRepository, graph: DictionaryGraph) -> None:
    other = GitRepository(repository.path.parent / "other")
    pinned = other.commit("in the submodule")
    (repository.path / "link").symlink_to("run")
    (repository.path / "run").write_bytes(b"#!/bin/sh\n")
    (repository.path / "run").chmod(0o755)
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{pinned},module")
    repository.git("add", "link", "run")
    repository.git("commit", "--quiet", "-m", "root")
    root = repository.head()
    repository.git("update-index", "--chmod=-x", "run")
    repository.git("rm", "--quiet", "--cached", "link", "module")
    repository.git("commit", "--quiet", "-m", "plain")
    plain = repository.head()
    import_git(repository.path, graph, trees=True)
    assert dict(graph.by_origin(root).changes) == {
        "link": b"run",
        ".git/modes/link": b"120000",
        "run": b"#!/bin/sh\n",
        ".git/modes/run": b"100755",
        "module": Reference("git-commit", bytes.fromhex(pinned), 0),
    }
    # The content of `run` did not change, so only its mode is recorded.
    assert dict(graph.by_origin(plain).changes) == {
        "link": None,
        ".git/modes/link": None,
        ".git/modes/run": None,
        "module": None,
    }


def test_a_file_that_becomes_a_link_a_folder_or_a_submodule(repository: GitRepository, graph: DictionaryGraph) -> None:
    pinned = repository.commit("root", {"a": b"x", "b": b"target", "c": b"x"})
    (repository.path / "b").unlink()
    (repository.path / "b").symlink_to("target")
    (repository.path / "a").unlink()
    (repository.path / "a").mkdir()
    (repository.path / "a" / "inner").write_bytes(b"y")
    repository.git("add", "--all")
    repository.git("update-index", "--cacheinfo", f"160000,{pinned},c")
    repository.git("commit", "--quiet", "-m", "types")
    import_git(repository.path, graph, trees=True)
    assert dict(graph.ref("main").changes) == {
        "a": None,
        "a/inner": b"y",
        ".git/modes/b": b"120000",  # the bytes stayed the same
        "c": Reference("git-commit", bytes.fromhex(pinned), 0),
    }


def test_path_names_that_are_not_utf8_are_escaped(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root", {os.fsdecode(b"caf\xe9 100%"): b"x", "100%": b"y", "größe": b"z"})
    import_git(repository.path, graph, trees=True)
    assert dict(graph.ref("main").changes) == {
        ".git/bytes/caf%E9%20100%25": b"x",
        "100%": b"y",
        "größe": b"z",
    }


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=30))
def test_escaped_names_never_fall_together(names: list[bytes]) -> None:
    escaped = {escape_name(name) for name in names}
    assert len(escaped) == len(set(names))
    assert {unescape_name(name) for name in escaped} == set(names)


def test_a_name_that_pretends_to_be_escaped_is_escaped() -> None:
    assert escape_name(b".git/bytes/caf%E9") != escape_name(b"caf\xe9")
    assert escape_name(b".git/modes/run").startswith(".git/bytes/")
    assert escape_name(b".gitignore") == ".gitignore"


@pytest.mark.parametrize("name", [b"x" * 4_001, b"\xff" * 2_000])
def test_an_overlong_name_is_known_by_its_hash(name: bytes) -> None:
    assert escape_name(name).startswith(".git/long/")
    assert len(escape_name(name)) == len(".git/long/") + 64


@pytest.mark.slow
def test_replaying_changes_gives_every_tree_back(repository: GitRepository, graph: DictionaryGraph) -> None:
    rng = random.Random(7)
    names = ["a", "b/c", "b/d/e", "run", "link"]
    branches = ["main"]
    repository.commit("root", {"a": b"0"})
    for step in range(40):
        repository.git("checkout", "--quiet", "--force", rng.choice(branches))
        if rng.random() < 0.15:
            branches.append(f"branch-{step}")
            repository.git("checkout", "--quiet", "-b", branches[-1])
        place = repository.path / rng.choice(names)
        if place.is_symlink() or (place.exists() and rng.random() < 0.3):
            place.unlink()
        elif place.name == "link":
            place.symlink_to(f"target-{step}")
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(rng.randbytes(20))
            place.chmod(rng.choice([0o644, 0o755]))
        repository.commit(f"step {step}")
        if rng.random() < 0.2:
            repository.git("merge", "--quiet", "-m", "merge", "-s", "ours", rng.choice(branches))
    import_git(repository.path, graph, trees=True)
    assert len(graph.commits) > 40
    for commit in graph.commits.values():
        expected: dict[str, Value] = {}
        listing = repository.git("ls-tree", "-r", "-z", commit.origin.removeprefix("git:"))
        for line in listing.split("\0")[:-1] if listing else []:
            attributes, path = line.split("\t")
            mode, _, blob = attributes.split()
            expected[path] = subprocess.check_output(["git", "cat-file", "blob", blob], cwd=repository.path)
            if mode != "100644":
                expected[f".git/modes/{path}"] = mode.encode()
        assert graph.state(commit) == expected


def test_the_largest_contents_give_way_when_a_record_would_be_too_large(
    repository: GitRepository, graph: DictionaryGraph
) -> None:
    files = {f"file-{number:02}": bytes((number,)) * (50_000 + number) for number in range(60)}
    repository.commit("root", files)
    import_git(repository.path, graph, trees=True)
    recorded = dict(graph.ref("main").changes)
    referred = sorted(path for path, value in recorded.items() if isinstance(value, Reference))
    assert set(recorded) == set(files)
    assert referred == sorted(files)[-len(referred) :], "the largest ones are the last ones here"
    assert len(files) - len(referred) == changes.CHANGES_BYTES_MAX // 50_100, "and no more than necessary"
    blob = repository.git("rev-parse", f"HEAD:{referred[0]}")
    assert recorded[referred[0]] == Reference("git-blob", bytes.fromhex(blob), len(files[referred[0]]))


def test_a_commit_with_more_names_than_a_record_holds_refers_to_its_tree(
    repository: GitRepository, graph: DictionaryGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "CHANGES_BYTES_MAX", 2_000)
    repository.commit("root", {f"{number:040}": b"x" for number in range(60)})
    tree = bytes.fromhex(repository.git("rev-parse", "HEAD^{tree}"))
    import_git(repository.path, graph, trees=True)
    assert graph.ref("main").changes == ((".git/tree", Reference("git-tree", tree, 0)),)


# Again, further, and after an interruption


def linear(repository: GitRepository, commits: int, branch: str = "main", start: str | None = None) -> None:
    """Many commits at once, through git fast-import."""
    lines = []
    for number in range(commits):
        lines.append(f"commit refs/heads/{branch}\ncommitter A <a@b> {SECONDS + number} +0000\n")
        lines.append(f"data {len(str(number))}\n{number}\n")
        if not number and start:
            lines.append(f"from {start}\n")
    repository.git("fast-import", "--quiet", "--force", stdin="".join(lines).encode())


def test_a_second_import_makes_nothing_and_asks_only_for_the_tips(
    repository: GitRepository, graph: DictionaryGraph
) -> None:
    linear(repository, 50)
    assert import_git(repository.path, graph).commits_added == 50
    graph.asked.clear()
    report = import_git(repository.path, graph)
    assert (report.commits_added, graph.batches) == (0, [50])
    assert actions(report) == {"main": RefAction.UNCHANGED}
    assert len(graph.asked) <= 2, "the tip, and its parent to compare the tip with"


def test_a_later_import_brings_what_is_new_and_stops_at_what_is_known(
    repository: GitRepository, graph: DictionaryGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer_module, "WINDOW_COMMITS", 20)
    linear(repository, 500)
    import_git(repository.path, graph)
    assert graph.questions < 50, "a question costs a round trip when a node is asked"
    linear(repository, 30, start="refs/heads/main^0")
    graph.asked.clear()
    report = import_git(repository.path, graph)
    assert report.commits_added == 30
    assert actions(report) == {"main": RefAction.FORWARDED}
    assert len(graph.asked) < 100


def test_the_walk_finds_every_commit_whatever_its_window(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(3)
    oids: list[str] = []
    for _ in range(60):
        parents = rng.sample(oids[-8:], min(len(oids), rng.choice([0, 1, 1, 1, 2, 3])))
        oids.append(repository.write_commit(*parents, message=str(len(oids)).encode()))
    for number, oid in enumerate(oids[40:]):
        repository.git("update-ref", f"refs/heads/tip-{number}", oid)
    expected = set(repository.git("rev-list", "--all").split())
    for window in (1, 2, 7, 1_000):
        monkeypatch.setattr(importer_module, "WINDOW_COMMITS", window)
        graph = DictionaryGraph()
        import_git(repository.path, graph)
        assert {commit.origin for commit in graph.commits.values()} == {f"git:{oid}" for oid in expected}


class Stopped(Exception):
    pass


def test_an_import_that_is_stopped_between_batches_resumes_behind_the_last_one(
    repository: GitRepository, graph: DictionaryGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer_module, "BATCH_COMMITS", 10)
    linear(repository, 95)

    def stop(done: int, total: int) -> None:
        if done >= 30:
            raise Stopped

    with pytest.raises(Stopped):
        import_git(repository.path, graph, progress=stop)
    assert len(graph.durable) == 30
    assert graph.refs == {}
    seen: list[tuple[int, int]] = []
    report = import_git(repository.path, graph, progress=lambda done, total: seen.append((done, total)))
    assert report.commits_added == 65
    assert seen[0] == (0, 65)
    assert seen[-1] == (65, 65)
    whole = DictionaryGraph()
    import_git(repository.path, whole)
    assert graph.commits == whole.commits
    assert graph.refs == whole.refs


def test_batches_of_large_contents_hold_fewer_commits(
    repository: GitRepository, graph: DictionaryGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer_module, "BATCH_CONTENT_BYTES", 1_000)
    for number in range(5):
        repository.commit(str(number), {"file": bytes((number,)) * 600})
    import_git(repository.path, graph, trees=True)
    assert graph.batches == [2, 2, 1]


def test_two_replicas_that_import_the_same_history_make_the_same_commits(
    repository: GitRepository, tmp_path: Path
) -> None:
    repository.commit("root", {"a": b"x"})
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit("side", {"b": b"y"})
    clone = tmp_path / "clone.git"
    repository.git("clone", "--quiet", "--mirror", str(repository.path), str(clone))
    one, two = DictionaryGraph(), DictionaryGraph()
    import_git(repository.path, one, trees=True)
    import_git(clone, two, trees=True)
    assert one.commits == two.commits
    assert one.refs == two.refs


@pytest.mark.parametrize("first_with_trees", [False, True])
def test_importing_with_and_without_trees_into_one_graph_is_refused(
    repository: GitRepository, graph: DictionaryGraph, first_with_trees: bool
) -> None:
    repository.commit("root", {"a": b"x"})
    import_git(repository.path, graph, trees=first_with_trees)
    repository.commit("more", {"a": b"y"})
    with pytest.raises(LocalError, match="other contents") as refused:
        import_git(repository.path, graph, trees=not first_with_trees)
    assert ("with --trees" if first_with_trees else "without --trees") in refused.value.hint
    assert len(graph.commits) == 1
    assert import_git(repository.path, graph, trees=first_with_trees).commits_added == 1


# Refs of a later import


def test_a_ref_that_is_ahead_of_git_stays(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    import_git(repository.path, graph)
    ours = graph.commit_many([Commit(graph.refs["main"], "me", 1, "ours")])[0]
    graph.refs["main"] = (ours,)
    assert actions(import_git(repository.path, graph)) == {"main": RefAction.AHEAD}
    assert graph.refs["main"] == (ours,)


def test_a_branch_that_git_rewrote_is_followed(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    repository.commit("to be amended")
    import_git(repository.path, graph)
    repository.git("commit", "--quiet", "--amend", "--allow-empty", "-m", "amended")
    report = import_git(repository.path, graph)
    assert actions(report) == {"main": RefAction.REPLACED}
    assert graph.ref("main").origin == f"git:{repository.head()}"
    assert len(graph.commits) == 3, "what git forgot stays"


def test_a_ref_that_both_moved_shows_both_targets(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    import_git(repository.path, graph)
    ours = graph.commit_many([Commit(graph.refs["main"], "me", 1, "ours")])[0]
    graph.refs["main"] = (ours,)
    theirs = repository.commit("theirs")
    assert actions(import_git(repository.path, graph)) == {"main": RefAction.CONFLICTED}
    assert set(graph.refs["main"]) == {ours, graph.by_origin(theirs).id}
    again = import_git(repository.path, graph)
    assert actions(again) == {"main": RefAction.UNCHANGED}, "a conflict is not raised twice"


def test_a_conflict_that_git_resolved_ends(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit("side")
    repository.git("checkout", "--quiet", "main")
    repository.commit("ours")
    import_git(repository.path, graph)
    graph.refs["main"] = (*graph.refs["main"], *graph.refs["side"])
    repository.git("merge", "--quiet", "-m", "merge", "side")
    assert actions(import_git(repository.path, graph))["main"] is RefAction.FORWARDED
    assert graph.ref("main").message == "merge\n"


def test_a_branch_that_git_deleted_stays(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    repository.git("branch", "topic")
    import_git(repository.path, graph)
    repository.git("branch", "-D", "topic")
    assert actions(import_git(repository.path, graph)) == {"main": RefAction.UNCHANGED}
    assert "topic" in graph.refs


# What cannot be imported


def test_a_path_without_a_repository_is_named(tmp_path: Path, graph: DictionaryGraph) -> None:
    with pytest.raises(NotFoundError, match="is not a git repository") as missing:
        import_git(tmp_path / "nowhere", graph)
    assert "git -C" in missing.value.hint
    with pytest.raises(NotFoundError) as remote:
        import_git("https://example.invalid/x.git", graph)
    assert remote.value.hint == "clone it first: git clone https://example.invalid/x.git"


def test_an_empty_repository_says_so(repository: GitRepository, graph: DictionaryGraph) -> None:
    with pytest.raises(GitHistoryError, match="has no commits"):
        import_git(repository.path, graph)


def test_a_shallow_clone_is_refused_as_its_ids_would_be_wrong(
    repository: GitRepository, tmp_path: Path, graph: DictionaryGraph
) -> None:
    for number in range(3):
        repository.commit(str(number))
    shallow = tmp_path / "shallow"
    repository.git("clone", "--quiet", "--depth=1", f"file://{repository.path}", str(shallow))
    with pytest.raises(GitHistoryError, match="shallow") as refused:
        import_git(shallow, graph)
    assert "fetch --unshallow" in refused.value.hint
    assert graph.commits == {}


def test_grafts_are_refused_as_its_ids_would_be_wrong(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    second = repository.commit("second")
    (repository.path / ".git" / "info" / "grafts").write_text(second + "\n")
    with pytest.raises(GitHistoryError, match="grafts"):
        import_git(repository.path, graph)


@pytest.mark.parametrize("extension", [False, True])
def test_a_partial_clone_can_be_imported_without_its_trees(
    repository: GitRepository, tmp_path: Path, graph: DictionaryGraph, extension: bool
) -> None:
    repository.commit("root", {"a": b"x"})
    repository.git("config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial.git"
    repository.git("clone", "--quiet", "--bare", "--filter=tree:0", f"file://{repository.path}", str(partial))
    if extension:
        repository.git("-C", str(partial), "config", "extensions.partialClone", "origin")
    with pytest.raises(GitObjectError, match="is missing") as refused:
        import_git(partial, graph, trees=True)
    assert "without trees" in refused.value.hint
    assert import_git(partial, graph).commits_added == 1


def test_a_missing_commit_is_named(repository: GitRepository, graph: DictionaryGraph) -> None:
    lost = repository.commit("root")
    repository.commit("second")
    (repository.path / ".git" / "objects" / lost[:2] / lost[2:]).unlink()
    with pytest.raises(GitObjectError, match=lost) as refused:
        import_git(repository.path, graph)
    assert "fsck" in refused.value.hint


def test_a_ref_to_a_missing_commit_is_an_error(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    (repository.path / ".git" / "refs" / "heads" / "broken").write_text("12" * 20 + "\n")
    with pytest.raises(GitObjectError, match="12" * 20):
        import_git(repository.path, graph)


def test_a_commit_that_libgit2_cannot_parse_is_named(repository: GitRepository, graph: DictionaryGraph) -> None:
    tree = repository.git("hash-object", "-t", "tree", "-w", "--stdin")
    raw = f"tree {tree}\nauthor nobody\ncommitter A <a@b> 1 +0000\n\nx\n".encode()
    odd = repository.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=raw)
    repository.git("update-ref", "refs/heads/main", repository.write_commit(odd))
    with pytest.raises(GitObjectError, match=f"{odd} .* cannot be read") as refused:
        import_git(repository.path, graph)
    assert "fsck" in refused.value.hint


def test_sha256_repositories_are_refused_with_the_reason(tmp_path: Path, graph: DictionaryGraph) -> None:
    repository = GitRepository(tmp_path / "sha256", "--object-format=sha256")
    with pytest.raises(GitHistoryError) as refused:
        import_git(repository.path, graph)
    assert "SHA-1" in refused.value.hint


def test_an_octopus_with_too_many_arms_is_refused(
    repository: GitRepository, graph: DictionaryGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer_module, "PARENTS_MAX", 2)
    arms = [repository.write_commit(message=str(number).encode()) for number in range(3)]
    repository.git("update-ref", "refs/heads/main", repository.write_commit(*arms))
    with pytest.raises(GitHistoryError, match="3 parents"):
        import_git(repository.path, graph)


def test_a_repository_opened_for_reading_is_left_as_it_was(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    folder = repository.path / ".git"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    import_git(repository.path, graph)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert GitHistory.open(repository.path).path == str(repository.path)


# Into a real graph


def test_two_graphs_that_import_one_history_agree_and_their_union_has_no_duplicates(
    repository: GitRepository,
) -> None:
    repository.commit("root", {"a": b"x", "large": b"y" * 70_000})
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit("side", {"b": b"y"})
    repository.git("checkout", "--quiet", "main")
    repository.commit("ours", {"c": b"z"})
    repository.git("merge", "--quiet", "-m", "merge", "side")
    repository.git("tag", "-a", "v1", "-m", "x")
    with crdtgraph.open("memory:") as one, crdtgraph.open("memory:") as two:
        import_git(repository.path, GraphTarget(one), trees=True)
        import_git(repository.path, GraphTarget(two), trees=True)
        for delta in two.deltas("ledger", one.state_vector("ledger")):
            one.receive("ledger", delta.update)
        assert len(one) == len(two) == 4
        assert {name: ref.targets for name, ref in one.refs.items()} == {
            name: ref.targets for name, ref in two.refs.items()
        }
        assert sorted(one.refs) == ["main", "side", "tags/v1"]
        assert one.get(one.resolve(f"git:{repository.head()}")).message == "merge\n"
        assert dict(one.state(one.resolve("main")))["b"] == b"y"
        report = import_git(repository.path, GraphTarget(one), trees=True)
        assert (report.commits_added, set(actions(report).values())) == (0, {RefAction.UNCHANGED})


def test_a_ref_that_both_moved_is_in_conflict_and_merges(repository: GitRepository) -> None:
    repository.commit("root")
    with crdtgraph.open("memory:") as graph:
        import_git(repository.path, GraphTarget(graph))
        ours = graph.commit(parents=[graph.refs["main"]], message="ours", ref="main")
        repository.commit("theirs")
        assert actions(import_git(repository.path, GraphTarget(graph))) == {"main": RefAction.CONFLICTED}
        assert graph.refs["main"].conflicted
        merged = graph.merge("main").commit
        assert graph.is_ancestor(ours, merged)
        assert actions(import_git(repository.path, GraphTarget(graph))) == {"main": RefAction.AHEAD}
        repository.git("commit", "--quiet", "--amend", "--allow-empty", "-m", "amended")
        assert actions(import_git(repository.path, GraphTarget(graph))) == {"main": RefAction.CONFLICTED}


def test_commits_at_the_limits_of_an_import_fit_into_a_graph(repository: GitRepository) -> None:
    files = {f"file-{number:03}": bytes((number,)) * 65_536 for number in range(60)}
    repository.commit("m" * (MESSAGE_BYTES_MAX + 10), files)
    with crdtgraph.open("memory:") as graph:
        import_git(repository.path, GraphTarget(graph), trees=True)
        assert len(graph.state(graph.resolve("main"))) == 60
