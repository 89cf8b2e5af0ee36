"""A search over all nodes of a Ray cluster; see `Fleet` and docs/fleet.md.

Names are loaded at their first use: workers need few of them.
"""

import importlib
import typing

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


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
