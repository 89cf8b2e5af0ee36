"""A search over all nodes of a Ray cluster; see `Fleet` and docs/fleet.md."""

from sync.fleet.errors import FleetLostError, HeadLostError, ProblemFailedError
from sync.fleet.fleet import Answer, Fleet, Progress
from sync.fleet.plan import Pace

__all__ = ["Answer", "Fleet", "FleetLostError", "HeadLostError", "Pace", "ProblemFailedError", "Progress"]
