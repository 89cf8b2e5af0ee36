"""The TCP port for workers: who is served there, and what is no address."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from crdtgraph import (
    Graph,
    LocalError,
    UnreachableError,
)
from sync.client.asyncclient import ControlClient
from sync.client.blocking import BlockingControlClient
from sync.control import open_workers_port
from sync.methods import Target
from tests.sync.batches.serving import served


async def test_the_port_answers_workers_only(graph: Graph, tmp_path: Path) -> None:
    async with served(graph, tmp_path) as (_, port), await ControlClient.connect(port) as client:
        assert await client.call("refs") == []
        for method in ("stop", "flush", "block", "commit"):
            with pytest.raises(LocalError, match="not answered over TCP"):
                await client.call(method)


@pytest.mark.parametrize("address", ["0.0.0.0:0", "192.0.2.1:7500", "example.org:80"])
async def test_a_port_outside_loopback_is_refused(graph: Graph, address: str) -> None:
    with pytest.raises(LocalError, match="outside loopback"):
        async with open_workers_port(address, Target(graph)):
            raise AssertionError


async def test_a_port_that_is_taken_is_an_error(graph: Graph) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(LocalError, match="cannot listen"):
        async with open_workers_port(taken.getsockname(), Target(graph)):
            raise AssertionError


def test_nobody_at_the_port_says_how_to_start_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = f"tcp:127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(UnreachableError, match="no node answers") as caught:
        BlockingControlClient(address)
    assert "--control-listen 127.0.0.1" in caught.value.hint


@pytest.mark.parametrize("address", ["tcp:", "tcp:localhost", "tcp:127.0.0.1:0", "tcp:127.0.0.1:x", "tcp::5"])
async def test_what_is_no_address_is_said_to_be_none(address: str) -> None:
    with pytest.raises(LocalError, match="no address of a node"):
        BlockingControlClient(address)
    with pytest.raises(LocalError, match="no address of a node"):
        await ControlClient.connect(address)


def test_the_socket_of_a_name_with_a_colon_is_a_path(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="no node answers"):
        BlockingControlClient(os.fspath(tmp_path / "tcp:1"))
