"""One path in dispute, and what each merge policy makes of it.

A path is in dispute when both sides changed it since the base and are not equal. `resolve` gives the value that stands,
None where the path is removed, or `MergePolicy.CONFLICT`; except for `ours`, `theirs` and functions it gives the same
when the sides are swapped.

**Numbers** (max, min, sum) are decimals in ASCII: an optional sign, digits, an optional fraction, and at the end one
newline or none. They are compared and added exactly, never as floats. `sum` is the one of counters, ours + theirs -
base: what either side added counts. **Sets** are lines: one that either side added is in the result, one that either
side removed is not; they are sorted by bytes, and empty ones are dropped.

**Large values** are objects. Sets and texts are looked into up to `OPENED_BYTES_MAX`; whether they merge depends on
what they are, never on whether they are here. Numbers have no use for so many digits.

The policies that start from the base find a conflict where a criss-cross history has several: set-union and text if
these differ in the path, sum always, because which of what the bases counted, each for itself, the sides have already
is nowhere said.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from crdtgraph.errors import CrdtGraphError, LocalError
from crdtgraph.records import OBJECT_SCHEME, Reference, Value, ordered_changes
from crdtgraph.state.policies import MergeFunction, MergePolicy

DIGITS_MAX = 300
"""Of a number, on both sides of the point. A sum stays below the 640 digits that every Python converts."""

OPENED_BYTES_MAX = 256 << 10
"""Of a large value that is merged as a set or a text: three such take 5 to 40 ms, and 70 ms of the worst kind."""

Load = Callable[[Reference], bytes | None]
"""Gives the bytes of an object, or raises what `Graph.object` does. None leaves the conflict, for a forecast."""

_NUMBER = re.compile(rb"([+-]?)([0-9]+)(?:\.([0-9]+))?\n?")


@dataclass(frozen=True, slots=True)
class Dispute:
    """A path that both sides changed: its values in the merge bases (one, unless there are several), and theirs.

    The bases are ordered by rank; a history without one has the value None.
    """

    path: str
    bases: tuple[Value, ...]
    ours: Value
    theirs: Value

    @property
    def base(self) -> Value:
        """The value in the first base."""
        return self.bases[0]

    @property
    def bases_agree(self) -> bool:
        """Whether the path has the same value in all bases."""
        return all(each == self.bases[0] for each in self.bases)


def resolve(dispute: Dispute, policy: MergePolicy | MergeFunction, load: Load | None = None) -> Value | MergePolicy:
    """What stands, or `MergePolicy.CONFLICT`. LATEST, which takes more than values, is one here.

    Without `load` there is a conflict about large values wherever they would have to be looked into.

    Raises LocalError when a function fails or gives what is no value, and what `load` raises.
    """
    if not isinstance(policy, MergePolicy):
        return _called(dispute, policy)
    match policy:
        case MergePolicy.OURS:
            return dispute.ours
        case MergePolicy.THEIRS:
            return dispute.theirs
        case MergePolicy.MAX | MergePolicy.MIN:
            return _extreme(dispute, least=policy is MergePolicy.MIN)
        case MergePolicy.SUM if len(dispute.bases) == 1:
            return _sum(dispute)
        case MergePolicy.SET_UNION if dispute.bases_agree:
            return _set_union(_opened(dispute, load))
        case MergePolicy.TEXT if dispute.bases_agree:
            return _text(_opened(dispute, load))
        case _:
            return MergePolicy.CONFLICT


def _opened(dispute: Dispute, load: Load | None) -> Dispute:
    """The dispute about the bytes of large values, if all that are in the way are objects of no more than so many."""
    values = (dispute.base, dispute.ours, dispute.theirs)
    large = [value for value in values if isinstance(value, Reference)]
    if load is None or not large or not all(map(_is_opened, large)):
        return dispute
    opened = {reference: load(reference) for reference in large}
    if None in opened.values():
        return dispute
    base, ours, theirs = (opened[value] if isinstance(value, Reference) else value for value in values)
    return replace(dispute, bases=(base,), ours=ours, theirs=theirs)


def _is_opened(value: Reference) -> bool:
    return value.scheme == OBJECT_SCHEME and value.size <= OPENED_BYTES_MAX


@dataclass(frozen=True, slots=True)
class _Number:
    value: Fraction
    places: int
    """Digits behind the point."""


def _number(value: Value) -> _Number | None:
    found = _NUMBER.fullmatch(value) if isinstance(value, bytes) else None
    if found is None:
        return None
    sign, whole, fraction = found.groups(b"")
    if len(whole) + len(fraction) > DIGITS_MAX:
        return None
    number = Fraction(int(whole + fraction), 10 ** len(fraction))
    return _Number(-number if sign == b"-" else number, len(fraction))


def _extreme(dispute: Dispute, *, least: bool) -> Value | MergePolicy:
    ours, theirs = _number(dispute.ours), _number(dispute.theirs)
    if ours is None or theirs is None:
        return MergePolicy.CONFLICT
    if ours.value == theirs.value:
        # One number, written in two ways.
        return max(_bytes(dispute.ours), _bytes(dispute.theirs))
    return dispute.ours if (ours.value < theirs.value) is least else dispute.theirs


def _sum(dispute: Dispute) -> Value | MergePolicy:
    base = _number(b"0" if dispute.base is None else dispute.base)
    ours, theirs = _number(dispute.ours), _number(dispute.theirs)
    if base is None or ours is None or theirs is None:
        return MergePolicy.CONFLICT
    places = max(base.places, ours.places, theirs.places)
    # A whole number, as no addend has more places.
    scaled = int((ours.value + theirs.value - base.value) * 10**places)
    digits = f"{abs(scaled):0{places + 1}d}"
    text = digits if not places else f"{digits[:-places]}.{digits[-places:]}"
    ends = any(_bytes(side).endswith(b"\n") for side in (dispute.ours, dispute.theirs))
    return f"{'-' if scaled < 0 else ''}{text}{chr(10) if ends else ''}".encode()


def _set_union(dispute: Dispute) -> Value | MergePolicy:
    """A path that is not there is the empty set; an empty result is one that is not there if a side removed it."""
    sides = [_lines(value) for value in (dispute.base, dispute.ours, dispute.theirs)]
    if any(side is None for side in sides):
        return MergePolicy.CONFLICT
    base, ours, theirs = (side or frozenset() for side in sides)
    merged = (ours & theirs) | (ours - base) | (theirs - base)
    if not merged and (dispute.ours is None or dispute.theirs is None):
        return None
    return b"".join(line + b"\n" for line in sorted(merged))


def _lines(value: Value) -> frozenset[bytes] | None:
    if value is None:
        return frozenset()
    return frozenset(value.split(b"\n")) - {b""} if isinstance(value, bytes) else None


def _text(dispute: Dispute) -> Value | MergePolicy:
    base, ours, theirs = dispute.base, dispute.ours, dispute.theirs
    if not isinstance(ours, bytes) or not isinstance(theirs, bytes) or not isinstance(base, bytes | None):
        return MergePolicy.CONFLICT
    # libgit2 takes longer to load than most merges without texts.
    from crdtgraph.state.texts import merge_texts

    merged = merge_texts(base or b"", ours, theirs)
    return MergePolicy.CONFLICT if merged is None else merged


def _called(dispute: Dispute, function: MergeFunction) -> Value | MergePolicy:
    path = dispute.path
    try:
        answer = function(path, dispute.base, dispute.ours, dispute.theirs)
    except CrdtGraphError:
        raise
    except Exception as error:
        raise LocalError(
            f"the merge policy of {path!r:.80} failed: {type(error).__name__}: {error}",
            hint="nothing was merged; a policy takes path, base, ours and theirs",
        ) from error
    if isinstance(answer, MergePolicy):
        if answer is not MergePolicy.CONFLICT:
            raise LocalError(
                f"the merge policy of {path!r:.80} answered with the policy {answer.value!r}",
                hint="answer with a value, None to remove the path, or MergePolicy.CONFLICT",
            )
        return answer
    ordered_changes({path: answer})
    return answer


def _bytes(value: Value) -> bytes:
    assert isinstance(value, bytes)
    return value
