"""What goes wrong in a fleet beyond the machine of whoever started it."""

from __future__ import annotations

from crdtgraph.errors import CrdtGraphError, UnreachableError
from crdtgraph.mcts.errors import ProblemError


class WorkerLostError(CrdtGraphError):
    """A worker ended before it answered: its process died, or it took too long. The search goes on without it."""


class SiteLostError(CrdtGraphError):
    """A node of the fleet ended before it answered. The search goes on without it."""


class FleetLostError(UnreachableError):
    """Too much was lost for a search to go on: all nodes, or workers one after the other."""


class HeadLostError(FleetLostError):
    """The head of the Ray cluster does not answer any more, so no node and no worker can be replaced."""


class ProblemFailedError(ProblemError):
    """The problem raised on a node of the fleet, or cannot even be unpickled there.

    `report` is the traceback there, as text.
    """

    def __init__(self, message: str, hint: str = "", report: str = "") -> None:
        super().__init__(message, hint)
        # All go into `args`, so that it survives pickling.
        self.args = (message, hint, report)
        self.report = report
        if report:
            self.add_note(f"On the node:\n{report.rstrip()}")
