"""`crdtgraph show`: commits with all there is to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cli.context import Access, Backend, Invocation, Output, complete_ref, examples, reading_options

if TYPE_CHECKING:
    from cli.answers import KnownCommit
    from cli.views import Labels

COLUMNS = (
    "id", "parents", "author", "time", "message", "origin", "refs", "changes", "live", "counters", "metadata",
)  # fmt: skip


@click.command(
    "show",
    epilog=examples(
        "crdtgraph show main",
        "crdtgraph show main --patch",
        "crdtgraph show 'heads()' -o jsonl",
    ),
)
@click.argument("revs", shell_complete=complete_ref, metavar="REV...", nargs=-1, required=True)
@click.option("-p", "--patch", is_flag=True, help="Also what changed against the first parent, as a unified diff.")
@reading_options
@click.pass_obj
def command(invocation: Invocation, revs: tuple[str, ...], patch: bool) -> None:
    """Show commits: parents, author, message, changed paths, refs, counters, metadata, whether they were discarded.

    A REV may be any revset; each commit that it selects is shown, the newest first.
    """
    from cli.output import print_documents
    from cli.pager import paged
    from cli.render import print_lines

    with invocation.open(Access.READ) as backend:
        pages = list(_pages(backend, revs))
        if invocation.output is Output.TEXT:
            with paged():
                for place, page in enumerate(pages):
                    print_lines([""] * bool(place))
                    print_lines(_lines(backend, page, patch=patch))
        else:
            documents = (_document(backend, page, patch=patch) for page in pages)
            print_documents(invocation.output, documents, (*COLUMNS, "patch") if patch else COLUMNS)


class _Page:
    """A commit with what is known of it beside its content."""

    def __init__(
        self, known: KnownCommit, labels: Labels, is_live: bool, counters: list[int], metadata: dict[str, bytes]
    ) -> None:
        self.known = known
        self.labels = labels
        self.is_live = is_live
        self.counters = counters
        self.metadata = metadata


def _pages(backend: Backend, revs: tuple[str, ...]) -> Iterator[_Page]:
    from cli.answers import commits_of, ids_of, list_of, of, refs_of, table_of
    from cli.views import labels_of
    from crdtgraph.errors import NotFoundError

    labels = labels_of(refs_of(backend.call("refs")))
    for rev in revs:
        ids = [commit for part in backend.stream("revset", revsets=[rev]) for commit in ids_of(part)]
        if not ids:
            raise NotFoundError(f"{rev!r} selects no commit", hint="see docs/revsets.md")
        for commit in ids:
            [known] = [each for part in backend.stream("show", revs=[commit]) for each in commits_of(part)]
            [row] = [row for part in backend.stream("drawing", revs=[commit.hex()], limit=1) for row in list_of(part)]
            *_, is_live, counters = list_of(row)
            metadata = table_of(backend.call("meta_get", commit=commit))
            yield _Page(
                known,
                labels,
                of(bool, is_live),
                [of(int, each) for each in list_of(counters)],
                {key: of(bytes, value) for key, value in sorted(metadata.items())},
            )


def _lines(backend: Backend, page: _Page, *, patch: bool) -> Iterator[str]:
    from cli.drawing.counters import counted
    from cli.render import paint, printable
    from cli.views import changed_lines, commit_lines, value_text

    yield from commit_lines(page.known, page.labels)
    if not page.is_live:
        yield paint("Discarded, or an ancestor was.", "conflict")
    if page.counters:
        yield f"Counted: {counted(page.counters)} ({', '.join(map(str, page.counters))})"
    for key, value in page.metadata.items():
        text = value.decode(errors="replace")
        yield f"Meta:    {printable(key)} = {printable(text) if text.isprintable() else value_text(value)}"
    yield from changed_lines(page.known)
    if patch:
        changed = list(_patch(backend, page.known))
        yield from ["", *changed] if changed else []


def _patch(backend: Backend, known: KnownCommit) -> Iterator[str]:
    from cli.answers import path_changes_of
    from cli.patches import patch_lines

    for part in backend.stream("diff", after=known.id):
        for change in path_changes_of(part):
            yield from patch_lines(change, 3)


def _document(backend: Backend, page: _Page, *, patch: bool) -> dict[str, object]:
    from cli.views import commit_document, value_document

    document = {
        **commit_document(page.known, page.labels),
        "live": page.is_live,
        "counters": page.counters,
        "metadata": {key: value_document(value) for key, value in page.metadata.items()},
    }
    if patch:
        document["patch"] = "".join(f"{line}\n" for line in _patch(backend, page.known))
    return document
