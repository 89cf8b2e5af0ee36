"""Import of git histories with their trees: paths, contents, modes and links as changes of commits."""

from __future__ import annotations

import os
import random
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.gitbridge import changes, import_git
from crdtgraph.gitbridge.texts import escape_name, unescape_name
from crdtgraph.records import Reference, Value
from tests.crdtgraph.gitbridge.repositories import DictionaryGraph, GitRepository


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
