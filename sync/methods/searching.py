"""Methods about searches: which there are, and how one is ended."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from crdtgraph.searches.plane import PREFIX
from sync.methods.target import Handler, Target
from sync.params import Params
from sync.protocol.calls import Plain

if TYPE_CHECKING:
    from sync.node import Node

OPEN, CLOSED = "open", "closed"
UNKNOWN: dict[str, Plain] = dict.fromkeys(
    ("commits", "live", "pending", "writers", "segments", "bytes", "digest", "written_us", "expires_us", "closed_us")
)
"""What is not known of a search."""


def _searches(target: Target, params: Params) -> Plain:
    """Open searches, and those that are over if they are asked for, or if nothing else is known."""
    with_closed = params.flag("closed") or target.node is None
    params.done()
    graph, found = target.graph, []
    for name in graph.searches():
        status: dict[str, Plain] = asdict(graph.search_status(name))
        status["digest"] = graph.digest(plane=PREFIX + name)
        if target.node is not None:
            status["expires_us"] = target.node.searches.janitor.expires_us(name)
        found.append({"name": name, "state": OPEN, **UNKNOWN, **status})
    if with_closed:
        for name in graph.closed_searches():
            closed_us = graph.search_closed_us(name)
            found.append({"name": name, "state": CLOSED, **UNKNOWN, "closed_us": closed_us})
    return [*found]


def _close_search(target: Target, params: Params) -> Plain | Awaitable[Plain]:
    name = params.text("name")
    params.done()
    target.graph.close_search(name)
    if target.node is None:
        target.graph.flush()
        return None
    return _once_durable(target.node)


async def _once_durable(node: Node) -> Plain:
    await node.flusher.durable()
    return None


TABLE: Mapping[str, Handler] = {
    "close_search": _close_search,
    "searches": _searches,
}
