"""What the graph takes from the machine it runs on: the time and randomness, and nothing else.

The graph never reads a clock or an entropy pool on its own: it is handed a `Host`. A program gets the real one
by default, a simulation hands in its own, and then a run is repeatable from one seed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Host:
    """`now_us()` is microseconds since the Unix epoch, `random_bytes(n)` n unpredictable bytes.

    `release_memory()` is called when much was freed at once, so that the system may have it back.
    """

    now_us: Callable[[], int]
    random_bytes: Callable[[int], bytes]
    release_memory: Callable[[], object] = bool


def _system_release_memory() -> None:
    """Give freed memory back to the system; some milliseconds. glibc alone keeps it, and has a function for that."""
    if sys.platform == "linux":
        import ctypes  # Nobody but a process that drops large searches needs it.

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _system_now_us() -> int:
    return time.time_ns() // 1000


SYSTEM = Host(now_us=_system_now_us, random_bytes=os.urandom, release_memory=_system_release_memory)
"""The machine's own wall clock and entropy."""
