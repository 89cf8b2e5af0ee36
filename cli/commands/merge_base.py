"""`crdtgraph merge-base`: the best common ancestors."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import click

from cli.context import Access, Backend, Invocation, Output, complete_ref, examples, reading_options

if TYPE_CHECKING:
    from sync.protocol.calls import Plain

PAIRS_PER_CALL = 500


@click.command(
    "merge-base",
    epilog=examples(
        "crdtgraph merge-base main side",
        "crdtgraph merge-base --all main side",
        "echo main side | crdtgraph merge-base --stdin --origin",
    ),
)
@click.argument("revs", shell_complete=complete_ref, metavar="[A B]", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Print all best common ancestors, not just one.")
@click.option(
    "--stdin",
    "from_stdin",
    is_flag=True,
    help="Read two REVs a line; print all their best common ancestors, one line a pair.",
)
@click.option("--origin", "origins", is_flag=True, help="Print the ancestors' origins instead of their ids.")
@reading_options
@click.pass_obj
def command(invocation: Invocation, revs: tuple[str, ...], every: bool, from_stdin: bool, origins: bool) -> None:
    """Print the best common ancestors of two commits, as `git merge-base` does.

    A common ancestor is best if it is not an ancestor of another one; there can be several. Two commits without
    any give exit code 3, or with --stdin an empty line.
    """
    if from_stdin == bool(revs) or (revs and len(revs) != 2):
        raise click.UsageError("give two REVs, or --stdin")
    with invocation.open(Access.READ) as backend:
        if from_stdin:
            _print_lines(invocation, _answers(backend, _pairs(sys.stdin), every=True, origins=origins))
        else:
            [bases] = _answers(backend, [revs], every=every, origins=origins)
            _print_one(invocation, revs, bases)


def _print_lines(invocation: Invocation, answers: Iterator[list[str]]) -> None:
    from cli.output import print_documents
    from cli.render import print_json_list, print_lines

    if invocation.output is Output.JSON:
        print_json_list(answers)
    elif invocation.output is not Output.TEXT:
        print_documents(invocation.output, ({"bases": bases} for bases in answers), ["bases"])
    else:
        print_lines(" ".join(bases) for bases in answers)


def _print_one(invocation: Invocation, revs: tuple[str, ...], bases: list[str]) -> None:
    from cli.output import print_documents
    from cli.render import print_json, print_lines
    from crdtgraph.errors import NotFoundError

    if invocation.output is Output.JSON:
        print_json(bases)
    elif invocation.output is not Output.TEXT:
        print_documents(invocation.output, ({"base": base} for base in bases), ["base"])
    elif bases:
        print_lines(bases)
    if not bases:
        raise NotFoundError(
            f"{revs[0]} and {revs[1]} have no common ancestor", hint="their histories began with different roots"
        )


def _pairs(lines: Iterable[str]) -> Iterator[tuple[str, ...]]:
    for number, line in enumerate(lines, 1):
        pair = tuple(line.split())
        if len(pair) != 2:
            raise click.UsageError(f"line {number} of standard input is not two REVs: {line.strip()!r:.80}")
        yield pair


def _answers(backend: Backend, pairs: Iterable[tuple[str, ...]], *, every: bool, origins: bool) -> Iterator[list[str]]:
    from cli.answers import list_of

    waiting = iter(pairs)
    while asked := list(islice(waiting, PAIRS_PER_CALL)):
        plain: list[Plain] = [list(pair) for pair in asked]
        answer = backend.call("merge_base", pairs=plain, all=every, origins=origins)
        for bases in list_of(answer):
            yield [_shown(base) for base in list_of(bases)]


def _shown(base: Plain) -> str:
    from cli.answers import of
    from cli.render import printable

    # A commit that was not imported has no origin, and a word must stand for it.
    return base.hex() if isinstance(base, bytes) else printable(of(str, base)) or "-"
