"""What a set of segments means, said again in sets and dicts: the independent opinion that checkers compare with.

No code of `crdtgraph` decides anything here. The rules are those of docs/design.md, written for being obviously right
and not for speed: everything is computed from scratch, ancestors by walking.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

SegmentName = tuple[int, int]
"""Writer and place in its log."""
Dot = tuple[int, int]
REF = "ref"


@dataclass(frozen=True, slots=True)
class Assigned:
    """One assignment; an empty `value` of None removes."""

    namespace: str
    key: str
    value: bytes | None
    dot: Dot
    supersedes: frozenset[Dot]
    stamp: int


@dataclass(frozen=True, slots=True)
class Said:
    """One segment in plain values."""

    name: SegmentName
    supersedes: frozenset[SegmentName]
    commits: tuple[tuple[bytes, tuple[bytes, ...], int], ...] = ()
    """Id, parents, time."""
    assigns: tuple[Assigned, ...] = ()
    counts: tuple[tuple[bytes, tuple[int, ...]], ...] = ()
    discards: tuple[bytes, ...] = ()


@dataclass(slots=True)
class Model:
    """What everybody who holds these segments must see."""

    parents: dict[bytes, tuple[bytes, ...]] = field(default_factory=dict)
    """Visible commits."""
    times: dict[bytes, int] = field(default_factory=dict)
    generations: dict[bytes, int] = field(default_factory=dict)
    live: set[bytes] = field(default_factory=set)
    counters: dict[bytes, tuple[int, ...]] = field(default_factory=dict)
    refs: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    """Name to targets, the winner first."""
    meta: dict[tuple[str, str], bytes] = field(default_factory=dict)
    pending_commits: set[bytes] = field(default_factory=set)


def fold(segments: Iterable[Said]) -> Model:
    """The model of a set of segments."""
    given = list(segments)
    dead = {name for said in given for name in said.supersedes}
    kept = [said for said in given if said.name not in dead]
    model = Model()
    _show_commits(model, kept)
    _discard(model, kept)
    _count(model, kept)
    _assign(model, kept)
    return model


def ancestors(model: Model, commit: bytes) -> set[bytes]:
    """All commits before this one."""
    found: set[bytes] = set()
    waiting = list(model.parents[commit])
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting.extend(model.parents[each])
    return found


def _show_commits(model: Model, kept: list[Said]) -> None:
    known = {commit: (parents, time) for said in kept for commit, parents, time in said.commits}
    children = defaultdict(list)
    missing = {commit: len(set(parents)) for commit, (parents, _) in known.items()}
    for commit, (parents, _) in known.items():
        for parent in set(parents):
            children[parent].append(commit)
    ready = [commit for commit, number in missing.items() if number == 0]
    while ready:
        commit = ready.pop()
        parents, time = known[commit]
        model.parents[commit], model.times[commit] = parents, time
        model.generations[commit] = 1 + max((model.generations[parent] for parent in parents), default=0)
        for child in children[commit]:
            missing[child] -= 1
            if missing[child] == 0:
                ready.append(child)
    model.pending_commits = known.keys() - model.parents.keys()


def _discard(model: Model, kept: list[Said]) -> None:
    roots = {commit for said in kept for commit in said.discards}
    # Parents have a smaller generation, so they are decided first.
    for commit in sorted(model.parents, key=model.generations.__getitem__):
        if commit not in roots and all(parent in model.live for parent in model.parents[commit]):
            model.live.add(commit)


def _count(model: Model, kept: list[Said]) -> None:
    for said in kept:
        for commit, vector in said.counts:
            if commit in model.parents:
                before = model.counters.get(commit, ())
                width = max(len(before), len(vector))
                columns = zip(_padded(before, width), _padded(vector, width), strict=True)
                model.counters[commit] = tuple(a + b for a, b in columns)
    for commit, total in model.counters.items():
        while total and total[-1] == 0:
            total = total[:-1]
        model.counters[commit] = total
    model.counters = {commit: total for commit, total in model.counters.items() if total}


def _assign(model: Model, kept: list[Said]) -> None:
    applied = {
        assign
        for said in kept
        for assign in said.assigns
        if assign.namespace != REF or assign.value is None or assign.value in model.parents
    }
    gone = {(assign.namespace, assign.key, dot) for assign in applied for dot in assign.supersedes}
    live: dict[tuple[str, str], list[Assigned]] = defaultdict(list)
    for assign in applied:
        if (assign.namespace, assign.key, assign.dot) not in gone and assign.value is not None:
            live[assign.namespace, assign.key].append(assign)
    for (namespace, key), assigns in live.items():
        if namespace == REF:
            model.refs[key] = _targets(model, {assign.value for assign in assigns if assign.value is not None})
        else:
            latest = max(assigns, key=lambda assign: (assign.stamp, assign.dot, assign.value))
            model.meta[namespace, key] = latest.value or b""


def _targets(model: Model, targets: set[bytes]) -> tuple[bytes, ...]:
    below = set().union(*(ancestors(model, target) for target in targets))
    rank = lambda commit: (model.generations[commit], model.times[commit], commit)  # noqa: E731 - one use
    return tuple(sorted(targets - below, key=rank, reverse=True))


def _padded(vector: tuple[int, ...], width: int) -> tuple[int, ...]:
    return vector + (0,) * (width - len(vector))
