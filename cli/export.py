"""What the commands of `crdtgraph export` that write one file have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import click

from cli.context import Access, Invocation, Output
from cli.files import STANDARD

_Function = TypeVar("_Function", bound=Callable[..., object])


def file_argument(function: _Function) -> _Function:
    """The argument FILE, by default standard output, and the option --force."""
    force = click.option("--force", is_flag=True, help="Replace FILE if it is there.")
    return click.argument("file", metavar="[FILE|-]", default=STANDARD)(force(function))


def require_text(invocation: Invocation, file: str) -> None:
    """Refuse a summary for programs where standard output is taken by the export itself."""
    if file == STANDARD and invocation.output is not Output.TEXT:
        raise click.UsageError(
            f"the export itself goes to standard output, so -o {invocation.output.value} has no place; name a FILE"
        )


def write_lines(
    invocation: Invocation, file: str, kind: str, lines_of: Callable[..., Iterator[str]], *, force: bool
) -> None:
    """Write the lines that are made of a graph and a `progress`, and say so."""
    from cli.copies import reader_in_process
    from cli.files import output_text
    from cli.progress import progress_bar

    require_text(invocation, file)
    with invocation.open(Access.READ) as backend:
        reader = reader_in_process(backend)
        with output_text(file, force=force) as write, progress_bar("exporting commits") as show:
            for line in lines_of(reader, progress=show):
                write(line + "\n")
        summarise(invocation, file, kind, {"commits": len(reader), "digest": reader.digest()})


def summarise(invocation: Invocation, file: str, kind: str, facts: Mapping[str, object]) -> None:
    """Say what was written, unless the export itself was."""
    from cli.output import print_document
    from cli.render import print_lines

    if file == STANDARD:
        return
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, {"file": file, "format": kind, **facts})
        return
    digest = facts.get("digest")
    print_lines([f"exported {facts['commits']} commits to {file}"])
    if isinstance(digest, bytes):
        print_lines([f"digest {digest.hex()}"])
