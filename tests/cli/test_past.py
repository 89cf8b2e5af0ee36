"""--at: every reading command shows the graph as of then, of a store at rest and of one that a node works on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest
import trio

import crdtgraph as library
from cli.main import COMMANDS
from crdtgraph import Graph
from sync import Node, Settings
from sync.control import open_control
from sync.methods import Target

from .conftest import PATIENCE_S, CommandLine, Starter
from .test_help import ALL

READING = ["diff", "digest", "log", "merge-base", "refs", "show", "state", "status"]


@pytest.fixture
def digests(crdtgraph: CommandLine, store: str) -> list[str]:
    """What `digest` printed as a store grew, before each change and at the end."""
    found = []
    for number in range(4):
        found.append(crdtgraph("digest").out.strip())
        assert crdtgraph("commit", "-m", f"later {number}", "--set", f"p{number}=x", "--ref", "main").code == 0
    found.append(crdtgraph("digest").out.strip())
    return found


def titles(crdtgraph: CommandLine, *arguments: str) -> list[str]:
    outcome = crdtgraph("log", *arguments, "-o", "json")
    assert outcome.code == 0, outcome.err
    commits: Any = outcome.json
    return [commit["message"] for commit in commits]


def test_each_digest_that_was_printed_is_found_again(crdtgraph: CommandLine, digests: list[str]) -> None:
    for number, digest in enumerate(digests):
        for digits in (digest, digest[:10]):
            assert crdtgraph("digest", "--at", digits).out.strip() == digest
            assert titles(crdtgraph, "main", "--at", digits)[0] == (f"later {number - 1}" if number else "onward")


def test_each_time_is_found_again(crdtgraph: CommandLine, store: str) -> None:
    times, lengths = [], []
    for number in range(3):
        times.append(time.time_ns() // 1_000)
        lengths.append(len(titles(crdtgraph)))
        crdtgraph("commit", "-m", f"later {number}", "--ref", "main")
    for moment, length in zip(times, lengths, strict=True):
        assert len(titles(crdtgraph, "--at", f"@{moment}")) == length
    assert len(titles(crdtgraph, "--at", "now")) == len(titles(crdtgraph)) == lengths[-1] + 1


def test_every_reading_command_shows_what_was_then(crdtgraph: CommandLine, digests: list[str]) -> None:
    then, now = digests[1], digests[4]

    def answer(*arguments: str) -> Any:
        outcome = crdtgraph(*arguments, "-o", "json")
        assert outcome.code in (0, 1), outcome.err
        return outcome.json

    assert answer("show", "main", "--at", then)[0]["message"] == "later 0"
    assert {each["path"] for each in answer("state", "main", "--at", then)} == {"board", "p0"}
    assert crdtgraph("state", "main", "p0", "--at", then).stdout == b"x"
    assert crdtgraph("state", "main", "p1", "--at", then).code == 3
    before = answer("refs", "--at", then)
    assert [ref["name"] for ref in before] == ["main", "side"]
    assert before != answer("refs")
    assert answer("status", "--at", then)["graph"]["commits"] == 4
    assert answer("status", "--at", then)["graph"]["digest"] == then
    assert answer("digest", "--at", then)["digest"] == then
    assert answer("digest", "--at", now)["digest"] == now
    assert answer("merge-base", "main", "side", "--at", then) == answer("merge-base", "main", "side")
    assert crdtgraph("diff", "main-", "main", "--name-only", "--at", then).out == "p0\n"
    main = answer("show", "main")[0]["id"]
    assert crdtgraph("show", main, "--at", then).code == 3
    assert titles(crdtgraph, "heads()", "--at", then) == ["later 0", "aside"]


def test_the_commands_that_take_at_are_those_that_read() -> None:
    taking = {path for path, command in ALL.items() if any("--at" in option.opts for option in command.params)}
    assert {(name,) for name in READING} <= taking
    assert all(path[0] in {*READING, "export", "history", "merge-policy", "ops"} for path in taking)
    assert set(READING) <= set(COMMANDS)


@pytest.mark.parametrize(
    "at, code, said",
    [
        ("2001-01-01", 3, "the first record is of"),
        ("900000w", 3, "the first record is of"),
        ("0" * 64, 3, "no version of the graph has a digest that begins with"),
        ("yesterday", 2, "'yesterday' is no time"),
        ("", 2, "is no time"),
        ("2026-13-01", 2, "month"),
    ],
)
@pytest.mark.usefixtures("store")
def test_what_was_not_there_then_or_is_no_time(crdtgraph: CommandLine, at: str, code: int, said: str) -> None:
    outcome = crdtgraph("log", "--at", at)
    assert (outcome.code, outcome.out) == (code, "")
    assert said in outcome.err
    assert "hint:" in outcome.err


def test_a_store_without_records_had_nothing_at_any_time(crdtgraph: CommandLine) -> None:
    assert crdtgraph("init", "--store", "empty.db").code == 0
    outcome = crdtgraph("log", "--store", "empty.db", "--at", "now")
    assert outcome.code == 3
    assert "no records yet" in outcome.err


def test_a_place_that_is_no_store(crdtgraph: CommandLine) -> None:
    assert crdtgraph("log", "--store", "nowhere.db", "--at", "now").code == 3
    assert crdtgraph("log", "--node", "nowhere", "--at", "now").code == 4


def test_a_store_is_read_although_a_node_is_at_work_on_it(
    crdtgraph: CommandLine, digests: list[str], start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    start("serve", "--store", "search.db", "--listen", "127.0.0.1:0").wait_for("ready")
    assert crdtgraph("digest", "--at", digests[2]).out.strip() == digests[2]
    monkeypatch.delenv("CRDTGRAPH_STORE")
    control = "search.db/control"
    assert crdtgraph("digest", "--node", control, "--at", digests[2]).out.strip() == digests[2]
    assert crdtgraph("commit", "--node", control, "-m", "by the node", "--ref", "main").code == 0
    assert titles(crdtgraph, "main", "--node", control, "--at", "now")[0] == "by the node"
    assert titles(crdtgraph, "main", "--node", control, "--at", digests[2])[0] == "later 1"


@pytest.fixture
def node_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Graph, list[str]]]:
    """A node whose store nobody else can open: its control socket, its graph, and the digests that this had."""
    monkeypatch.chdir(tmp_path)
    graph = library.open("memory:")
    digests = []
    for number in range(3):
        graph.commit(message=f"m{number}", ref="main")
        digests.append(graph.digest().hex())
    stop = trio.Event()
    ready: Queue[trio.lowlevel.TrioToken] = Queue()

    async def serve() -> None:
        settings = Settings(seed=1, goodbye_timeout_s=0.1)
        async with Node(graph, settings=settings) as node, open_control("control", Target(graph, node)):
            ready.put(trio.lowlevel.current_trio_token())
            await stop.wait()

    thread = Thread(target=trio.run, args=(serve,))
    thread.start()
    token = ready.get(timeout=PATIENCE_S)
    yield "control", graph, digests
    trio.from_thread.run_sync(stop.set, trio_token=token)
    thread.join()


def test_of_a_node_whose_store_cannot_be_opened_here_a_copy_is_read(
    crdtgraph: CommandLine, node_in_memory: tuple[str, Graph, list[str]]
) -> None:
    control, _, digests = node_in_memory
    for number, digest in enumerate(digests):
        outcome = crdtgraph("log", "-n", "1", "--node", control, "--at", digest, "-o", "json")
        assert outcome.code == 0, outcome.err
        [commit] = json.loads(outcome.stdout)
        assert commit["message"] == f"m{number}"
    answer: Any = crdtgraph("status", "--node", control, "--at", digests[1], "-o", "json").json
    assert answer["graph"]["commits"] == 2
