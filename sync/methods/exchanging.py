"""Methods by which somebody carries segments from one replica to another, as nodes do among themselves.

A courier (`cli.courier`) asks one side for what the other lacks and hands it over. A running node takes it in like
what a peer sends: one delivery at a time, in steps between which others are served, and passed on to its peers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from crdtgraph import LEDGER
from sync.methods.target import Handler, Parts, Target
from sync.params import Params
from sync.plain import vector_from_plain, vector_to_plain
from sync.protocol.limits import CHUNK_ENTRIES, KEYS_PER_MESSAGE
from sync.protocol.messages import Plain

if TYPE_CHECKING:
    from sync.node import Node

VECTOR_ENTRIES_MAX = 1 << 17
"""Of a state vector, two for each writer: as many as a summary may have."""
SEGMENTS_AT_ONCE_MAX = 64
"""Handed over in one request to keep beside the document; together they have to fit a frame."""

_Steps = Generator[None, None, int]


def _state_vector(target: Target, params: Params) -> Plain:
    plane = params.text("plane", LEDGER)
    params.done()
    return vector_to_plain(target.graph.state_vector(plane))


def _deltas(target: Target, params: Params) -> Parts:
    plane = params.text("plane", LEDGER)
    flat = params.entries("state_vector", VECTOR_ENTRIES_MAX) if params.has("state_vector") else []
    params.done()
    for delta in target.graph.deltas(plane, vector_from_plain(flat)):
        yield {"plane": delta.plane, "base": vector_to_plain(delta.base), "update": delta.update, "last": delta.last}
    return None


def _segment_keys(target: Target, params: Params) -> Parts:
    plane = params.text("plane", LEDGER)
    params.done()
    keys = iter(target.graph.segment_keys(plane).items())
    while chunk := list(islice(keys, CHUNK_ENTRIES)):
        yield [[key, digest] for key, digest in chunk]
    return None


def _segments_of(target: Target, params: Params) -> Parts:
    plane = params.text("plane", LEDGER)
    keys = params.texts("keys", KEYS_PER_MESSAGE)
    params.done()
    for key in keys:
        yield from target.graph.segments_of(plane, key)
    return None


def _receive(target: Target, params: Params) -> Plain | Awaitable[Plain]:
    plane, update = params.text("plane", LEDGER), params.blob("update")
    params.done()
    if target.node is None:
        return len(target.graph.receive(plane, update).segments)
    return _deliver(target.node, _receiving(target.node, plane, update))


def _adopt(target: Target, params: Params) -> Plain | Awaitable[Plain]:
    plane = params.text("plane", LEDGER)
    segments = params.blobs("segments", SEGMENTS_AT_ONCE_MAX)
    params.done()
    if target.node is None:
        return target.graph.adopt(plane, segments)
    return _deliver(target.node, _adopting(target.node, plane, segments))


async def _deliver(node: Node, steps: _Steps) -> Plain:
    """Take something in when the node's turn for that comes; how much of it was new."""
    new = 0

    def counted() -> Iterator[None]:
        nonlocal new
        new = yield from steps

    await node.apply(counted())
    return new


def _receiving(node: Node, plane: str, update: bytes) -> _Steps:
    node.splits.expect()
    received = yield from node.graph.receive_steps(plane, update)
    if received.segments:
        node.splits.receive()
    if received.delta is not None:
        node.gossip.push(received.delta)
    return len(received.segments)


def _adopting(node: Node, plane: str, segments: list[bytes]) -> _Steps:
    new = 0
    for segment in segments:
        new += node.graph.adopt(plane, [segment])
        yield
    if new:
        # No push can carry them: the others find out by their set digests, and ask.
        node.gossip.compare_with_all()
    return new


TABLE: Mapping[str, Handler] = {
    "adopt": _adopt,
    "deltas": _deltas,
    "receive": _receive,
    "segment_keys": _segment_keys,
    "segments_of": _segments_of,
    "state_vector": _state_vector,
}
