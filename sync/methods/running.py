"""Methods that only a running node answers."""

from __future__ import annotations

from collections.abc import Mapping

from crdtgraph import LocalError
from sync.messages import Plain
from sync.methods.target import Handler, Target
from sync.params import Params
from sync.plain import table


def _peers(target: Target, params: Params) -> Plain:
    params.done()
    return [table(each) for each in target.running().status().peers]


def _block(target: Target, params: Params) -> Plain:
    peer = params.text("peer")
    params.done()
    return list(target.running().block(peer))


def _unblock(target: Target, params: Params) -> Plain:
    peer = params.text("peer")
    params.done()
    target.running().unblock(peer)
    return None


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
