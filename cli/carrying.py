"""Large values carried from one place to another, as a node fetches them from its peers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from cli.answers import list_of, of
from cli.uploading import put_object
from crdtgraph.errors import CorruptError, NotFoundError

if TYPE_CHECKING:
    from cli.context import Backend


def carry_objects(places: Sequence[Backend]) -> int:
    """Give each place the objects that it lacks and another one has; returns how many. O(objects) and their bytes.

    What no place has is left: it is still missing afterwards, and `crdtgraph object ls` says so.
    """
    holders: dict[bytes, list[int]] = {}
    missing: list[tuple[int, bytes, int]] = []
    for number, place in enumerate(places):
        for digest, size, is_here in _listed(place):
            if is_here:
                holders.setdefault(digest, []).append(number)
            else:
                missing.append((number, digest, size))
    carried = 0
    for number, digest, size in missing:
        carried += any(_carry(places[each], places[number], digest, size) for each in holders.get(digest, ()))
    return carried


def _carry(source: Backend, target: Backend, digest: bytes, size: int) -> bool:
    parts = source.stream("object_read", digest=digest, size=size)
    try:
        put_object(target, (of(bytes, part) for part in parts))
    except (CorruptError, NotFoundError):
        return False  # Another one may have it undamaged.
    return True


def _listed(place: Backend) -> Iterator[tuple[bytes, int, bool]]:
    for digest, size, is_here in map(list_of, chain.from_iterable(map(list_of, place.stream("object_list")))):
        yield of(bytes, digest), of(int, size), of(bool, is_here)
