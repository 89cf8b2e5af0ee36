"""Makes a failing scenario smaller while it still breaks the same rule: what is left is what the failure needs.

Delta debugging (Zeller and Hildebrandt, 2002) over the parts of a scenario: faults and deeds, machines, operations,
time, and everything that differs from the defaults. A smaller world rolls other dice at the same moments, so each
candidate gets a few seeds before it counts as passing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from simulations import timeline
from simulations.runner import Outcome, run
from simulations.scenario import Scenario, Topology, Workload
from simulations.timeline import AnyEvent, nodes_of
from simulations.wire import WireProperties

SEEDS_PER_CANDIDATE = 3
ATTEMPTS_MAX = 400
LINES_KEPT = 200
SMALLEST_DURATION_S = 1.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One candidate: what was left out, whether the failure stayed, and what is the smallest scenario now."""

    number: int
    change: str
    is_kept: bool
    smallest: Scenario


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The smallest scenario found, its run, and how many worlds it took."""

    scenario: Scenario
    outcome: Outcome
    attempts: int


def shrink(
    outcome: Outcome, *, attempts_max: int = ATTEMPTS_MAX, progress: Callable[[Attempt], None] = lambda _: None
) -> Shrunk:
    """The smallest scenario that breaks the rule that a failed run broke.

    Args:
        outcome: of the failed run.
        attempts_max: candidates to try at most; each costs up to three worlds.
        progress: called after each candidate.
    """
    smallest = replace(outcome.scenario, seed=outcome.seed)
    attempts = 0
    is_smaller = True
    while is_smaller and attempts < attempts_max:
        is_smaller = False
        for make in _PASSES:
            candidates = make(smallest)
            candidate = next(candidates, None)
            while candidate is not None and attempts < attempts_max:
                change, scenario = candidate
                attempts += 1
                failed = _run(scenario, outcome.rule)
                if failed is not None:
                    smallest, is_smaller = replace(scenario, seed=failed.seed), True
                    outcome = failed
                    candidates = make(smallest)
                progress(Attempt(attempts, change, failed is not None, smallest))
                candidate = next(candidates, None)
    return Shrunk(smallest, outcome, attempts)


def _run(scenario: Scenario, rule: str) -> Outcome | None:
    """A run that breaks the rule, with one of a few seeds."""
    for seed in range(scenario.seed, scenario.seed + SEEDS_PER_CANDIDATE):
        outcome = run(seed, scenario, lines_kept=LINES_KEPT)
        if outcome.rule == rule:
            return outcome
    return None


Candidates = Iterator[tuple[str, Scenario]]
"""What is left out, and what is left."""


def _without_events(scenario: Scenario) -> Candidates:
    """Leave out half of the events, then a quarter, down to each one alone."""
    events = scenario.timeline
    size = len(events)
    while size:
        for start in range(0, len(events), size):
            rest = events[:start] + events[start + size :]
            yield f"events {start} to {min(start + size, len(events)) - 1}", replace(scenario, timeline=rest)
        size //= 2


def _without_nodes(scenario: Scenario) -> Candidates:
    """Leave out one machine, with all that is about it alone."""
    for gone in reversed(scenario.names) if scenario.nodes > 1 else ():
        names = {name: f"n{number}" for number, name in enumerate(each for each in scenario.names if each != gone)}
        events = [_renamed(event, names) for event in scenario.timeline]
        links = [
            replace(link, between=(names[link.between[0]], names[link.between[1]]))
            for link in scenario.links
            if gone not in link.between
        ]
        clocks = [replace(clock, node=names[clock.node]) for clock in scenario.clocks if clock.node != gone]
        yield (
            f"machine {gone}",
            replace(
                scenario,
                nodes=scenario.nodes - 1,
                timeline=tuple(event for event in events if event is not None),
                links=tuple(links),
                clocks=tuple(clocks),
            ),
        )


def _renamed(event: AnyEvent, names: dict[str, str]) -> AnyEvent | None:
    """The event among other machines; None if one is gone without whom it is nothing."""
    match event:
        case timeline.Partition(groups=groups):
            kept = tuple(tuple(names[name] for name in group if name in names) for group in groups)
            return replace(event, groups=tuple(group for group in kept if group))
        case timeline.Do(nodes=nodes):
            doers = tuple(names[name] for name in nodes if name in names)
            return replace(event, nodes=doers) if doers else None
    if not all(name in names for name in nodes_of(event)):
        return None
    match event:
        case timeline.OneWayCut(source=source, target=target):
            return replace(event, source=names[source], target=names[target])
        case timeline.Flapping(between=(one, other)):
            return replace(event, between=(names[one], names[other]))
        case _:
            return replace(event, node=names[event.node])


def _with_less_time(scenario: Scenario) -> Candidates:
    """End sooner, and let events last half as long."""
    shorter = scenario.duration_s / 2
    if shorter >= SMALLEST_DURATION_S:
        kept = tuple(event for event in scenario.timeline if event.at_s <= shorter)
        yield "the second half", replace(scenario, duration_s=shorter, timeline=kept)
    early = min((event.at_s for event in scenario.timeline), default=0.0) - SMALLEST_DURATION_S
    if early > 0:
        moved = tuple(replace(event, at_s=round(event.at_s - early, 3)) for event in scenario.timeline)
        left_s = max(SMALLEST_DURATION_S, round(scenario.duration_s - early, 3))
        yield "the time before anything happens", replace(scenario, duration_s=left_s, timeline=moved)
    for number, event in enumerate(scenario.timeline):
        for_s = getattr(event, "for_s", 0.0)
        if for_s > SMALLEST_DURATION_S:
            halved = replace(event, for_s=round(for_s / 2, 3))
            events = (*scenario.timeline[:number], halved, *scenario.timeline[number + 1 :])
            yield f"half of event {number}", replace(scenario, timeline=events)


def _with_less_work(scenario: Scenario) -> Candidates:
    """Fewer operations, of fewer kinds, and smaller ones."""
    work = scenario.workload
    for kind in work.weights if len(work.weights) > 1 else ():
        mix = {name: weight for name, weight in work.weights.items() if name != kind}
        yield f"operation {kind}", replace(scenario, workload=replace(work, mix=mix))
    most = work.operations_max
    for fewer in (0, 4, 16, 64, 256) if most is None else (0, most // 2, most - 1):
        if fewer >= 0 and (most is None or fewer < most):
            yield f"all but {fewer} operations", replace(scenario, workload=replace(work, operations_max=fewer))
    plain = Workload()
    for name, value in (("bursts", 0.0), ("refs", 1), ("batch_commits_max", 5), ("large_bytes", plain.large_bytes)):
        if getattr(work, name) != value:
            yield name, replace(scenario, workload=replace(work, **{name: value}))


def _with_defaults(scenario: Scenario) -> Candidates:
    """What is special about clocks, paths, settings and topology."""
    plain = Scenario()
    for name in ("clocks", "links", "settings", "wire", "expect"):
        if getattr(scenario, name) != getattr(plain, name):
            yield name, replace(scenario, **{name: getattr(plain, name)})
    if scenario.topology is not Topology.MESH:
        yield "topology", replace(scenario, topology=Topology.MESH)
    for number, _ in enumerate(scenario.links):
        yield f"link {number}", replace(scenario, links=scenario.links[:number] + scenario.links[number + 1 :])
    for number, _ in enumerate(scenario.clocks):
        yield f"clock {number}", replace(scenario, clocks=scenario.clocks[:number] + scenario.clocks[number + 1 :])
    for name in WireProperties.__struct_fields__:
        if getattr(scenario.wire, name) != getattr(plain.wire, name):
            wire = replace(scenario.wire, **{name: getattr(plain.wire, name)})
            yield name, replace(scenario, wire=wire)


_PASSES: tuple[Callable[[Scenario], Candidates], ...] = (
    _without_events,
    _without_nodes,
    _with_less_time,
    _with_less_work,
    _with_defaults,
)
