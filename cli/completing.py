"""What a shell can complete beyond commands and options: contexts' names, and refs of a store at hand.

A shell waits for the answer while someone types, and prints what goes wrong into their line. So whatever fails means
that there is nothing to offer, and nothing is asked that may take long.
"""

from __future__ import annotations

import click

STORE_BYTES_MAX = 32_000_000
"""A store beyond this takes too long to open for a key press; a node answers at once whatever its size."""
ANSWER_TIMEOUT_S = 0.5


def answer(program: click.Command, instruction: str) -> int:
    """Answer a shell that asks how a command line may go on; nothing is printed when anything goes wrong."""
    from click.shell_completion import shell_complete

    from cli.context import Invocation

    try:
        return shell_complete(program, {"obj": Invocation()}, "crdtgraph", "_CRDTGRAPH_COMPLETE", instruction)
    except Exception:  # noqa: BLE001 (see above)
        return 1


def context_names(incomplete: str) -> list[str]:
    """The names of contexts that begin so."""
    from cli.contexts import load

    try:
        return [name for name in sorted(load().named) if name.startswith(incomplete)]
    except Exception:  # noqa: BLE001 (see above)
        return []


def ref_names(ctx: click.Context, incomplete: str) -> list[str]:
    """The refs of the command line's graph that begin so."""
    try:
        return [name for name in _refs(ctx) if name.startswith(incomplete)]
    except Exception:  # noqa: BLE001 (see above)
        return []


def _refs(ctx: click.Context) -> list[str]:
    from cli.answers import refs_of
    from cli.context import Access, Invocation, control_socket, open_store, socket_path
    from crdtgraph.store import disk_bytes
    from sync.client.blocking import BlockingControlClient

    invocation = ctx.find_object(Invocation) or Invocation()
    store, node = invocation.place()
    address = socket_path(node) if node is not None else control_socket(store or "")
    if address is not None:
        with BlockingControlClient(address, timeout_s=ANSWER_TIMEOUT_S) as client:
            return [ref.name for ref in refs_of(client.call("refs"))]
    if (disk_bytes(store or "") or 0) > STORE_BYTES_MAX:
        return []
    with open_store(store or "", Access.READ) as backend:
        return [ref.name for ref in refs_of(backend.call("refs"))]
