"""The path of a control socket: what may lie there, who may use it, and what becomes of it."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
import trio
import trio.testing

from crdtgraph import Graph, LocalError, UnreachableError
from sync.client.asyncclient import ControlClient
from sync.client.blocking import BlockingControlClient
from sync.control import open_control
from sync.methods import Target
from tests.sync.control.serving import served


def exists(path: Path) -> bool:
    return path.exists()


async def test_the_socket_is_private_and_removed(graph: Graph, path: Path) -> None:
    async with served(graph, path):
        mode = os.stat(path).st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
    assert not exists(path)


async def test_a_stale_socket_of_a_dead_process_is_replaced(graph: Graph, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert exists(path)
    async with served(graph, path) as client:
        assert await client.call("heads") == []


async def test_a_live_socket_is_respected(graph: Graph, path: Path) -> None:
    async with served(graph, path) as client:
        with pytest.raises(LocalError, match="a running node has its control socket"):
            async with open_control(path, Target(graph)):
                pass
        assert await client.call("heads") == []


def test_a_file_that_is_no_socket_is_left_alone(graph: Graph, path: Path) -> None:
    async def serve() -> None:
        async with open_control(path, Target(graph)):
            pass

    path.write_text("precious")
    with pytest.raises(LocalError, match="is no socket"):
        trio.run(serve)
    assert path.read_text() == "precious"


async def test_a_path_that_is_too_long(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="at most 107 bytes"):
        async with open_control(tmp_path / ("x" * 107), Target(graph)):
            pass


async def test_nobody_there(path: Path) -> None:
    with pytest.raises(UnreachableError, match="no node answers"):
        await ControlClient.connect(path)
    with pytest.raises(UnreachableError, match="no node answers"):
        BlockingControlClient(path)
