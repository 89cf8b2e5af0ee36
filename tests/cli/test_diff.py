"""`crdtgraph diff`: what it prints is what other tools read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import crdtgraph as library
from cli.patches import line_counts, patch_lines
from crdtgraph import PathChange, Reference

from .conftest import CommandLine, Process

TEXTS = st.one_of(
    st.none(),
    st.lists(
        st.sampled_from(["one", "two", "+three", "-four", "@@ five", "", "six\x0cseven", "\\ eight"]), max_size=8
    ).flatmap(lambda lines: st.sampled_from(["\n".join(lines).encode(), ("\n".join(lines) + "\n").encode()])),
)


def plain_patch(changes: list[PathChange], context: int = 3) -> str:
    return "".join(line + "\n" for change in changes for line in patch_lines(change, context))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(["a", "dir/b", "with space", "c.txt"]), st.tuples(TEXTS, TEXTS)), st.integers(0, 4)
)
def test_git_applies_the_patch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pairs: dict[str, tuple[bytes | None, bytes | None]], context: int
) -> None:
    changes = [
        PathChange(path, old, new)
        for path, (old, new) in pairs.items()
        # A form feed is shown escaped on a terminal, so what has one does not apply.
        if old != new and b"\x0c" not in (old or b"") + (new or b"")
    ]
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    for path, (old, _) in pairs.items():
        if old is not None:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(old)
    folder.mkdir(exist_ok=True)
    patch = plain_patch(changes, context)
    if patch:
        options = ["--unidiff-zero"] if context == 0 else []
        subprocess.run(["git", "apply", *options, "-"], input=patch.encode(), cwd=folder, check=True)
    for change in changes:
        path = folder / change.path
        assert (path.read_bytes() if path.exists() else None) == change.after


def test_lines_are_counted_as_git_does(tmp_path: Path) -> None:
    change = PathChange("x", b"a\nb\nc\nd\n", b"a\nB\nc\nd\ne\nf")
    assert line_counts(change) == (3, 1)
    (tmp_path / "old").write_bytes(change.before)
    (tmp_path / "new").write_bytes(change.after)
    numbers = subprocess.run(
        ["git", "diff", "--no-index", "--numstat", "old", "new"], cwd=tmp_path, capture_output=True, text=True
    )
    assert numbers.stdout.split()[:2] == ["3", "1"]


def test_what_is_no_text_is_said_to_differ() -> None:
    reference = Reference("git-blob", b"\x12" * 20, 7)
    assert "Binary files a/x and b/x differ" in plain_patch([PathChange("x", b"\0", b"text")])
    assert f"git-blob:{'12' * 20} (7 bytes)" in plain_patch([PathChange("x", None, reference)])
    assert line_counts(PathChange("x", b"\xff", b"text")) is None


def test_control_characters_never_reach_a_terminal() -> None:
    shown = plain_patch([PathChange("evil\x1b[31m\nname", None, b"\x1b]0;title\x07\n")])
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert all(not line.startswith("name") for line in shown.splitlines())


def test_a_very_long_text_is_shown_as_replaced_and_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.patches.COMPARED_LINES_MAX", 2)
    shown = plain_patch([PathChange("x", b"1\n2\n3\n", b"1\n2\n")])
    assert "@@ -1,3 +1,2 @@\n-1\n-2\n-3\n+1\n+2\n" in shown
    assert line_counts(PathChange("x", b"1\n2\n3\n", b"1\n2\n")) == (2, 3)


def test_two_commits(crdtgraph: CommandLine, store: str) -> None:
    shown = crdtgraph("diff", "side", "main")
    assert shown.code == 1
    assert "-e2 e4" in shown.out
    assert "+e7 e5" in shown.out
    assert "deleted file mode" in shown.out  # `notes` is on the side alone
    assert crdtgraph("diff", "side..main").out == shown.out
    assert crdtgraph("diff", "main", "main").code == 0
    assert crdtgraph("diff", "main", "main").out == ""
    assert crdtgraph("diff", "side", "main", "--name-only").out.split() == ["board", "notes"]
    assert crdtgraph("diff", "side", "main", "boa", "--name-only").out == ""
    assert crdtgraph("diff", "side", "main", "board", "--name-only").out.split() == ["board"]
    stat = crdtgraph("diff", "side", "main", "--stat").out.splitlines()
    assert stat[0].split() == ["board", "|", "2", "+-"]
    assert stat[-1] == " 2 paths changed, 1 lines added, 2 removed"


def test_one_commit_against_its_first_parent(crdtgraph: CommandLine, store: str) -> None:
    assert crdtgraph("diff", "main", "-o", "json").json == [
        {
            "path": "board",
            "status": "changed",
            "added_lines": 1,
            "removed_lines": 1,
            "before": {"size": 5, "text": "e2 e4"},
            "after": {"size": 5, "text": "e7 e5"},
        }
    ]
    root = library.open("search.db", read_only=True)
    with root:
        [first] = root.roots()
    assert "new file mode" in crdtgraph("diff", first.hex()).out


def test_a_path_below_a_folder(crdtgraph: CommandLine, store: str) -> None:
    crdtgraph("commit", "--ref", "main", "--set", "dir/x=1", "--set", "dirt=1")
    assert crdtgraph("diff", "main", "--name-only").out.split() == ["dir/x", "dirt"]
    parent = crdtgraph("log", "-n", "2", "-o", "json").json[1]["id"]
    assert crdtgraph("diff", parent, "main", "dir", "--name-only").out.split() == ["dir/x"]


def test_through_a_node(crdtgraph: CommandLine, node: Process) -> None:
    assert crdtgraph("diff", "side", "main", "--name-only", "--node", "search.db/control").out.split() == [
        "board",
        "notes",
    ]


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (["nowhere"], 3, "names no commit"),
        (["main", "nowhere"], 3, "names no commit"),
        (["main", "side", "--stat", "--name-only"], 2, "exclude each other"),
        (["main", "side", "-U", "-1"], 2, "-1"),
    ],
)
def test_mistakes(crdtgraph: CommandLine, store: str, arguments: list[str], code: int, said: str) -> None:
    outcome = crdtgraph("diff", *arguments)
    assert outcome.code == code
    assert said in outcome.err
