"""Which graph a command is about, and how it is asked.

A graph is a store on disk (`--store`) or a running node (`--node`, its control socket); without either the
environment says, in CRDTGRAPH_STORE or CRDTGRAPH_NODE. Commands do not care which: they ask a `Backend`, and the
table of methods that answers is the same one, served in this process or by the node.

A node holds its store's lock. A command that only reads and finds a node at work on the store asks that node
instead, as its answers are the newest ones; a command that writes is told about the node and leaves the choice
to the user.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

if TYPE_CHECKING:
    from crdtgraph import Graph
    from sync.protocol.messages import Plain

STORE_VARIABLE = "CRDTGRAPH_STORE"
NODE_VARIABLE = "CRDTGRAPH_NODE"
CONTEXT_VARIABLE = "CRDTGRAPH_CONTEXT"
PROBE_TIMEOUT_S = 1.0
EVERY_S = 2.0

_Function = TypeVar("_Function", bound=Callable[..., object])


class Backend(Protocol):
    """A graph that answers methods; parameters and answers are plain values."""

    def call(self, method: str, **params: Plain) -> Plain:
        """The answer of a method."""
        ...

    def stream(self, method: str, **params: Plain) -> Iterator[Plain]:
        """The parts of a method that answers in parts, as they come."""
        ...


class Access(Enum):
    """What a command does to the graph."""

    READ = "read"
    WRITE = "write"


class Output(StrEnum):
    """How an answer is printed."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


@dataclass(slots=True)
class Invocation:
    """The options that all commands share, as far as they were given on the command line."""

    store: str | None = None
    node: str | None = None
    context: str | None = None
    """The name of a store or a node: see `crdtgraph context`."""
    output: Output = Output.TEXT
    at: str | None = None
    """A time or a digest: the graph as of then is meant."""

    def place(self) -> tuple[str | None, str | None]:
        """Store and node, exactly one of which is not None.

        The command line goes before the environment, and that before the context in use.
        """
        given = _only(("--store", self.store), ("--node", self.node), ("--context", self.context))
        if given is None:
            variables = (STORE_VARIABLE, NODE_VARIABLE, CONTEXT_VARIABLE)
            given = _only(*((name, os.environ.get(name) or None) for name in variables))
        kind, place = ("context", None) if given is None else given
        if "context" in kind.lower():
            from cli.contexts import load

            contexts = load()
            name = place or contexts.current
            if not name:
                raise click.UsageError(
                    "which graph? Give --store PATH, --node SOCKET or --context NAME, "
                    f"set {STORE_VARIABLE} or {NODE_VARIABLE}, or choose one: crdtgraph context use NAME"
                )
            context = contexts.get(name)
            kind, place = context.kind, context.place
        return (place, None) if "store" in kind.lower() else (None, place)

    def required_store(self) -> str:
        """The store, for commands that no node can carry out."""
        store, _ = self.place()
        if store is None:
            raise click.UsageError("this command works on a store, not through a node: give --store PATH")
        return store

    def required_node(self) -> str:
        """The control socket, for commands that only a running node can carry out.

        A store will do if a node is at work on it.
        """
        store, node = self.place()
        if node is not None:
            return node
        path = control_socket(store or "")
        if path is None:
            from crdtgraph.errors import UnreachableError

            raise UnreachableError(f"no node is running on {store}", hint=f"start one: crdtgraph serve --store {store}")
        return path

    def open(self, access: Access) -> AbstractContextManager[Backend]:
        """The graph of this command line; closed, and durable, when the block ends."""
        store, node = self.place()
        if self.at is not None and access is Access.READ:
            from cli.past import open_as_of

            return open_as_of(store, node, self.at)
        return open_node(node) if node is not None else open_store(store or "", access)

    def open_required_node(self) -> AbstractContextManager[Backend]:
        """The running node of this command line."""
        return open_node(self.required_node())


def _only(*given: tuple[str, str | None]) -> tuple[str, str] | None:
    """The one name with a value; several exclude each other."""
    values = [(name, value) for name, value in given if value is not None]
    if len(values) > 1:
        first, second = values[0][0], values[1][0]
        if first in os.environ:
            raise click.UsageError(f"{first} and {second} are both set; unset one of them")
        raise click.UsageError(f"{first} and {second} exclude each other")
    return values[0] if values else None


def examples(*lines: str) -> str:
    """The end of a command's help: examples, each of which runs (a test does it)."""
    return "\b\nExamples:\n" + "\n".join(f"  $ {line}" for line in lines)


def graph_options(function: _Function) -> _Function:
    """The options --store, --node, --context and -o, which may stand before or after the command's name."""
    decorators = (
        click.option("--store", metavar="PATH|URL", expose_value=False, callback=_remember("store"),
                     help="The store: a folder, sqlite:FILE, rocksdb:PATH or memory:."),
        click.option("--node", metavar="SOCKET", expose_value=False, callback=_remember("node"),
                     help="A running node, by its control socket."),
        click.option("--context", metavar="NAME", expose_value=False, callback=_remember("context"),
                     shell_complete=_context_names, help="A store or a node by its name; see crdtgraph context."),
        output_option,
    )  # fmt: skip
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


class NumberRange(click.FloatRange):
    """A number in a range. `nan` is in every range, as click compares, and in none, as people do."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; a usage error for what is none."""
        found = float(super().convert(value, param, ctx))
        if math.isnan(found):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return found


def every_option(function: _Function) -> _Function:
    """The option --every of commands that have --watch; the value is `every_s`."""
    return click.option(
        "--every",
        "every_s",
        type=NumberRange(min=0, min_open=True),
        default=EVERY_S,
        metavar="SECONDS",
        help=f"With --watch: between two looks (default: {EVERY_S:g}).",
    )(function)


def reading_options(function: _Function) -> _Function:
    """`graph_options`, and --at for commands that only ask the backend of `Invocation.open`."""
    option = click.option(
        "--at",
        metavar="TIME|DIGEST",
        expose_value=False,
        callback=_remember("at"),
        help="The graph as of 2h ago, 2026-11-01, 2026-11-01T10:00Z, @MICROSECONDS, or a digest.",
    )
    return graph_options(option(function))


def output_option(function: _Function) -> _Function:
    """The option -o alone, for commands that are about no graph."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice([each.value for each in Output]),
        expose_value=False,
        callback=_remember_output,
        help="How to print the answer (default: text).",
    )(function)


def complete_ref(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """How a REV that is being typed may go on."""
    from cli.completing import ref_names

    return ref_names(ctx, incomplete)


def _context_names(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from cli.completing import context_names

    return context_names(incomplete)


def _remember(name: str) -> Callable[[click.Context, click.Parameter, str | None], None]:
    def callback(ctx: click.Context, _option: click.Parameter, value: str | None) -> None:
        if value is not None:
            setattr(ctx.find_root().obj, name, value)

    return callback


def _remember_output(ctx: click.Context, _option: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.find_root().obj.output = Output(value)


def open_any(place: str, access: Access = Access.READ) -> AbstractContextManager[Backend]:
    """A graph by whatever names it: a control socket, a store's path or URL, or a context, in this order.

    A store that a node is at work on is asked for through that node, also to write.
    """
    if _is_control(place):
        return open_node(place)
    from cli.contexts import lookup

    context = lookup(place)
    if context is not None:
        if context.kind == "node":
            return open_node(context.place)
        place = context.place
    control = control_socket(place)
    return open_node(control) if control is not None else open_store(place, access)


@contextmanager
def open_store(url: str, access: Access) -> Iterator[Backend]:
    """A store in this process, or, to read one that a node is at work on, that node."""
    path = control_socket(url) if access is Access.READ else None
    if path is not None:
        with open_node(path) as backend:
            yield backend
        return
    import crdtgraph
    from sync.requests import LocalCaller

    with crdtgraph.open(url, create=False, read_only=access is Access.READ) as graph:
        for text in graph.recovery.warnings():
            click.echo(f"warning: {text}", err=True)
        yield LocalCaller(graph)


@contextmanager
def open_node(address: str) -> Iterator[Backend]:
    """A running node."""
    from sync.client.blocking import BlockingControlClient

    with BlockingControlClient(socket_path(address)) as client:
        yield client


def graph_of(backend: Backend) -> Graph | None:
    """The graph itself, if it is open in this process."""
    from sync.requests import LocalCaller

    return backend.graph if isinstance(backend, LocalCaller) else None


def control_socket(store_url: str, *, is_socket: bool = False) -> str | None:
    """The control socket of a store (or that socket itself), if a node answers there."""
    from crdtgraph.store.naming import control_path

    path = store_url if is_socket else control_path(store_url)
    if path is None or not _is_socket(path):
        return None
    import socket

    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE_TIMEOUT_S)
        try:
            probe.connect(path)
        except OSError:
            return None
    return path


def socket_path(address: str) -> str:
    """The control socket itself, of which also the store's folder or file may be named."""
    from crdtgraph.store.naming import SQLITE, control_path

    if os.path.isfile(address):
        address = f"{SQLITE}:{address}"
    elif not os.path.isdir(address):
        return address
    return control_path(address) or address


def _is_control(place: str) -> bool:
    """Whether a place is a control socket, or would be if a node were at work there."""
    from crdtgraph.store.naming import CONTROL_NAME, is_control_name, store_path_of_control

    if os.path.basename(place) == CONTROL_NAME and not os.path.isdir(place):
        return True
    return _is_socket(place) or (is_control_name(place) and os.path.isfile(store_path_of_control(place)))


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False
