"""Who is at the other end of a control connection, and what is taken back when it goes away.

Workers keep something in the node while they live: tasks that they were given and have not answered. A worker that is
killed says nothing, but its connection ends; whatever was lent to it is noted here and returned then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from crdtgraph.errors import LocalError

if TYPE_CHECKING:
    from sync.workers.desks import HostedTree

WORKERS_VERSION = 1
"""Of the methods for workers. A node and a worker that speak different ones could take each other's batches wrong, so
they say it first and end there."""


class Caller:
    """One client of a control socket, as long as it is connected.

    `name` and `version` are what it said in its `hello`; the version is None until then.
    """

    def __init__(self) -> None:
        self.name = ""
        self.version: int | None = None
        self.desks: dict[str, tuple[str, HostedTree]] = {}
        """By search: the name that it works under, and where."""
        self._lent: dict[object, Callable[[], None]] = {}

    def greet(self, name: str, version: int) -> None:
        """Take a client's greeting; LocalError says who has to be upgraded if the versions differ."""
        if version != WORKERS_VERSION:
            who = "the worker" if version < WORKERS_VERSION else "the node"
            raise LocalError(
                f"worker {name!r} speaks version {version}, the node {WORKERS_VERSION}",
                hint=f"upgrade {who}: pip install --upgrade crdtgraph, and start it again",
            )
        self.name, self.version = name, version

    def require_greeting(self) -> None:
        """Raise LocalError for a client that has not said which version it speaks."""
        if self.version is None:
            raise LocalError(
                f"a worker says first which version it speaks, and this node speaks {WORKERS_VERSION}",
                hint="call `hello` first; a worker that cannot is older than the node: upgrade the worker",
            )

    def lend(self, what: object, take_back: Callable[[], None]) -> None:
        """Note what this client has; `take_back` is called when it is gone, once for each `what`."""
        self._lent[what] = take_back

    def return_over(self) -> None:
        """Return what it has of searches that are over: a client that stays keeps no tree alive."""
        for name, (_, hosted) in [*self.desks.items()]:
            if hosted.desk.is_over:
                del self.desks[name]
                self._lent.pop(hosted)()

    def leave(self) -> None:
        """The connection has ended."""
        lent, self._lent = self._lent, {}
        for take_back in lent.values():
            take_back()
