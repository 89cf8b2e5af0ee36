"""When what is written must be on disk: three classes, and who decides which one a write is in.

| class | on return | after a kill of the process | after a power cut |
| --- | --- | --- | --- |
| `CRITICAL` | fsynced | there | there |
| `NORMAL` | folded, written behind within 100 ms or 256 records | there once written | there after the next fsync |
| `SPECULATIVE` | folded, in a search plane | gone | gone |

A commit that moves a ref is worth an fsync of its own; a thousand that merely extend the graph are worth one together;
and most of what a search tries is worth none. Reads see all three at once. A call may name its class; one that does not
is put into a class by the graph's `Policy`. Nothing is dropped to save time: a full buffer is written first, by the
call that finds it full.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple, Protocol

from crdtgraph.errors import LocalError


class Durability(Enum):
    """When a record survives what; see the table above."""

    CRITICAL = "critical"
    NORMAL = "normal"
    SPECULATIVE = "speculative"


class WriteKind(StrEnum):
    """What a call writes."""

    COMMIT = "commit"
    REF = "ref"
    META = "meta"
    COUNT = "count"
    DISCARD = "discard"
    MERGE = "merge"
    PROMOTE = "promote"


class Write(NamedTuple):
    """A write whose class is asked for. A named tuple, because one is made at every call.

    `plane` is where it goes (the ledger, for a promotion), `in_search` whether that is a search plane, `moves` the refs
    that it moves.
    """

    kind: WriteKind
    plane: str
    in_search: bool = False
    moves: tuple[str, ...] = ()


class Policy(Protocol):
    """Puts writes into classes. It must answer alike for equal writes, and quickly: it is asked at every call."""

    def durability(self, write: Write) -> Durability:
        """The class of a write whose caller named none."""
        ...


class StandardPolicy:
    """What moves a ref is critical, what is said inside a search is speculative, all else is normal.

    A merge moves a ref and is normal all the same: it follows from its heads and the ledger's policies, so one that a
    power cut takes back is made again, the same to the byte, by whoever merges next. One by policies of the call is
    asked for as a move of the ref, and critical. A promotion that moves a ref is critical.
    """

    def durability(self, write: Write) -> Durability:
        """See `Policy.durability`. O(1)."""
        if write.kind is WriteKind.MERGE:
            return Durability.NORMAL
        return standard_class(moves_ref=bool(write.moves), in_search=write.in_search)


STANDARD_POLICY = StandardPolicy()


def standard_class(*, moves_ref: bool, in_search: bool) -> Durability:
    """What the standard policy says of all but merges; commits ask here, as a `Write` for each would cost them 1 us."""
    if moves_ref:
        return Durability.CRITICAL
    return Durability.SPECULATIVE if in_search else Durability.NORMAL


def classify(policy: Policy, write: Write, chosen: Durability | None) -> Durability:
    """The class of a write: the one that the caller chose, else the policy's.

    Raises LocalError for an answer that is no class, and for a speculative write to a plane that is kept.
    """
    if write.in_search and write.kind in (WriteKind.COUNT, WriteKind.DISCARD):
        if chosen not in (None, Durability.SPECULATIVE):
            raise LocalError(
                f"a {write.kind} in plane {write.plane!r} goes with the search",
                hint="promote the commit, and say it in the ledger",
            )
        return Durability.SPECULATIVE
    given: object = policy.durability(write) if chosen is None else chosen
    if not isinstance(given, Durability):
        whose = "the policy" if chosen is None else "the caller"
        raise LocalError(f"{given!r:.80} is no durability, said {whose}", hint="use a member of crdtgraph.Durability")
    if given is Durability.SPECULATIVE and not write.in_search:
        raise LocalError(
            f"a {write.kind} in plane {write.plane!r} cannot be speculative: what goes there is kept",
            hint='commit to a search: graph.search("name").commit(...)',
        )
    return given
