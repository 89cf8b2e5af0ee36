"""Fifty writers at once on one repository: 20 commits each on branches of their own, then merged to main.

One node and 50 clients (`RemoteBranch`, each with a connection of its own) take turns with the same on git: 50
worktrees of one repository, `git add` and `git commit` in each, and `git merge` in the main worktree under a lock, as
people do it. libgit2 shows what is left of git's time without processes to start and without worktrees. Writers are
threads of one process, all start at once, and a merge's time includes its wait for the lock. Each commit writes a file
of its own; a run is over when main has the last merge, and then it is counted what main lacks.

Fifty replicas do it without a place that all go through: each has a store and a node, commits and merges by itself, and
is connected to the first one. That run is over when all have the same graph, whose main the first one has settled.

What is waited for differs: merges are fsynced on a node and on replicas, git fsyncs what it does by default (packs, not
loose objects), libgit2 nothing. Opening a branch or a worktree is timed by itself.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from threading import Barrier, Lock, Thread
from time import perf_counter, perf_counter_ns, sleep
from typing import Protocol

import pygit2
import trio

import crdtgraph
import sync
from benchmarks.report import Figure, Report, quantiles
from crdtgraph import CommitId
from crdtgraph.records import Value

WRITERS = 50
COMMITS = 20
ROUNDS = 3
PATIENCE_S = 120.0


def path_of(writer: int, step: int) -> str:
    """The file that one commit writes."""
    return f"work/w{writer}/step-{step}"


def text_of(writer: int, step: int) -> bytes:
    """What is in it."""
    return b"writer %d, step %d\n" % (writer, step)


class Branch(Protocol):
    """One writer's branch on some side."""

    def commit(self, step: int) -> str:
        """Commit a file; the commit's id."""
        ...

    def merge(self) -> None:
        """Bring the branch into main."""
        ...


@dataclass
class Outcome:
    """Times of one run, in nanoseconds but for the whole, and what main lacks in the end."""

    opened: list[int] = field(default_factory=list)
    committed: list[int] = field(default_factory=list)
    merged: list[int] = field(default_factory=list)
    whole_s: float = 0.0
    changes_lost: int = 0
    commits_lost: int = 0


def run(*, quick: bool) -> Report:
    """Measure and report."""
    writers, commits, rounds = (8, 5, 1) if quick else (WRITERS, COMMITS, ROUNDS)
    report = Report("branches", {"writers": writers, "commits_each": commits, "rounds": rounds})
    sides: dict[str, Callable[[Path, int, int], Outcome]] = {
        "one node, a client each": node,
        "a replica each": replicas,
        "git worktrees, lock": git,
        "libgit2, lock": libgit2,
    }
    outcomes: dict[str, list[Outcome]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            with tempfile.TemporaryDirectory() as folder:
                outcomes[name].append(side(Path(folder), writers, commits))
    for name, found in outcomes.items():
        whole = median(each.whole_s for each in found)
        report.results[name] = {
            "whole_s": round(whole, 3),
            "commits_per_s": round(writers * commits / whole),
            **_times("commit", [each.committed for each in found]),
            **_times("merge", [each.merged for each in found]),
            **_times("open", [each.opened for each in found]),
            "changes_lost": max(each.changes_lost for each in found),
            "commits_lost": max(each.commits_lost for each in found),
        }
    ours, apart, theirs = (outcomes[name] for name in list(sides)[:3])
    for name, found in (("one node", ours), ("replicas", apart)):
        report.hold(f"changes lost, {name}", max(each.changes_lost for each in found), "", "==", 0)
        report.hold(f"commits lost, {name}", max(each.commits_lost for each in found), "", "==", 0)
    faster = median(each.whole_s for each in theirs) / median(each.whole_s for each in ours)
    report.hold("one node, times as fast as git worktrees", faster, "x", ">=", 1)
    return report


def _times(name: str, runs: list[list[int]]) -> dict[str, Figure]:
    found = quantiles([each for run in runs for each in run])
    return {f"{name}_p50_ms": round(found["p50_us"] / 1e3, 3), f"{name}_p99_ms": round(found["p99_us"] / 1e3, 3)}


def _all_at_once(open_branch: Callable[[int], Branch], writers: int, commits: int) -> tuple[Outcome, list[str]]:
    """Open a branch for each writer, then let them all go; the times, and the ids of all commits."""
    outcome = Outcome()
    branches = []
    for number in range(writers):
        began = perf_counter_ns()
        branches.append(open_branch(number))
        outcome.opened.append(perf_counter_ns() - began)
    start = Barrier(writers + 1)
    made: list[str] = []
    failed: list[BaseException] = []

    def work(branch: Branch) -> None:
        start.wait()
        try:
            for step in range(commits):
                began = perf_counter_ns()
                made.append(branch.commit(step))
                outcome.committed.append(perf_counter_ns() - began)
            began = perf_counter_ns()
            branch.merge()
            outcome.merged.append(perf_counter_ns() - began)
        except BaseException as error:  # noqa: BLE001 (raised below: a run that failed has no times)
            failed.append(error)

    threads = [Thread(target=work, args=(branch,)) for branch in branches]
    for thread in threads:
        thread.start()
    start.wait()
    whole_began = perf_counter()
    for thread in threads:
        thread.join()
    outcome.whole_s = perf_counter() - whole_began
    if failed:
        raise failed[0]
    return outcome, made


# One node


class _Client:
    def __init__(self, path: Path, number: int) -> None:
        self._number = number
        self._client = sync.BlockingControlClient(path)
        self._branch = sync.RemoteBranch(self._client, f"agents/w{number}/task")

    def commit(self, step: int) -> str:
        return self._branch.commit(changes={path_of(self._number, step): text_of(self._number, step)}).hex()

    def merge(self) -> None:
        with self._branch:
            pass
        self._client.close()


def node(folder: Path, writers: int, commits: int) -> Outcome:
    """One node in a process of its own, and a client for each writer."""
    store, control = folder / "store", folder / "control"
    with crdtgraph.open(str(store)) as graph:
        graph.commit(message="start", ref="main")
    command = [sys.executable, "-m", "cli", "serve", "--store", str(store), "--control", str(control)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(control)
            outcome, made = _all_at_once(lambda number: _Client(control, number), writers, commits)
            process.terminate()
            process.wait(PATIENCE_S)
        finally:
            process.kill()
    with crdtgraph.open(str(store), read_only=True) as graph:
        count_lost(outcome, graph, [CommitId(bytes.fromhex(each)) for each in made], writers, commits)
    return outcome


def _wait_for(control: Path) -> None:
    deadline = perf_counter() + PATIENCE_S
    while perf_counter() < deadline:
        try:
            sync.BlockingControlClient(control).close()
        except crdtgraph.UnreachableError:
            sleep(0.05)
        else:
            return
    raise TimeoutError(f"no node at {control}")


def count_lost(outcome: Outcome, graph: crdtgraph.Graph, made: list[CommitId], writers: int, commits: int) -> None:
    """Count what main lacks of what was made, and of what every writer wrote."""
    (main,) = graph.refs["main"].targets
    state: dict[str, Value] = dict(graph.state(main))
    outcome.changes_lost = sum(
        state.get(path_of(writer, step)) != text_of(writer, step)
        for writer in range(writers)
        for step in range(commits)
    )
    outcome.commits_lost = len({*made} - {main} - graph.ancestors(main))


# Replicas


def replicas(folder: Path, writers: int, commits: int) -> Outcome:
    """A replica and a node for each writer."""
    return trio.run(_replicate, folder, writers, commits)


async def _replicate(folder: Path, writers: int, commits: int) -> Outcome:
    outcome = Outcome()
    made: list[CommitId] = []
    graphs: list[crdtgraph.Graph] = []
    try:
        graphs += [crdtgraph.open(str(folder / f"r{number}"), author=f"w{number}") for number in range(writers)]
        graphs[0].commit(message="start", ref="main")
        for graph in graphs[1:]:
            for delta in graphs[0].deltas("ledger", graph.state_vector("ledger")):
                graph.receive("ledger", delta.update)
        async with _joined(graphs) as nodes:
            began = perf_counter()
            async with trio.open_nursery() as nursery:
                for number, graph in enumerate(graphs):
                    nursery.start_soon(_write, graph, number, commits, outcome, made)
            await _settle(nodes, made)
            outcome.whole_s = perf_counter() - began
        for graph in graphs[:: max(1, writers // 5)]:
            count_lost(outcome, graph, made, writers, commits)
    finally:
        for graph in graphs:
            graph.close()
    return outcome


@asynccontextmanager
async def _joined(graphs: list[crdtgraph.Graph]) -> AsyncIterator[list[sync.Node]]:
    """A node for each graph, all connected to that of the first."""
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(sync.Node(graphs[0], listen=["127.0.0.1:0"]))]
        for graph in graphs[1:]:
            nodes.append(await stack.enter_async_context(sync.Node(graph, peers=[nodes[0].addresses[0]])))
        yield nodes


async def _write(graph: crdtgraph.Graph, number: int, commits: int, outcome: Outcome, made: list[CommitId]) -> None:
    began = perf_counter_ns()
    branch = graph.branch(f"agents/w{number}/task")
    outcome.opened.append(perf_counter_ns() - began)
    for step in range(commits):
        began = perf_counter_ns()
        made.append(branch.commit(changes={path_of(number, step): text_of(number, step)}))
        outcome.committed.append(perf_counter_ns() - began)
        await trio.lowlevel.checkpoint()
    began = perf_counter_ns()
    with branch:
        pass
    outcome.merged.append(perf_counter_ns() - began)


async def _settle(nodes: list[sync.Node], made: list[CommitId]) -> None:
    """Wait until the first replica has all, have it settle main, and wait until all have that."""
    first = nodes[0].graph
    assert isinstance(first, crdtgraph.Graph)
    with trio.fail_after(PATIENCE_S):
        while any(each not in first for each in made) or first.branches("agents/"):
            await nodes[0].wait_changed()
        first.merge("main", durability=crdtgraph.Durability.CRITICAL)
        for node in nodes[1:]:
            assert await node.wait_for_digest(first.digest(), PATIENCE_S)


# Git


class _Worktree:
    def __init__(self, repository: Path, folder: Path, number: int, lock: Lock) -> None:
        self._number, self._lock, self._repository = number, lock, repository
        self._folder = folder / f"w{number}"
        self._name = f"agents/w{number}"
        git_command(repository, "worktree", "add", "-q", "-b", self._name, str(self._folder), "main")

    def commit(self, step: int) -> str:
        path = path_of(self._number, step)
        (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self._folder / path).write_bytes(text_of(self._number, step))
        git_command(self._folder, "add", path)
        git_command(self._folder, "commit", "-q", "-m", f"step {step}")
        return path

    def merge(self) -> None:
        with self._lock:
            git_command(self._repository, "merge", "-q", "--no-edit", self._name)


def git_command(folder: Path, *arguments: str) -> str:
    """Run git in a folder; what it printed."""
    identity = ("-c", "user.name=w", "-c", "user.email=w@example.invalid", "-c", "gc.auto=0")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def git(folder: Path, writers: int, commits: int) -> Outcome:
    """A worktree for each writer, and a lock."""
    repository = folder / "repository"
    repository.mkdir()
    git_command(repository, "init", "-q", "-b", "main")
    git_command(repository, "commit", "-q", "--allow-empty", "-m", "start")
    lock = Lock()
    outcome, _ = _all_at_once(lambda number: _Worktree(repository, folder, number, lock), writers, commits)
    return count_lost_git(outcome, repository, writers, commits)


def count_lost_git(outcome: Outcome, folder: Path, writers: int, commits: int) -> Outcome:
    """The same of a git repository."""
    repository = pygit2.Repository(str(folder))
    main = repository.references["refs/heads/main"].peel(pygit2.Commit)
    for writer in range(writers):
        for step in range(commits):
            try:
                blob = main.tree[path_of(writer, step)]
            except KeyError:
                outcome.changes_lost += 1
            else:
                assert isinstance(blob, pygit2.Blob)
                outcome.changes_lost += blob.data != text_of(writer, step)
    steps = sum(each.message.startswith("step ") for each in repository.walk(main.id))
    outcome.commits_lost = writers * commits - steps
    return outcome


class _InMemory:
    """A branch by libgit2: an index in memory, and no worktree."""

    def __init__(self, repository: Path, number: int, lock: Lock) -> None:
        self._number, self._lock = number, lock
        self._repository = pygit2.Repository(str(repository))
        self._who = pygit2.Signature(f"w{number}", "w@example.invalid")
        self._ref = f"refs/heads/agents/w{number}"
        self._head = self._repository.references["refs/heads/main"].target
        self._repository.references.create(self._ref, self._head)
        self._index = pygit2.Index()

    def commit(self, step: int) -> str:
        repository = self._repository
        blob = repository.create_blob(text_of(self._number, step))
        self._index.add(pygit2.IndexEntry(path_of(self._number, step), blob, pygit2.enums.FileMode.BLOB))
        tree = self._index.write_tree(repository)
        self._head = repository.create_commit(self._ref, self._who, self._who, f"step {step}", tree, [self._head])
        return str(self._head)

    def merge(self) -> None:
        repository = self._repository
        with self._lock:
            main = repository.references["refs/heads/main"].target
            merged = repository.merge_commits(main, self._head)
            assert not merged.conflicts
            tree = merged.write_tree(repository)
            parents = [main, self._head]
            repository.create_commit("refs/heads/main", self._who, self._who, "merge", tree, parents)


def libgit2(folder: Path, writers: int, commits: int) -> Outcome:
    """A branch for each writer, and a lock."""
    repository = pygit2.init_repository(str(folder / "repository"), bare=True, initial_head="main")
    who = pygit2.Signature("w", "w@example.invalid")
    tree = repository.TreeBuilder().write()
    repository.create_commit("refs/heads/main", who, who, "start", tree, [])
    lock = Lock()
    outcome, _ = _all_at_once(lambda number: _InMemory(Path(repository.path), number, lock), writers, commits)
    return count_lost_git(outcome, Path(repository.path), writers, commits)
