"""Methods that only a running node answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from crdtgraph import AmbiguousError, LocalError
from sync.methods.target import Handler, Target
from sync.params import Params
from sync.plain import table
from sync.protocol.calls import Plain

if TYPE_CHECKING:
    from sync.node import Node


def _peers(target: Target, params: Params) -> Plain:
    params.done()
    return [table(each) for each in target.running().status().peers]


def _block(target: Target, params: Params) -> Plain:
    peer = params.text("peer")
    params.done()
    node = target.running()
    known = _peer_named(node, peer)
    closed = node.block(known)
    if known != peer:
        node.blocklist.named[peer] = known
    return list(closed)


def _unblock(target: Target, params: Params) -> Plain:
    peer = params.text("peer")
    params.done()
    node = target.running()
    node.unblock(node.blocklist.named.get(peer) or _peer_named(node, peer))
    node.blocklist.named.pop(peer, None)
    return None


def _peer_named(node: Node, peer: str) -> str:
    """The replica that calls itself so, for a block to outlast its connection; else the words as they are."""
    known = {each.card.replica: each.card.name for each in node.members.table.members.values()}
    # Whoever has just connected has said hello, and its card is still on its way.
    known |= {each.peer.replica: each.peer.name for each in node.connections.values() if each.peer is not None}
    named = sorted(replica.hex() for replica, name in known.items() if name == peer)
    if len(named) > 1:
        raise AmbiguousError(
            f"{len(named)} members are called {peer!r}",
            hint=f"name one by the beginning of its replica's id: {', '.join(each[:12] for each in named)}",
        )
    return named[0] if named else peer


async def _wait_for_digest(target: Target, params: Params) -> Plain:
    digest, timeout_s = params.blob("digest"), params.seconds("timeout_s", 10.0)
    params.done()
    return await target.running().wait_for_digest(digest, timeout_s)


def _stop(target: Target, params: Params) -> Plain:
    params.done()
    if target.stop is None:
        raise LocalError("nothing is running that could be stopped")
    target.stop()
    return None


TABLE: Mapping[str, Handler] = {
    "block": _block,
    "peers": _peers,
    "stop": _stop,
    "unblock": _unblock,
    "wait_for_digest": _wait_for_digest,
}
