"""Refs: named pointers to commits, read from the registers of namespace "ref".

Several live assignments of one ref are no conflict as long as one target descends from all others: that is a
fast-forward seen from two sides. Targets that no other target descends from are *dominating*; with more than one the
ref is conflicted, and readers get a winner that all replicas agree on and the whole list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from crdtgraph.ancestry import independent
from crdtgraph.errors import LocalError, NotFoundError, first_few
from crdtgraph.ids import CommitId, Dot
from crdtgraph.records import REF_NAMESPACE, Assign

if TYPE_CHECKING:
    from crdtgraph.projection import Projection


class RefNotFoundError(NotFoundError, KeyError):
    """There is no ref of that name; a KeyError too, because `Graph.refs` is a mapping."""


class RefElsewhereError(LocalError):
    """A ref would lose a target if it moved where it was asked to."""


class Ref(bytes):
    """What a ref points at: it *is* the winner's commit id, and knows the other targets.

    `targets` holds the winner first and then, when the ref is `conflicted`, the others in order.
    """

    targets: tuple[CommitId, ...]

    def __new__(cls, targets: tuple[CommitId, ...]) -> Ref:
        """Make it of at least one target."""
        ref = super().__new__(cls, targets[0])
        ref.targets = targets
        return ref

    @property
    def conflicted(self) -> bool:
        """Whether writers moved the ref apart and nobody has merged yet."""
        return len(self.targets) > 1

    def __repr__(self) -> str:
        return f"Ref({', '.join(target.hex()[:12] for target in self.targets)})"


class Refs(Mapping[str, Ref]):
    """The refs of a projection, read at the time of the call. Looking one up costs O(its live assignments)."""

    __slots__ = ("_projection",)

    def __init__(self, projection: Projection) -> None:
        self._projection = projection

    def __getitem__(self, name: str) -> Ref:
        return self.require(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.targets(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._projection.registers.keys(REF_NAMESPACE))

    def __len__(self) -> int:
        return len(self._projection.registers.keys(REF_NAMESPACE))

    def require(self, name: str) -> Ref:
        """The ref, or RefNotFoundError with the names there are."""
        targets = self.targets(name)
        if not targets:
            raise RefNotFoundError(f"there is no ref {name!r}", hint=f"refs: {self.listed()}")
        return Ref(targets)

    def listed(self) -> str:
        """The names there are, the first ten, for a message."""
        return first_few(list(self)) or "none yet"

    def targets(self, name: str) -> tuple[CommitId, ...]:
        """The dominating targets, winner first: highest generation, then latest time, then greatest id."""
        projection = self._projection
        live = self.live(name)
        if len(live) == 1 and live[0].value is not None:
            return (CommitId(live[0].value),)
        values = {assign.value for assign in live if assign.value is not None}
        nodes = [projection.nodes[CommitId(value)] for value in values]
        if len(nodes) > 1:
            nodes = independent(projection.dag, nodes)
        return tuple([projection.ids[node] for node in sorted(nodes, key=projection.rank, reverse=True)])

    def conflicted(self) -> list[str]:
        """The names of refs with several targets, sorted. O(live assignments)."""
        return [name for name in self if len(self.live(name)) > 1 and len(self.targets(name)) > 1]

    def live(self, name: str) -> list[Assign]:
        """The live assignments behind a ref, removals among them."""
        return self._projection.registers.live(REF_NAMESPACE, name)

    def dominated_by(self, name: str, target: CommitId, parents: Iterable[CommitId]) -> tuple[Dot, ...]:
        """The dots of live assignments that moving the ref to `target` supersedes as a fast-forward, sorted.

        `parents` are the target's; it need not be in the graph itself yet.
        """
        projection = self._projection
        nodes = [projection.nodes[parent] for parent in parents]

        def is_below(value: bytes | None) -> bool:
            if value is None or value == target:
                return True
            earlier = projection.nodes[CommitId(value)]
            return any(projection.is_ancestor_node(earlier, node) for node in nodes)

        return tuple(sorted({assign.dot for assign in self.live(name) if is_below(assign.value)}))

    def fast_forward(self, name: str, target: CommitId, parents: Iterable[CommitId]) -> tuple[Dot, ...]:
        """`dominated_by`; LocalError unless the ref is new or `target` descends from one of its targets at least."""
        superseded = self.dominated_by(name, target, parents)
        held = [assign for assign in self.live(name) if assign.value is not None]
        if held and not any(assign.dot in superseded for assign in held):
            raise self.not_fast_forward(name)
        return superseded

    def not_fast_forward(self, name: str) -> RefElsewhereError:
        """The error for a ref that would lose a target."""
        at = ", ".join(target.hex()[:12] for target in self.targets(name)) or "deleted by someone else"
        return RefElsewhereError(
            f"ref {name!r} is at {at}, which the new target does not descend from",
            hint="build on it (parents=[...]), or move the ref with set_ref(..., force=True)",
        )


def exact_ids(parents: Iterable[CommitId]) -> tuple[CommitId, ...]:
    """Parents as a caller gave them, with every `Ref` replaced by its target's id."""
    given: object = parents
    if type(given) not in (tuple, list) and (isinstance(given, bytes | str) or not isinstance(given, Iterable)):
        raise LocalError(f"parents are {given!r:.80}, no sequence of ids", hint="pass a list: parents=[...]")
    found = tuple(parents)
    for parent in found:
        if type(parent) is not bytes:
            # A Ref is its target's id; anything else is no id.
            return tuple([_exact_id(parent) for parent in found])
    return found


def _exact_id(value: CommitId) -> CommitId:
    if isinstance(value, bytes):
        return CommitId(bytes(value))
    raise LocalError(f"parent {value!r:.80} is no id", hint="an id is 32 bytes; graph.resolve() turns text into one")
