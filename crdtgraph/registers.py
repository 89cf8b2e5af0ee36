"""Multi-value registers: refs and metadata.

An assignment is live until one that lists its dot in `supersedes` is applied (Shapiro et al., "A comprehensive study of
CRDTs", 2011, MV-Register, with dots instead of version vectors). Concurrent assignments stay side by side: a conflict
is data for the reader, not an error. An assignment of None removes the value and what it supersedes with it.

The fold is a set union of assignments and one of superseded dots, so order and repetition change nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from crdtgraph.canonical import NULL, blob, integer, repeated_text, text
from crdtgraph.growing import GrowingSet
from crdtgraph.ids import Dot
from crdtgraph.records import Assign

_TAG = b"crdtgraph assign\0"
_MASK = (1 << 256) - 1

Register = tuple[str, str]
"""A namespace and a key."""
Live = dict[Dot, dict[tuple[bytes | None, int], Assign]]
"""The live assignments of one register, by dot, value and stamp."""


class Registers:
    """All registers of one plane, with the digest sum of their live assignments."""

    __slots__ = ("_before", "_live", "_superseded", "sum")

    def __init__(self) -> None:
        # A forger could give one dot two values or stamps; keyed by all three, the fold stays a union all the same.
        # By namespace and key: the metadata of one commit, and all refs, are found without looking at any others.
        self._live: dict[str, dict[str, Live]] = {}
        self._superseded: GrowingSet[tuple[Register, Dot]] = GrowingSet()
        self._before: dict[Register, list[Assign]] | None = None
        self.sum = 0

    def superseded_dots(self) -> list[tuple[Register, Dot]]:
        """Every dot that an applied assignment replaced, with its register, in the order in which they were."""
        return self._superseded.order

    def restore(self, live: Iterable[Assign], superseded: Iterable[tuple[Register, Dot]], total: int) -> None:
        """Become the registers that had these live assignments, superseded dots and sum; only for empty ones."""
        for assign in live:
            keys = self._live.setdefault(assign.namespace, {})
            keys.setdefault(assign.key, {}).setdefault(assign.dot, {})[assign.value, assign.stamp] = assign
        self._superseded.update(superseded)
        self.sum = total

    def freeze(self) -> list[str]:
        """Remember from now on what changes, so that `frozen` can tell how it was; the namespaces there are."""
        self._before = {}
        return list(self._live)

    def frozen(self, namespaces: Iterable[str], count: int) -> Iterator[list[Assign]]:
        """What was live when `freeze` gave these, some `count` at a time; an assignment may be among it twice.

        Anything may be applied between two steps.
        """
        before = self._before
        assert before is not None
        found: list[Assign] = []
        for namespace in namespaces:
            for key in list(self._live.get(namespace, ())):
                if (namespace, key) not in before:
                    found += self.live(namespace, key)
                    if len(found) >= count:
                        yield found
                        found = []
        # What has changed until now, and did so before its turn or after it. What changes later was given above.
        for assigns in list(before.values()):
            found += assigns
            if len(found) >= count:
                yield found
                found = []
        yield found

    def thaw(self) -> None:
        """Nobody asks for `frozen` any more."""
        self._before = None

    def apply(self, assign: Assign) -> None:
        """Fold one assignment in; O(what it supersedes)."""
        namespace, key = register = (assign.namespace, assign.key)
        if self._before is not None and register not in self._before:
            self._before[register] = self.live(namespace, key)
        keys = self._live.setdefault(namespace, {})
        live = keys.setdefault(key, {})
        self._supersede(register, live, assign)
        if not self.is_superseded(namespace, key, assign.dot):
            same_dot = live.setdefault(assign.dot, {})
            name = (assign.value, assign.stamp)
            if name not in same_dot:
                same_dot[name] = assign
                self.sum = (self.sum + self._term(assign)) & _MASK
        if not live:
            del keys[key]
            if not keys:
                del self._live[namespace]

    def live(self, namespace: str, key: str) -> list[Assign]:
        """The live assignments of a register in a deterministic order, removals among them."""
        found = list(_flat(self._live.get(namespace, {}).get(key, {})))
        return (
            found
            if len(found) < 2
            else sorted(found, key=lambda a: (a.dot, a.stamp, a.value is not None, a.value or b""))
        )

    def is_superseded(self, namespace: str, key: str, dot: Dot) -> bool:
        """Whether some assignment that was applied replaced the one of this dot."""
        return ((namespace, key), dot) in self._superseded

    def keys(self, namespace: str) -> list[str]:
        """The keys of a namespace with at least one live value, sorted. O(keys of that namespace)."""
        return sorted(
            key
            for key, live in self._live.get(namespace, {}).items()
            if any(assign.value is not None for assign in _flat(live))
        )

    def namespaces(self) -> list[str]:
        """The namespaces in use, sorted."""
        return sorted(self._live)

    def count(self) -> int:
        """How many registers have anything live. O(namespaces)."""
        return sum(map(len, self._live.values()))

    def __iter__(self) -> Iterator[Assign]:
        """Every live assignment, ordered by register and dot."""
        for namespace in sorted(self._live):
            for key in sorted(self._live[namespace]):
                yield from self.live(namespace, key)

    # Inside

    def _supersede(self, register: Register, live: Live, assign: Assign) -> None:
        """Remember what an assignment supersedes in its register, and take it out of what is live there."""
        for dot in assign.supersedes:
            self._superseded.add((register, dot))
            self._let_go(live, dot)

    def _let_go(self, live: Live, dot: Dot) -> None:
        """Take what was assigned with a dot out of what is live in a register, and out of the sum."""
        for old in live.pop(dot, {}).values():
            self.sum = (self.sum - self._term(old)) & _MASK

    def _term(self, assign: Assign) -> int:
        """What a live assignment adds to the sum."""
        return _term(assign)


def _flat(live: Live) -> Iterable[Assign]:
    if len(live) == 1:
        # Nearly always.
        (same_dot,) = live.values()
        return same_dot.values()
    return (assign for same_dot in live.values() for assign in same_dot.values())


def _term(assign: Assign) -> int:
    # The stamp is in it because readers of metadata pick the latest.
    item = b"".join(
        (
            b"\x85",
            repeated_text(assign.namespace),
            text(assign.key),
            NULL if assign.value is None else blob(assign.value),
            b"\x82",
            integer(assign.dot.writer),
            integer(assign.dot.counter),
            integer(assign.stamp),
        )
    )
    return int.from_bytes(hashlib.sha256(_TAG + item).digest(), "big")
