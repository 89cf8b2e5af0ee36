"""The demonstration's three nodes without its story: they run until Ctrl-C, and you cut and mend as you like."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from rich.console import Console

from crdtgraph import CrdtGraphError
from examples.demo.claims import ClaimError
from examples.demo.nodes import AGREE_TIMEOUT_S, Cluster, run_cli, wait_until

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def play(console: Console, folder: Path, repository: str | None) -> int:
    """Start three connected nodes in a folder, import a history if one is named, and run until Ctrl-C or SIGTERM.

    The stores stay where they are, and a second start in the same folder goes on with them. Returns the exit code.
    """
    stopping = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stopping.set())
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(folder)
    try:
        for node in cluster.nodes:
            node.start()
        first = cluster.nodes[0]
        if repository is not None:
            run_cli("--node", first.control, "import", "git", repository)
        wait_until("all nodes agree", lambda: len({node.digest() for node in cluster.nodes}) == 1, AGREE_TIMEOUT_S)
        console.print(f"ready: three nodes with {first.commits()} commits each; Ctrl-C stops them", markup=False)
        for node in cluster.nodes:
            console.print(f"  {os.path.relpath(node.control)}  at {node.address}", markup=False)
        stopping.wait()
    except (ClaimError, CrdtGraphError) as failure:
        console.print(f"failed: {failure}", style="bold red", markup=False)
        console.print(cluster.log_tails(), markup=False)
        return 1
    finally:
        cluster.stop_all()
    console.print(f"stopped; the stores are in {folder}", markup=False)
    return 0
