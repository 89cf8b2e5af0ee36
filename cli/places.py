"""Several graphs at once, by whatever names them: which are asked for, that they go together, what to call them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cli.context import Access, Backend, graph_of, open_any

if TYPE_CHECKING:
    from sync.protocol.messages import Plain

PLACES_MAX = 32
"""As many as one screen has room for, and as a node serves clients at once."""


@dataclass(frozen=True, slots=True)
class Place:
    """One of them: as it was given, as it is shown, how it is asked, and who it is."""

    given: str
    name: str
    backend: Backend
    replica: str
    cluster: str
    commits: int
    digest: str

    def looked_at_again(self) -> Place:
        """The same place as it is now."""
        return _look(self.given, self.name, self.backend)[0]


@contextmanager
def open_places(given: Sequence[str], access: Access) -> Iterator[list[Place]]:
    """All of them, each checked against the others before anything is done; closed when the block ends.

    A node that cannot be reached, or goes away later, is named as it was given. Raises UsageError for fewer than two or
    for the same place twice, LocalError for different clusters, and what `open_any` raises.
    """
    if len(given) < 2:
        raise click.UsageError("compare with what? Name at least two stores, nodes or contexts")
    if len(given) > PLACES_MAX:
        raise click.UsageError(f"{len(given)} places; at most {PLACES_MAX} can be looked at together")
    from crdtgraph.store.naming import path_of

    paths: dict[str, str] = {}
    for place in given:
        # Before anything is opened: a store can be open for writing only once.
        path = os.path.realpath(path_of(place) or place)
        if path in paths:
            raise click.UsageError(_same(paths[path], place))
        paths[path] = place
    with ExitStack() as stack:
        found: list[Place] = []
        identities: dict[object, str] = {}
        for place, name in zip(given, short_names(given), strict=True):
            backend = _open(stack, place, access)
            opened, identity = _look(place, name, backend)
            if identity in identities:
                raise click.UsageError(_same(identities[identity], place))
            identities[identity] = place
            found.append(opened)
        _check_clusters(found)
        yield found


def short_names(given: Sequence[str]) -> list[str]:
    """Names as short as they can be and still be told apart: `eu` and `us` for n/eu/control and n/us/control."""
    parts = [_parts(place) for place in given]
    for length in range(1, 1 + max(map(len, parts), default=1)):
        names = ["/".join(each[-length:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return list(given)


def _parts(place: str) -> list[str]:
    from crdtgraph.store.naming import is_control_name, path_of, store_path_of_control

    path = path_of(place) or place
    if is_control_name(path):
        path = store_path_of_control(path) or path
    return [part for part in path.split("/") if part not in ("", ".")] or [place]


def _open(stack: ExitStack, place: str, access: Access) -> Backend:
    with _named(place):
        backend = stack.enter_context(open_any(place, access))
    return backend if graph_of(backend) is not None else _Named(backend, place)


def _look(place: str, name: str, backend: Backend) -> tuple[Place, object]:
    """A place, and what two names of one place have in common."""
    from cli.answers import of, table_of

    status = table_of(table_of(backend.call("status"))["graph"])
    url, replica = of(str, status["url"]), of(str, status["replica"])
    opened = Place(
        place, name, backend, replica, of(str, status["cluster"]), of(int, status["commits"]), of(str, status["digest"])
    )
    from crdtgraph.store.naming import path_of

    if path_of(url) is None:
        return opened, (replica, status["writer"])
    # The same path may be another store where a node sees other files than we do.
    return opened, (replica, os.path.realpath(path_of(url) or url))


def _check_clusters(places: Sequence[Place]) -> None:
    first = places[0]
    for other in places[1:]:
        if other.cluster != first.cluster:
            from crdtgraph.errors import LocalError

            raise LocalError(
                f"different clusters: {first.given} is of {first.cluster!r}, {other.given} of {other.cluster!r}",
                hint="replicas of different clusters never exchange anything",
            )


def _same(first: str, second: str) -> str:
    return f"{first} is named twice" if first == second else f"{first} and {second} are the same replica"


class _Named:
    """A node that is called by the name it was given when it cannot be reached."""

    def __init__(self, backend: Backend, name: str) -> None:
        self._backend = backend
        self._name = name

    def call(self, method: str, **params: Plain) -> Plain:
        with _named(self._name):
            return self._backend.call(method, **params)

    def stream(self, method: str, **params: Plain) -> Iterator[Plain]:
        with _named(self._name):
            yield from self._backend.stream(method, **params)


@contextmanager
def _named(name: str) -> Iterator[None]:
    from crdtgraph.errors import UnreachableError

    try:
        yield
    except UnreachableError as error:
        if name in error.message:
            raise
        raise UnreachableError(f"{name}: {error.message}", hint=error.hint) from error
