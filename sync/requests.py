"""Requests: the table of methods, begun by name.

The very same table answers requests on a node's control socket and calls of a program that has opened the store itself
(`LocalCaller`), so that a command is written once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator, Iterator, Mapping
from typing import TYPE_CHECKING

from crdtgraph import Graph, LocalError, NotFoundError
from sync.methods import Parts, Target, handler_of, methods
from sync.params import Params
from sync.protocol.calls import Plain

if TYPE_CHECKING:
    from crdtgraph.asof import AsOf


def start(target: Target, method: str, params: Mapping[str, Plain]) -> Plain | Parts | Awaitable[Plain]:
    """Begin a request. Raises CrdtGraphError subclasses: what was asked is wrong, unknown, or fails."""
    handler = handler_of(method)
    if handler is None:
        raise NotFoundError(f"there is no method {method[:60]!r}", hint=f"methods: {', '.join(methods())}")
    return handler(target, Params(method, params))


class LocalCaller:
    """The table for a store that this process has opened; called like a client of a control socket.

    With a `view`, the graph as of an earlier time, requests that read are answered from it.
    """

    def __init__(self, graph: Graph, view: AsOf | None = None) -> None:
        self.graph = graph
        self.view = view
        self._target = Target(graph, view=view)

    def call(self, method: str, **params: Plain) -> Plain:
        """The result of a method; of one that answers in parts, the list of them."""
        answer = start(self._target, method, params)
        if isinstance(answer, Generator):
            return list(answer)
        return _at_once(method, answer)

    def stream(self, method: str, **params: Plain) -> Iterator[Plain]:
        """The parts of a method that answers in parts; of any other, its result as the only part."""
        answer = start(self._target, method, params)
        if isinstance(answer, Generator):
            yield from answer
        else:
            yield _at_once(method, answer)


def _at_once(method: str, answer: Plain | Awaitable[Plain]) -> Plain:
    if not isinstance(answer, Awaitable):
        return answer
    if isinstance(answer, Coroutine):
        answer.close()
    raise LocalError(f"{method} needs a running node", hint="ask a node: --node PATH of its control socket")
