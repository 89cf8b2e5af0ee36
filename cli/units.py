"""Durations and sizes, short and in the unit that suits them."""

from __future__ import annotations


def span(seconds: float) -> str:
    """A duration in two units at most: 350ms, 4.2s, 43s, 3m12s, 5h07m, 12d04h."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3_600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3_600}h{whole % 3_600 // 60:02}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3_600:02}h"


def short_time(microseconds: float) -> str:
    """A time that something takes, with three digits at most: 87us, 1.25ms, 30ms, 1.2s."""
    if microseconds < 999.5:
        return f"{microseconds:.0f}us"
    milliseconds = microseconds / 1_000
    return f"{milliseconds:.3g}ms" if milliseconds < 999.5 else span(milliseconds / 1_000)


def fine_time(nanoseconds: float) -> str:
    """The same for times that may be very short, with three digits: 875ns, 4.51us, 87.2us, 1.25ms."""
    if nanoseconds < 999.5:
        return f"{nanoseconds:.0f}ns"
    microseconds = nanoseconds / 1_000
    return f"{microseconds:.3g}us" if microseconds < 999.5 else short_time(microseconds)


def size(count: int) -> str:
    """A number of bytes: 999B, 1.2kB, 34MB."""
    if count < 1_000:
        return f"{count}B"
    value, unit = count / 1_000, "kB"
    for larger in ("MB", "GB", "TB", "PB"):
        if value < 999.5:
            break
        value, unit = value / 1_000, larger
    return f"{value:.1f}{unit}" if value < 9.95 else f"{value:.0f}{unit}"


def number(count: int) -> str:
    """A count with its thousands apart."""
    return f"{count:,}"
