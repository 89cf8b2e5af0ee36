"""Large values on the command line: in from files of any size, out again, listed, collected; over a node as well."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import crdtgraph as library
from crdtgraph.objects.format import reference_of
from crdtgraph.store import Batch, Keyspace
from sync import BlockingControlClient

from .conftest import PATIENCE_S, CommandLine, Process, Starter
from .test_block import ready

LARGE = random.Random(1).randbytes((2 << 20) + 12_345)
SMALL = LARGE[:40_000]


@pytest.fixture(params=["at rest", "over a node"])
def graph(request: pytest.FixtureRequest, store: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A graph as commands find it."""
    if request.param == "over a node":
        request.getfixturevalue("node")
        monkeypatch.setenv("CRDTGRAPH_NODE", f"{store}/control")
        monkeypatch.delenv("CRDTGRAPH_STORE")
    return store


@pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
def test_a_file_of_any_size_comes_back(crdtgraph: CommandLine, graph: str, data: bytes) -> None:
    Path("file").write_bytes(data)
    done = crdtgraph("commit", "-m", "x", "--file", "a=file", "--file", "b=-", "--ref", "big", stdin=data)
    assert done.code == 0, done.err
    assert crdtgraph("state", "big", "a").stdout == data
    assert crdtgraph("state", "big", "b").stdout == data
    if data:
        [line] = crdtgraph("object", "ls").out.splitlines()
        assert f"{len(data)} bytes" in line
        assert "missing" not in line
        assert f"object:{line[:64]}" in crdtgraph("state", "big").out
        assert f"object:{line[:64]}" in crdtgraph("show", "big").out
    checked = crdtgraph("fsck")
    assert checked.code == 0
    assert ("1 objects" in checked.out) is bool(data)


def test_what_no_live_commit_names_is_collected(crdtgraph: CommandLine, store: str) -> None:
    with library.open(store) as graph:
        dead = graph.commit(changes={"a": LARGE})
        graph.commit(changes={"a": SMALL})
        graph.discard(dead)
    foretold = crdtgraph("object", "gc", "--dry-run")
    assert foretold.code == 0
    assert "would remove 1 objects" in foretold.out
    assert len(crdtgraph("object", "ls").out.splitlines()) == 2
    assert "removed 1 objects" in crdtgraph("object", "gc").out
    assert len(crdtgraph("object", "ls").out.splitlines()) == 1


def test_a_file_that_is_not_there_is_named(crdtgraph: CommandLine, store: str) -> None:
    done = crdtgraph("commit", "--file", "a=nowhere")
    assert done.code == 3
    assert "nowhere" in done.err


def test_a_missing_object_is_an_error_with_a_remedy(crdtgraph: CommandLine, store: str) -> None:
    with library.open("memory:") as other, library.open(store) as graph:
        other.commit(changes={"a": LARGE}, ref="big")
        for delta in other.deltas("ledger", {}):
            graph.receive("ledger", delta.update)
    done = crdtgraph("state", "big", "a")
    assert done.code == 3
    assert "is not here" in done.err
    assert "peer" in done.err
    assert "missing" in crdtgraph("object", "ls").out
    assert "missing objects  1" in crdtgraph("status").out


def test_a_node_fetches_what_somebody_asks_for(crdtgraph: CommandLine, start: Starter) -> None:
    Path("file").write_bytes(SMALL)
    for name in "ab":
        assert crdtgraph("init", "--store", f"{name}.db").code == 0
    assert crdtgraph("commit", "--file", "a=file", "--ref", "big", "--store", "a.db").code == 0
    with library.open("a.db") as source, library.open("b.db") as target:
        for delta in source.deltas("ledger", {}):
            target.receive("ledger", delta.update)
        # As if it had never been wanted.
        target.objects.forget(next(target.objects.wanted())[0])
    holder = start("serve", "--store", "a.db", "--listen", "127.0.0.1:0", "--log", "json")
    holder.wait_for('"event": "ready"')
    start("serve", "--store", "b.db", "--peer", ready(holder)["addresses"][0]).wait_for("ready")
    assert crdtgraph("object", "ls", "--node", "b.db/control").out == ""
    assert crdtgraph("state", "big", "a", "--node", "b.db/control").stdout == SMALL


def test_a_damaged_object_is_found_and_fetched_again(crdtgraph: CommandLine, start: Starter) -> None:
    Path("file").write_bytes(SMALL)
    for name in "ab":
        assert crdtgraph("init", "--store", f"{name}.db").code == 0
    assert crdtgraph("commit", "--file", "a=file", "--ref", "big", "--store", "a.db").code == 0
    holder = start("serve", "--store", "a.db", "--listen", "127.0.0.1:0", "--log", "json")
    holder.wait_for('"event": "ready"')
    serve = ["serve", "--store", "b.db", "--peer", ready(holder)["addresses"][0]]
    node = start(*serve)
    node.wait_for("ready")
    wait_until(lambda: "missing" not in (crdtgraph("object", "ls", "--node", "b.db/control").out or "missing"))
    assert node.end(signal.SIGTERM).code == 0
    with library.open("b.db") as graph:
        batch = Batch()
        batch.put(Keyspace.OBJECTS, b"b" + reference_of(SMALL).digest, b"rot")
        graph.store.write(batch, sync=True)
    found = crdtgraph("fsck", "--store", "b.db")
    assert found.code == 5
    assert "damaged" in found.out
    assert "let a node check it" in found.err
    start(*serve).wait_for("ready")
    # The remedy, as it says.
    assert crdtgraph("fsck", "--node", "b.db/control").code == 5
    wait_until(lambda: crdtgraph("fsck", "--node", "b.db/control").code == 0)
    assert crdtgraph("state", "big", "a", "--node", "b.db/control").stdout == SMALL


def test_blocks_that_are_no_object_are_refused(node: Process, store: str) -> None:
    from crdtgraph import CrdtGraphError
    from crdtgraph.objects import Builder

    builder = Builder()
    blocks = [block for _, block in builder.add(bytes(65536)) + builder.add(b"x")]
    reference, roots = builder.finish()
    with BlockingControlClient(f"{store}/control") as client:
        client.call("object_put", blocks=[blocks[0], roots[0][1]])
        with pytest.raises(CrdtGraphError, match="not all blocks"):
            list(client.stream("object_finish", digest=reference.digest))
        client.call("object_put", blocks=blocks)
        assert list(client.stream("object_finish", digest=reference.digest)) == [["object", reference.digest, 65537]]
        with pytest.raises(CrdtGraphError, match="at most"):
            client.call("object_put", blocks=[bytes(100_000)])
        with pytest.raises(CrdtGraphError, match="not here"):
            list(client.stream("object_read", digest=bytes(32), size=5))


def received(control: str) -> int:
    """How many bytes a node has received from the only peer that it has, if any."""
    with BlockingControlClient(control) as client:
        peers: Any = client.call("peers")
    return sum(peer["bytes_in"] for peer in peers)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def test_a_fetch_that_was_killed_goes_on_from_what_came_with_another_peer(
    crdtgraph: CommandLine, start: Starter
) -> None:
    data = random.Random(2).randbytes(60 << 20)
    Path("file").write_bytes(data)
    for name in "abc":
        assert crdtgraph("init", "--store", f"{name}.db").code == 0
    assert crdtgraph("commit", "--file", "large=file", "--ref", "big", "--store", "a.db").code == 0
    assert crdtgraph("converge", "a.db", "c.db").code == 0
    holders = [start("serve", "--store", f"{name}.db", "--listen", "127.0.0.1:0", "--log", "json") for name in "ac"]
    for holder in holders:
        holder.wait_for('"event": "ready"')
    addresses = [ready(holder)["addresses"][0] for holder in holders]
    victim = start("serve", "--store", "b.db", "--peer", addresses[0])
    victim.wait_for("ready")
    wait_until(lambda: received("b.db/control") > 5 << 20)
    victim.end(signal.SIGKILL)
    holders[0].end(signal.SIGKILL)
    with library.open("b.db") as graph:
        came = sum(size for _, size in graph.objects.blocks())
        assert 1 << 20 < came < 60 << 20
        assert graph.objects.missing == 1
    start("serve", "--store", "b.db", "--peer", addresses[1]).wait_for("ready")
    wait_until(lambda: "missing" not in crdtgraph("object", "ls", "--node", "b.db/control").out)
    assert crdtgraph("state", "big", "large", "--node", "b.db/control").stdout == data
    assert received("b.db/control") < (60 << 20) - came + (2 << 20)
