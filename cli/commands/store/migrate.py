"""`crdtgraph store migrate`: a replica moves to another store, or back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from cli.context import STORE_VARIABLE, Invocation, Output, examples, output_option

if TYPE_CHECKING:
    from crdtgraph.migration import Moved


@click.command(
    "migrate",
    epilog=examples(
        "crdtgraph store migrate search.db sqlite:search.sqlite",
        "crdtgraph store migrate sqlite:left.sqlite left.db --rollback",
    ),
)
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO", required=False)
@click.option("--rollback", is_flag=True, help="Go back from TO to FROM, with all that was written since.")
@click.option("--discard", is_flag=True, help="With --rollback: leave what was written since, and TO unread.")
@output_option
@click.pass_obj
def command(invocation: Invocation, source: str, target: str | None, rollback: bool, discard: bool) -> None:
    """Copy the store FROM to TO, where there is none yet, verify the copy, and only then use it.

    No process may have the store open. The copy is read back and its digest compared, as is the digest of the graph;
    then every context that names FROM names TO instead. FROM stays as it is, for --rollback, and must not be used
    meanwhile: both are the same replica. A migration that is stopped at any moment has changed no context: give the
    same command again.

    FROM may be a context. Its name alone is enough to go back: crdtgraph store migrate lab --rollback.
    """
    from cli.contexts import load
    from cli.failures import ExitCode, StoppedError
    from cli.progress import progress_bar
    from cli.switching import switch
    from crdtgraph.migration import migrated, require_store, taken_back
    from crdtgraph.store import disk_bytes

    if discard and not rollback:
        raise click.UsageError("--discard is a kind of --rollback")
    old, new = _places(source, target, rollback=rollback)
    load()  # A damaged file of contexts is found before anything is copied.
    if discard:
        require_store(old)
        _report(invocation, None, old, new, switch(new, old, back=True), rollback=True)
        return
    try:
        with progress_bar("copying, bytes") as show:
            try:
                about = 2 * (disk_bytes(new if rollback else old) or 0)
            except OSError:
                about = 0  # It isn't there, which is said in a moment.
            mover = taken_back if rollback else migrated
            with mover(old, new, lambda done: show(done, max(done, about))) as moved:
                names = switch(new, old, back=True) if rollback else switch(old, new)
    except KeyboardInterrupt:
        raise StoppedError("stopped; nothing was changed", ExitCode.INTERRUPTED) from None
    _report(invocation, moved, old, new, names, rollback=rollback)


def _places(source: str, target: str | None, *, rollback: bool) -> tuple[str, str]:
    """Both stores by their URLs in full: where it was first, and where it went."""
    from cli.contexts import ContextError, lookup
    from crdtgraph.errors import LocalError
    from crdtgraph.store.naming import absolute_url, path_of

    context = lookup(source)
    if context is not None and context.kind != "store":
        raise ContextError(f"the context {source!r} names a node", hint="stop the node and name its store")
    if target is None:
        if not rollback:
            raise click.UsageError("to where? Give FROM and TO")
        if context is None or not context.previous:
            raise ContextError(f"{source!r} is no context that was migrated", hint="give both: FROM TO --rollback")
        return context.previous, absolute_url(context.place)
    where = context.place if context is not None and not rollback else source
    urls = absolute_url(where), absolute_url(target)
    for given, url in zip((source, target), urls, strict=True):
        if path_of(url) is None:
            raise LocalError(f"{given!r} is on no disk", hint="name stores on disk: rocksdb:PATH, sqlite:PATH")
    if path_of(urls[0]) == path_of(urls[1]):
        raise LocalError(f"{source} and {target} are the same place", hint="name another one")
    return urls


def _report(
    invocation: Invocation, moved: Moved | None, old: str, new: str, names: list[str], *, rollback: bool
) -> None:
    from cli.output import print_document
    from cli.render import print_lines, printable
    from cli.units import size
    from crdtgraph.store.naming import absolute_url, path_of

    now, before = (old, new) if rollback else (new, old)
    if invocation.output is not Output.TEXT:
        facts = {
            "url": now,
            "previous": before,
            "entries": moved.sum.entries if moved is not None else None,
            "bytes": moved.sum.size if moved is not None else None,
            "copied": moved is not None and moved.copied,
            "digest": moved.digest if moved is not None else None,
            "contexts": names,
        }
        print_document(invocation.output, facts)
        return
    if moved is None:
        first = "nothing was copied; what was written since is left behind"
    elif moved.copied:
        first = f"{moved.sum.entries} entries, {size(moved.sum.size)}, were copied, and the copy was verified"
    elif rollback:
        first = "nothing was written since, so nothing had to be copied"
    else:
        first = "an equal copy is there already, so nothing had to be copied"
    used = f"now in use by {', '.join(names)}" if names else "no context named it: give --store from now on"
    lines = [first, f"the store is {printable(now)}; {used}", f"{printable(before)} is left as it is"]
    named = os.environ.get(STORE_VARIABLE) or ""
    if path_of(named) is not None and absolute_url(named) == before:
        lines.append(f"{STORE_VARIABLE} still names it: change that to {printable(now)}")
    print_lines(lines)
