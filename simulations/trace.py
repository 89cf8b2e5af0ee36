"""What happened, in order: a running hash of everything, and the last lines for people.

Two runs that differ anywhere (a byte on a wire, a microsecond, the order of two events) have different hashes from
there on. Nothing in a line may depend on the process: no addresses, no `repr` of an object, no unsorted set.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque

import trio

LINES_KEPT = 2_000
"""Enough to see what led to a failure; the hash covers all of them."""


class Trace:
    """The trace of one world. `counts` says how often each kind of event happened."""

    def __init__(self, lines_kept: int | None = LINES_KEPT) -> None:
        self.lines: deque[str] = deque(maxlen=lines_kept)
        self.counts: Counter[str] = Counter()
        self._hash = hashlib.sha256()

    def note(self, who: str, what: str, detail: str = "") -> None:
        """Add one event at the present simulated time."""
        line = f"{trio.current_time():.6f} {who} {what} {detail}".rstrip()
        self._hash.update(line.encode() + b"\n")
        self.counts[what] += 1
        self.lines.append(line)

    @property
    def digest(self) -> str:
        """The hash of everything so far, in hex."""
        return self._hash.hexdigest()
