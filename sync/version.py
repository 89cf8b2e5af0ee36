"""Which version of the software this is."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def software_version() -> str:
    """The installed version, or "source" for a source tree that is not installed."""
    try:
        return version("crdtgraph")
    except PackageNotFoundError:
        return "source"
