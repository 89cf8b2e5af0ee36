"""A search over all nodes of a Ray cluster; see `Fleet` and docs/fleet.md.

Names are loaded at their first use: workers need few of them.
"""

import typing

from crdtgraph import lazy

if typing.TYPE_CHECKING:
    from sync.fleet.errors import FleetLostError, HeadLostError, ProblemFailedError
    from sync.fleet.fleet import Answer, Fleet, Progress
    from sync.fleet.plan import Pace

__all__ = ["Answer", "Fleet", "FleetLostError", "HeadLostError", "Pace", "ProblemFailedError", "Progress"]

_HOMES = {
    "Answer": "fleet",
    "Fleet": "fleet",
    "FleetLostError": "errors",
    "HeadLostError": "errors",
    "Pace": "plan",
    "ProblemFailedError": "errors",
    "Progress": "fleet",
}

if not typing.TYPE_CHECKING:  # else every misspelt import would be an object to a type checker
    __getattr__, __dir__ = lazy.loading(__name__, _HOMES)
