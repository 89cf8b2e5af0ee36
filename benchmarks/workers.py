"""Four processes without a replica write batches of speculative commits through one real node, over its Unix socket.

Beside it stand the floors: the same commits made in the node's own process by `Search.commit`, and the same bytes sent
through a server that only sends them back. What the node does for a commit is timed stage by stage as well, in a
process that does nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from os import sysconf
from pathlib import Path
from time import perf_counter, perf_counter_ns, sleep

import trio

import crdtgraph
from benchmarks.report import Report, quantiles, rounded
from crdtgraph import CommitId, Draft
from crdtgraph.bulk import STEP_ITEMS, commit_batch
from sync.client import asks
from sync.client.asks import Ask
from sync.client.blocking import BlockingControlClient
from sync.client.remote import greet
from sync.connection import BROKEN
from sync.protocol.callcodec import decode_request, encode_request
from sync.protocol.calls import Request
from sync.protocol.framing import FrameParser, encode_frame
from sync.protocol.limits import READ_BYTES

CLIENTS = 4
BATCH = 100
BATCHES = 400
"""Of each client."""
PACE = 20_000
"""Commits a second of all clients together, for the run that does not go as fast as it can."""
ROOT = Path(__file__).resolve().parent.parent
PLANE = "search/move 1"
START_S = 60.0


def run(*, quick: bool) -> Report:
    """Measure and report."""
    batches = 20 if quick else BATCHES
    report = Report(
        "workers",
        {"clients": CLIENTS, "batch": BATCH, "batches_a_client": batches, "changes": 1, "store": "rocksdb"},
    )
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "control")
        with _node(folder, path) as server:
            with BlockingControlClient(path) as client:
                greet(client)
                made = client.call("commit", message="root", ref="main")
                assert isinstance(made, bytes)
                client.call("search_open", name="move 1")
            free = _drive(path, CommitId(made), batches, None, server)
            paced = _drive(path, CommitId(made), batches, PACE / CLIENTS / BATCH, server)
            with BlockingControlClient(path) as client:
                reached = asks.children_many(PLANE, [CommitId(made)])
                greet(client)
                first = reached.read(client.call(reached.method, **reached.params))[0]
            assert len(first) == 2 * CLIENTS, "every client's first commit is in the search"
        echo = str(Path(folder) / "echo")
        with _echo(echo) as server:
            echoed = _drive(echo, CommitId(made), batches, None, server)
    report.results["4 clients, as fast as they can"] = rounded(free)
    report.results[f"4 clients at {PACE:,} commits/s"] = rounded(paced)
    report.results["floor: the same bytes, echoed"] = rounded(echoed)
    single, stages = _in_process(CLIENTS * batches)
    report.results["floor: Search.commit in process"] = rounded(single)
    for name, value in stages.items():
        report.results[f"stage: {name}"] = {"us_a_commit": value}
    report.hold("commits through the node", free["commits_per_s"], "/s", ">=", 20_000)
    report.hold("P99 of a batch of 100", free["p99_us"] / 1_000, "ms", "<=", 20)
    report.hold("P99 of a batch of 100 at 20,000 commits/s", paced["p99_us"] / 1_000, "ms", "<=", 20)
    return report


def drafts(root: CommitId, client: int, batch: int, last: CommitId | None) -> list[Draft]:
    """One batch: a small tree below what the client made last; no two batches have a commit in common."""
    return [
        Draft(
            [(place - 1) // 2 if place else last or root],
            f"{place % 7}",
            {"move": b"%d %d %d" % (client, batch, place)},
        )
        for place in range(BATCH)
    ]


def _drive(path: str, root: CommitId, batches: int, pace: float | None, server: int | None = None) -> dict[str, float]:
    """What the clients measured together: commits a second, and quantiles of the time of a batch."""
    context = get_context("spawn")
    pipes: list[Connection] = []
    processes = []
    try:
        for number in range(CLIENTS):
            here, there = context.Pipe()
            kind = 0 if pace is None else CLIENTS
            process = context.Process(
                target=_client, args=(there, path, root, number + kind, batches, pace), daemon=True
            )
            process.start()
            processes.append(process)
            pipes.append(here)
        for pipe in pipes:
            pipe.recv()
        spent = cpu_seconds(server)
        began = perf_counter()
        for pipe in pipes:
            pipe.send(None)
        times = [each for pipe in pipes for each in pipe.recv()]
        seconds = perf_counter() - began
        spent = cpu_seconds(server) - spent
        for process in processes:
            process.join()
    finally:
        for process in processes:
            process.kill()
    commits = len(times) * BATCH
    return {
        "commits_per_s": round(commits / seconds),
        **quantiles(times),
        "server_cpu_us_a_commit": round(spent / commits * 1e6, 2),
    }


def cpu_seconds(process: int | None) -> float:
    """How long a process has run on a processor since it started (Linux); 0 without one."""
    if process is None:
        return 0.0
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / sysconf("SC_CLK_TCK")


def _client(pipe: Connection, path: str, root: CommitId, number: int, batches: int, pace: float | None) -> None:
    with BlockingControlClient(path) as client:
        echo = path.endswith("echo")
        if not echo:
            greet(client, f"client {number}")
        pipe.send(None)
        pipe.recv()
        times: list[int] = []
        last: CommitId | None = None
        began = perf_counter()
        for batch in range(batches):
            given = drafts(root, number, batch, last)
            if pace is not None:
                sleep(max(0.0, began + batch / pace - perf_counter()))
            begin = perf_counter_ns()
            ask: Ask[list[CommitId]] = asks.commit_many(PLANE, given, None)
            answer = client.call(ask.method, **ask.params)
            if not echo:
                last = ask.read(answer)[-1]
            times.append(perf_counter_ns() - begin)
        pipe.send(times)


@contextmanager
def _node(folder: str, path: str) -> Iterator[int]:
    command = [sys.executable, "-m", "cli", "serve", "--store", str(Path(folder) / "store"), "--control", path]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "ready" in line:
                break
        else:
            raise RuntimeError("the node did not start")
        yield process.pid
    finally:
        process.terminate()
        process.communicate(timeout=START_S)


@contextmanager
def _echo(path: str) -> Iterator[int | None]:
    process = get_context("spawn").Process(target=_serve_echo, args=(path,), daemon=True)
    process.start()
    try:
        deadline = perf_counter() + START_S
        while not Path(path).exists() and perf_counter() < deadline:
            sleep(0.01)
        yield process.pid
    finally:
        process.kill()
        process.join()


def _serve_echo(path: str) -> None:
    """Answer each request with its own bytes, as the result."""

    async def answer(stream: trio.SocketStream) -> None:
        parser = FrameParser()
        try:
            while data := await stream.receive_some(READ_BYTES):
                parser.feed(data)
                while (payload := parser.next_payload()) is not None:
                    # The method's name becomes the kind of the answer; all else stays as it is.
                    await stream.send_all(encode_frame(payload.replace(b"\xaccommit_batch", b"\xa6result", 1)))
        except BROKEN:
            return

    async def listen() -> None:
        socket = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
        await socket.bind(path)
        socket.listen(CLIENTS)
        await trio.serve_listeners(answer, [trio.SocketListener(socket)])

    trio.run(listen)


def _in_process(batches: int) -> tuple[dict[str, float], dict[str, float]]:
    """`Search.commit` alone, and what a batch takes in each stage of the node, in microseconds a commit."""
    with tempfile.TemporaryDirectory() as folder, crdtgraph.open(str(Path(folder) / "store")) as graph:
        root = graph.commit(message="root", ref="main")
        search = graph.search("move 1")
        stages: dict[str, list[int]] = {}
        last = root
        for batch in range(batches):
            last = _stages(graph, search.plane, drafts(root, 0, batch, last), stages)
        times: list[int] = []
        last = root
        for batch in range(batches):
            ids: list[CommitId] = []
            given = drafts(root, 1, batch, last)
            begin = perf_counter_ns()
            for parents, message, changes, _, _ in given:
                parent = parents[0]
                ids.append(
                    search.commit(
                        parents=[ids[parent] if isinstance(parent, int) else parent], message=message, changes=changes
                    )
                )
            times.append(perf_counter_ns() - begin)
            last = ids[-1]
    single = {"commits_per_s": round(len(times) * BATCH / (sum(times) / 1e9)), **quantiles(times)}
    return single, {name: round(sum(each) / len(each) / BATCH / 1_000, 2) for name, each in stages.items()}


def _stages(graph: crdtgraph.Graph, plane: str, given: list[Draft], stages: dict[str, list[int]]) -> CommitId:
    ask = asks.commit_many(plane, given, None)
    frame = encode_frame(encode_request(Request(1, ask.method, ask.params)))
    parser = FrameParser()

    def timed(name: str, work: Callable[[], object]) -> object:
        begin = perf_counter_ns()
        result = work()
        stages.setdefault(name, []).append(perf_counter_ns() - begin)
        return result

    timed("frame", partial(parser.feed, frame))
    payload = timed("frame", parser.next_payload)
    assert isinstance(payload, bytes)
    timed("msgpack and plain values", partial(decode_request, payload))
    steps = commit_batch(graph, given, plane=plane)
    checks = -(-len(given) // STEP_ITEMS)
    done: list[list[CommitId]] = []

    def step() -> None:
        try:
            next(steps)
        except StopIteration as stop:
            done.append(stop.value)

    # The last of the steps that check writes the first items, too.
    for _ in range(checks - 1):
        timed("checks, canonical bytes, SHA-256 (the first 64)", step)
    while not done:
        timed("the rest of them, fold, buffer, segment", step)
    return done[0][-1]
