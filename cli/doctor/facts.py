"""What `doctor` looks at, gathered before anything is judged."""

from __future__ import annotations

import os
import shutil
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.answers import list_of, of, table_of
from cli.cluster.asking import ask_node
from cli.cluster.members import Cluster
from cli.context import Backend
from cli.contexts import Context
from crdtgraph.errors import CrdtGraphError
from crdtgraph.store import disk_bytes
from crdtgraph.store.naming import path_of, store_path_of_control

if TYPE_CHECKING:
    from sync.protocol.calls import Plain


@dataclass(frozen=True, slots=True)
class Disk:
    """Where a store is. Sizes are bytes; `mode` are the permission bits of its folder."""

    path: str
    store_bytes: int
    free: int
    total: int
    mode: int


@dataclass(frozen=True, slots=True)
class Backup:
    """The file that a context names as the backup of a graph; `written_us` is None if it is not there."""

    path: str
    written_us: int | None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known. Times are microseconds since the epoch by this machine's clock.

    `newest_us` is the latest stamp in the graph; `node` and `cluster` are None for a store at rest, `disk` for one
    that is on none, `backup` if no context of this graph names one. `episodes` is a text if they cannot be read.
    """

    now_us: int
    graph: dict[str, Plain]
    newest_us: int | None
    pending: list[dict[str, Plain]]
    episodes: list[dict[str, Plain]] | str
    node: dict[str, Plain] | None
    cluster: Cluster | None
    disk: Disk | None
    backup: Backup | None


def gather(backend: Backend, timeout_s: float) -> Facts:
    """Ask a graph, its node and this machine; members that do not answer are waited for so long."""
    answer = table_of(backend.call("status"))
    graph = table_of(answer["graph"])
    node = None if answer["node"] is None else table_of(answer["node"])
    cluster = ask_node(backend, timeout_s) if node is not None else None
    latest = [table_of(row) for part in backend.stream("ops", limit=1) for row in list_of(part)]
    url = of(str, graph["url"])
    return Facts(
        now_us=time.time_ns() // 1_000,
        graph=graph,
        newest_us=of(int, latest[0]["stamp_us"]) if latest else None,
        pending=[table_of(each) for each in list_of(backend.call("pending"))],
        episodes=_episodes(backend),
        node=node,
        cluster=cluster,
        disk=_disk(url),
        backup=_backup(url),
    )


def _episodes(backend: Backend) -> list[dict[str, Plain]] | str:
    try:
        return [table_of(each) for part in backend.stream("episodes") for each in list_of(part)]
    except CrdtGraphError as error:
        return error.message


def _disk(url: str) -> Disk | None:
    path, used = path_of(url), disk_bytes(url)
    if path is None or used is None:
        return None
    usage = shutil.disk_usage(path)
    return Disk(path, used, usage.free, usage.total, stat.S_IMODE(os.stat(path).st_mode))


def _backup(url: str) -> Backup | None:
    from cli.contexts import load

    folder = os.path.realpath(path_of(url) or url)
    named = [each for each in load().named.values() if each.backup and _folder(each) == folder]
    if not named:
        return None
    # One that is not there is no backup, so of several the latest counts.
    found = [Backup(each.backup, _written_us(each.backup)) for each in named]
    return max(found, key=lambda each: each.written_us or 0)


def _folder(context: Context) -> str:
    """The folder or file of the store that a context means; a control socket lies in or beside it."""
    path = os.path.realpath(path_of(context.place) or context.place)
    return path if context.kind == "store" or os.path.isdir(path) else store_path_of_control(path)


def _written_us(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns // 1_000
    except OSError:
        return None
