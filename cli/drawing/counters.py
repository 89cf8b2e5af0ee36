"""Counters of a commit in a few words."""

from __future__ import annotations

MILLIONTHS = 1_000_000


def counted(counters: list[int]) -> str:
    """Counters in a few words: visits, and the mean value if one was counted."""
    visits, *values = counters
    if not values or not visits:
        return f"visits {visits}"
    return f"visits {visits}, value {values[0] / MILLIONTHS / visits:.4g}"
