"""A search that others look at, join, interrupt or kill."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path
from typing import Any

import crdtgraph as library
from tests.cli.conftest import PATIENCE_S, CommandLine, Outcome, Process, Starter
from tests.cli.mcts.running import run


def searching(start: Starter, *arguments: str) -> Process:
    process = start("mcts", "run", "games.py:Nim", "--search", "s", "--budget", "600s", "-o", "json", *arguments)
    process.wait_for("ready")
    return process


def look_until(crdtgraph: CommandLine, visits: int, writers: int = 1, store: str = "search.db") -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        done = crdtgraph("mcts", "tree", "s", "--store", store, "-o", "json")
        if done.code == 0:
            found: Any = done.json
            root = found["nodes"][0]
            if root["visits"] >= visits and len(root["writers"]) >= writers:
                return found
        assert time.monotonic() < deadline, done.err + done.out


def test_others_look_in_and_keep_the_best_line(crdtgraph: CommandLine, folder: Path, start: Starter) -> None:
    process = searching(start, "--store", "search.db")
    found = look_until(crdtgraph, 2_000)
    root, *others = found["nodes"]
    assert "nim of 60" in found["problem"]
    assert root["depth"] == 0
    assert {node["depth"] for node in others} == {1, 2}
    assert root["children"] == 5
    assert sum(writer["visits"] for writer in root["writers"]) == root["visits"]
    shallow = crdtgraph("mcts", "tree", "s", "--depth", "1", "--width", "2", "--store", "search.db").out.splitlines()
    assert len(shallow) == 2 + 3
    assert "100%" in shallow[2]
    at = crdtgraph(
        "mcts", "tree", "s", "--root", others[0]["commit"][:12], "--depth", "0", "--store", "search.db", "-o", "json"
    )
    assert at.json["nodes"][0]["commit"] == others[0]["commit"]  # type: ignore[index, call-overload]
    kept = crdtgraph("mcts", "promote", "s", "--ref", "best", "--store", "search.db", "-o", "json").json
    assert kept["commit"] == kept["line"][-1]  # type: ignore[index, call-overload]
    one = crdtgraph("mcts", "promote", "s", others[0]["commit"][:12], "--store", "search.db")
    assert one.out == f"promoted {others[0]['commit']}: {others[0]['action']}\n"
    refused = crdtgraph("mcts", "promote", "s", others[0]["commit"][:12], "--ref", "best", "--store", "search.db")
    assert refused.code == 2
    assert "--force" in refused.err
    ended = process.end(signal.SIGINT)
    assert ended.code == 130
    on = run(crdtgraph, "games.py:Nim", "--budget", "50", "--resume", "best", "--search", "t", store="search.db")
    assert max(child["visits"] for child in on["children"]) > 50


def test_ctrl_c_ends_it_well(crdtgraph: CommandLine, folder: Path, start: Starter) -> None:
    for number, code, workers in ((signal.SIGINT, 130, "0"), (signal.SIGTERM, 143, "2")):
        process = searching(start, "--store", "search.db", "--promote-to", "best", "--workers", workers, "--force")
        look_until(crdtgraph, 500)
        ended = process.end(number)
        assert ended.code == code
        found: Any = ended.json
        assert found["stop"] == "interrupted"
        assert found["iterations"] >= 500
        assert "stopped after" in ended.err
        with library.open("search.db", read_only=True) as graph:
            assert graph.refs["best"].hex() == found["promoted"]
            assert graph.recovery.warnings() == []


def test_a_search_whose_process_is_killed_leaves_a_good_ledger(
    crdtgraph: CommandLine, folder: Path, start: Starter
) -> None:
    process = searching(start, "--store", "search.db")
    look_until(crdtgraph, 500)
    process.end(signal.SIGKILL)
    assert crdtgraph("fsck", "--store", "search.db").code == 0
    assert run(crdtgraph, "games.py:Nim", "--budget", "50", "--search", "s", store="search.db")["iterations"] == 50


def test_peers_grow_one_tree(crdtgraph: CommandLine, folder: Path, start: Starter) -> None:
    first = searching(start, "--store", "search.db", "--listen", "127.0.0.1:0")
    address = re.search(r"listening on (\S+)", first.err)
    assert address is not None
    second = searching(start, "--store", "memory:", "--peer", address[1], "--seed", "2")
    found = look_until(crdtgraph, 1_000, writers=2)
    assert len(found["nodes"][0]["writers"]) == 2
    # A third one with another problem is told so, and one beside the node, by its control socket, joins.
    other = crdtgraph("mcts", "run", "games.py:Nim", "--search", "s", "--budget", "200", "--node", "search.db/control")
    assert other.code == 0, other.err
    for process in (second, first):
        assert process.end(signal.SIGINT).code == 130


def test_what_is_not_there(crdtgraph: CommandLine, folder: Path, node: Process) -> None:
    def asked(*arguments: str) -> Outcome:
        return crdtgraph("mcts", *arguments, "--store", "search.db")

    for command in ("tree", "promote"):
        missing = asked(command, "nothing")
        assert missing.code == 3
        assert "no search 'nothing' is open here" in missing.err
    elsewhere = crdtgraph("mcts", "tree", "s", "--store", "memory:")
    assert elsewhere.code == 4
