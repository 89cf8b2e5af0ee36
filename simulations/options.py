"""What a world is like, drawn from its seed: swarm testing (Groce et al., 2012).

Each world leaves out some faults and exaggerates others: a bug that needs one thing much and another not at all is
found sooner than by always doing a little of everything.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum

from .wire import WireProperties


class Topology(StrEnum):
    """Who dials whom."""

    MESH = "mesh"
    RING = "ring"
    LINE = "line"
    STAR = "star"


class FaultKind(StrEnum):
    """What the nemesis may do; see `faults.py`."""

    PARTITION = "partition"
    ISOLATION = "isolation"
    ASYMMETRIC_CUT = "asymmetric cut"
    FLAPPING = "flapping"
    RESET = "reset"
    STALL = "stall"
    KILL = "kill"
    POWER_LOSS = "power loss"
    CRASH_IN_WRITE = "crash in a write"
    RESTART = "restart"
    PAUSE = "pause"
    CLOCK_JUMP = "clock jump"
    DISK_ERRORS = "disk errors"
    DISK_FULL = "disk full"
    BACKUP = "restored backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One world. Times are simulated seconds; `skew_s` is how far the clocks are apart at most.

    `operations_per_s` is the mean of each machine's workload.
    """

    nodes: int = 3
    topology: Topology = Topology.MESH
    wire: WireProperties = field(default_factory=WireProperties)
    duration_s: float = 60.0
    operations_per_s: float = 2.0
    fault_every_s: float = 5.0
    fault_length_s: float = 8.0
    faults: tuple[FaultKind, ...] = tuple(FaultKind)
    skew_s: float = 0.0

    @property
    def names(self) -> list[str]:
        """The machines."""
        return [f"n{number}" for number in range(self.nodes)]

    def peers(self, name: str) -> list[str]:
        """Whom a machine dials. In a mesh both ends of a pair dial, elsewhere one does."""
        names = self.names
        place = names.index(name)
        match self.topology:
            case Topology.MESH:
                return [other for other in names if other != name]
            case Topology.RING:
                return [names[(place + 1) % self.nodes]] if self.nodes > 1 else []
            case Topology.LINE:
                return names[place + 1 : place + 2]
            case Topology.STAR:
                return names[:1] if place else []

    @property
    def diameter(self) -> int:
        """Hops between the two machines that are farthest apart."""
        match self.topology:
            case Topology.MESH:
                return 1
            case Topology.RING:
                return max(1, self.nodes // 2)
            case Topology.LINE:
                return max(1, self.nodes - 1)
            case Topology.STAR:
                return 2


def draw(rng: random.Random) -> Options:
    """The options of a random world."""
    kinds = list(FaultKind)
    chosen = set(rng.sample(kinds, rng.randint(0, len(kinds))))
    latency_s = rng.choice((0.0001, 0.001, 0.02, 0.2))
    nodes = rng.choice((2, 3, 3, 4, 5, 7))
    return Options(
        nodes=nodes,
        topology=rng.choice(list(Topology)),
        wire=WireProperties(
            latency_s=latency_s,
            jitter_s=latency_s * rng.choice((0, 0.5, 3)),
            bytes_per_s=rng.choice((50e3, 1e6, 100e6)),
            # A path that carries less than `WRITE_BYTES` in `send_timeout_s` is no use to a node, and it says so.
            window_bytes=rng.choice(((4 << 10) if latency_s < 0.1 else (64 << 10), 64 << 10, 256 << 10)),
            fragmentation=rng.choice((0.0, 0.3, 0.9)),
        ),
        duration_s=rng.choice((10.0, 30.0, 60.0)),
        operations_per_s=rng.choice((0.5, 2.0, 8.0)) / nodes,
        fault_every_s=rng.choice((1.0, 5.0, 15.0)),
        fault_length_s=rng.choice((1.0, 8.0, 40.0)),
        faults=tuple(kind for kind in kinds if kind in chosen),
        skew_s=rng.choice((0.0, 0.5, 3_600.0)),
    )
