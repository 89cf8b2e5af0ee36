"""Commits, states and names of the graph as git objects, and back."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Mapping
from pathlib import Path

import pygit2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph import Commit, CommitId, Value
from crdtgraph.gitbridge import (
    GraphTarget,
    RemoteIdentityError,
    export_git,
    import_git,
)
from crdtgraph.gitbridge.deltas import delta_of
from crdtgraph.gitbridge.identity import commit_object, exported_commit, restore
from crdtgraph.gitbridge.names import DEPTH_MAX, git_refs, graph_ref, tree_names
from crdtgraph.gitbridge.packs import PackWriter, object_id
from crdtgraph.gitbridge.trees import StateTree
from crdtgraph.records import ordered_changes

from ..interchange.replicas import open_replica
from .exports import (
    AUTHORS,
    PATHS,
    TEXT,
    TIMES,
    VALUES,
    assert_in_order,
    git,
    names_bytes,
    path_of,
    tree_of,
)
from .repositories import GitRepository

# Commits


@given(AUTHORS, TIMES, TEXT, TEXT, st.dictionaries(PATHS, VALUES, max_size=3))
def test_any_commit_is_restored_to_the_byte(
    author: str, time: int, message: str, origin: str, changes: Mapping[str, Value]
) -> None:
    commit = Commit((CommitId(bytes(32)),) * 2, author, time, message, ordered_changes(dict(changes)), origin)
    blobs = {object_id(b"blob", value): value for value in changes.values() if isinstance(value, bytes)}
    data = commit_object(commit.id, commit, bytes(20), [bytes(20)] * 2)
    exported = exported_commit(data)
    assert exported is not None
    assert restore(exported, commit.parents, blobs.__getitem__) == commit


@given(AUTHORS, TIMES, TEXT)
def test_git_accepts_any_author_time_and_message(
    tmp_path_factory: pytest.TempPathFactory, author: str, time: int, message: str
) -> None:
    commit = Commit((), author, time, message)
    repository = fsck_repository(tmp_path_factory)
    repository.odb.write(pygit2.enums.ObjectType.TREE, b"")
    data = commit_object(commit.id, commit, object_id(b"tree", b""), [])
    name = repository.odb.write(pygit2.enums.ObjectType.COMMIT, data)
    found = repository[name]
    assert isinstance(found, pygit2.Commit)
    assert found.author.time == found.committer.time == max(0, time // 1_000_000)
    if "\0" not in message:
        assert found.raw_message == message.lstrip("\n").encode()
    if re.fullmatch("[^<>\n\0 ][^<>\n\0]*[^<>\n\0 ] <[^<>\n\0 ]+>", author):
        assert f"{found.author.name} <{found.author.email}>" == author
    repository.references.create("refs/heads/main", name, force=True)


def test_git_fsck_accepts_what_was_just_written(tmp_path_factory: pytest.TempPathFactory) -> None:
    repository = fsck_repository(tmp_path_factory)
    said = git(Path(repository.path), "fsck", "--strict", "--no-progress", check=False).splitlines()
    assert [line for line in said if not line.startswith(("dangling", "notice"))] == []


_FSCK: list[pygit2.Repository] = []


def fsck_repository(tmp_path_factory: pytest.TempPathFactory) -> pygit2.Repository:
    """One repository that objects of many examples are written to, so that git looks at them all at once."""
    if not _FSCK:
        _FSCK.append(pygit2.init_repository(str(tmp_path_factory.mktemp("fsck") / "all"), bare=True))
    return _FSCK[0]


@pytest.mark.parametrize(
    "edit",
    [
        lambda data: data.replace(b"author A", b"author B"),
        lambda data: data.replace(b"message", b"massage"),
        lambda data: data.replace(b"0000000", b"1111111", 1),
        lambda data: data + b"more",
        lambda data: re.sub(rb"(crdtgraph \w+ )\w{40}", rb"\1" + b"0" * 40, data),
        lambda data: data.replace(b"crdtgraph", b"crdtgrape", 1),
    ],
)
def test_a_commit_that_git_altered_is_known_by_its_seal(edit: object) -> None:
    assert callable(edit)
    commit = Commit((), "A <a@b>", 7, "message")
    data = commit_object(commit.id, commit, bytes(20), [])
    assert exported_commit(data) is not None
    assert edit(data) != data
    assert exported_commit(edit(data)) is None


@pytest.mark.parametrize(
    "rest",
    [
        5,
        [2, 7, None, None, [], ""],
        [1, 7, None, None],
        [1, "x", None, None, [], ""],
        [1, 7, b"x", None, [], ""],
        [1, 7, None, None, [["a", [5]]], ""],
        [1, 7, None, None, [["b", b""], ["a", b""]], ""],
        [1, 8, None, None, [], ""],
    ],
    ids=str,
)
def test_a_header_whose_seal_fits_and_whose_content_does_not_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rest: object
) -> None:
    graph = open_replica(1)
    graph.commit(message="message", author="A <a@b>", time=7, ref="main")
    from crdtgraph.gitbridge import identity

    encode = identity.encode
    monkeypatch.setattr(identity, "encode", lambda _fields: encode(rest))
    export_git(graph, tmp_path / "export")
    monkeypatch.undo()
    git(tmp_path / "export", "update-ref", "-d", "refs/crdtgraph/ledger")
    fresh = open_replica(2)
    with pytest.raises(RemoteIdentityError, match=graph.heads()[0].hex()):
        import_git(tmp_path / "export", GraphTarget(fresh))
    assert len(fresh) == 0


# States


@settings(max_examples=40)
@given(st.lists(st.dictionaries(PATHS, VALUES, max_size=4), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_a_tree_follows_from_the_state_alone(history: list[dict[str, Value]], rng: random.Random) -> None:
    tree, state = StateTree.empty(), dict[str, Value]()
    written: set[bytes] = set()

    def write(kind: bytes, data: bytes, _base: bytes | None = None) -> bytes:
        written.add(object_id(kind, data))
        return object_id(kind, data)

    earlier = []
    for changes in history:
        tree = tree.changed(changes.items(), write)
        state.update(changes)
        earlier.append((tree, tree.oid(write), {path: value for path, value in state.items() if value is not None}))
    for each, oid, expected in earlier:
        shuffled = list(expected.items())
        rng.shuffle(shuffled)
        assert StateTree.empty().changed(shuffled, object_id).oid(object_id) == oid == each.oid(object_id)
        assert oid in written


@settings(max_examples=40)
@given(st.lists(st.dictionaries(PATHS, VALUES, max_size=6), min_size=1, max_size=4))
def test_git_accepts_any_state_and_lists_it(
    tmp_path_factory: pytest.TempPathFactory, history: list[dict[str, Value]]
) -> None:
    graph = open_replica(1)
    parent: list[CommitId] = []
    for changes in history:
        parent = [graph.commit(parents=parent, changes=changes, message="x")]
    graph.set_ref("main", parent[0])
    target = tmp_path_factory.mktemp("states") / "export"
    export_git(graph, target)
    assert_in_order(target)
    shown = {path_of(path) for path in tree_of(target, "main")}
    state = graph.state(parent[0])
    special = {
        path for path, value in state.items() if path.startswith(".git/modes/") and value in (b"100755", b"120000")
    }
    assert shown == {path.encode() for path in state.keys() - special if not names_bytes(path)} | {
        b"\xff" for path in state if names_bytes(path)
    }
    with open_replica(2) as fresh:
        import_git(target, GraphTarget(fresh))
        assert fresh.state(parent[0]) == state


def test_the_trees_of_an_imported_repository_are_git_s_own(tmp_path: Path) -> None:
    source = GitRepository(tmp_path / "source")
    source.commit("one", {"a": b"text", "dir/b": b"x" * 1_000, "dir/sub/c": b""})
    (source.path / "run.sh").write_bytes(b"#!/bin/sh\n")
    (source.path / "run.sh").chmod(0o755)
    os.symlink("dir/b", source.path / "link")
    (source.path / os.fsdecode(b"caf\xe9")).write_bytes(b"latin")
    source.commit("two")
    source.commit("three", {"a": None, "dir/b": None, "dir/sub/c": b"now", "dir/.gitignore": b"*.o"})
    source.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    source.commit("four")
    (source.path / "run.sh").chmod(0o644)
    source.commit("five")
    with open_replica(1) as graph:
        import_git(source.path, GraphTarget(graph), trees=True)
        export_git(graph, tmp_path / "export")
    assert_in_order(tmp_path / "export")
    ours, theirs = (
        git(repository, "log", "--reverse", "--format=%T %an <%ae> %at %B", "main")
        for repository in (tmp_path / "export", source.path)
    )
    assert ours == theirs


def test_a_large_file_of_an_imported_repository_becomes_a_file_that_names_it(tmp_path: Path) -> None:
    source = GitRepository(tmp_path / "source")
    source.commit("large", {"large": b"x" * 100_000})
    oid = source.git("rev-parse", "HEAD:large")
    with open_replica(1) as graph:
        import_git(source.path, GraphTarget(graph), trees=True)
        export_git(graph, tmp_path / "export")
    content = f"crdtgraph reference\nscheme git-blob\ndigest {oid}\nsize 100000"
    assert tree_of(tmp_path / "export", "main") == {"large": ("100644", content)}


def test_a_path_that_is_also_a_folder_moves_aside_and_back() -> None:
    def names(tree: StateTree) -> set[str]:
        found: dict[bytes, bytes] = {}

        def write(kind: bytes, data: bytes, _base: bytes | None = None) -> bytes:
            oid = object_id(kind, data)
            found[oid] = data
            return oid

        data = found.get(tree.oid(write), b"") or found[StateTree.empty().oid(write)]
        return {name.decode() for name in re.findall(rb"\d+ ([^\0]+)\0.{20}", data, re.S)}

    alone = StateTree.empty().changed([("a", b"1")], object_id)
    both = alone.changed([("a/b", b"2")], object_id)
    again = both.changed([("a/b", None)], object_id)
    assert names(StateTree.empty().changed([("a", b"1")], object_id)) == {"a"}
    assert names(StateTree.empty().changed([("a/b", b"2"), ("a", b"1")], object_id)) == {"a", "%%=a"}
    assert both.oid(object_id) != again.oid(object_id) == alone.oid(object_id)


# Packs


@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=300))
def test_a_difference_makes_the_content_of_its_base(start: bytes, old: bytes, new: bytes, end: bytes) -> None:
    base, data = start + old + end, start + new + end
    delta = delta_of(base, data)
    assert apply_delta(base, delta) == data
    assert len(delta) <= len(new) * 1.01 + 30


@pytest.mark.parametrize("size", [0, 1, 126, 127, 128, 255, 256, 65_535, 65_536, 0xFFFFFF, 0x1000000])
def test_differences_of_any_size(size: int) -> None:
    base = bytes(size)
    for data in (base + b"x", b"x" + base, base[: size // 2] + b"x" + base[size // 2 :], b"", b"x" * min(size, 70_000)):
        assert apply_delta(base, delta_of(base, data)) == data


def apply_delta(base: bytes, delta: bytes) -> bytes:
    """By the description in git's gitformat-pack."""
    places = iter(delta)

    def number() -> int:
        value = shift = 0
        for byte in places:
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        return value

    assert number() == len(base)
    size, out = number(), bytearray()
    for instruction in places:
        if instruction & 0x80:
            numbers = bytes(next(places) if instruction >> place & 1 else 0 for place in range(7))
            offset, count = int.from_bytes(numbers[:4], "little"), int.from_bytes(numbers[4:], "little")
            out += base[offset : offset + (count or 0x10000)]
        else:
            assert instruction
            out += bytes(next(places) for _ in range(instruction))
    assert len(out) == size
    return bytes(out)


def test_git_reads_packs_with_long_chains_of_differences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtgraph.gitbridge.packs.PACK_BYTES_MAX", 40_000)
    monkeypatch.setattr("crdtgraph.gitbridge.packs.RECENT_BYTES_MAX", 60_000)
    rng = random.Random(1)
    repository = pygit2.init_repository(str(tmp_path / "packs"), bare=True)
    writer = PackWriter(repository)
    content, before = rng.randbytes(5_000), None
    written: dict[bytes, bytes] = {}
    for _ in range(300):
        at = rng.randrange(len(content))
        content = content[:at] + rng.randbytes(rng.randrange(300)) + content[at + rng.randrange(300) :]
        before = writer.write(b"blob", content, before)
        written[before] = content
        assert writer.write(b"blob", content) == before
    writer.flush()
    packs = sorted((tmp_path / "packs" / "objects" / "pack").glob("*.idx"))
    assert len(packs) > 2
    assert sum(path.stat().st_size for path in (tmp_path / "packs").rglob("*.pack")) < 300 * 5_000 / 5
    assert all(repository[pygit2.Oid(raw=oid)].data == data for oid, data in written.items())
    for index in packs:
        lines = git(tmp_path / "packs", "verify-pack", "-v", str(index)).splitlines()
        assert max(int(line.split("=")[1].split(":")[0]) for line in lines if line.startswith("chain length")) <= 40


# Names


@given(st.sets(PATHS, max_size=6))
def test_no_two_paths_have_one_name(paths: set[str]) -> None:
    names = {path: tree_names(path) for path in paths}
    assert len(set(names.values())) == len(paths)
    for path, each in names.items():
        if not names_bytes(path):
            assert path_of(b"/".join(each).decode()) == path.encode()


def test_a_deep_path_ends_in_one_name() -> None:
    path = "/".join(["a"] * 1_000)
    names = tree_names(path)
    assert len(names) == DEPTH_MAX
    assert path_of(b"/".join(names).decode()) == path.encode()
    with open_replica(1) as graph:
        graph.commit(changes={path: b"deep", "b" * 4_096: b"long", "\x01" * 4_096: b"odd"}, ref="main")
        tree = StateTree.empty().changed(graph.state(graph.refs["main"]).items(), object_id)
        assert len(tree.oid(object_id)) == 20


REF_NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=12) | st.sampled_from(
    ["main", "a", "a/b", "a/b/c", "a%2Fb", "tags/v1", "tags/", "tags", "tags/a/b", "tags/a", ".x", "x.", "x.lock",
     "a..b", "@", "@{", "HEAD", "-x", "a//b", "/a", "a/", "a b", "100%", "\u00e9", "a/.b", "x.lock/y", "heads/x",
     "z" * 300, "z/" * 400 + "z"]
)  # fmt: skip


@given(st.sets(REF_NAMES, max_size=8))
def test_git_takes_all_refs_of_a_graph_together(names: set[str]) -> None:
    found = git_refs(names)
    assert set(found) == names
    assert len(set(found.values())) == len(names)
    for name in found.values():
        assert pygit2.reference_is_valid_name(name), name
        assert not any(other.startswith(name + "/") for other in found.values())
        assert all(len(part.encode()) < 250 for part in name.split("/"))
    for name, full in found.items():
        if "%=" not in full:
            prefix = "refs/tags/" if full.startswith("refs/tags/") else "refs/heads/"
            assert graph_ref(full.removeprefix(prefix)) == (
                name if prefix == "refs/heads/" else name.removeprefix("tags/")
            )


@pytest.mark.parametrize("name", ["main", "100%25x", "a%zz", "%FF", "%41", "a%2fb"])
def test_a_name_that_no_export_makes_stays_what_it_is(name: str) -> None:
    expected = {"100%25x": "100%x"}.get(name, name)
    assert graph_ref(name) == expected
