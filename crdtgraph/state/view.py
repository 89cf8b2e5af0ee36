"""`State`: the state at a commit, as a mapping that never changes.

It is a small persistent map (a hash array mapped trie, Bagwell 2001; from the library `immutables`) over what the store
has of an earlier commit. A state and those that follow from it share all that they have in common, so keeping the
states of a whole search takes what its commits changed, not what the states hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import immutables

from crdtgraph.records import Reference, Value

if TYPE_CHECKING:
    from crdtgraph.state.stored import Paths, Stored

ENTRY_BYTES = 120
"""What the trie takes for an entry, about; its path and value come on top."""

_NOTHING: Paths = immutables.Map()


class State(Mapping[str, bytes | Reference]):
    """Path -> value at a commit; immutable. Iterates in ascending order of paths.

    Looking a path up costs 0.3 us, or as much as its rows take (some 0.1 ms at most) when the store has it. The first
    thing that needs all of a state (its length, iteration, comparing it) reads all of it, about 1 us a path. A state is
    read while it is used: take `dict(state)` of what is needed after the graph is closed.
    """

    __slots__ = ("_below", "_changes", "_whole", "on_grown", "weight")

    def __init__(self, changes: Paths = _NOTHING, below: Stored | None = None, weight: int = 0) -> None:
        self._changes = changes
        self._below = below
        self._whole: Paths | None = changes if below is None else None
        self.weight = weight
        """About how many bytes its own changes take."""
        self.on_grown: Callable[[State], object] = bool
        """Told when it has been read whole and weighs more."""

    def with_changes(self, changes: Iterable[tuple[str, Value]]) -> State:
        """The state that follows from it by these changes; None removes a path. O(changes)."""
        weight = 0
        changed = self._changes.mutate()
        for path, value in changes:
            if value is not None:
                changed[path] = value
                weight += len(value) if isinstance(value, bytes) else ENTRY_BYTES
            elif self._below is not None:
                changed[path] = None
            else:
                changed.pop(path, None)
            weight += len(path) + ENTRY_BYTES
        return State(changed.finish(), self._below, weight)

    def __getitem__(self, path: str) -> bytes | Reference:
        if self._whole is not None:
            value = self._whole.get(path)
        elif path in self._changes:
            value = self._changes[path]
        else:
            assert self._below is not None
            given: object = path
            value = self._below.get(path) if isinstance(given, str) else None
        if value is None:
            raise KeyError(path)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._all()))

    def __len__(self) -> int:
        return len(self._all())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, State):
            return self is other or self._all() == other._all()
        return Mapping.__eq__(self, other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"State({dict(self)!r:.200})"

    @property
    def below(self) -> Stored | None:
        """What the store has of an earlier commit, and this is changed from; None if this is all there is."""
        return self._below

    @property
    def changes(self) -> Paths:
        """What it has otherwise than that; None for a path that was removed."""
        return self._changes

    def _all(self) -> Paths:
        found = self._whole
        if found is None:
            assert self._below is not None
            whole = self._below.whole().mutate()
            for path, value in self._changes.items():
                if value is None:
                    whole.pop(path, None)
                else:
                    whole[path] = value
            found = self._whole = whole.finish()
            self.weight += len(found) * ENTRY_BYTES
            self.on_grown(self)
        return found


EMPTY = State()
