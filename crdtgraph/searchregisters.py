"""Registers of a search: values that its users agree on, such as the best line so far.

Two kinds, each with names of its own. A *value* is a multi-value register: an assignment replaces what its writer has
seen, and what was assigned at the same time elsewhere stays beside it, for the reader to choose. A *greatest* is a
number with a payload that only rises: of all that were offered the greatest counts, of equal numbers the greater
payload. That is a maximum, which needs no winner to be picked, so all replicas read the same.
"""

from __future__ import annotations

from typing import NamedTuple

from crdtgraph.canonical import INT64_MAX, INT64_MIN
from crdtgraph.errors import LocalError
from crdtgraph.registers import Registers

VALUE_NAMESPACE = "search/value"
GREATEST_NAMESPACE = "search/greatest"
VALUE_BYTES_MAX = 64 << 10
_NUMBER_BYTES = 8


class Greatest(NamedTuple):
    """The greatest number that was offered to a register, and what came with it."""

    number: int
    payload: bytes


def values(registers: Registers, key: str) -> tuple[bytes, ...]:
    """The distinct values of a register, the one with the latest stamp first, then by dot: equal on all replicas."""
    live = registers.live(VALUE_NAMESPACE, key)
    ordered = sorted(live, key=lambda assign: (assign.stamp, assign.dot, assign.value or b""), reverse=True)
    return tuple(dict.fromkeys([assign.value for assign in ordered if assign.value is not None]))


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
