"""Asking nodes about their cluster: the options for it, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

from cli.context import Backend, Invocation, NumberRange, open_any

if TYPE_CHECKING:
    from cli.cluster.members import Cluster

TIMEOUT_S = 1.0
TIMEOUT_S_MAX = 60.0

_Function = TypeVar("_Function", bound=Callable[..., object])

timeout_option = click.option(
    "--timeout",
    "timeout_s",
    type=NumberRange(0, TIMEOUT_S_MAX),
    default=TIMEOUT_S,
    metavar="SECONDS",
    help="How long to wait for members that do not answer (default: 1).",
)
places_argument = click.argument("places", metavar="[PLACE]...", nargs=-1)


def cluster_options(function: _Function) -> _Function:
    """--cluster, --timeout and PLACE..., for a command that is about one graph otherwise."""
    option = click.option(
        "--cluster", "whole", is_flag=True, help="Ask about all members of the cluster; exit 1 if they differ."
    )
    return option(timeout_option(places_argument(function)))


def no_places(places: Sequence[str]) -> None:
    """Raise a usage error for places that were given without --cluster."""
    if places:
        raise click.UsageError(f"{places[0]!r} is a place to ask about the cluster: give --cluster as well")


def ask(invocation: Invocation, places: Sequence[str], timeout_s: float) -> Cluster:
    """What the node of this command line, or the nodes at these places, know of the cluster.

    A place that does not answer is a stranger in the cluster, unless none does; then its error is raised.
    """
    from cli.cluster.members import Stranger, merged
    from crdtgraph.errors import UnreachableError

    if invocation.at is not None:
        raise click.UsageError("--at and --cluster exclude each other: only a graph has a past")
    if not places:
        with invocation.open_required_node() as backend:
            return merged([ask_node(backend, timeout_s)])
    clusters, silent = [], []
    failure: UnreachableError | None = None
    for place in places:
        try:
            with open_any(place) as backend:
                clusters.append(ask_node(backend, timeout_s))
        except UnreachableError as error:
            failure = failure or error
            silent.append(Stranger(place, error.message))
    if failure is not None and not clusters:
        raise failure
    return merged(clusters, silent)


def ask_node(backend: Backend, timeout_s: float) -> Cluster:
    """What one node knows of the cluster."""
    from cli.cluster.reading import cluster_of

    return cluster_of(backend.call("cluster", timeout_s=timeout_s))
