"""Which store is the one in use: contexts that name one are made to name another, all at once."""

from __future__ import annotations

import os
from dataclasses import replace

from cli.contexts import Context, ContextError, changing, path
from crdtgraph.store.naming import absolute_url, control_path, path_of


def switch(source: str, target: str, *, back: bool = False) -> list[str]:
    """Have every context that means the store `source`, or a node on it, mean `target`; their names, sorted.

    They remember where they came from, until they go `back` there. Both are absolute URLs. Raises ContextError when the
    file of contexts can't be written.
    """
    switched: list[str] = []
    try:
        with changing() as contexts:
            for name, each in sorted(contexts.named.items()):
                place = _switched(each, source, target)
                if place is not None:
                    previous = "" if back else source
                    contexts.named[name] = replace(each, place=place, previous=previous)
                    switched.append(name)
    except OSError as error:
        raise ContextError(
            f"{path()} can't be written: {error.strerror or error}; no context names {target} yet",
            hint="mend that, and run the same command again: it goes on from here",
        ) from error
    return switched


def _switched(context: Context, source: str, target: str) -> str | None:
    if context.kind == "store":
        if path_of(context.place) is None:
            return None
        url = absolute_url(context.place)
        same = os.path.realpath(path_of(url) or "") == os.path.realpath(path_of(source) or "")
        return target if same and url.partition(":")[0] == source.partition(":")[0] else None
    # A node's context names the control socket, or the folder that it lies in.
    sockets = {os.path.realpath(each) for each in (control_path(source), path_of(source)) if each is not None}
    return control_path(target) if os.path.realpath(context.place) in sockets else None
