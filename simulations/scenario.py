"""A scenario: everything that a world is like but its dice. Written by people, drawn from a seed, or shrunk.

Units are in the names: seconds, bytes, operations a second. The machines are called n0, n1, ... Everything has a
default, so a scenario says only what matters to it. `files.py` reads and writes it as TOML; `swarm.py` draws it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum
from itertools import combinations
from typing import Annotated

import msgspec
import networkx

from crdtgraph.errors import LocalError
from simulations.timeline import AnyEvent, Count, Do, Join, Pair, Partition, Seconds, Size, nodes_of
from simulations.wire import WireProperties

NODES_MAX = 500
LEDGER_OPERATIONS = {
    "commit": 30.0,
    "commit_on_ref": 15.0,
    "commit_merge": 5.0,
    "commit_many": 2.0,
    "commit_large": 1.0,
    "merge": 6.0,
    "set_ref": 4.0,
    "force_ref": 2.0,
    "delete_ref": 1.0,
    "set_meta": 8.0,
    "count": 15.0,
    "discard": 2.0,
    "search": 0.5,
    "speculate": 0.5,
    "flush": 2.0,
    "compact": 3.0,
    "compact_step": 3.0,
}
"""How often each operation comes if a scenario does not say."""
OBJECT_OPERATIONS = {"commit_object": 3.0, "collect_garbage": 1.0}
"""Those about large values; they come only where a scenario says so."""
TREE_OPERATIONS = {"tree_step": 10.0, "tree_discard": 0.5, "tree_compact": 1.0, "tree_promote": 0.5, "tree_close": 0.2}
"""Those of workers that search one tree together; they come only where a scenario says so."""

SEARCH_OPERATIONS = {"share": 6.0}
"""Those about searches that all machines share; as with large values."""
REGISTER_OPERATIONS = {"assign": 6.0}
"""Those about registers of these searches; as well."""
OPERATIONS = (*LEDGER_OPERATIONS, *OBJECT_OPERATIONS, *SEARCH_OPERATIONS, *REGISTER_OPERATIONS, *TREE_OPERATIONS)

REF_OPERATIONS = ("commit_on_ref", "commit_large", "merge", "set_ref", "force_ref", "delete_ref")
"""Those that are about a ref."""


class Topology(StrEnum):
    """Who dials whom."""

    MESH = "mesh"
    """Everyone dials everyone."""
    RING = "ring"
    LINE = "line"
    STAR = "star"
    """Everyone dials n0."""
    BRIDGE = "bridge"
    """Two cliques, and the machine in the middle is in both."""
    CHORDS = "chords"
    """A ring, and everyone also dials the machine that is the square root of all further on: four neighbours each."""


class Link(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where the path between two machines differs from all others; what is not given is as everywhere.

    With `one_way` only the direction from the first to the second.
    """

    between: Pair
    one_way: bool = False
    latency_s: Seconds | None = None
    jitter_s: Seconds | None = None
    bytes_per_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    window_bytes: Count | None = None
    fragmentation: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None

    def of(self, wire: WireProperties) -> WireProperties:
        """The path's own properties, where everywhere else it is `wire`."""
        own = {name: getattr(self, name) for name in WireProperties.__struct_fields__}
        return msgspec.structs.replace(wire, **{name: value for name, value in own.items() if value is not None})


class Clock(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A machine whose wall clock is `offset_s` ahead (or behind, if negative) and runs at `rate`."""

    node: str
    offset_s: float = 0.0
    rate: Annotated[float, msgspec.Meta(gt=0)] = 1.0


class Workload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the program on each machine does.

    It does something at `operations_per_s` moments a second in the mean, and at a share `bursts` of them ten operations
    at once. `mix` says how often each operation comes, in any unit, and none stands for a little of everything. At most
    `operations_max` are done by one process.
    """

    operations_per_s: Seconds = 1.0
    mix: dict[str, Annotated[float, msgspec.Meta(ge=0)]] = msgspec.field(default_factory=dict)
    bursts: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.25
    refs: Count = 3
    batch_commits_max: Count = 300
    large_bytes: Size = 200_000
    operations_max: Size | None = None

    @property
    def weights(self) -> dict[str, float]:
        """How often each operation comes."""
        return {kind: weight for kind, weight in (self.mix or LEDGER_OPERATIONS).items() if weight}


class Expectation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What must hold at the end beside all the rules of checkers.py.

    Args:
        agrees_within_s: after the last fault is over; by default a bound that follows from topology and latency.
        commits_min: in the agreed graph.
        lost_max: commits that a program made and nobody has; None is any number. What was acknowledged as durable
            is never lost, whatever this says.
        conflicted: refs that must be in conflict; None is no matter.
        quiet_s: for so long after agreement nothing but keep-alives and summaries may be on the wires.
    """

    agrees_within_s: Seconds | None = None
    commits_min: Size = 0
    lost_max: Size | None = None
    conflicted: tuple[str, ...] | None = None
    quiet_s: Seconds = 0.0


class Scenario(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A world; `duration_s` is how long it lives before everything is mended and all have to agree."""

    name: str = ""
    about: str = ""
    """The hazard, in a sentence or two."""
    seed: int = 0
    """Of a run that is given no other."""
    nodes: Annotated[int, msgspec.Meta(ge=1, le=NODES_MAX)] = 3
    topology: Topology = Topology.MESH
    duration_s: Seconds = 60.0
    wire: WireProperties = WireProperties()
    links: tuple[Link, ...] = ()
    clocks: tuple[Clock, ...] = ()
    workload: Workload = msgspec.field(default_factory=Workload)
    settings: dict[str, Annotated[float, msgspec.Meta(ge=0)]] = msgspec.field(default_factory=dict)
    """What every node works by, where it is not as in sync.Settings."""
    sync_s: Seconds = 0.02
    """How long a disk takes to sync at most."""
    timeline: tuple[AnyEvent, ...] = ()
    expect: Expectation = Expectation()

    @property
    def names(self) -> list[str]:
        """The machines."""
        return [f"n{number}" for number in range(self.nodes)]

    @property
    def late(self) -> set[str]:
        """The machines that are not there at the beginning."""
        return {event.node for event in self.timeline if isinstance(event, Join)}

    def peers(self, name: str) -> list[str]:
        """Whom a machine dials. In cliques both ends of a pair dial, elsewhere one does."""
        names = self.names
        place, count = names.index(name), self.nodes
        match self.topology:
            case Topology.MESH:
                dialled = [*range(count)]
            case Topology.RING:
                dialled = [(place + 1) % count]
            case Topology.LINE:
                dialled = [place + 1] if place + 1 < count else []
            case Topology.STAR:
                dialled = [0]
            case Topology.BRIDGE:
                middle = count // 2
                low, high = [*range(middle + 1)], [*range(middle, count)]
                dialled = [*low, *high] if place == middle else low if place < middle else high
            case Topology.CHORDS:
                dialled = [(place + 1) % count, (place + max(1, math.isqrt(count))) % count]
        return [names[each] for each in dict.fromkeys(dialled) if each != place]

    def pairs(self) -> Iterator[Pair]:
        """Every two machines that are connected when all is well, ascending."""
        neighbours = {frozenset((name, peer)) for name in self.names for peer in self.peers(name)}
        return (pair for pair in combinations(self.names, 2) if frozenset(pair) in neighbours)

    @property
    def diameter(self) -> int:
        """Hops between the two machines that are farthest apart. O(nodes^2)."""
        graph = networkx.Graph(self.pairs())
        graph.add_nodes_from(self.names)
        return max(1, int(networkx.diameter(graph)))

    @property
    def rate_min(self) -> float:
        """Bytes a second over the slowest path between neighbours."""
        paths = [(self.path(one, other), self.path(other, one)) for one, other in self.pairs()]
        return min((rate(*each) for forth, back in paths for each in ((forth, back), (back, forth))), default=math.inf)

    def path(self, source: str, target: str) -> WireProperties:
        """The properties of one direction between two machines; of several links that speak of it, the last."""
        wire = self.wire
        for link in self.links:
            if link.between == (source, target) or (link.between == (target, source) and not link.one_way):
                wire = link.of(self.wire)
        return wire


def rate(path: WireProperties, back: WireProperties) -> float:
    """Bytes a second that a path carries at least: a window is let through once a round trip, with the way `back`."""
    round_trip_s = sum(each.latency_s + each.jitter_s for each in (path, back)) + 1e-3
    return min(path.bytes_per_s, path.window_bytes / round_trip_s)


def check(scenario: Scenario) -> None:
    """Refuse what the types allow and no world can be; LocalError with the place and the remedy."""
    names = set(scenario.names)
    for number, event in enumerate(scenario.timeline):
        where = f"timeline[{number}] ({event.kind})"
        _check_names(where, nodes_of(event), names)
        if event.at_s > scenario.duration_s:
            raise LocalError(
                f"{where} begins at {event.at_s:g} s, after the end at {scenario.duration_s:g} s",
                hint="raise duration_s, or let it begin sooner",
            )
        grouped = nodes_of(event) if isinstance(event, Partition) else ()
        if len(set(grouped)) != len(grouped):
            raise LocalError(f"{where} has a machine in two groups", hint="name each machine once")
        pair = () if isinstance(event, Partition) else nodes_of(event)
        if event.kind in ("one-way cut", "flapping") and pair[0] == pair[1]:
            raise LocalError(f"{where} is between {pair[0]} and itself", hint="name two machines")
        if isinstance(event, Do):
            _check_order(where, event)
    for number, link in enumerate(scenario.links):
        _check_names(f"links[{number}]", link.between, names)
    _check_names("clocks", [clock.node for clock in scenario.clocks], names)


def _check_order(where: str, event: Do) -> None:
    if event.commits is not None and event.operation != "commit_many":
        raise LocalError(f"{where} gives `commits` to {event.operation}", hint="only commit_many takes a size")
    if event.ref and event.operation not in REF_OPERATIONS:
        raise LocalError(
            f"{where} gives `ref` to {event.operation}, which is about none", hint=f"use {', '.join(REF_OPERATIONS)}"
        )


def _check_names(where: str, used: Iterator[str] | list[str] | tuple[str, ...], names: set[str]) -> None:
    for name in used:
        if name not in names:
            raise LocalError(
                f"{where} names {name!r}, and there is no such machine",
                hint=f"the machines are n0 to n{len(names) - 1}; raise `nodes`, or change the name",
            )
