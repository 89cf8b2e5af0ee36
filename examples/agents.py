"""`python -m examples.agents [--agents N]`: a fleet of agents on one repository, each on branches of its own.

A node holds the repository. Every agent is a process without a replica; it takes tasks, works on each in a branch
`agents/NAME/TASK`, and merges it when the task is done. All write to one log as well, whose lines the ledger's policy
unites. One agent is killed in the middle of a task: its branch stays, and somebody else finishes it. In the end there
is one main with everything.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console

import crdtgraph
from sync import BlockingControlClient, RemoteBranch

TASKS = 3
KILLED = 1
"""The agent that does not live to finish its second task."""
PATIENCE_S = 60.0


def main() -> int:
    """Tell the story; exit code 0 only if it ended as it should."""
    parser = argparse.ArgumentParser(prog="python -m examples.agents", description=__doc__)
    parser.add_argument("--agents", type=int, default=6, metavar="N", help="how many agents (default: 6)")
    agents = max(2, parser.parse_args().agents)
    with tempfile.TemporaryDirectory(prefix="crdtgraph-agents-") as folder:
        store = Path(folder) / "repository"
        with crdtgraph.open(str(store)) as graph:
            graph.commit(message="start", changes={"log": b"begun\n"}, ref="main")
            graph.set_merge_policy("log", "set-union")
        with _node(store) as control:
            _run_agents(control, agents)
            _finish_what_is_left(control)
        with crdtgraph.open(str(store), read_only=True) as graph:
            return _look(graph, agents)


def agent(control: str, number: int) -> None:
    """One agent: a process that works through its tasks."""
    name = f"w{number}"
    with BlockingControlClient(control) as node:
        for task in range(TASKS):
            with RemoteBranch(node, f"agents/{name}/task-{task}", author=name) as branch:
                branch.commit(changes={f"src/{name}_{task}.py": b"draft\n"}, message="a first draft")
                if number == KILLED and task == 1:
                    os._exit(9)
                finish(branch, f"src/{name}_{task}.py", name)


def finish(branch: RemoteBranch, path: str, author: str) -> None:
    """What ends a task: the file as it should be, and a line in the log that everybody writes to."""
    log = branch.state()["log"]
    assert isinstance(log, bytes)
    line = f"{author} finished {path}\n".encode()
    branch.commit(changes={path: b"print('done')\n", "log": log + line}, message=f"finish {path}", author=author)


def _say(line: str) -> None:
    Console(highlight=False).print(line, markup=False, soft_wrap=True)


def _run_agents(control: str, agents: int) -> None:
    context = get_context("spawn")
    processes = [context.Process(target=agent, args=(control, number)) for number in range(agents)]
    began = time.monotonic()
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE_S)
        process.kill()
    _say(f"{agents} agents worked for {time.monotonic() - began:.1f} s; one of them was killed")


def _finish_what_is_left(control: str) -> None:
    with BlockingControlClient(control) as node:
        listed = node.call("branches", prefix="agents/")
        for each in listed if isinstance(listed, list) else []:
            assert isinstance(each, dict)
            name, ahead = str(each["name"]), each["ahead"]
            _say(f"left behind: {name}, {ahead!r} commits ahead of main; somebody else takes it over")
            _, owner, task = name.split("/")
            with RemoteBranch(node, name, author="rescuer") as branch:
                finish(branch, f"src/{owner}_{task.removeprefix('task-')}.py", "rescuer")


def _look(graph: crdtgraph.Graph, agents: int) -> int:
    (tip,) = graph.refs["main"].targets
    state = graph.state(tip)
    log = state["log"]
    assert isinstance(log, bytes)
    files = [path for path in state if path.startswith("src/")]
    lines = [line for line in log.splitlines() if b" finished " in line]
    # The one that was killed never came to its last task.
    expected = agents * TASKS - 1
    _say(f"main: {len(graph.ancestors(tip)) + 1} commits, {len(files)} files, {len(lines)} lines in the log, one head")
    is_whole = len(files) == len(lines) == expected and not graph.branches("agents/")
    _say("everything is there" if is_whole else "something is missing")
    return 0 if is_whole and all(state[path] == b"print('done')\n" for path in files) else 1


@contextmanager
def _node(store: Path) -> Iterator[str]:
    control = str(store / "control")
    command = [sys.executable, "-m", "cli", "serve", "--store", str(store)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not _answers(control):
                if time.monotonic() > deadline or process.poll() is not None:
                    raise crdtgraph.UnreachableError(f"no node came up on {store}")
                time.sleep(0.05)
            yield control
        finally:
            process.terminate()


def _answers(control: str) -> bool:
    try:
        BlockingControlClient(control).close()
    except crdtgraph.UnreachableError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
