"""`diverge` and `converge` at the terminal: what they say of stores and nodes, and how they end."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import crdtgraph as library
import sync
import sync.client.blocking
from cli.context import Access
from cli.courier import Courier
from cli.diverging import watching
from cli.places import Place, short_names
from crdtgraph import CommitId, UnreachableError
from crdtgraph.store import FORMAT_KEY, Batch, Keyspace, open_store
from crdtgraph.union import unite
from sync.protocol.messages import Plain

from .conftest import CommandLine, Outcome, Process, Starter

LEFT, RIGHT = "left.db", "right.db"


@pytest.fixture
def made(crdtgraph: CommandLine) -> dict[str, CommitId]:
    """Two stores that parted, and the commits in them by message."""
    ids: dict[str, CommitId] = {}
    with library.open(LEFT, author="l") as left, library.open(RIGHT, author="r") as right:
        ids["start"] = left.commit(message="start", changes={"board": b"0", "same": b"0"}, ref="main")
        left.set_ref("side", ids["start"])
        left.set_meta("owner", b"we")
        unite(left, right)
        for message, board in (("l1", b"1"), ("l2", b"2")):
            ids[message] = left.commit(message=message, changes={"board": board, "same": b"="}, ref="main")
        ids["new"] = left.commit(message="new", parents=[ids["start"]], ref="new")
        ids["r1"] = right.commit(message="r1", changes={"board": b"9", "same": b"="}, ref="main")
        ids["aside"] = right.commit(message="aside", ref="side")
        right.set_meta("owner", b"you")
        right.count(ids["start"], [3, 1])
    return ids


def document(outcome: Outcome, code: int = 1) -> dict[str, object]:
    assert outcome.code == code, outcome.err
    found = outcome.json
    assert isinstance(found, dict)
    return found


def test_the_document_has_all_that_differs(crdtgraph: CommandLine, made: dict[str, CommitId]) -> None:
    ids = {message: commit.hex() for message, commit in made.items()}
    found = document(crdtgraph("diverge", LEFT, RIGHT, "-o", "json"))
    assert set(found) == {
        "equal", "settled", "replicas", "union", "ahead", "groups", "first_divergent_generation", "fork_points",
        "commits", "refs", "conflicted", "paths", "metadata", "set_apart", "counters", "discarded", "pending", "heal",
    }  # fmt: skip
    assert (found["equal"], found["settled"], found["union"], found["ahead"]) == (False, False, 6, [[0, 3], [2, 0]])
    left, right = found["replicas"]  # type: ignore[misc]
    assert set(left) == {"name", "place", "replica", "commits", "behind", "digest"}
    assert [(each["place"], each["commits"], each["behind"]) for each in (left, right)] == [(LEFT, 4, 2), (RIGHT, 3, 3)]
    assert (found["first_divergent_generation"], found["fork_points"]) == (2, [ids["start"]])
    held = {each["id"]: each["held_by"] for each in found["commits"]}  # type: ignore[attr-defined]
    assert held == {ids["l1"]: [0], ids["l2"]: [0], ids["new"]: [0], ids["r1"]: [1], ids["aside"]: [1]}
    states = {each["name"]: (each["state"], each["targets"], each["behind"]) for each in found["refs"]}  # type: ignore[attr-defined]
    assert states == {
        "main": ("conflicted", [[ids["l2"]], [ids["r1"]]], [1, 2]),
        "new": ("missing", [[ids["new"]], []], [0, 2]),
        "side": ("fast-forward", [[ids["start"]], [ids["aside"]]], [1, 0]),
    }
    board, same = found["paths"]  # type: ignore[misc]
    text = {name: value["text"] for name, value in board["conflicts"][0].items() if name != "ref"}
    assert (board["path"], board["clean"], text) == ("board", False, {"base": "0", "ours": "2", "theirs": "9"})
    assert same == {"path": "same", "clean": True, "conflicts": []}
    (owner,) = found["metadata"]  # type: ignore[misc]
    assert (owner["name"], [each["text"] for each in owner["values"]]) == ("meta/graph/owner", ["we", "you"])
    assert owner["healed"]["text"] == "you"
    assert found["counters"] == [{"commit": ids["start"], "totals": [[], [3, 1]]}]
    heal = found["heal"]
    assert isinstance(heal, dict)
    assert heal["round_trips"] == 2
    assert [each["segments"] for each in heal["lacking"]] == [3, 3]


def test_people_are_told_the_same(crdtgraph: CommandLine, made: dict[str, CommitId]) -> None:
    text = crdtgraph("diverge", LEFT, RIGHT, "-n", "1")
    assert text.code == 1
    lines = [" ".join(line.split()) for line in text.out.splitlines()]
    l2, r1, new = (made[name].hex()[:12] for name in ("l2", "r1", "new"))
    for line in (
        "left.db and right.db differ",
        "first divergent generation: 2",
        "only in left.db: 3",
        "(2 older ones; --max-count shows more)",
        f"main conflicted left.db {l2} (1 behind) right.db {r1} (2 behind)",
        "(2 more; --max-count shows them)",
        'board conflict in main base "0", ours "2", theirs "9"',
        'meta/graph/owner left.db "we" right.db "you" after an exchange "you"',
        "to become equal, in 2 round trips:",
    ):
        assert line in lines, text.out
    whole = crdtgraph("diverge", LEFT, RIGHT).out
    assert "same   merges cleanly" in whole
    assert f"new   missing       left.db {new}" in whole


def test_counts_alone(crdtgraph: CommandLine, made: dict[str, CommitId]) -> None:
    shown = crdtgraph("diverge", LEFT, RIGHT, "--stat")
    assert shown.code == 1
    assert "3 refs differ, 1 of them will be in conflict, 2 paths changed on several sides, 1 of them" in shown.out
    assert "only in" not in shown.out


def test_three_replicas_are_a_matrix_of_groups(crdtgraph: CommandLine, made: dict[str, CommitId]) -> None:
    shutil.copytree(LEFT, "third.db")
    shown = crdtgraph("diverge", LEFT, RIGHT, "third.db")
    assert shown.code == 1
    assert shown.out.startswith("3 replicas differ: left.db = third.db | right.db\n")
    assert "only in left.db and third.db: 3" in shown.out
    rows = crdtgraph("diverge", LEFT, RIGHT, "third.db", "-o", "csv").out.splitlines()
    assert rows[0] == "replica,other,equal,ahead,behind"
    assert rows[1:3] == ["left.db,right.db,false,3,2", "left.db,third.db,true,0,0"]
    assert len(rows) == 7
    found = document(crdtgraph("diverge", LEFT, RIGHT, "third.db", "-o", "jsonl"))
    assert (found["groups"], found["ahead"]) == ([[0, 2], [1]], [[0, 3, 0], [2, 0, 2], [0, 3, 0]])
    assert found["heal"]["round_trips"] is None  # type: ignore[index]


def test_equal_replicas_are_exit_code_0(crdtgraph: CommandLine, made: dict[str, CommitId]) -> None:
    shutil.copytree(LEFT, "copy.db")
    equal = crdtgraph("diverge", LEFT, "copy.db")
    assert (equal.code, equal.out.splitlines()[0]) == (0, "left.db and copy.db are equal")
    assert "to become equal" not in equal.out


def test_converge_makes_them_equal_and_proves_it(crdtgraph: CommandLine, made: dict[str, CommitId]) -> None:
    shutil.copytree(LEFT, "third.db")
    before = [crdtgraph("digest", "--store", store).out for store in (LEFT, RIGHT)]
    told = document(crdtgraph("converge", LEFT, RIGHT, "third.db", "--dry-run", "-o", "json"))
    assert (told["equal"], told["dry_run"]) == (False, True)
    assert "nothing was changed" in crdtgraph("converge", LEFT, RIGHT, "--dry-run").out
    assert [crdtgraph("digest", "--store", store).out for store in (LEFT, RIGHT)] == before
    done = document(crdtgraph("converge", LEFT, RIGHT, "third.db", "-o", "json"), 0)
    assert done["equal"] is True
    replicas = done["replicas"]
    assert isinstance(replicas, list)
    digests = {crdtgraph("digest", "--store", store).out.strip() for store in (LEFT, RIGHT, "third.db")}
    assert {each["digest"] for each in replicas} == digests
    assert len(digests) == 1
    assert [(each["commits_before"], each["commits"]) for each in replicas] == [(4, 6), (3, 6), (4, 6)]
    # What it said before is what it carried then.
    expected = [(each["segments_in"], each["bytes_in"]) for each in told["replicas"]]  # type: ignore[attr-defined]
    for (segments, size), each in zip(expected, replicas, strict=True):
        assert each["segments_in"] == segments
        assert each["bytes_in"] == pytest.approx(size, rel=0.1)
    assert crdtgraph("fsck", "--store", RIGHT).code == 0
    assert crdtgraph("diverge", LEFT, RIGHT, "third.db").code == 0
    again = crdtgraph("converge", LEFT, RIGHT)
    assert (again.code, again.out.splitlines()[0]) == (0, "left.db and right.db are equal already")
    rows = crdtgraph("converge", LEFT, RIGHT, "-o", "csv").out.splitlines()
    assert rows[0] == "name,place,replica,commits_before,commits,segments_in,bytes_in,bytes_out,digest"
    assert len(rows) == 3


# Watching


def test_watching_goes_on_until_they_are_equal_and_says_what_changes(
    crdtgraph: CommandLine, made: dict[str, CommitId], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0

    def between_looks(_seconds: float) -> None:
        nonlocal looked
        looked += 1
        if looked == 5:
            assert crdtgraph("converge", LEFT, RIGHT).code == 0

    real = watching.open_places

    def open_unless_gone(given: Sequence[str], access: Access) -> AbstractContextManager[list[Place]]:
        if looked in (2, 3):
            raise UnreachableError("the node went away")
        return real(given, access)

    monkeypatch.setattr(watching, "open_places", open_unless_gone)
    seen = list(watching.looks([LEFT, RIGHT], 1, between_looks))
    assert [look.equal for look in seen] == [False] * 5 + [True]
    lines = [watching.line(look) for look in watching.changed(iter(seen))]
    assert len(lines) == 4
    assert "differ  left.db 4 (-2)  right.db 3 (-3)  refs 3, in conflict 1  to carry " in lines[0]
    assert lines[1].endswith("unreachable  the node went away")
    assert lines[2][24:] == lines[0][24:]
    assert lines[3].endswith("equal   left.db 6  right.db 6")
    shown = crdtgraph("diverge", LEFT, RIGHT, "--watch")
    assert (shown.code, shown.out[25:]) == (0, "equal   left.db 6  right.db 6\n")
    look = document(crdtgraph("diverge", LEFT, RIGHT, "--watch", "-o", "jsonl"), 0)
    assert set(look) == set(watching.COLUMNS)
    assert (look["equal"], look["union"], look["bytes"]) == (True, 6, 0)


def test_ctrl_c_ends_the_watching(
    crdtgraph: CommandLine, made: dict[str, CommitId], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    looks = watching.looks
    with monkeypatch.context() as patched:
        patched.setattr(watching, "looks", lambda given, every_s: looks(given, every_s, interrupt))
        stopped = crdtgraph("diverge", LEFT, RIGHT, "--watch")
    assert (stopped.code, len(stopped.out.splitlines())) == (130, 1)
    assert stopped.err == "crdtgraph: stopped before they were equal\n"


# Places


def test_names_are_as_short_as_they_can_be_and_still_be_told_apart() -> None:
    assert short_names(["n/eu/control", "n/us/control"]) == ["eu", "us"]
    assert short_names(["left.db", "deep/right.db"]) == ["left.db", "right.db"]
    assert short_names(["a/x.db", "b/x.db", "rocksdb:/c/y.db"]) == ["a/x.db", "b/x.db", "c/y.db"]
    assert short_names(["./x", "/y/x"]) == ["x", "y/x"]
    assert short_names(["x", "./x"]) == ["x", "./x"]


@pytest.mark.parametrize("command", ["diverge", "converge"])
def test_places_that_do_not_go_together(crdtgraph: CommandLine, made: dict[str, CommitId], command: str) -> None:
    crdtgraph("init", "--store", "red.db", "--cluster", "red")
    Path("file").write_text("x")
    Path("folder").mkdir()
    Path("folder/something").write_text("else")
    Path("loop").symlink_to(LEFT)
    newer = open_store("newer.db", create=True)
    batch = Batch()
    batch.put(Keyspace.META, FORMAT_KEY, b"999")
    newer.write(batch, sync=True)
    newer.close()
    before = crdtgraph("digest", "--store", LEFT).out
    for places, code, text in (
        ([], 2, "Missing argument"),
        ([LEFT], 2, "compare with what?"),
        ([LEFT, LEFT], 2, "left.db is named twice"),
        ([LEFT, "rocksdb:left.db"], 2, "are the same replica"),
        ([LEFT, "loop"], 2, "are the same replica"),
        ([LEFT, "red.db"], 2, "different clusters: left.db is of 'default', red.db of 'red'"),
        ([LEFT, "absent"], 3, "absent"),
        ([LEFT, "file"], 3, "file"),
        ([LEFT, "folder"], 3, "folder"),
        ([LEFT, "gone/control"], 4, "gone/control"),
        ([LEFT, "newer.db"], 5, "999"),
    ):
        failed = crdtgraph(command, *places)
        assert failed.code == code, (places, failed.err)
        assert text.lower() in failed.err.lower(), (places, failed.err)
        assert failed.out == ""
        assert "hint: " in failed.err
    assert crdtgraph("digest", "--store", LEFT).out == before


# Nodes


def node_at(start: Starter, store: str, *more: str) -> Process:
    process = start("serve", "--store", store, *more)
    process.wait_for("ready")
    return process


def address_of(crdtgraph: CommandLine, store: str) -> str:
    status = crdtgraph("status", "--store", store, "-o", "json").json
    assert isinstance(status, dict)
    return str(status["node"]["addresses"][0])


@pytest.mark.slow
def test_nodes_that_do_not_see_each_other_are_healed_and_pass_it_on(
    crdtgraph: CommandLine, made: dict[str, CommitId], start: Starter
) -> None:
    crdtgraph("init", "--store", "peer.db")
    node_at(start, LEFT, "--listen", "127.0.0.1:0")
    node_at(start, RIGHT, "--listen", "127.0.0.1:0")
    node_at(start, "peer.db", "--peer", address_of(crdtgraph, RIGHT))
    for node, other in ((LEFT, RIGHT), (RIGHT, LEFT)):
        crdtgraph("block", address_of(crdtgraph, other), "--store", node)
    # What was said a moment ago is in the answer, though no disk has it yet.
    crdtgraph("commit", "-m", "late", "--node", f"{LEFT}/control")
    found = document(crdtgraph("diverge", f"{LEFT}/control", RIGHT, "-o", "json"))
    assert found["ahead"] == [[0, 4], [2, 0]]
    # A store that a node is at work on is reached through the node, also to write.
    done = document(crdtgraph("converge", LEFT, f"{RIGHT}/control", "-o", "json"), 0)
    (digest,) = {each["digest"] for each in done["replicas"]}  # type: ignore[attr-defined]
    with sync.BlockingControlClient("peer.db/control") as peer:
        assert peer.call("wait_for_digest", digest=bytes.fromhex(digest), timeout_s=30.0) is True
    assert crdtgraph("diverge", LEFT, RIGHT, "peer.db").code == 0


def test_a_node_and_its_store_are_the_same_place(crdtgraph: CommandLine, store: str, node: Process) -> None:
    failed = crdtgraph("diverge", f"{store}/control", store)
    assert (failed.code, "are the same replica" in failed.err) == (2, True)


def test_a_node_in_memory_is_copied(crdtgraph: CommandLine, made: dict[str, CommitId], start: Starter) -> None:
    node_at(start, "memory:", "--control", "m")
    found = document(crdtgraph("diverge", LEFT, "m", "-o", "json"))
    assert (found["ahead"], found["fork_points"]) == ([[0, 4], [0, 0]], [])
    assert crdtgraph("converge", LEFT, "m").code == 0
    assert crdtgraph("diverge", LEFT, "m").code == 0


@pytest.mark.parametrize(
    "command, method", [("diverge", "state_vector"), ("diverge", "deltas"), ("converge", "receive")]
)
def test_a_node_that_goes_away_midway_is_named(
    crdtgraph: CommandLine,
    made: dict[str, CommitId],
    start: Starter,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    method: str,
) -> None:
    node = node_at(start, "memory:" if method == "deltas" else RIGHT, "--control", "m")
    conversation = sync.client.blocking.Conversation
    ask = conversation.ask

    def ask_and_kill(self: object, asked: str, params: dict[str, Plain]) -> bytes:
        if asked == method:
            node.end(signal.SIGKILL)
        return ask(self, asked, params)  # type: ignore[arg-type]

    monkeypatch.setattr(conversation, "ask", ask_and_kill)
    failed = crdtgraph(command, LEFT, "m")
    assert failed.code == 4, failed.err
    assert failed.err.startswith("crdtgraph: the node at m went away: ")
    if command == "converge":
        assert "run it again" in failed.err or "nothing was carried yet" in failed.err
    monkeypatch.undo()


def test_ctrl_c_leaves_what_was_carried(
    crdtgraph: CommandLine, made: dict[str, CommitId], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Courier.carry
    calls = []

    def carry_once(self: Courier, source: int, target: int) -> None:
        calls.append(target)
        if len(calls) > 1:
            raise KeyboardInterrupt
        real(self, source, target)

    with monkeypatch.context() as patched:
        patched.setattr(Courier, "carry", carry_once)
        stopped = crdtgraph("converge", LEFT, RIGHT)
    assert stopped.code == 130
    assert (
        stopped.err == "crdtgraph: stopped; the 3 segments that were carried stay; run it again to go on from there\n"
    )
    found = document(crdtgraph("diverge", LEFT, RIGHT, "-o", "json"))
    assert found["ahead"] in ([[0, 3], [0, 0]], [[0, 0], [2, 0]])
    assert crdtgraph("converge", LEFT, RIGHT).code == 0
