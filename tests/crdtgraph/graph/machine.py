"""A machine whose clock the test sets."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from crdtgraph import Host


@dataclass
class Machine:
    """A host whose clock moves when told to and whose randomness repeats."""

    seed: int = 0
    now: int = 1_700_000_000_000_000
    rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    @property
    def host(self) -> Host:
        return Host(now_us=lambda: self.now, random_bytes=self.rng.randbytes)
