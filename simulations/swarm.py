"""Scenarios drawn from a seed: swarm testing (Groce et al., 2012).

Each world leaves out some faults and some operations and exaggerates others: a bug that needs one thing much and
another not at all is found sooner than by always doing a little of everything. What was drawn is an explicit scenario
like any other, so a run of it can be written to a file and made smaller.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from simulations import timeline
from simulations.scenario import (
    LEDGER_OPERATIONS,
    OBJECT_OPERATIONS,
    REGISTER_OPERATIONS,
    SEARCH_OPERATIONS,
    TREE_OPERATIONS,
    Clock,
    Expectation,
    Link,
    Scenario,
    Topology,
    Workload,
)
from simulations.seeds import child
from simulations.timeline import AnyEvent
from simulations.wire import WireProperties

FAULTS_MAX = 40
COMPANY_SHARE = 0.3
COMPANY_S = 0.5
"""Of the faults, those that strike soon after another one is over: whoever recovers has the most to lose."""
FLAPS_MEAN_S = 1.0
WRITES_MAX = (5, 20, 100)
SYNCS_MAX = 5
"""In one of so many writes or syncs a process dies."""
WRITES_WITHIN_S = 5.0
"""A machine is given so much time to do them."""
IMPORT_COMMITS = (60, 1_200)
"""The second is more than a batch of the importer."""
LATE_SHARE = 0.15
"""Of the worlds, those in which a machine joins late."""
IMPORT_SHARE = 0.05
COMPACTION_SHARE = 0.15
"""Of the worlds, those in which somebody dies about a compaction."""
FILL_COMMITS, FILL_S = 60, 3.0
"""So much is to be joined then."""
QUIET_SHARE = 0.05
QUIET_S = 60.0
OBJECTS_SHARE = 0.3
SEARCHES_SHARE = 0.5
REGISTERS_SHARE = 0.3
TREES_SHARE = 0.3
SYNC_S = (0.02, 0.02, 0.02, 1.0)
"""How long disks take to sync at most: flash mostly, and one that is shared with others who write much."""


def draw(seed: int) -> Scenario:
    """The scenario of a seed."""
    rng = child(seed, "scenario")
    nodes = rng.choice((2, 3, 3, 3, 4, 4, 5, 7))
    names = [f"n{number}" for number in range(nodes)]
    duration_s = rng.choice((10.0, 30.0, 60.0))
    return Scenario(
        name=f"seed {seed}",
        seed=seed,
        nodes=nodes,
        topology=rng.choice([*Topology]),
        duration_s=duration_s,
        wire=_draw_wire(rng),
        links=_draw_links(rng, names),
        clocks=_draw_clocks(rng, names),
        workload=_with_more(seed, _draw_workload(rng, nodes, duration_s)),
        settings={**_draw_settings(rng), **_draw_checkpoints(child(seed, "checkpoints"))},
        sync_s=rng.choice(SYNC_S),
        timeline=_with_compaction(child(seed, "compaction"), names, duration_s, _draw_timeline(rng, names, duration_s)),
        expect=Expectation(quiet_s=QUIET_S if rng.random() < QUIET_SHARE else 0.0),
    )


def _draw_wire(rng: random.Random) -> WireProperties:
    latency_s = rng.choice((0.0001, 0.001, 0.02, 0.2))
    return WireProperties(
        latency_s=latency_s,
        jitter_s=latency_s * rng.choice((0, 0.5, 3)),
        bytes_per_s=rng.choice((10e3, 50e3, 1e6, 100e6)),
        window_bytes=rng.choice(((4 << 10) if latency_s < 0.1 else (64 << 10), 64 << 10, 256 << 10)),
        fragmentation=rng.choice((0.0, 0.3, 0.9)),
    )


def _draw_links(rng: random.Random, names: list[str]) -> tuple[Link, ...]:
    """In some worlds a few paths are far slower or faster than the others, perhaps one way only."""
    links = []
    for _ in range(rng.choice((0, 0, 1, 3))):
        one, other = rng.sample(names, 2)
        latency_s = rng.choice((0.0001, 0.05, 0.5))
        links.append(
            Link(
                between=(one, other),
                one_way=rng.random() < 0.3,
                latency_s=latency_s,
                bytes_per_s=rng.choice((50e3, 1e6)),
                window_bytes=64 << 10,
            )
        )
    return tuple(links)


def _draw_clocks(rng: random.Random, names: list[str]) -> tuple[Clock, ...]:
    skew_s = rng.choice((0.0, 0.5, 3_600.0))
    if not skew_s:
        return ()
    return tuple(
        Clock(node=name, offset_s=round(rng.uniform(-skew_s, skew_s), 3), rate=rng.choice((1.0, 1.0, 0.999, 1.001)))
        for name in names
    )


def _draw_workload(rng: random.Random, nodes: int, duration_s: float) -> Workload:
    mix = {kind: weight * rng.choice((0.0, 1.0, 1.0, 1.0, 4.0)) for kind, weight in LEDGER_OPERATIONS.items()}
    mix["commit"] = mix["commit"] or LEDGER_OPERATIONS["commit"]
    # Long worlds are calmer: what a world costs grows with its operations, and what it finds with their variety.
    operations_per_s = rng.choice((0.5, 2.0, 8.0)) * min(1.0, 20.0 / duration_s) / nodes
    return Workload(
        operations_per_s=round(operations_per_s, 3),
        mix={kind: weight for kind, weight in mix.items() if weight},
        refs=rng.choice((1, 3, 3, 12)),
        batch_commits_max=rng.choice((5, 30, 300)),
        large_bytes=rng.choice((20_000, 200_000)),
    )


def _with_more(seed: int, workload: Workload) -> Workload:
    for operations, share, name in (
        (OBJECT_OPERATIONS, OBJECTS_SHARE, "objects"),
        (TREE_OPERATIONS, TREES_SHARE, "trees"),
        (SEARCH_OPERATIONS, SEARCHES_SHARE, "searches"),
        (REGISTER_OPERATIONS, REGISTERS_SHARE, "registers"),
    ):
        workload = _with(operations, share, workload, child(seed, name))
    return workload


def _with(operations: dict[str, float], share: float, workload: Workload, rng: random.Random) -> Workload:
    """In some worlds more is done. Drawn apart, so that all else about a seed is as it was without."""
    if rng.random() >= share:
        return workload
    more = {kind: weight * rng.choice((0.5, 1.0, 4.0)) for kind, weight in operations.items()}
    changed: Workload = msgspec.structs.replace(workload, mix={**workload.mix, **more})
    return changed


def _draw_settings(rng: random.Random) -> dict[str, float]:
    """In some worlds summaries are hardly ever compared unasked, queues are short, or diffs come in many parts."""
    anti_entropy_s = rng.choice((None, None, 2.0, 60.0))
    queue_messages_max = rng.choice((None, None, 1, 4))
    delta_bytes_max = rng.choice((None, None, 1_000, 10_000))
    drawn = {
        "anti_entropy_s": anti_entropy_s,
        "queue_messages_max": queue_messages_max,
        "delta_bytes_max": delta_bytes_max,
    }
    return {name: float(value) for name, value in drawn.items() if value is not None}


def _draw_checkpoints(rng: random.Random) -> dict[str, float]:
    """In most worlds nodes write checkpoints all the time, in some as seldom as they do otherwise: never."""
    weight_min = rng.choice((None, 20, 20, 200))
    return {} if weight_min is None else {"checkpoint_weight_min": weight_min, "checkpoint_spacing_s": 0.1}


def _draw_timeline(rng: random.Random, names: list[str], duration_s: float) -> tuple[AnyEvent, ...]:
    kinds = [*_FAULTS]
    chosen = rng.sample(kinds, rng.randint(0, len(kinds)))
    every_s = rng.choice((1.0, 5.0, 15.0))
    mean_s = rng.choice((1.0, 8.0, 40.0))
    events: list[AnyEvent] = []
    at_s = 0.0
    while chosen and len(events) < FAULTS_MAX:
        at_s += rng.expovariate(1 / every_s)
        if at_s >= duration_s:
            break
        for_s = round(rng.expovariate(1 / mean_s), 3)
        begin_s = at_s
        if events and rng.random() < COMPANY_SHARE:
            begin_s = min(rng.choice(events).until_s + rng.expovariate(1 / COMPANY_S), duration_s)
        events.append(_FAULTS[rng.choice(chosen)](_Dice(rng, names, round(begin_s, 3), for_s)))
    if rng.random() < LATE_SHARE:
        events.append(timeline.Join(at_s=round(rng.uniform(0, duration_s), 3), node=rng.choice(names[1:])))
    if rng.random() < IMPORT_SHARE:
        commits = rng.choice(IMPORT_COMMITS)
        events += [
            timeline.ImportGit(at_s=round(rng.uniform(0, duration_s), 3), node=node, commits=commits)
            for node in rng.sample(names, rng.choice((1, 1, 2)))
        ]
    return tuple(sorted(events, key=lambda event: event.at_s))


def _with_compaction(
    rng: random.Random, names: list[str], duration_s: float, drawn: tuple[AnyEvent, ...]
) -> tuple[AnyEvent, ...]:
    """In some worlds a machine joins many segments and dies over it, or somebody on the other side of a cut does then.

    Drawn apart, so that all else about a seed is as it was without.
    """
    if rng.random() >= COMPACTION_SHARE:
        return drawn
    node, other = rng.sample(names, 2)
    at_s = rng.uniform(0, duration_s - 10)
    compact_s = round(at_s + FILL_S + 2, 3)
    fill = timeline.Do(at_s=round(at_s, 3), for_s=FILL_S, nodes=(node,), operation="commit_on_ref", count=FILL_COMMITS)
    events: tuple[AnyEvent, ...] = (fill, timeline.Do(at_s=compact_s, nodes=(node,), operation="compact"))
    if rng.random() < 0.5:
        loses_power = rng.random() < 0.5
        crash = timeline.CrashInWrite(at_s=compact_s - 1, for_s=4, node=node, moment="batch", loses_power=loses_power)
        events += (crash,)
    else:
        sides = (tuple(name for name in names if name != other), (other,))
        writes = rng.randint(1, 4)
        events += (
            timeline.Partition(at_s=compact_s - 1, for_s=3, groups=sides),
            timeline.CrashInWrite(at_s=compact_s + 1.9, for_s=2, node=other, writes=writes),
        )
    return tuple(sorted((*drawn, *events), key=lambda event: event.at_s))


class _Dice:
    """What the makers of events draw from."""

    def __init__(self, rng: random.Random, names: list[str], at_s: float, for_s: float) -> None:
        self.rng = rng
        self.names = names
        self.at_s = at_s
        self.for_s = for_s

    @property
    def node(self) -> str:
        return self.rng.choice(self.names)

    @property
    def refuses(self) -> bool:
        return self.rng.random() < 0.5

    def pair(self) -> tuple[str, str]:
        one, other = self.rng.sample(self.names, 2)
        return one, other


def _partition(dice: _Dice) -> AnyEvent:
    groups: list[list[str]] = [[] for _ in range(dice.rng.randint(2, 3))]
    for name in dice.names:
        dice.rng.choice(groups).append(name)
    sides = tuple(tuple(group) for group in groups if group)
    return timeline.Partition(at_s=dice.at_s, for_s=dice.for_s, groups=sides, refuses=dice.refuses)


def _isolation(dice: _Dice) -> AnyEvent:
    alone = dice.node
    rest = tuple(name for name in dice.names if name != alone)
    return timeline.Partition(at_s=dice.at_s, for_s=dice.for_s, groups=((alone,), rest), refuses=dice.refuses)


def _one_way_cut(dice: _Dice) -> AnyEvent:
    source, target = dice.pair()
    return timeline.OneWayCut(at_s=dice.at_s, for_s=dice.for_s, source=source, target=target, refuses=dice.refuses)


def _flapping(dice: _Dice) -> AnyEvent:
    down_s, up_s = (round(0.05 + dice.rng.expovariate(1 / FLAPS_MEAN_S), 3) for _ in range(2))
    return timeline.Flapping(at_s=dice.at_s, for_s=dice.for_s, between=dice.pair(), down_s=down_s, up_s=up_s)


def _starvation(dice: _Dice) -> AnyEvent:
    slice_s = dice.rng.choice((0.05, 0.5, 5.0))
    return timeline.Starvation(at_s=dice.at_s, for_s=dice.for_s, node=dice.node, share=0.05, slice_s=slice_s)


def _clock_jump(dice: _Dice) -> AnyEvent:
    by_s = dice.rng.choice((-1, 1)) * dice.rng.choice((0.01, 1.0, 100.0, 10_000.0)) * dice.rng.random()
    return timeline.ClockJump(at_s=dice.at_s, node=dice.node, by_s=round(by_s, 3))


def _disk_errors(dice: _Dice) -> AnyEvent:
    share, is_sticky = dice.rng.choice((0.1, 0.5, 1.0)), dice.rng.random() < 0.5
    return timeline.DiskErrors(at_s=dice.at_s, for_s=dice.for_s, node=dice.node, share=share, is_sticky=is_sticky)


def _disk_full(dice: _Dice) -> AnyEvent:
    free_bytes = dice.rng.choice((0, 300, 5_000))
    return timeline.DiskFull(at_s=dice.at_s, for_s=dice.for_s, node=dice.node, free_bytes=free_bytes)


def _crash_in_write(dice: _Dice) -> AnyEvent:
    writes = dice.rng.randint(1, dice.rng.choice(WRITES_MAX))
    for_s = round(dice.for_s + WRITES_WITHIN_S, 3)
    return timeline.CrashInWrite(at_s=dice.at_s, for_s=for_s, node=dice.node, writes=writes)


def _power_loss_in_write(dice: _Dice) -> AnyEvent:
    return replace(_crash_in_write(dice), loses_power=True)


def _crash_in_batch(dice: _Dice) -> AnyEvent:
    return replace(_crash_in_write(dice), writes=1, moment="batch", loses_power=dice.rng.random() < 0.5)


def _power_loss_in_sync(dice: _Dice) -> AnyEvent:
    return replace(_crash_in_write(dice), writes=dice.rng.randint(1, SYNCS_MAX), moment="sync", loses_power=True)


def _backup(dice: _Dice) -> AnyEvent:
    down_s = round(dice.rng.expovariate(1 / 5), 3)
    return timeline.Backup(at_s=dice.at_s, for_s=dice.for_s, node=dice.node, down_s=down_s)


def _reset(dice: _Dice) -> AnyEvent:
    return timeline.Reset(at_s=dice.at_s, node=dice.node, share=dice.rng.choice((0.5, 1.0)))


def _lasting(
    make: type[timeline.Stall | timeline.Kill | timeline.PowerLoss | timeline.Restart | timeline.Pause],
) -> Callable[[_Dice], AnyEvent]:
    return lambda dice: make(at_s=dice.at_s, for_s=dice.for_s, node=dice.node)


_FAULTS: dict[str, Callable[[_Dice], AnyEvent]] = {
    "partition": _partition,
    "isolation": _isolation,
    "one-way cut": _one_way_cut,
    "flapping": _flapping,
    "reset": _reset,
    "stall": _lasting(timeline.Stall),
    "kill": _lasting(timeline.Kill),
    "power loss": _lasting(timeline.PowerLoss),
    "crash in a write": _crash_in_write,
    "power loss in a write": _power_loss_in_write,
    "crash in a batch": _crash_in_batch,
    "power loss in a sync": _power_loss_in_sync,
    "restart": _lasting(timeline.Restart),
    "pause": _lasting(timeline.Pause),
    "starvation": _starvation,
    "clock jump": _clock_jump,
    "disk errors": _disk_errors,
    "disk full": _disk_full,
    "restored backup": _backup,
}
