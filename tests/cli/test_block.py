"""Cutting a node off from a peer, by whatever names it."""

from __future__ import annotations

import json
import time

import pytest

from .conftest import PATIENCE_S, CommandLine, Process, Starter


@pytest.fixture
def nodes(start: Starter) -> tuple[str, str]:
    """Two connected nodes, "left" and "right"; their control sockets."""
    left = start("serve", "--store", "l.db", "--name", "left", "--listen", "127.0.0.1:0", "--log", "json")
    left.wait_for('"event": "ready"')
    address = ready(left)["addresses"][0]
    right = start("serve", "--store", "r.db", "--name", "right", "--peer", address, "--log", "json")
    right.wait_for('"event": "ready"')
    right.wait_for('"event": "peer connected"')
    left.wait_for('"event": "peer connected"')
    return "l.db/control", "r.db/control"


def ready(process: Process) -> dict[str, list[str]]:
    [line] = [line for line in process.err.splitlines() if '"event": "ready"' in line]
    found: dict[str, list[str]] = json.loads(line)
    return found


def states(crdtgraph: CommandLine, node: str) -> list[str]:
    return [peer["state"] for peer in crdtgraph("peers", "--node", node, "-o", "json").json["peers"]]


def test_a_peer_is_blocked_by_its_name_and_let_in_again(crdtgraph: CommandLine, nodes: tuple[str, str]) -> None:
    _, right = nodes
    outcome = crdtgraph("block", "left", "--node", right, "-o", "json")
    assert outcome.code == 0, outcome.err
    assert len(outcome.json["closed"]) == 1
    deadline = time.monotonic() + PATIENCE_S
    while states(crdtgraph, right) != ["blocked"]:
        assert time.monotonic() < deadline, states(crdtgraph, right)
    # It is known by its name also while it is cut off.
    assert crdtgraph("unblock", "left", "--node", right).code == 0
    assert crdtgraph("peers", "--node", right, "-o", "json").json["blocked"] == []


def test_a_name_that_nobody_has_is_an_error(crdtgraph: CommandLine, nodes: tuple[str, str]) -> None:
    outcome = crdtgraph("block", "nobody", "--node", nodes[0])
    assert outcome.code == 2
    assert "'nobody' names no peer" in outcome.err
