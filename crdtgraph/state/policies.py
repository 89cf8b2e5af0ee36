"""Merge policies: what becomes of a path that both sides of a merge changed, each for itself.

A merge has to come out the same wherever it is made, so a policy is a function of the values and of the commits that
set them, and the policies themselves have to be the same on the replicas. They are if they are kept in the ledger, as
metadata of the graph: the key is "merge/" and a pattern, the value a policy's name. A call may name others instead.

A key of that kind that cannot be read (a newer version may have written it) has the policy `CONFLICT`, and a pattern
that cannot be read fits no path: a merge never stops because of what a peer wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import TypeAlias

from crdtgraph.errors import LocalError
from crdtgraph.records import Value
from crdtgraph.state.patterns import PathPattern, parse_path_pattern

META_PREFIX = "merge/"
"""What the keys of stored policies begin with."""


class MergePolicy(StrEnum):
    """What a merge does with a path that both sides changed differently; docs/merging.md has the table."""

    CONFLICT = "conflict"
    OURS = "ours"
    THEIRS = "theirs"
    LATEST = "latest"
    MAX = "max"
    MIN = "min"
    SUM = "sum"
    SET_UNION = "set-union"
    TEXT = "text"


MergeFunction: TypeAlias = Callable[[str, Value, Value, Value], Value | MergePolicy]
"""Given path, base, ours and theirs (None where the path is not), the value that stands, None to remove the path, or
`MergePolicy.CONFLICT`. Its answer may depend on nothing else, or replicas disagree."""

PathPolicies: TypeAlias = Mapping[str, MergePolicy | str | MergeFunction]
"""Policies by pattern, as callers give them."""


class Policies:
    """The policy of every path; `CONFLICT` for those that no pattern describes."""

    __slots__ = ("_ordered",)

    def __init__(self, ordered: Iterable[tuple[PathPattern, MergePolicy | MergeFunction]] = ()) -> None:
        self._ordered = sorted(ordered, key=lambda entry: entry[0].precedence)

    def of(self, path: str) -> MergePolicy | MergeFunction:
        """The policy of a path: that of the most specific pattern that it fits."""
        return next((policy for pattern, policy in self._ordered if pattern.matches(path)), MergePolicy.CONFLICT)

    def has(self, policy: MergePolicy) -> bool:
        """Whether any pattern has this policy."""
        return any(each is policy for _, each in self._ordered)


NO_POLICIES = Policies()


def read_policies(given: PathPolicies) -> Policies:
    """A caller's policies, checked; raises LocalError that names the pattern or the policy that is wrong."""
    if not isinstance(given, Mapping):
        raise LocalError(
            f"policies are {given!r:.80}", hint='pass a mapping from pattern to policy: {"scores/*": "max"}'
        )
    return Policies(
        (parse_path_pattern(pattern), policy if callable(policy) else read_policy(policy))
        for pattern, policy in given.items()
    )


def read_policy(name: object) -> MergePolicy:
    """The policy of a name; raises LocalError with those that there are."""
    policy = next((policy for policy in MergePolicy if policy == name), None)
    if policy is None:
        raise LocalError(f"{name!r:.80} is no merge policy", hint=f"one of {', '.join(MergePolicy)}")
    return policy


def stored_policies(metadata: Mapping[str, bytes]) -> dict[str, MergePolicy]:
    """The policies in the metadata of a graph, by pattern, in the order in which patterns are tried."""
    found = []
    for key, value in metadata.items():
        if key.startswith(META_PREFIX):
            try:
                pattern = parse_path_pattern(key.removeprefix(META_PREFIX))
            except LocalError:
                continue
            found.append((pattern, _stored(value)))
    found.sort(key=lambda entry: entry[0].precedence)
    return {pattern.text: policy for pattern, policy in found}


def _stored(value: bytes) -> MergePolicy:
    return next((policy for policy in MergePolicy if policy.encode() == value), MergePolicy.CONFLICT)
