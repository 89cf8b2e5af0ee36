"""`crdtgraph doctor`: what goes wrong in practice, looked for before it does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cli.cluster.asking import timeout_option
from cli.context import Access, Invocation, Output, examples, graph_options

if TYPE_CHECKING:
    from cli.doctor.checks import Finding

COLUMNS = ("check", "verdict", "text", "remedy")
MARKS = {"ok": "ok  ", "warning": "WARN", "bad": "BAD "}


@click.command("doctor", epilog=examples("crdtgraph doctor", "crdtgraph doctor -o jsonl"))
@timeout_option
@graph_options
@click.pass_obj
def command(invocation: Invocation, timeout_s: float) -> None:
    """Look for what goes wrong in practice, and say what to do about each.

    Clocks that are off by more than 5 s, peers that have differed for 15 minutes, records that have waited for
    10 minutes, members out of reach, a split that has lasted an hour, refs in conflict, a disk that fills up, a store
    that others may write to, a last stop that was not clean, a backup that is a week old (see context add --backup),
    old formats and mixed versions.
    Asked of a running node, it looks at the whole cluster. Exit code 1 if anything was found.
    """
    from cli.doctor.checks import Verdict, examine
    from cli.doctor.facts import gather
    from cli.output import print_documents
    from cli.render import print_lines

    with invocation.open(Access.READ) as backend:
        findings = examine(gather(backend, timeout_s))
    if invocation.output is Output.TEXT:
        print_lines(_lines(findings))
    else:
        print_documents(
            invocation.output, ({name: getattr(each, name) for name in COLUMNS} for each in findings), COLUMNS
        )
    if any(each.verdict is not Verdict.OK for each in findings):
        click.get_current_context().exit(1)


def _lines(findings: list[Finding]) -> Iterator[str]:
    from cli.render import paint, printable

    for each in findings:
        mark = MARKS[each.verdict]
        yield f"{mark if each.verdict == 'ok' else paint(mark, 'conflict')}  {each.check:<11}  {printable(each.text)}"
        if each.remedy:
            yield f"{'':17}  remedy: {printable(each.remedy)}"
