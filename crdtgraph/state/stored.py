"""The state at a commit as rows have it: a chain of them, read when it is asked and no further."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import immutables

from crdtgraph.ids import CommitId
from crdtgraph.records import Value
from crdtgraph.state.row import BYTES, DamagedError, Row, read_value
from crdtgraph.state.rows import Rows

Paths = immutables.Map[str, Value]
Replay = Callable[[CommitId], Mapping[str, Value]]
"""Makes the state at a commit without any rows."""


FOUND_MAX = 256
"""Paths that were looked up and need no second look."""


class Stored:
    """What the rows say about the state at `commit`. If they turn out to be damaged, it is replayed instead."""

    __slots__ = ("_chain", "_found", "_replay", "_rows", "_whole", "commit")

    def __init__(self, commit: CommitId, first: Row, rows: Rows, replay: Replay) -> None:
        self.commit = commit
        self._rows = rows
        self._replay = replay
        self._chain: list[tuple[CommitId, Row]] = [(commit, first)]
        self._whole: Mapping[str, Value] | None = None
        self._found: dict[str, Value] = {}

    def get(self, path: str) -> Value:
        """The value of a path, None if there is none. At most 46 rows, about 4 us each when none was read before."""
        if self._whole is not None:
            return self._whole.get(path)
        if path in self._found:
            return self._found[path]
        value = self._look_up(path)
        if len(self._found) < FOUND_MAX:
            self._found[path] = value
        return value

    def whole(self) -> Paths:
        """All of it. About 0.6 us a path, and nothing of it is kept here."""
        if self._whole is None:
            found: dict[str, Value] = {}
            try:
                for _, row in self.chain():
                    for path, value in row.items(self._rows.page):
                        found.setdefault(path, value)
            except DamagedError:
                self._rows.drop(self._chain[-1][0])
                return immutables.Map(self._replayed())
            return immutables.Map({path: value for path, value in found.items() if value is not None})
        return immutables.Map(self._whole)

    def chain(self) -> list[tuple[CommitId, Row]]:
        """All rows down to the one that has the whole, each with its commit. Raises DamagedError if one is missing."""
        while (base := self._chain[-1][1].base) is not None:
            self._chain.append((base, self._row(base)))
        return self._chain

    def paths_apart(self, other: Stored) -> set[str]:
        """Paths outside of which the two are equal. Raises DamagedError. O(entries of what they do not share)."""
        mine, theirs = self.chain(), other.chain()
        shared = {commit for commit, _ in mine} & {commit for commit, _ in theirs}
        apart = [row for chain in (mine, theirs) for commit, row in chain if commit not in shared]
        if shared:
            return {path for row in apart for path, _ in row.items(self._rows.page)}
        # No row in common: two whole states below, most of whose pages may be the same.
        tops = mine[-1][1], theirs[-1][1]
        paths = {path for row in apart if row not in tops for path, _ in row.items(self._rows.page)}
        pages = [set(row.pages()) for row in tops]
        if not all(pages):
            return paths.union(*[[path for path, _ in row.items(self._rows.page)] for row in tops])
        tables = [self._rows.page(name) for name in sorted(pages[0] ^ pages[1])]
        return paths | {table.path(place).decode() for table in tables for place in range(table.count)}

    def _row(self, commit: CommitId) -> Row:
        row = self._rows.get(commit)
        if row is None:
            raise DamagedError("a row is missing")
        return row

    def _replayed(self) -> Mapping[str, Value]:
        if self._whole is None:
            self._whole = self._replay(self.commit)
        return self._whole

    def _look_up(self, path: str) -> Value:
        key = path.encode("utf-8", "surrogatepass")
        place = 0
        try:
            while True:
                row = self._chain[place][1]
                found = row.find(key, self._rows.page)
                if found is not None:
                    kind, raw = found
                    return raw if kind == BYTES else read_value(kind, raw)
                if row.base is None:
                    return None
                place += 1
                if place == len(self._chain):
                    self._chain.append((row.base, self._row(row.base)))
        except DamagedError:
            self._rows.drop(self._chain[place - 1 if place == len(self._chain) else place][0])
            return self._replayed().get(path)
