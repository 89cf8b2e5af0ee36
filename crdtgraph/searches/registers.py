"""Registers of a search: values that its users agree on, such as the best line so far.

Two kinds, each with names of its own. A *value* is a multi-value register: an assignment replaces what its writer has
seen, and what was assigned at the same time elsewhere stays beside it, for the reader to choose. A *greatest* is a
number with a payload that only rises: of all that were offered the greatest counts, of equal numbers the greater
payload. That is a maximum, which needs no winner to be picked, so all replicas read the same.

Many are assigned every second for days, so nothing here grows with the assignments. Whoever assigns a register of a
search replaces all that it knows of, its own earlier values in any case. So the assignments that one writer made of one
register are a *chain*: each replaces those before it, and its dots rise. A dot that is named stands for all earlier
ones of its writer in that register, and what was replaced is remembered as one number for each register and writer, a
version vector (Parker et al., "Detection of mutual inconsistency in distributed systems", 1983; with dots for what is
live: Preguica et al., "Dotted Version Vectors", 2010). An assignment is live if none of its writer's chain is later and
none names its dot or a later one: a function of the set of those applied, whatever order they came in.

The number must be kept, or a replica that meets an assignment after what replaced it would take it for news: nobody can
tell whether its segment is still under way. So a writer keeps, for each register in which it ever replaced what others
had assigned, one assignment with those numbers, by then without a value perhaps (compaction.py). What is left of
a register that only one writer used is its value. A removal says nothing that its absence does not; the sum is over
values alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from crdtgraph.canonical import INT64_MAX, INT64_MIN
from crdtgraph.errors import LocalError
from crdtgraph.ids import Dot
from crdtgraph.records import Assign
from crdtgraph.registers import Live, Register, Registers

VALUE_NAMESPACE = "search/value"
GREATEST_NAMESPACE = "search/greatest"
VALUE_BYTES_MAX = 64 << 10
_NUMBER_BYTES = 8


class Greatest(NamedTuple):
    """The greatest number that was offered to a register, and what came with it."""

    number: int
    payload: bytes


class SearchRegisters(Registers):
    """All registers of one search; of what was replaced it keeps one number for each register and writer."""

    __slots__ = ("_replaced",)

    def __init__(self) -> None:
        super().__init__()
        # The latest dot of each writer that an assignment of another one named, or one of its own without a value.
        self._replaced: dict[Register, dict[int, int]] = {}

    def is_superseded(self, namespace: str, key: str, dot: Dot) -> bool:
        """Whether an assignment that was applied replaced the one of this dot, or a later one of its writer."""
        if self._replaced.get((namespace, key), {}).get(dot.writer, -1) >= dot.counter:
            return True
        live = self._live.get(namespace, {}).get(key, {})
        return any(each.writer == dot.writer and each.counter > dot.counter for each in live)

    def take_back(self, assign: Assign) -> None:
        """Forget an assignment that its writer dropped in a compaction, as it was replaced. O(1).

        Those before it in its chain were in segments that are superseded with its own, and do not come again.
        """
        keys = self._live.get(assign.namespace, {})
        live = keys.get(assign.key, {})
        self._let_go(live, assign.dot)
        if not live and assign.key in keys:
            del keys[assign.key]
            if not keys:
                del self._live[assign.namespace]

    # Inside

    def _supersede(self, register: Register, live: Live, assign: Assign) -> None:
        writer, counter = assign.dot
        before = latest((*assign.supersedes, Dot(writer, counter - 1)))
        for dot in [each for each in live if each.counter <= before.get(each.writer, -1)]:
            self._let_go(live, dot)
        # That it comes after its own is seen from its dot.
        named = {each: last for each, last in before.items() if each != writer or last >= counter}
        if named:
            replaced = self._replaced.setdefault(register, {})
            for each, last in named.items():
                replaced[each] = max(last, replaced.get(each, -1))

    def _term(self, assign: Assign) -> int:
        return 0 if assign.value is None else super()._term(assign)


def latest(dots: Iterable[Dot]) -> dict[int, int]:
    """The counter of the latest of these dots, by writer."""
    found: dict[int, int] = {}
    for writer, counter in dots:
        found[writer] = max(counter, found.get(writer, -1))
    return found


def values(registers: Registers, key: str) -> tuple[bytes, ...]:
    """The distinct values of a register, the one with the latest stamp first, then by dot: equal on all replicas."""
    live = registers.live(VALUE_NAMESPACE, key)
    ordered = sorted(live, key=lambda assign: (assign.stamp, assign.dot, assign.value or b""), reverse=True)
    return tuple(dict.fromkeys([assign.value for assign in ordered if assign.value is not None]))


def earliest(registers: Registers, key: str) -> bytes | None:
    """Of the values of a register the one with the earliest stamp, then by dot; None when there is none."""
    live = [assign for assign in registers.live(VALUE_NAMESPACE, key) if assign.value is not None]
    return min(live, key=lambda assign: (assign.stamp, assign.dot, assign.value)).value if live else None


def greatest(registers: Registers, key: str) -> Greatest | None:
    """The greatest that was offered under a key; None when nothing was."""
    # Numbers are written so that bytes compare as they do.
    found = [assign.value for assign in registers.live(GREATEST_NAMESPACE, key) if assign.value is not None]
    found = [value for value in found if len(value) >= _NUMBER_BYTES]
    if not found:
        return None
    best = max(found)
    return Greatest(int.from_bytes(best[:_NUMBER_BYTES], "big") + INT64_MIN, best[_NUMBER_BYTES:])


def offer(number: int, payload: bytes) -> bytes:
    """The value of a register that stands for a number and a payload; bytes compare as the two do."""
    if type(number) is not int or not INT64_MIN <= number <= INT64_MAX:
        raise LocalError(
            f"{number!r:.80} is not a signed 64-bit integer", hint="keep fractions in fixed point, such as millionths"
        )
    return (number - INT64_MIN).to_bytes(_NUMBER_BYTES, "big") + check_value(payload, "payload")


def check_value(value: bytes, what: str) -> bytes:
    """A caller's value of a register."""
    if type(value) is not bytes or len(value) > VALUE_BYTES_MAX:
        raise LocalError(
            f"the {what} {value!r:.80} is not bytes of at most {VALUE_BYTES_MAX}",
            hint="keep large values in a commit's changes, and its id here",
        )
    return value
