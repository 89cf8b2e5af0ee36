"""All methods: the tables of the modules beside this one, joined.

A module is imported when a method is looked for that is in none of those before it: whoever asks one question of a
store at rest does not wait for what answers all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from sync.methods.target import Handler

MODULES = (
    "reading",
    "listing",
    "selecting",
    "writing",
    "forensics",
    "exchanging",
    "storing",
    "running",
    "clustering",
    "measuring",
    "objects",
    "branching",
    "treesearch",
    "batches",
    "desks",
    "searching",
)
"""Each has a `TABLE`; no two have a method of the same name. What commands ask first stands first."""


FOR_WORKERS = ("batches", "desks")
ALSO_FOR_WORKERS = frozenset({"digest", "refs", "resolve", "set_ref", "status"})
"""Beside what is in the modules for workers: enough to know where to begin and to say where it ended."""


def handler_of(method: str) -> Handler | None:
    """The handler of a method, or None when there is no such method."""
    for module in MODULES:
        handler = _table(module).get(method)
        if handler is not None:
            return handler
    return None


def methods() -> list[str]:
    """The names of all methods, sorted."""
    return sorted(method for module in MODULES for method in _table(module))


def methods_for_workers() -> frozenset[str]:
    """The methods that are answered over TCP."""
    return frozenset(method for module in FOR_WORKERS for method in _table(module)) | ALSO_FOR_WORKERS


def _table(module: str) -> Mapping[str, Handler]:
    table: Mapping[str, Handler] = import_module(f"sync.methods.{module}").TABLE
    return table
