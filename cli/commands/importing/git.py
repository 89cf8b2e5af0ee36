"""`crdtgraph import git`: the history of a git repository."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from cli.context import Access, Backend, Invocation, Output, examples, graph_of, graph_options

if TYPE_CHECKING:
    from types import FrameType

    from crdtgraph.gitbridge import ImportReport, ImportTarget


@click.command("git", epilog=examples("crdtgraph import git .", "crdtgraph import git . --trees"))
@click.argument("repository", metavar="REPO")
@click.option("--trees", is_flag=True, help="Record for each commit the paths it changed, with contents up to 64 KiB.")
@graph_options
@click.pass_obj
def command(invocation: Invocation, repository: str, trees: bool) -> None:
    """Import every commit that a ref or HEAD of the git repository REPO reaches, its branches and its tags.

    Branches keep their names, a tag v1 becomes the ref tags/v1, and a commit can be named git:OID. Run it again
    to bring what is new. An import that was stopped goes on where it was. A branch or tag that is gone in git stays a
    ref here. From a repository that `export git` made the very same commits come back, and all that was said of them.
    """
    from cli.output import print_document
    from cli.progress import progress_bar
    from cli.render import print_lines
    from crdtgraph.gitbridge import import_git

    with invocation.open(Access.WRITE) as backend, progress_bar("importing") as show, _stoppable() as check:

        def progress(done: int, total: int) -> None:
            show(done, total)
            check(done, total)

        report = import_git(repository, _target(backend), trees=trees, progress=progress)
    if invocation.output is not Output.TEXT:
        print_document(
            invocation.output,
            {
                "commits": report.commits_added,
                "refs": {each.name: {"target": each.target, "action": each.action.value} for each in report.refs},
                "skipped": report.skipped,
                "ledger": _ledger_document(report),
                "altered": report.altered,
            },
        )
    else:
        print_lines(_lines(report))


def _target(backend: Backend) -> ImportTarget:
    from cli.importing import BackendTarget
    from crdtgraph.gitbridge import GraphTarget

    graph = graph_of(backend)
    return BackendTarget(backend) if graph is None else GraphTarget(graph)


def _ledger_document(report: ImportReport) -> dict[str, object] | None:
    ledger = report.ledger
    if ledger is None:
        return None
    return {"cluster": ledger.cluster, "received": ledger.segments_received, "digest": ledger.digest}


def _lines(report: ImportReport) -> Iterator[str]:
    from cli.render import paint, printable
    from crdtgraph.errors import first_few
    from crdtgraph.gitbridge import RefAction

    ledger = report.ledger
    if ledger is not None and ledger.is_ours:
        yield f"received {ledger.segments_received} segments of the export, which has digest {ledger.digest.hex()}"
    elif ledger is not None:
        yield f"the export is of cluster {printable(ledger.cluster)!r}: only its history is imported"
    yield f"imported {report.commits_added} commits"
    actions = [each.action for each in report.refs]
    if actions:
        counts = [(action, actions.count(action)) for action in RefAction]
        yield "refs: " + ", ".join(f"{count} {action.value}" for action, count in counts if count)
    for each in report.refs:
        if each.action is RefAction.CONFLICTED:
            name = printable(each.name)
            yield paint(
                f"{name} moved here and in git; see both: crdtgraph refs, join them: crdtgraph merge {name}", "conflict"
            )
    if report.altered:
        some = first_few(report.altered, lambda oid: oid.hex()[:12], 3)
        yield f"altered in git since the export, and so commits of their own: {len(report.altered)} ({some})"
    if report.skipped:
        yield f"skipped, as they lead to no commit: {', '.join(map(printable, report.skipped))}"


@contextmanager
def _stoppable() -> Iterator[Callable[[int, int], None]]:
    """Turn SIGTERM and SIGINT into an end between two batches, where everything made so far is durable."""
    from cli.failures import ExitCode, StoppedError

    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    def check(done: int, total: int) -> None:
        if asked and done < total:
            code = ExitCode.TERMINATED if asked[0] == signal.SIGTERM else ExitCode.INTERRUPTED
            raise StoppedError(f"stopped after {done} of {total} commits; run it again to go on", code)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
