"""The wall clock and the entropy of one simulated machine.

Wall time is trio's simulated time plus an offset of the machine's own, which may jump either way, as after a correction
or a suspended virtual machine. Time that matters to the protocol is trio's and never jumps.
"""

from __future__ import annotations

import random

import trio

from crdtgraph.host import Host

EPOCH_US = 1_700_000_000_000_000
"""Where simulated time begins: November 2023."""


class SimClock:
    """One machine's clock. `rate` is how fast it runs: 1.0001 gains 0.1 ms a second."""

    def __init__(self, rng: random.Random, *, skew_s: float = 0.0, rate: float = 1.0) -> None:
        self._offset_us = int(skew_s * 1e6)
        self._rate = rate
        self._rng = rng

    def now_us(self) -> int:
        """Microseconds since the Unix epoch, as this machine believes."""
        return EPOCH_US + self._offset_us + int(trio.current_time() * self._rate * 1e6)

    def jump(self, seconds: float) -> None:
        """Set the clock forward, or back."""
        self._offset_us += int(seconds * 1e6)

    def host(self) -> Host:
        """What a graph on this machine is given."""
        return Host(now_us=self.now_us, random_bytes=self._rng.randbytes)
