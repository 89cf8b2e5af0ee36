"""Parameters of control requests: plain values in, checked ones out, or an error that names method and value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from crdtgraph.canonical import INT64_MAX, INT64_MIN
from crdtgraph.errors import LocalError
from crdtgraph.ids import COMMIT_ID_BYTES, CommitId
from sync.protocol.calls import Plain

_Kind = TypeVar("_Kind")
Rev = str | CommitId
"""A commit as users name it, or its id."""


class Params:
    """The parameters of one request. Each is taken once; `done` refuses those that nobody took."""

    def __init__(self, method: str, values: Mapping[str, Plain]) -> None:
        self.method = method
        self._values = dict(values)

    def has(self, name: str) -> bool:
        """Whether a parameter was given, and not as None."""
        if self._values.get(name) is None:
            self._values.pop(name, None)
            return False
        return True

    def text(self, name: str, default: str | None = None) -> str:
        """A text; required without a default."""
        return self._take(name, str, "a text", default)

    def optional_text(self, name: str) -> str | None:
        """A text, or None."""
        return self._take(name, str, "a text", None) if self.has(name) else None

    def blob(self, name: str) -> bytes:
        """A byte string."""
        return self._take(name, bytes, "a byte string", None)

    def optional_blob(self, name: str) -> bytes | None:
        """A byte string, or None."""
        return self.blob(name) if self.has(name) else None

    def flag(self, name: str) -> bool:
        """True or false; false by default."""
        return self._take(name, bool, "true or false", False)

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """An integer from `low` to `high`."""
        number = self._take(name, int, "an integer", default)
        if not low <= number <= high:
            raise self._wrong(name, number, f"an integer from {low} to {high}")
        return number

    def optional_integer(self, name: str, low: int = INT64_MIN) -> int | None:
        """An integer from `low` on, or None."""
        return self.integer(name, 0, low, INT64_MAX) if self.has(name) else None

    def seconds(self, name: str, default: float) -> float:
        """A time of at least 0 seconds, as an integer or a float."""
        value = self._values.pop(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise self._wrong(name, value, "a number of seconds")
        return float(value)

    def entries(self, name: str, length_max: int) -> list[Plain]:
        """A list of at most so many entries."""
        values: list[Plain] = self._take(name, list, "a list", None)
        if len(values) > length_max:
            raise self._wrong(name, f"a list of {len(values)}", f"a list of at most {length_max}")
        return values

    def texts(self, name: str, length_max: int) -> list[str]:
        """A list of texts."""
        return [self._each(name, value, str, "a list of texts") for value in self.entries(name, length_max)]

    def blobs(self, name: str, length_max: int) -> list[bytes]:
        """A list of byte strings."""
        return [self._each(name, value, bytes, "a list of byte strings") for value in self.entries(name, length_max)]

    def integers(self, name: str, length_max: int) -> list[int]:
        """A list of integers."""
        return [self._each(name, value, int, "a list of integers") for value in self.entries(name, length_max)]

    def table(self, name: str) -> dict[str, Plain]:
        """A table; empty by default."""
        values: dict[str, Plain] = self._take(name, dict, "a table", {})
        return values

    def text_table(self, name: str, length_max: int) -> dict[str, str]:
        """A table of texts."""
        values = self.table(name)
        if len(values) > length_max:
            raise self._wrong(name, f"a table of {len(values)}", f"a table of at most {length_max}")
        return {key: self._each(name, value, str, "a table of texts") for key, value in values.items()}

    def rev(self, name: str) -> Rev:
        """A commit: its id as 32 bytes, or a text to resolve."""
        return self._rev(name, self._values.pop(name, None))

    def revs(self, name: str, length_max: int) -> list[Rev]:
        """A list of commits."""
        return [self._rev(name, value) for value in self.entries(name, length_max)]

    def optional_revs(self, name: str, length_max: int) -> list[Rev] | None:
        """A list of commits, or None."""
        return self.revs(name, length_max) if self.has(name) else None

    def rev_table(self, name: str, length_max: int) -> dict[str, Rev]:
        """A table of commits."""
        values = self.table(name)
        if len(values) > length_max:
            raise self._wrong(name, f"a table of {len(values)}", f"a table of at most {length_max}")
        return {key: self._rev(name, value) for key, value in values.items()}

    def pairs(self, name: str, length_max: int) -> list[tuple[Rev, Rev]]:
        """A list of pairs of commits."""
        pairs = []
        for value in self.entries(name, length_max):
            if not isinstance(value, list) or len(value) != 2:
                raise self._wrong(name, value, "a list of pairs")
            pairs.append((self._rev(name, value[0]), self._rev(name, value[1])))
        return pairs

    def done(self) -> None:
        """All parameters were taken; a name that is left is a mistake."""
        if self._values:
            unknown = ", ".join(sorted(self._values))
            raise LocalError(f"{self.method}: there is no parameter {unknown[:100]}", hint="see docs/protocol.md")

    def _take(self, name: str, kind: type[_Kind], what: str, default: _Kind | None) -> _Kind:
        value = self._values.pop(name, default)
        if type(value) is not kind:
            raise self._wrong(name, value, what)
        return value

    def _each(self, name: str, value: Plain, kind: type[_Kind], what: str) -> _Kind:
        if type(value) is not kind:
            raise self._wrong(name, value, what)
        return value

    def _rev(self, name: str, value: Plain) -> Rev:
        if isinstance(value, str):
            return value
        if isinstance(value, bytes) and len(value) == COMMIT_ID_BYTES:
            return CommitId(value)
        raise self._wrong(name, value, f"a commit (a text, or an id of {COMMIT_ID_BYTES} bytes)")

    def _wrong(self, name: str, value: object, what: str) -> LocalError:
        shown = "nothing" if value is None else f"{value!r:.60}"
        return LocalError(f"{self.method}: parameter {name!r} must be {what}, not {shown}")
