"""`crdtgraph commit`: add a commit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import Access, Invocation, Output, examples, graph_options

if TYPE_CHECKING:
    from sync.protocol.calls import Plain


@click.command(
    "commit",
    epilog=examples(
        'crdtgraph commit -m start --set board="e2 e4" --ref main',
        "crdtgraph commit -m notes --file README=README.md --remove board --ref main",
        "crdtgraph commit -m 'two parents' --parent main --parent side",
    ),
)
@click.option("-m", "--message", default="", help="The message.")
@click.option("--ref", metavar="NAME", help="Build on this ref and move it to the new commit.")
@click.option(
    "--parent",
    "parents",
    multiple=True,
    metavar="REV",
    help="A parent, the base of the state first (default: the ref's target).",
)
@click.option("--author", metavar="NAME", help="The author (default: the first digits of the replica's id).")
@click.option("--set", "settings", multiple=True, metavar="PATH=TEXT", help="Give a path this text.")
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="PATH=FILE",
    help="Give a path the contents of a file; - is standard input.",
)
@click.option("--remove", "removals", multiple=True, metavar="PATH", help="Remove a path.")
@graph_options
@click.pass_obj
def command(
    invocation: Invocation,
    message: str,
    ref: str | None,
    parents: tuple[str, ...],
    author: str | None,
    settings: tuple[str, ...],
    files: tuple[str, ...],
    removals: tuple[str, ...],
) -> None:
    """Add a commit and print its id. Values above 16 KiB are kept as objects beside it.

    Without --parent it builds on the ref's target, or is a root if there is none. A ref only moves forward: to
    a commit that descends from where it is.
    """
    from cli.answers import of
    from cli.output import print_document
    from cli.render import print_lines
    from cli.uploading import uploaded

    changes = _changes(settings, files, removals)
    with invocation.open(Access.WRITE) as backend:
        changes |= {path: uploaded(backend, file) for path, file in map(_split, files)}
        answer = backend.call(
            "commit",
            message=message,
            ref=ref,
            parents=list(parents) or None,
            author=author,
            changes=changes,
            durability="critical",
        )
    commit = of(bytes, answer).hex()
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, {"id": commit})
    else:
        print_lines([commit])


def _changes(settings: tuple[str, ...], files: tuple[str, ...], removals: tuple[str, ...]) -> dict[str, Plain]:
    pairs: list[tuple[str, Plain]] = [(path, os.fsencode(text)) for path, text in map(_split, settings)]
    for path, file in map(_split, files):
        if file != "-":
            # They are read once the graph is open; that one is not there is better said before.
            Path(file).open("rb").close()
        pairs.append((path, b""))
    pairs += [(path, None) for path in removals]
    changes: dict[str, Plain] = dict(pairs)
    if len(changes) < len(pairs):
        twice = next(path for path, _ in pairs if [name for name, _ in pairs].count(path) > 1)
        raise click.UsageError(f"path {twice!r} is given twice")
    return changes


def _split(argument: str) -> tuple[str, str]:
    path, equals, value = argument.partition("=")
    if not equals or not path:
        raise click.UsageError(f"{argument!r} is not PATH=VALUE")
    return path, value
