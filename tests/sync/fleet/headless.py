"""A program whose Ray head is killed in the middle of a search; it says in JSON what became of it.

    python -m tests.sync.fleet.headless FOLDER

The test runs it as a process of its own, because Ray ends the process of whoever waits for a head that is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import ray
import ray.cluster_utils

import crdtgraph
from sync.fleet import Fleet, HeadLostError, Pace, Progress
from tests.sync.fleet.games import Slow

PACE = Pace(lease_s=0.2, look_s=0.2, head_s=4.0, start_s=120.0, answer_s=5.0, agree_s=5.0)
NODE = {"num_cpus": 2, "object_store_memory": 80 << 20, "include_dashboard": False}


def main(folder: Path) -> None:
    cluster = ray.cluster_utils.Cluster(initialize_head=True, head_node_args=NODE)
    cluster.add_node(**NODE)
    cluster.add_node(**NODE)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    killed: list[float] = []
    try:
        fleet = Fleet(Slow(), workers=3, graph=f"rocksdb:{folder / 'ledger'}", ref="move", pace=PACE)
        fleet.run(10**9, on_progress=lambda progress: kill_head(cluster, progress, killed))
    except HeadLostError as error:
        took_s = time.monotonic() - killed[0]
        said = {"error": str(error), "hint": error.hint, "took_s": took_s, "ray": ray.is_initialized()}
        sys.stdout.write(json.dumps(said) + "\n")
    finally:
        for node in cluster.list_all_nodes():
            node.kill_all_processes(check_alive=False, allow_graceful=False)


def kill_head(cluster: Any, progress: Progress, killed: list[float]) -> None:
    if not killed and progress.iterations > 200:
        killed.append(time.monotonic())
        for processes in cluster.head_node.all_processes.values():
            for each in processes:
                os.kill(each.process.pid, signal.SIGKILL)


if __name__ == "__main__":
    # What is answered has to be on disk by then, whoever opens it.
    folder = Path(sys.argv[1])
    main(folder)
    with crdtgraph.open(f"rocksdb:{folder / 'ledger'}", create=False) as graph:
        problems = [each.problem for each in graph.fsck() if each.problem]
        found = {"problems": problems, "refs": [*graph.refs], "commits": len(graph)}
        sys.stdout.write(json.dumps(found) + "\n")
