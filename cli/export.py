"""What the commands of `crdtgraph export` that write one file have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import click

from cli.context import Invocation, Output
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
