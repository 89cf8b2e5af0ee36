"""`merge --policy` and `merge-policy`: what they say, what they keep, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

import crdtgraph as library
from cli.commands.merge_policy.set import POLICIES
from crdtgraph import MergePolicy

from .conftest import CommandLine


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """`main` has two targets that differ in `notes`, `other` and `scores/a`."""
    path = str(tmp_path / "graph.db")
    with library.open(path) as graph:
        base = {"notes": b"1\n2\n3\n", "other": b"0", "scores/a": b"1"}
        root = graph.commit(message="start", changes=base)
        for notes, other, score in ((b"one\n2\n3\n", b"1", b"5"), (b"1\n2\nthree\n", b"2", b"12")):
            head = graph.commit(parents=[root], changes={"notes": notes, "other": other, "scores/a": score})
            graph.set_ref("main", head, keep_others=True)
    monkeypatch.setenv("CRDTGRAPH_STORE", path)
    return path


def test_the_names_of_the_policies_are_those_of_the_library() -> None:
    assert list(MergePolicy) == list(POLICIES)


def test_a_merge_by_policies_of_the_command_line(crdtgraph: CommandLine, store: str) -> None:
    arguments = ("merge", "main", "--policy", "scores/*=max", "--policy", "notes=text")
    preview = crdtgraph(*arguments, "--dry-run")
    assert preview.code == 0
    assert "2 paths merged by policy:\n  notes: 12 bytes, by text\n  scores/a: 2 bytes, by max\n" in preview.out
    assert "1 paths in conflict" in preview.out
    merged = crdtgraph(*arguments, "-o", "json").json
    assert isinstance(merged, dict)
    assert merged["commit"] in preview.out
    assert [each["path"] for each in merged["conflicts"]] == ["other"]
    assert merged["settled"][0] == {"path": "notes", "policy": "text", "value": {"size": 12, "text": "one\n2\nthree\n"}}
    assert crdtgraph("state", "main", "scores/a").out == "12"
    assert crdtgraph("state", "main", "notes").out == "one\n2\nthree\n"


def test_policies_are_kept_listed_and_removed(crdtgraph: CommandLine, store: str) -> None:
    assert crdtgraph("merge-policy", "ls").out == ""
    assert crdtgraph("merge-policy", "set", "**", "latest").out == "** is merged by latest\n"
    assert crdtgraph("merge-policy", "set", "scores/*", "sum", "-o", "json").json == {
        "pattern": "scores/*",
        "policy": "sum",
    }
    assert crdtgraph("merge-policy", "ls").out.split() == ["PATTERN", "POLICY", "scores/*", "sum", "**", "latest"]
    preview = crdtgraph("merge", "main", "--dry-run", "-o", "json").json
    assert isinstance(preview, dict)
    assert [(each["path"], each["policy"]) for each in preview["settled"]] == [
        ("notes", "latest"),
        ("other", "latest"),
        ("scores/a", "sum"),
    ]
    assert crdtgraph("merge-policy", "rm", "scores/*").out == "scores/* has no policy any more\n"
    assert crdtgraph("merge-policy", "ls", "-o", "json").json == [{"pattern": "**", "policy": "latest"}]
    history = crdtgraph("history", "--meta", "merge/scores/*").out
    assert "removed" in history


@pytest.mark.parametrize("policy", ["scores/*", "=max", "", "a="])
def test_a_policy_without_pattern_or_name_is_refused(crdtgraph: CommandLine, store: str, policy: str) -> None:
    refused = crdtgraph("merge", "main", "--policy", policy)
    assert refused.code == 2
    assert repr(policy) in refused.err or "'' is no merge policy" in refused.err
    assert "conflict, also at" in crdtgraph("refs").out


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (["merge", "main", "--policy", "a=most"], 2, "'most' is no merge policy"),
        (["merge", "main", "--policy", "[=max"], 2, "'[' without its ']'"),
        (["merge", "main", "--policy", "a=max", "--policy", "a=min"], 2, "was given before"),
        (["merge-policy", "set", "a", "most"], 2, "'most' is not one of"),
        (["merge-policy", "set", "[b-a]", "max"], 2, "no range"),
        (["merge-policy", "rm", "a"], 3, "there is no merge policy for 'a'"),
    ],
)
def test_what_is_wrong_is_said(crdtgraph: CommandLine, store: str, arguments: list[str], code: int, said: str) -> None:
    refused = crdtgraph(*arguments)
    assert (refused.code, refused.stdout) == (code, b"")
    assert said in refused.err
    assert "Traceback" not in refused.err


def test_a_pattern_may_hold_the_sign_that_separates(crdtgraph: CommandLine, store: str) -> None:
    with library.open(store) as graph:
        root = graph.commit(message="other", changes={"a=b": b"1"})
        for value in (b"2", b"3"):
            graph.set_ref("side", graph.commit(parents=[root], changes={"a=b": value}), keep_others=True)
    merged = crdtgraph("merge", "side", "--policy", "a=b=max", "-o", "json").json
    assert isinstance(merged, dict)
    assert [each["path"] for each in merged["settled"]] == ["a=b"]
