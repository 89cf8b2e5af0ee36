"""How a store is named: the scheme that chooses the backend, the path, and what lies beside it.

A URL is `SCHEME:PLACE`; a bare path is a folder of RocksDB. Nothing here looks at a disk or loads an engine, so that a
command may ask where a control socket would be without opening anything.
"""

from __future__ import annotations

import os
import re

from crdtgraph.errors import LocalError

ROCKSDB, SQLITE, MEMORY = "rocksdb", "sqlite", "memory"
SCHEMES = (ROCKSDB, SQLITE, MEMORY)

CONTROL_NAME = "control"
"""The control socket that a running node keeps in the folder of a store; named in errors, never touched."""
CONTROL_SUFFIX = ".control"
"""The same beside a store that is a file: `search.sqlite` has `search.sqlite.control`."""
STORE_LOCK_NAME = "crdtgraph.lock"
"""In the folder of a store: locked by whoever writes."""
LOCK_SUFFIX = ".lock"
"""The same beside a store that is a file ..."""
WAL_SUFFIX, SHM_SUFFIX = "-wal", "-shm"
"""... and its log, which SQLite keeps there while it is open."""
FILE_SUFFIXES = (WAL_SUFFIX, SHM_SUFFIX, LOCK_SUFFIX)
"""What belongs to a store that is a file."""

# Two letters at least, so that no single-letter folder with a colon is taken for a scheme.
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):(.*)", re.DOTALL)


def split_url(url: str) -> tuple[str, str]:
    """The scheme of a URL and what follows it; a bare path is one of RocksDB.

    Raises LocalError when the scheme is unknown, or nothing usable follows it.
    """
    match = _SCHEME.fullmatch(url)
    scheme, place = match.groups() if match else (ROCKSDB, url)
    if not match and (typed := url.partition(":")[0]) != url and typed.lower() in SCHEMES:
        scheme, place = typed, ""  # A folder called SQLITE:x is hardly meant.
    if scheme == MEMORY:
        return scheme, place
    if scheme not in SCHEMES:
        raise LocalError(
            f"unknown kind of store {scheme!r} in {url!r}",
            hint=f"use rocksdb:PATH, sqlite:PATH, memory: or memory:NAME; a path with a colon is written rocksdb:{url}",
        )
    if place.startswith("//"):
        place = place[2:]
    if not place or "\0" in place:
        raise LocalError(f"{url!r} names no path", hint="write rocksdb:PATH, sqlite:PATH or just a path")
    return scheme, place


def absolute_url(url: str) -> str:
    """The URL with scheme and absolute path, as an open store of that name says it; raises as `split_url`."""
    scheme, place = split_url(url)
    return f"{scheme}:{place if scheme == MEMORY else os.path.abspath(place)}"


def path_of(url: str) -> str | None:
    """The path of a URL as it stands there; None for a store that is on no disk, or a URL that names none."""
    try:
        scheme, place = split_url(url)
    except LocalError:
        return None
    return None if scheme == MEMORY else place


def control_path(url: str) -> str | None:
    """Where a node on this store has its control socket unless it is told otherwise; None without a disk."""
    path = path_of(url)
    if path is None:
        return None
    return path + CONTROL_SUFFIX if split_url(url)[0] == SQLITE else os.path.join(path, CONTROL_NAME)


def is_control_name(path: str) -> bool:
    """Whether a path is called as nodes call their control sockets."""
    name = os.path.basename(path)
    return name == CONTROL_NAME or (name.endswith(CONTROL_SUFFIX) and name != CONTROL_SUFFIX)


def store_path_of_control(path: str) -> str:
    """The path of the store whose control socket this is, by its name alone."""
    return os.path.dirname(path) if os.path.basename(path) == CONTROL_NAME else path.removesuffix(CONTROL_SUFFIX)
