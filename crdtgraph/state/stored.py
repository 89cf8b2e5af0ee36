"""The state at a commit as rows have it: a chain of them, read when it is asked and no further."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import immutables

from crdtgraph.ids import CommitId
from crdtgraph.records import Value
from crdtgraph.state.row import BYTES, DamagedError, Row, read_value
from crdtgraph.state.rows import Rows

Paths = immutables.Map[str, Value]
Replay = Callable[[CommitId], Mapping[str, Value]]
"""Makes the state at a commit without any rows."""


class Stored:
    """What the rows say about the state at `commit`. If they turn out to be damaged, it is replayed instead.

    It holds no row itself: those that were read lately are kept by `Rows`, for all states and within its bounds.
    """

    __slots__ = ("_replay", "_rows", "_whole", "commit")

    def __init__(self, commit: CommitId, rows: Rows, replay: Replay) -> None:
        self.commit = commit
        self._rows = rows
        self._replay = replay
        self._whole: Mapping[str, Value] | None = None

    def get(self, path: str) -> Value:
        """The value of a path, None if there is none. At most 46 rows, about 4 us each when none was read before."""
        if self._whole is not None:
            return self._whole.get(path)
        place = self.commit, path
        looked_up = self._rows.looked_up
        if place in looked_up:
            return looked_up[place]
        value = self._look_up(path)
        self._rows.note_looked_up(place, value)
        return value

    def whole(self) -> Paths:
        """All of it. About 0.6 us a path, and nothing of it is kept here."""
        if self._whole is None:
            found: dict[str, Value] = {}
            at = self.commit
            try:
                for commit, row in self.chain():
                    at = commit
                    for path, value in row.items(self._rows.page):
                        found.setdefault(path, value)
            except DamagedError:
                self._rows.drop(at)
                return immutables.Map(self._replayed())
            return immutables.Map({path: value for path, value in found.items() if value is not None})
        return immutables.Map(self._whole)

    def chain(self) -> Iterator[tuple[CommitId, Row]]:
        """All rows down to the one that has the whole, each with its commit. Raises DamagedError if one is missing."""
        at: CommitId | None = self.commit
        while at is not None:
            row = self._rows.get(at)
            if row is None:
                raise DamagedError("a row is missing")
            yield at, row
            at = row.base

    def paths_apart(self, other: Stored) -> set[str]:
        """Paths outside of which the two are equal. Raises DamagedError. O(entries of what they do not share)."""
        page = self._rows.page
        mine, theirs = list(self.chain()), list(other.chain())
        shared = {commit for commit, _ in mine} & {commit for commit, _ in theirs}
        apart = [row for chain in (mine, theirs) for commit, row in chain if commit not in shared]
        if shared:
            return {path for row in apart for path, _ in row.items(page)}
        # No row in common: two whole states below, most of whose pages may be the same.
        tops = mine[-1][1], theirs[-1][1]
        paths = {path for row in apart if row not in tops for path, _ in row.items(page)}
        pages = [set(row.pages()) for row in tops]
        if not all(pages):
            return paths.union(*[[path for path, _ in row.items(page)] for row in tops])
        tables = [page(name) for name in sorted(pages[0] ^ pages[1])]
        return paths | {table.path(place).decode() for table in tables for place in range(table.count)}

    def _look_up(self, path: str) -> Value:
        key = path.encode("utf-8", "surrogatepass")
        at = self.commit
        try:
            for commit, row in self.chain():
                at = commit
                found = row.find(key, self._rows.page)
                if found is not None:
                    kind, raw = found
                    return raw if kind == BYTES else read_value(kind, raw)
        except DamagedError:
            # Of a missing row it is the one above that leads nowhere.
            self._rows.drop(at)
            return self._replayed().get(path)
        return None

    def _replayed(self) -> Mapping[str, Value]:
        if self._whole is None:
            self._whole = self._replay(self.commit)
        return self._whole
