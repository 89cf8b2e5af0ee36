"""The table of control methods, called in this process: what they answer, and what they refuse."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import crdtgraph
from crdtgraph import AmbiguousError, Commit, CommitId, Graph, LocalError, NotFoundError
from sync.methods import methods
from sync.methods.target import REVS_MAX
from sync.plain import error_from_plain, error_to_plain
from sync.protocol.limits import CHUNK_ENTRIES
from sync.requests import LocalCaller
from tests.sync.control.serving import served
from tests.sync.replicas import grow, replica


def call(caller: LocalCaller, method: str, **params: Any) -> Any:
    return caller.call(method, **params)


def test_commits_refs_and_states(caller: LocalCaller, graph: Graph) -> None:
    root = call(caller, "commit", message="root", changes={"a": b"1", "b": ["git-blob", b"x" * 20, 5]}, ref="main")
    tip = call(caller, "commit", message="tip", parents=["main"], changes={"a": b"2", "c": None}, ref="main")
    assert call(caller, "resolve", revs=["main", tip.hex()[:10], root]) == [tip, tip, root]
    assert call(caller, "refs") == [{"name": "main", "targets": [tip], "conflicted": False}]
    ((shown,),) = call(caller, "show", revs=["main"])
    assert shown["parents"] == [root]
    assert shown["changes"] == [["a", b"2"], ["c", None]]
    assert [path for part in caller.stream("state", rev="main") for path, _ in part] == ["a", "b"]  # type: ignore[union-attr,misc]
    assert call(caller, "state", rev="main", path="b") == [[["b", ["git-blob", b"x" * 20, 5]]]]
    assert call(caller, "heads") == [tip]
    assert call(caller, "is_ancestor", ancestor=root, descendant="main") is True
    assert call(caller, "merge_base", pairs=[[root, "main"]], all=True) == [[root]]
    assert call(caller, "merge_base", pairs=[[root, "main"]], origins=True) == [[""]]
    call(caller, "set_ref", name="old", target=root)
    call(caller, "delete_ref", name="old")
    call(caller, "set_refs", targets={"one": root, "two": "main"})
    assert [(ref["name"], ref["targets"]) for ref in call(caller, "refs")] == [
        ("main", [tip]),
        ("one", [root]),
        ("two", [tip]),
    ]
    call(caller, "set_refs", targets={"one": tip, "two": root}, force=True)
    assert graph.refs["two"] == root
    for name in ("one", "two"):
        call(caller, "delete_ref", name=name)
    assert list(graph.refs) == ["main"]
    assert call(caller, "shorts", commits=[root]) == [root.hex()[:8]]


def test_many_commits_travel_as_canonical_bytes(caller: LocalCaller, graph: Graph) -> None:
    root = Commit((), "a", 5, "root", (), "git:" + "0" * 40)
    tip = Commit((root.id,), "a", 6, "tip", (), "git:" + "1" * 40)
    assert call(caller, "commit_many", commits=[root.canonical(), tip.canonical()]) == [root.id, tip.id]
    assert call(caller, "known_origins", origins=["git:" + "1" * 40, "git:" + "2" * 40]) == {tip.origin: tip.id}
    assert call(caller, "origins_of", commits=[tip.id, root.id]) == [tip.origin, root.origin]
    assert call(caller, "resolve", revs=["git:11111"]) == [tip.id]
    with pytest.raises(LocalError, match="commit_many"):
        call(caller, "commit_many", commits=[b"nonsense"])


def test_merging_and_conflicts(caller: LocalCaller, graph: Graph) -> None:
    root = graph.commit(changes={"p": b"0"}, ref="main")
    one = graph.commit(parents=[root], changes={"p": b"1"})
    two = graph.commit(parents=[root], changes={"p": b"2"})
    graph.set_ref("main", one)
    graph.set_ref("main", two, keep_others=True)
    (ref,) = call(caller, "refs")
    assert ref["conflicted"]
    preview = call(caller, "merge", ref="main", preview=True)
    merged = call(caller, "merge", ref="main")
    assert preview == merged
    assert [each["path"] for each in merged["conflicts"]] == ["p"]
    assert {merged["conflicts"][0]["ours"], merged["conflicts"][0]["theirs"]} == {b"1", b"2"}
    assert call(caller, "resolve", revs=["main"]) == [merged["commit"]]


def test_merging_by_policies(caller: LocalCaller, graph: Graph) -> None:
    root = graph.commit(changes={"p": b"0"}, ref="main")
    one = graph.commit(parents=[root], changes={"p": b"1"})
    two = graph.commit(parents=[root], changes={"p": b"2"})
    graph.set_ref("main", one)
    graph.set_ref("main", two, keep_others=True)
    call(caller, "merge_policy_set", pattern="*", policy="min")
    call(caller, "merge_policy_set", pattern="p", policy="sum")
    assert call(caller, "merge_policies") == [["p", "sum"], ["*", "min"]]
    preview = call(caller, "merge", ref="main", preview=True)
    assert (preview["conflicts"], preview["settled"]) == ([], [{"path": "p", "policy": "sum", "value": b"3"}])
    call(caller, "merge_policy_set", pattern="p", policy=None)
    assert call(caller, "merge_policies") == [["*", "min"]]
    merged = call(caller, "merge", ref="main", policies={"p": "max"})
    assert merged["settled"] == [{"path": "p", "policy": "max", "value": b"2"}]
    assert graph.state(merged["commit"]) == {"p": b"2"}


@pytest.mark.parametrize(
    "method, params",
    [
        ("merge", {"ref": "main", "policies": {"p": 3}}),
        ("merge", {"ref": "main", "policies": {"p": None}}),
        ("merge", {"ref": "main", "policies": [["p", "max"]]}),
        ("merge", {"ref": "main", "policies": "max"}),
        ("merge", {"ref": "main", "policies": {f"p{number}": "max" for number in range(REVS_MAX + 1)}}),
        ("merge", {"ref": "main", "policies": {"p": "most"}}),
        ("merge", {"ref": "main", "policies": {"[": "max"}}),
        ("merge_policy_set", {"pattern": "p", "policy": "most"}),
        ("merge_policy_set", {"pattern": "", "policy": "max"}),
        ("merge_policy_set", {"policy": "max"}),
        ("merge_policy_set", {"pattern": "p"}),
        ("merge_policies", {"pattern": "p"}),
    ],
)
def test_policies_that_are_wrong_are_refused(caller: LocalCaller, graph: Graph, method: str, params: Any) -> None:
    graph.commit(ref="main")
    before = graph.digest()
    with pytest.raises(LocalError):
        call(caller, method, **params)
    assert graph.digest() == before


async def test_a_policy_set_through_a_node_is_durable_when_it_is_answered(graph: Graph, path: Path) -> None:
    async with served(graph, path) as client:
        await client.call("merge_policy_set", pattern="scores/*", policy="max")
        assert graph.durable_up_to() >= max(each.stamp for each in graph._planes["ledger"].projection.registers)
        assert await client.call("merge_policies") == [["scores/*", "max"]]


def test_status_digest_meta_pending_flush(caller: LocalCaller, graph: Graph) -> None:
    commit = graph.commit(message="x")
    status = call(caller, "status")
    assert status["node"] is None
    assert status["graph"]["commits"] == 1
    assert call(caller, "digest")["digest"] == graph.digest()
    call(caller, "meta_set", key="k", value=b"v")
    call(caller, "meta_set", key="k", value=b"w", commit=commit)
    assert call(caller, "meta_get") == {"k": b"v"}
    assert call(caller, "meta_get", commit=commit) == {"k": b"w"}
    call(caller, "meta_set", key="k", value=None)
    assert call(caller, "meta_get") == {}
    assert call(caller, "pending") == []
    call(caller, "flush")
    assert graph.flush_due() is None
    assert call(caller, "compact") in (True, False)
    assert all(not finding["problem"] for finding in call(caller, "fsck"))


def test_log_is_cut_into_parts_newest_first(caller: LocalCaller, graph: Graph) -> None:
    parents: list[CommitId] = []
    for number in range(CHUNK_ENTRIES + 5):
        parents = [graph.commit(parents=parents, message=str(number))]
    parts: list[Any] = list(caller.stream("log"))
    # The first part is small, so that the first lines are there at once.
    assert [len(part) for part in parts] == [64, 128, 256, 512, CHUNK_ENTRIES + 5 - 960]
    assert parts[0][0]["message"] == str(CHUNK_ENTRIES + 4)
    (few,) = call(caller, "log", limit=2, revs=[parents[0]])
    assert [each["message"] for each in few] == [str(CHUNK_ENTRIES + 4), str(CHUNK_ENTRIES + 3)]


def test_large_contents_are_cut_by_size(caller: LocalCaller, graph: Graph) -> None:
    for number in range(6):
        graph.commit(changes={f"p{number}/{each:02}": os.urandom(16_000) for each in range(25)}, ref="main")
    parts: list[Any] = list(caller.stream("log"))
    assert [len(part) for part in parts] == [3, 3]
    parts = list(caller.stream("state", rev="main"))
    assert [len(part) for part in parts] == [66, 66, 18]


def test_deltas_rebuild_the_graph_elsewhere(caller: LocalCaller, graph: Graph) -> None:
    grow(graph, 3)
    other = replica("b")
    parts: list[Any] = list(caller.stream("deltas"))
    for part in parts:
        other.receive("ledger", part["update"])
    assert parts[-1]["last"]
    assert other.digest() == graph.digest()
    flat = [number for pair in sorted(graph.state_vector("ledger").items()) for number in pair]
    (nothing,) = call(caller, "deltas", state_vector=flat)
    assert nothing["base"] == []


WRONG: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("nonsense", {}, NotFoundError, "no method 'nonsense'"),
    ("status", {"x": 1}, LocalError, "no parameter x"),
    ("resolve", {}, LocalError, "'revs' must be a list, not nothing"),
    ("resolve", {"revs": [5]}, LocalError, "must be a commit"),
    ("resolve", {"revs": [b"short"]}, LocalError, "must be a commit"),
    ("resolve", {"revs": ["nobody"]}, NotFoundError, "nobody"),
    ("log", {"limit": "x"}, LocalError, "'limit' must be an integer, not 'x'"),
    ("commit", {"changes": {"p": 5}}, LocalError, "no value of a path"),
    ("commit", {"durability": "maybe"}, LocalError, "no durability"),
    ("commit", {"parents": [b"p" * 32]}, LocalError, "parent"),
    ("commit_many", {"commits": ["text"]}, LocalError, "list of byte strings"),
    ("set_ref", {"name": "r", "target": "main", "force": 1}, LocalError, "'force' must be true or false"),
    ("set_refs", {"targets": {"r": 5}}, LocalError, "must be a commit"),
    ("set_refs", {"targets": {"r": "nobody"}}, NotFoundError, "nobody"),
    ("merge", {"ref": "none"}, NotFoundError, "none"),
    ("merge_base", {"pairs": [["a"]]}, LocalError, "list of pairs"),
    ("deltas", {"state_vector": [1]}, LocalError, "state vector"),
    ("deltas", {"plane": "nowhere"}, crdtgraph.CrdtGraphError, "nowhere"),
    ("peers", {}, LocalError, "no node is running"),
    ("metrics", {}, LocalError, "no node is running"),
    ("metrics", {"x": 1}, LocalError, "no parameter x"),
    ("exposition", {}, LocalError, "no node is running"),
    ("stop", {}, LocalError, "nothing is running"),
    ("wait_for_digest", {"digest": b""}, LocalError, "needs a running node"),
]


@pytest.mark.parametrize("method, params, kind, text", WRONG, ids=[f"{each[0]} {each[1]}"[:40] for each in WRONG])
def test_wrong_requests(
    caller: LocalCaller, method: str, params: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        call(caller, method, **params)


def test_a_missing_path_is_said(caller: LocalCaller, graph: Graph) -> None:
    graph.commit(changes={"p": b"1"}, ref="main")
    with pytest.raises(NotFoundError, match="no path 'q' at main"):
        call(caller, "state", rev="main", path="q")


def test_every_exported_error_crosses_as_itself() -> None:
    for kind in vars(crdtgraph).values():
        if isinstance(kind, type) and issubclass(kind, crdtgraph.CrdtGraphError):
            crossed = error_from_plain(error_to_plain(kind("what", "hint")))
            assert (type(crossed), crossed.message, crossed.hint) == (kind, "what", "hint")

    class LocalSpecial(AmbiguousError):
        pass

    assert type(error_from_plain(error_to_plain(LocalSpecial("x")))) is AmbiguousError
    assert type(error_from_plain(["Unheard", "of", ""])) is crdtgraph.CrdtGraphError
    assert "cannot be read" in error_from_plain(5).message


def test_no_two_methods_have_one_name() -> None:
    assert len(set(methods())) == len(methods())


def test_every_method_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert [method for method in methods() if f"`{method}`" not in page] == []
