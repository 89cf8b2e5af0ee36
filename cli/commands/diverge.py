"""`crdtgraph diverge`: how two replicas differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from cli.context import Backend, Invocation, examples, graph_of, graph_options, open_any

if TYPE_CHECKING:
    from crdtgraph import CommitId, Divergence, Graph

SHOWN_COMMITS = 20


@click.command(
    "diverge",
    epilog=examples("crdtgraph diverge left.db right.db", "crdtgraph diverge left.db right.db -o json"),
)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "-n",
    "--max-count",
    "limit",
    type=click.IntRange(min=0),
    default=SHOWN_COMMITS,
    metavar="N",
    help=f"List at most N commits of each side (default: {SHOWN_COMMITS}).",
)
@graph_options
@click.pass_context
def command(ctx: click.Context, a: str, b: str, limit: int) -> None:
    """Compare two replicas, each a store or the control socket of a running node.

    Shows how many commits each has that the other lacks, where they forked, the commits, the refs that differ or
    conflict, and the paths that both sides changed. Exit code 0 if they are equal, 1 if not.
    """
    from cli.render import print_json, print_lines
    from crdtgraph.divergence import compare

    invocation = ctx.find_object(Invocation) or Invocation()
    with open_any(a) as backend_a, open_any(b) as backend_b:
        graph_a, graph_b = _graph(backend_a), _graph(backend_b)
        found = compare(graph_a, graph_b)
        if invocation.json:
            print_json(_document(a, b, found))
        else:
            print_lines(_lines(a, b, graph_a, graph_b, found, limit))
    ctx.exit(0 if found.equal else 1)


def _graph(backend: Backend) -> Graph:
    """The graph of a backend; of a node a copy of it, in memory."""
    graph = graph_of(backend)
    if graph is not None:
        return graph
    import crdtgraph
    from cli.answers import of, table_of

    status = table_of(table_of(backend.call("status"))["graph"])
    copy = crdtgraph.open("memory:", cluster=of(str, status["cluster"]))
    for delta in map(table_of, backend.stream("deltas")):
        copy.receive(of(str, delta["plane"]), of(bytes, delta["update"]))
    return copy


def _document(a: str, b: str, found: Divergence) -> dict[str, object]:
    return {
        "a": a,
        "b": b,
        "equal": found.equal,
        "digest_a": found.digest_a,
        "digest_b": found.digest_b,
        "ahead": found.ahead,
        "behind": found.behind,
        "fork_points": found.fork_points,
        "only_a": found.only_a,
        "only_b": found.only_b,
        "refs": [{"name": each.name, "state": each.state.value, "a": each.a, "b": each.b} for each in found.refs],
        "conflicted": found.conflicted,
        "paths": [{"path": each.path, "clean": not each.conflicts} for each in found.paths],
        "metadata": [each.name for each in found.metadata],
        "set_apart": found.set_apart,
        "counters": [each.commit for each in found.counters],
        "discarded": sorted({*found.discarded_a, *found.discarded_b}),
        "pending": [len(found.pending_a), len(found.pending_b)],
    }


def _lines(a: str, b: str, graph_a: Graph, graph_b: Graph, found: Divergence, limit: int) -> Iterator[str]:
    from cli.render import paint, printable, table

    name_a, name_b = printable(a), printable(b)
    verdict = "are equal" if found.equal else "differ"
    yield f"{name_a} and {name_b} {verdict}"
    if not found.equal:
        yield f"{name_a} is {found.ahead} commits ahead and {found.behind} behind"
    if found.fork_points:
        yield from _commits("fork points:", graph_a, found.fork_points, limit)
    if found.only_a:
        yield from _commits(f"only in {name_a}:", graph_a, found.only_a, limit)
    if found.only_b:
        yield from _commits(f"only in {name_b}:", graph_b, found.only_b, limit)
    if found.refs:
        yield "refs that differ:"
        rows = [
            [f"  {printable(each.name)}", each.state.value, _targets(each.a), _targets(each.b)] for each in found.refs
        ]
        yield from table(rows)
    if found.conflicted:
        yield paint(f"refs in conflict: {', '.join(map(printable, found.conflicted))}", "conflict")
    if found.paths:
        yield f"paths that both sides changed: {', '.join(printable(each.path) for each in found.paths)}"
    if found.metadata:
        yield f"metadata that differs: {', '.join(printable(each.name) for each in found.metadata)}"
    if found.counters:
        counted = [each.commit for each in found.counters[:3]]
        yield f"commits with other counters: {len(found.counters)}, first {_targets(counted)}"
    if discarded := sorted({*found.discarded_a, *found.discarded_b}):
        yield f"discarded on one side only: {len(discarded)}, first {_targets(discarded[:3])}"
    if found.set_apart:
        some = ", ".join(map(printable, found.set_apart[:3])) + (", ..." if len(found.set_apart) > 3 else "")
        yield f"set to the same value on each side by itself: {len(found.set_apart)} ({some})"
        yield "  one exchange makes them equal"
    if found.pending_a or found.pending_b:
        yield f"records that wait for missing commits: {len(found.pending_a)} and {len(found.pending_b)}"


def _commits(title: str, graph: Graph, commits: Sequence[CommitId], limit: int) -> Iterator[str]:
    from cli.answers import KnownCommit
    from cli.views import commit_line

    yield title
    shown = commits[max(0, len(commits) - limit) :]
    if len(shown) < len(commits):
        yield f"  ({len(commits) - len(shown)} older ones; --max-count shows more)"
    for commit, content in zip(shown, graph.get_many(shown), strict=True):
        yield f"  {commit_line(KnownCommit(commit, content), {})}"


def _targets(targets: Sequence[CommitId]) -> str:
    from cli.views import short

    return ", ".join(short(target) for target in targets) or "missing"
