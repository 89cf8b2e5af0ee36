"""Nodes over real TCP on loopback, and over streams in memory under a clock that jumps."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import trio
import trio.testing

from crdtgraph import LocalError
from crdtgraph.ids import ReplicaId
from sync import Node, Settings
from sync.protocol.codec import encode_message
from sync.protocol.framing import encode_frame
from sync.protocol.limits import PROTOCOL_VERSION
from sync.protocol.messages import Delta, Hello, Ping
from sync.transport import Address, TcpTransport
from tests.sync.replicas import grow, replica

QUICK = Settings(backoff_min_s=0.01, backoff_max_s=0.05, goodbye_timeout_s=0.5, seed=1)
LOOPBACK = ("127.0.0.1", 0)


async def until(node: Node, condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until something holds, looking again whenever anything may have happened."""
    with trio.fail_after(seconds):
        while not condition():
            with trio.move_on_after(0.005):
                await node.wait_changed()


async def agree(*nodes: Node) -> None:
    await until(nodes[0], lambda: len({node.graph.digest(plane="ledger") for node in nodes}) == 1)


def open_peers(node: Node) -> set[str]:
    return {peer.replica for peer in node.status().peers if peer.state == "open"}


async def test_two_nodes_over_tcp_exchange_and_push() -> None:
    a, b = replica("a"), replica("b")
    grow(a, 3)
    grow(b, 2)
    async with Node(a, listen=[LOOPBACK], settings=QUICK) as node_a:
        assert node_a.addresses[0].startswith("127.0.0.1:")
        async with Node(b, peers=node_a.addresses, settings=QUICK) as node_b:
            await agree(node_a, node_b)
            assert len(a) == 5
            commit = a.commit(message="pushed")
            await until(node_b, lambda: commit in b)
            status = node_b.status()
            assert status.peers[0].replica == a.replica_id.hex()
            assert status.peers[0].direction == "dialled"
            assert status.peers[0].bytes_in > 0
            assert not status.alarms


async def test_a_line_of_nodes_relays() -> None:
    a, b, c = replica("a"), replica("b"), replica("c")
    async with (
        Node(b, listen=[LOOPBACK], settings=QUICK) as node_b,
        Node(a, peers=node_b.addresses, settings=QUICK) as node_a,
        Node(c, peers=node_b.addresses, settings=QUICK) as node_c,
    ):
        await until(node_b, lambda: len(open_peers(node_b)) == 2)
        grow(a, 3)
        grow(c, 2)
        await agree(node_a, node_b, node_c)
        assert len(b) == 5


async def test_a_large_history_arrives_whole() -> None:
    a, b = replica("a"), replica("b")
    rng = random.Random(5)
    parents = [a.commit(message="root")]
    for number in range(3_000):
        parents = [a.commit(parents=parents, message=f"commit {number} {rng.random()}")]
    a.flush()
    async with (
        Node(a, listen=[LOOPBACK], settings=QUICK) as node_a,
        Node(b, peers=node_a.addresses, settings=QUICK) as node_b,
    ):
        await agree(node_a, node_b)
    assert len(b) == 3_001


async def test_addresses_outside_loopback_are_refused() -> None:
    for address in ("0.0.0.0:0", "192.168.1.1:7000", "example.org:7000"):
        with pytest.raises(LocalError, match=f"refusing to listen on {address}: it is outside loopback"):
            async with Node(replica("a"), listen=[address]):
                pass
    with pytest.raises(LocalError, match="not an address"):
        Node(replica("a"), listen=["7000"])


async def test_a_transport_may_be_told_to_go_beyond_loopback() -> None:
    a, b = replica("a"), replica("b")
    async with Node(a, listen=["0.0.0.0:0"], transport=TcpTransport(beyond_loopback=True), settings=QUICK) as node_a:
        port = Address.parse(node_a.addresses[0]).port
        grow(a, 2)
        async with Node(b, peers=[("127.0.0.1", port)], settings=QUICK) as node_b:
            await agree(node_a, node_b)
    with pytest.raises(LocalError, match="outside loopback"):
        await TcpTransport().dial(Address("192.0.2.1", 7000))


async def test_a_port_that_is_taken() -> None:
    async with Node(replica("a"), listen=[LOOPBACK]) as node:
        with pytest.raises(LocalError, match=f"cannot listen on {node.addresses[0]}"):
            async with Node(replica("b"), listen=[LOOPBACK, *node.addresses]):
                pass


async def test_what_the_body_raises_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with Node(replica("a"), listen=[LOOPBACK]):
            raise ZeroDivisionError


async def test_a_graph_that_is_read_only_is_refused() -> None:
    import crdtgraph

    crdtgraph.open("memory:shared-read-only").close()
    graph = crdtgraph.open("memory:shared-read-only", read_only=True)
    with pytest.raises(LocalError, match="reading only"):
        async with Node(graph):
            pass
    graph.close()


async def test_a_peer_that_restarts_is_dialled_again() -> None:
    a, b = replica("a"), replica("b")
    async with Node(b, settings=QUICK) as _:
        pass
    async with Node(a, listen=[LOOPBACK], settings=QUICK) as first:
        address = first.addresses[0]
        async with Node(b, peers=[address], settings=QUICK) as node_b:
            await until(node_b, lambda: bool(open_peers(node_b)))
            first._nursery.cancel_scope.cancel()
            await until(node_b, lambda: not open_peers(node_b))
            grow(a, 1)
            await first.__aexit__(None, None, None)
            async with Node(a, listen=[address], settings=QUICK) as second:
                await agree(node_b, second)
                second._stack.push_async_callback(trio.lowlevel.checkpoint)
    assert len(b) == 1


async def raw_peer(node: Node) -> trio.SocketStream:
    address = Address.parse(node.addresses[0])
    return await trio.open_tcp_stream(address.host, address.port)


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    with trio.fail_after(5):
        return b"".join([chunk async for chunk in stream])


HELLO = Hello(PROTOCOL_VERSION, "test", ReplicaId(b"R" * 16), b"n" * 16)


def frame(message: object) -> bytes:
    return encode_frame(encode_message(message))  # type: ignore[arg-type]


BAD_INPUT = {
    "a changed byte": (frame(Ping(1))[:-1] + b"?", b"damaged"),
    "a frame that claims 4 GiB": (b"\xff\xff\xff\xff", b"claims 4294967295 bytes"),
    "no msgpack": (encode_frame(b"\xc1\xc1"), b"no msgpack"),
    "an unknown message": (encode_frame(b"\x92\x63\x01"), b"unknown type"),
    "a second hello": (frame(HELLO), b"hello came in state OPEN"),
    "an update that is none": (frame(Delta("ledger", {}, b"garbage")), b"update"),
    "http": (b"GET / HTTP/1.1\r\n\r\n", b"claims"),
}


@pytest.mark.parametrize("data, reason", BAD_INPUT.values(), ids=BAD_INPUT.keys())
async def test_bad_input_closes_only_that_connection(data: bytes, reason: bytes) -> None:
    a, b = replica("a"), replica("b")
    async with (
        Node(a, listen=[LOOPBACK], settings=QUICK) as node_a,
        Node(b, peers=node_a.addresses, settings=QUICK) as node_b,
    ):
        await until(node_a, lambda: len(open_peers(node_a)) == 1)
        async with await raw_peer(node_a) as stream:
            await stream.send_all(frame(HELLO) + data)
            assert reason in await read_all(stream)
        grow(a, 1)
        await agree(node_a, node_b)
        assert open_peers(node_a) == {b.replica_id.hex()}


@pytest.mark.parametrize(
    "hello, reason",
    [
        (replace(HELLO, cluster="other"), b"cluster 'other' is not 'test'"),
        (replace(HELLO, protocol=9), b"protocol version 9 is not 2"),
    ],
)
async def test_a_peer_of_another_cluster_or_protocol_version_is_told_so(hello: Hello, reason: bytes) -> None:
    async with Node(replica("a"), listen=[LOOPBACK], settings=QUICK) as node:
        async with await raw_peer(node) as stream:
            await stream.send_all(frame(hello))
            assert reason in await read_all(stream)
        assert not open_peers(node)


async def test_a_node_that_dials_itself() -> None:
    async with Node(replica("a"), listen=[LOOPBACK], settings=QUICK) as node:
        async with await raw_peer(node) as stream:
            await stream.send_all(frame(replace(HELLO, nonce=node._nonce)))
            assert b"connected to itself" in await read_all(stream)
        assert not open_peers(node)


async def test_nodes_of_different_clusters_never_exchange() -> None:
    a, b = replica("a", cluster="one"), replica("b", cluster="two")
    grow(a, 1)
    async with (
        Node(a, listen=[LOOPBACK], settings=QUICK) as node_a,
        Node(b, peers=node_a.addresses, settings=QUICK) as node_b,
    ):
        await until(node_b, lambda: "cluster" in node_b.status().peers[0].failure)
    assert len(b) == 0


async def test_a_stopping_node_says_goodbye() -> None:
    a, b = replica("a"), replica("b")
    async with Node(b, listen=[LOOPBACK], settings=QUICK) as node_b:
        async with Node(a, peers=node_b.addresses, settings=QUICK):
            await until(node_b, lambda: len(open_peers(node_b)) == 1)
            connection = next(iter(node_b.connections.values()))
        with trio.fail_after(5):
            await connection.closed.wait()
        assert connection.ending is not None
        assert "stopping" in connection.ending.text
        assert not connection.ending.by_fault


async def test_the_last_writes_are_durable_when_a_node_has_stopped() -> None:
    a = replica("a")
    async with Node(a, settings=QUICK):
        a.commit(message="last")
    assert a.flush_due() is None
