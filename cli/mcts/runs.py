"""Running a search from the command line: a tree, the node that it lives in, and an end that loses nothing.

The process is a node like any other: it has a control socket, through which `mcts tree` looks in and workers come, and
with peers its search is theirs as well. Ctrl-C ends the search and not the process: what was found is counted, promoted
if that was asked for, and printed. A second one ends the process.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import trio

import crdtgraph
from cli.failures import ExitCode, innermost
from cli.mcts.budgets import TypedBudget
from cli.mcts.problems import load_problem
from cli.progress import Bar, progress_bar
from cli.render import printable
from crdtgraph import CommitId, CrdtGraphError, Graph, LocalError, UnreachableError
from crdtgraph.mcts import Node as TreeNode
from crdtgraph.mcts import ProblemError, Rule, SearchTree, Spent
from crdtgraph.mcts.referee import Referee
from crdtgraph.store.naming import control_path
from sync import Desks, Node, Turns, open_control
from sync.methods import Target
from sync.scratch import scratch_folder
from sync.workers.pool import async_search_with_workers, raised_text

SHOW_EVERY_S = 0.1
LINE_SHOWN = 8
"""Actions of the best line in the bar."""
AGREE_S = 5.0
"""How long peers have at the end to take what was found."""
LOOK_S = 0.05
PROBLEM_HINT = "mend the problem; Ctrl-C ends a search by itself"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be searched, and where. `url` is of the store; `resume` a commit that an earlier search promoted."""

    spec: str
    problem: Any
    budget: TypedBudget
    name: str
    url: str
    cluster: str | None
    listen: tuple[str, ...]
    peers: tuple[str, ...]
    seed: int
    rule: Rule
    workers: int
    resume: str | None
    ref: str | None
    force: bool
    close: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What came of it. `stop` is why it ended, "interrupted" for a signal, whose exit code `code` is then."""

    search: str
    problem: str
    iterations: int
    seconds: float
    stop: str
    nodes: int
    root: CommitId
    line: list[TreeNode]
    children: list[TreeNode]
    promoted: CommitId | None
    code: ExitCode
    failure: CrdtGraphError | None
    """What went wrong with the promotion, or with the problem in the middle of the search."""


class Stopper:
    """Notes the first signal, and lets the second end the process as it would have."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.is_impatient = False
        """Whether the second has come."""

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            self.is_impatient = True
            raise KeyboardInterrupt
        self.signal = number

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen for SIGINT and SIGTERM while the block runs."""
        before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @property
    def code(self) -> ExitCode:
        """The exit code of a process that this signal ended."""
        if self.signal is None:
            return ExitCode.FINE
        return ExitCode.TERMINATED if self.signal == signal.SIGTERM else ExitCode.INTERRUPTED


class _StoppedError(Exception):
    """The search is to end now."""


def run_search(order: Order) -> Found:
    """Search until the budget is spent or somebody wants it to end. Raises CrdtGraphError when it cannot begin."""
    stopper = Stopper()
    with stopper.listening(), progress_bar(order.spec) as bar, scratch_folder() as folder:
        create = order.url.startswith("memory:")
        with crdtgraph.open(order.url, create=create, cluster=order.cluster) as graph:
            return trio.run(_run, order, graph, folder, bar, stopper)


async def _run(order: Order, graph: Graph, folder: Path, bar: Bar, stopper: Stopper) -> Found:
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(Node(graph, listen=order.listen, peers=order.peers, name="mcts"))
        control = control_path(order.url) or str(folder / "control")
        desks = Desks()
        await stack.enter_async_context(open_control(control, Target(graph, node, desks=desks)))
        tree = stack.enter_context(_tree(order, graph))
        where = f", listening on {', '.join(node.addresses)}" if node.addresses else ""
        _say(bar, f"ready: search {order.name!r}, control socket {control}{where}")
        began = time.monotonic()
        spent: Spent | None = None
        failure: CrdtGraphError | None = None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(node.inflight.share, order.name, tree)
                spent = await _search(order, tree, node, desks, _shower(order, tree, bar, stopper, began))
                nursery.cancel_scope.cancel()
        except (CrdtGraphError, _StoppedError, KeyboardInterrupt, BaseExceptionGroup) as error:
            ended = innermost(error)
            if isinstance(ended, KeyboardInterrupt) and not stopper.is_impatient:
                # Signals come to the stopper, so this one is the problem's own.
                ended = ProblemError(f"the problem raised {raised_text(ended)}", hint=PROBLEM_HINT)
            if isinstance(ended, CrdtGraphError) and tree.iterations:
                failure = ended
            elif not isinstance(ended, _StoppedError):
                raise ended from None
        found = _found(order, graph, tree, spent, time.monotonic() - began, stopper, failure)
        tree.close()
        if order.close and tree.search.is_open:
            graph.close_search(tree.search.name)
        await node.flusher.durable()
        is_alone = not order.peers and not node.status().peers
        if is_alone or await _hand_over(node) or not order.url.startswith("memory:") or found.promoted is None:
            return found
        lost = UnreachableError(
            f"no peer has taken the best line, and this process has no disk: {order.ref!r} is nowhere",
            hint="see whether the peers are up, and search again; --store PATH keeps it here",
        )
        return replace(found, promoted=None, failure=found.failure or lost)


def _tree(order: Order, graph: Graph) -> SearchTree:
    if order.resume is not None:
        return SearchTree.resume(graph, order.resume, order.problem, name=order.name, seed=order.seed, rule=order.rule)
    return SearchTree(graph, order.problem, name=order.name, seed=order.seed, rule=order.rule)


async def _search(order: Order, tree: SearchTree, node: Node, desks: Desks, show: Callable[[], object]) -> Spent:
    budget = order.budget.budget()
    if order.workers:
        # Each process loads the problem itself: what a file defines cannot be sent.
        maker = partial(load_problem, order.spec)
        return await async_search_with_workers(
            tree,
            maker,
            budget,
            workers=order.workers,
            seed=order.seed,
            on_progress=lambda _: show(),
            node=node,
            desks=desks,
        )

    turns = Turns()

    async def checkpoint() -> None:
        show()
        await turns()

    return await tree.run_async(budget, checkpoint, now=time.monotonic)


def _shower(order: Order, tree: SearchTree, bar: Bar, stopper: Stopper, began: float) -> Callable[[], object]:
    """What is called now and then: it shows how far the search is, and ends it when a signal has come."""
    shown = began

    def show() -> None:
        nonlocal shown
        if stopper.signal is not None:
            raise _StoppedError
        now = time.monotonic()
        if now - shown >= SHOW_EVERY_S:
            shown = now
            show_progress(bar, order.budget, tree, now - began)

    return show


def show_progress(bar: Bar, budget: TypedBudget, tree: SearchTree, passed_s: float) -> None:
    """How far it is, how fast, and the best line so far."""
    line = tree.best_line()
    shown = " ".join(node.text for node in line[:LINE_SHOWN]) + (" ..." if len(line) > LINE_SHOWN else "")
    value = f"{line[0].mean:+.3f}  " if line else ""
    note = f"{tree.iterations / max(passed_s, 1e-9):,.0f}/s  {value}{shown}"
    if budget.iterations is not None:
        bar(tree.iterations, budget.iterations, note)
    elif budget.seconds is not None:
        bar(min(passed_s, budget.seconds), budget.seconds, f"s  {tree.iterations:,} iterations  {note}")
    else:
        bar(tree.iterations, tree.iterations, note)


def _found(
    order: Order,
    graph: Graph,
    tree: SearchTree,
    spent: Spent | None,
    seconds: float,
    stopper: Stopper,
    failure: CrdtGraphError | None,
) -> Found:
    is_open = tree.search.is_open
    if is_open:
        tree.flush()
    elif (spent is None or order.ref is not None) and not isinstance(failure, ProblemError):
        failure = _closed(order)
    line = tree.best_line()
    promoted: CommitId | None = None
    if order.ref is not None and line and is_open:
        promoted = tree.promote(line)
        try:
            graph.set_ref(order.ref, promoted, force=order.force, durability=crdtgraph.Durability.NORMAL)
        except LocalError as error:
            kept = f"the best line is kept as {promoted.hex()[:12]}"
            failure = failure or LocalError(f"{error.message}; {kept}", hint=f"move {order.ref!r} there with --force")
    stop = "interrupted" if failure is None else "failed" if is_open or isinstance(failure, ProblemError) else "closed"
    return Found(
        order.name,
        Referee(order.problem).identity,
        tree.iterations if spent is None else spent.iterations,
        seconds,
        stop if spent is None else spent.stop.value,
        len(tree),
        tree.root,
        line,
        tree.children(),
        promoted,
        stopper.code if spent is None and failure is None else ExitCode.FINE,
        failure,
    )


def _closed(order: Order) -> LocalError:
    return LocalError(
        f"search {order.name!r} was closed elsewhere{'' if order.ref is None else '; nothing was promoted'}",
        hint="its name is used up: begin another one, --search NAME",
    )


def _say(bar: Bar, line: str) -> None:
    if sys.stderr.isatty():
        bar.say(line)
    else:
        print(printable(line), file=sys.stderr, flush=True)


async def _hand_over(node: Node) -> bool:
    """Give peers the time to take what is new; whether one has taken it, or everything at least is on its way."""
    peers = node.status().peers
    with trio.move_on_after(AGREE_S):
        while not any(peer.agrees for peer in peers) or any(peer.queued_messages for peer in peers):
            await trio.sleep(LOOK_S)
            peers = node.status().peers
        return True
    return any(peer.state == "open" and not peer.queued_messages for peer in peers)
