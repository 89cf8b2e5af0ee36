"""What was promised is there: after SIGKILL, after a full disk, in a copy of a store.

The crashes are real: a child process writes and says what was acknowledged, and is killed at a random moment.
"""

from __future__ import annotations

import random
import select
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import crdtgraph
from crdtgraph import CommitId, Durability, Graph, StoreError
from crdtgraph.opening import attach
from crdtgraph.store import Batch, MemoryStore

PLANE = "ledger"
ROOT = Path(__file__).resolve().parents[2]

PRELUDE = """
import sys
import crdtgraph
from crdtgraph import Durability, StoreError
graph = crdtgraph.open(sys.argv[1])
def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\\n")
    sys.stdout.flush()
say("writer", graph.writer)
"""

WRITERS = {
    "critical, by a ref": """
        while True:
            say("acknowledged", graph.commit(ref="main").hex())
    """,
    "critical, by name": """
        while True:
            commit = graph.commit(changes={"p": b"x"}, durability=Durability.CRITICAL)
            say("acknowledged", commit.hex())
    """,
    "flushed": """
        while True:
            made = [graph.commit() for _ in range(5)]
            for commit in made:
                graph.count(commit, [1])
            graph.flush()
            for commit in made:
                say("counted", commit.hex())
    """,
    "written behind": """
        while True:
            commit = graph.commit(message="m")
            graph.count(commit, [1])
            graph.write_behind()
            say("counted", commit.hex())
    """,
    "compacted now and then": """
        number = 0
        while True:
            commit = graph.commit(ref="main")
            graph.count(commit, [1])
            graph.flush()
            number += 1
            if number % 7 == 0:
                graph.compact()
            say("counted", commit.hex())
    """,
}


def start(script: str, path: Path | str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(script), str(path)],
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip


def kill_after(child: subprocess.Popen[str], lines: int) -> list[list[str]]:
    """Let it say so much, kill it wherever it then is, and return all whole lines that it said."""
    assert child.stdout is not None
    said = []
    try:
        while len(said) < lines:
            ready, _, _ = select.select([child.stdout], [], [], 60)
            assert ready, "the child says nothing"
            line = child.stdout.readline()
            assert line, "the child ended by itself"
            said.append(line)
    finally:
        child.kill()
    said += child.stdout.readlines()
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    return [line.split() for line in said if line.endswith("\n")]


on_disk = pytest.mark.parametrize("kind", ["rocksdb", "sqlite"])


@on_disk
@pytest.mark.parametrize("script", WRITERS.values(), ids=WRITERS.keys())
def test_what_was_acknowledged_survives_sigkill(script: str, tmp_path: Path, kind: str) -> None:
    path = f"{kind}:{tmp_path / 's'}"
    rng = random.Random(script)
    acknowledged: list[CommitId] = []
    counted: list[CommitId] = []
    writers = set()
    for round_number in range(3):
        for kind, value in kill_after(start(script, path), rng.randrange(2, 60)):
            if kind == "writer":
                writers.add(int(value))
            else:
                (counted if kind == "counted" else acknowledged).append(CommitId(bytes.fromhex(value)))
        with crdtgraph.open(path) as graph:
            writers.add(graph.writer)
            assert len(writers) == 2 * (round_number + 1), "a new writer number at every start"
            assert [commit.hex() for commit in acknowledged + counted if commit not in graph] == []
            assert {graph.counters(commit) for commit in counted} <= {(1,)}
            assert len(graph.get_many(graph.topological())) == len(graph)
            assert [finding.problem for finding in graph.fsck() if finding.problem] == []
            assert graph.pending() == []
            if "main" in graph.refs:
                assert graph.heads() == [graph.refs["main"]], "a ref and its commit are written together"
    assert len(acknowledged) + len(counted) > 10


@on_disk
def test_what_a_killed_process_wrote_is_served_after_it_is_on_disk(tmp_path: Path, kind: str) -> None:
    path = f"{kind}:{tmp_path / 's'}"
    kill_after(start(WRITERS["written behind"], path), 20)
    with crdtgraph.open(path) as graph, crdtgraph.open("memory:") as other:
        for delta in graph.deltas(PLANE, {}):
            other.receive(PLANE, delta.update)
        assert other.digest() == graph.digest()
        assert len(other) >= 19


# A full disk


FULL_DISK = """
    import random, resource
    rng = random.Random(0)
    durability = getattr(Durability, sys.argv[2], None)
    ref = sys.argv[3] or None
    size = int(sys.argv[4])
    base = graph.commit(message="base", ref="main")
    graph.flush()
    def state():
        return len(graph), graph.digest(), dict(graph.refs), graph.heads()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
    for number in range(20_000):
        before = state() if durability is not Durability.NORMAL or number % 200 == 0 else None
        try:
            commit = graph.commit(ref=ref, changes={"p": rng.randbytes(size)}, durability=durability)
        except StoreError as error:
            assert before is None or state() == before, "a failed commit left something behind"
            for each in graph.topological():
                graph.get(each)
            say("full", type(error).__name__)
            break
        if durability is not Durability.NORMAL:
            say("acknowledged", commit.hex())
    try:
        graph.close()
    except StoreError:
        say("not closed")
    else:
        say("closed")
"""


@pytest.mark.slow
@on_disk
@pytest.mark.parametrize(
    "durability, ref, size",
    [("", "main", 1000), ("CRITICAL", "", 1000), ("CRITICAL", "", 200_000), ("", "main", 200_000), ("NORMAL", "", 500)],
)
def test_a_full_disk_fails_the_call_and_not_the_store(
    durability: str, ref: str, size: int, kind: str, tmp_path: Path
) -> None:
    path = f"{kind}:{tmp_path / 's'}"
    child = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(FULL_DISK), path, durability, ref, str(size)],
        stdout=subprocess.PIPE, text=True, cwd=ROOT, timeout=100, check=True,
    )  # fmt: skip
    said = [line.split() for line in child.stdout.splitlines()]
    assert ["full", "StoreError"] in said
    acknowledged = [CommitId(bytes.fromhex(words[1])) for words in said if words[0] == "acknowledged"]
    assert acknowledged or durability == "NORMAL"
    with crdtgraph.open(path) as graph:
        assert [commit.hex() for commit in acknowledged if commit not in graph] == []
        assert len(graph.get_many(graph.topological())) == len(graph)
        assert [finding.problem for finding in graph.fsck() if finding.problem] == []
        graph.commit(ref="main", message="there is room again")
        graph.flush()
        digest = graph.digest()
    with crdtgraph.open(path) as graph:
        assert graph.digest() == digest


class FailingStore(MemoryStore):
    """A disk that is full whenever it is told to be, or after so many more writes."""

    full = False
    writes_left = 1_000_000

    def write(self, batch: Batch, *, sync: bool) -> None:
        self.writes_left -= 1
        if self.full or self.writes_left < 0:
            raise StoreError("no space left on device")
        super().write(batch, sync=sync)

    def sync(self) -> None:
        if self.full:
            raise StoreError("no space left on device")
        super().sync()


@pytest.fixture
def store() -> FailingStore:
    return FailingStore()


FAILING_CALLS: dict[str, Callable[[Graph], object]] = {
    "a commit with a ref": lambda graph: graph.commit(ref="main", message="new"),
    "a commit with a new ref": lambda graph: graph.commit(ref="new", message="new"),
    "a critical commit": lambda graph: graph.commit(message="new", durability=Durability.CRITICAL),
    "a large commit": lambda graph: graph.commit(changes={"p": bytes(250_000)}, durability=Durability.CRITICAL),
    "a large commit with a ref": lambda graph: graph.commit(ref="main", changes={"p": bytes(200_000)}),
    "a large normal commit with a ref": lambda graph: graph.commit(
        ref="main", changes={"p": bytes(250_000)}, durability=Durability.NORMAL
    ),
    "a huge commit with a ref": lambda graph: graph.commit(ref="main", changes={"p": bytes(2_000_000)}),
    "a commit that is too much for the buffer": lambda graph: graph.commit(changes={"p": bytes(255_000)}),
    "a merge": lambda graph: graph.merge("conflict", durability=Durability.CRITICAL),
    "critical metadata": lambda graph: graph.set_meta("key", b"value", durability=Durability.CRITICAL),
    "a critical count": lambda graph: graph.count(graph.roots()[0], [1], durability=Durability.CRITICAL),
    "a critical discard": lambda graph: graph.discard(graph.refs["conflict"], durability=Durability.CRITICAL),
    "set_ref": lambda graph: graph.set_ref("other", graph.roots()[0]),
    "delete_ref": lambda graph: graph.delete_ref("main"),
}


@pytest.mark.parametrize("call", FAILING_CALLS.values(), ids=FAILING_CALLS.keys())
def test_a_call_that_the_disk_refuses_has_changed_nothing(call: Callable[[Graph], object], store: FailingStore) -> None:
    with attach(store) as graph:
        root = graph.commit(ref="main", message="root")
        for text in "ab":
            graph.set_ref("conflict", graph.commit(parents=[root], message=text), keep_others=True)
        waiting = graph.commit(message="in the buffer", changes={"p": bytes(10_000)})
        before = graph.digest(), len(graph), dict(graph.refs), graph.heads(), graph.status().buffered
        store.full = True
        for _ in range(2):
            with pytest.raises(StoreError):
                call(graph)
            assert (graph.digest(), len(graph), dict(graph.refs), graph.heads(), graph.status().buffered) == before
        assert graph.get(waiting).message == "in the buffer"
        store.full = False
        call(graph)
        assert graph.digest() != before[0]
        graph.flush()
        assert [finding.problem for finding in graph.fsck() if finding.problem] == []
        with crdtgraph.open("memory:") as other:
            for delta in graph.deltas(PLANE, {}):
                other.receive(PLANE, delta.update)
            assert other.digest() == graph.digest()
            assert other.get_many(graph.topological()) == graph.get_many(graph.topological())


@pytest.mark.parametrize("writes", range(3))
@pytest.mark.parametrize("call", FAILING_CALLS.values(), ids=FAILING_CALLS.keys())
def test_a_call_that_the_disk_refuses_after_some_writes_has_changed_nothing(
    call: Callable[[Graph], object], writes: int, store: FailingStore
) -> None:
    with attach(store) as graph:
        root = graph.commit(ref="main", message="root")
        for text in "ab":
            graph.set_ref("conflict", graph.commit(parents=[root], message=text), keep_others=True)
        graph.commit(message="in the buffer", changes={"p": bytes(10_000)})
        before = graph.digest(), len(graph), dict(graph.refs), graph.heads()
        store.writes_left = writes
        try:
            call(graph)
        except StoreError:
            assert (graph.digest(), len(graph), dict(graph.refs), graph.heads()) == before
            store.writes_left = 10
            call(graph)
        store.writes_left = 10
        assert graph.digest() != before[0]
        assert [finding.problem for finding in graph.fsck() if finding.problem] == []


def test_what_is_buffered_waits_for_room(store: FailingStore) -> None:
    with attach(store) as graph:
        commit = graph.commit()
        graph.count(commit, [1])
        store.full = True
        for _ in range(3):
            with pytest.raises(StoreError):
                graph.flush()
            with pytest.raises(StoreError):
                graph.write_behind()
        assert graph.state_vector(PLANE) == {}
        store.full = False
        graph.flush()
        assert graph.state_vector(PLANE) == {graph.writer: 1}
        assert graph.counters(commit) == (1,)


def test_a_receipt_that_the_disk_refuses_can_be_repeated(store: FailingStore) -> None:
    with crdtgraph.open("memory:") as source, attach(store) as graph:
        for _ in range(3):
            source.commit(ref="main")
        source.compact()
        source.commit(ref="main")
        (delta,) = source.deltas(PLANE, {})
        store.full = True
        with pytest.raises(StoreError):
            graph.receive(PLANE, delta.update)
        assert len(graph) == 0
        assert graph.state_vector(PLANE) == {}
        store.full = False
        graph.receive(PLANE, delta.update)
        assert graph.digest() == source.digest()


def test_a_compaction_that_the_disk_refuses_loses_nothing(store: FailingStore) -> None:
    with attach(store) as graph:
        for _ in range(4):
            graph.count(graph.commit(ref="main"), [1])
        graph.flush()
        digest = graph.digest()
        store.full = True
        with pytest.raises(StoreError):
            graph.compact()
        assert graph.digest() == digest
        store.full = False
        assert graph.compact()
        assert graph.digest() == digest
        assert {graph.counters(commit) for commit in graph.topological()} == {(1,)}
        assert [finding.problem for finding in graph.fsck() if finding.problem] == []


# Copies


def test_a_copied_store_is_the_same_replica_and_another_writer(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    with crdtgraph.open(str(first)) as graph:
        old_writer = graph.writer
        for number in range(10):
            graph.count(graph.commit(ref="main", message=str(number)), [1])
        graph.compact()
    shutil.copytree(first, second)
    with crdtgraph.open(str(first)) as one, crdtgraph.open(str(second)) as two:
        assert one.replica_id == two.replica_id
        assert len({one.writer, two.writer, old_writer}) == 3
        assert one.digest() == two.digest()
        for graph in (one, two):
            for number in range(5):
                graph.count(graph.commit(ref="main", message=f"{graph.url} {number}"), [1])
            graph.flush()
            graph.compact()
        for target, source in ((one, two), (two, one), (one, two)):
            for delta in source.deltas(PLANE, target.state_vector(PLANE)):
                target.receive(PLANE, delta.update)
        assert one.digest() == two.digest()
        assert one.set_digest(PLANE) == two.set_digest(PLANE)
        assert len(one.refs["main"].targets) == 2
        assert {one.counters(commit) for commit in one.topological()} == {(1,)}
        assert one.merge("main") == two.merge("main")


def test_a_copy_of_a_store_that_was_killed_opens(tmp_path: Path) -> None:
    said = kill_after(start(WRITERS["critical, by a ref"], tmp_path / "s"), 12)
    shutil.copytree(tmp_path / "s", tmp_path / "copy")
    digests = set()
    for name in ("s", "copy"):
        with crdtgraph.open(str(tmp_path / name)) as graph:
            digests.add(graph.digest())
            assert all(CommitId(bytes.fromhex(words[1])) in graph for words in said[1:])
    assert len(digests) == 1
