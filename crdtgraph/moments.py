"""Moments as people write them: "2h", "2026-11-01", "2026-11-01T10:00+01:00", "@1764000000000000", "now".

A moment is microseconds since the Unix epoch. What says no zone is UTC, a date alone is its midnight, a duration counts
back from now. Shared by revsets (`since`, `until`) and by the graph as of a time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from crdtgraph.canonical import INT64_MAX, INT64_MIN
from crdtgraph.errors import LocalError

SECOND_US = 1_000_000
UNITS_US = {
    "s": SECOND_US,
    "m": 60 * SECOND_US,
    "h": 3_600 * SECOND_US,
    "d": 86_400 * SECOND_US,
    "w": 7 * 86_400 * SECOND_US,
}
FORMS = "write 90s, 30m, 2h, 3d or 1w for so long ago, 2026-11-01, 2026-11-01T10:00Z, or @ and microseconds"
"""For hints."""
DIGITS_MAX = 19
"""Of a 64-bit number."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION = re.compile(r"(?:[0-9]{1,12}[smhdw])+")
_PART = re.compile(r"([0-9]+)([smhdw])")
_EXACT = re.compile(rf"@(-?[0-9]{{1,{DIGITS_MAX}}})")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ].*)?", re.DOTALL)


def parse_moment(text: str, now_us: int) -> int:
    """The moment that a text names, in microseconds since the Unix epoch; LocalError says which forms there are."""
    wanted = text.strip().removesuffix(" ago").strip()
    if wanted == "now":
        return now_us
    if _DURATION.fullmatch(wanted):
        ago = sum(int(number) * UNITS_US[unit] for number, unit in _PART.findall(wanted))
        return max(now_us - ago, INT64_MIN)
    exact = _EXACT.fullmatch(wanted)
    if exact and INT64_MIN <= int(exact[1]) <= INT64_MAX:
        return int(exact[1])
    if _ISO.fullmatch(wanted):
        try:
            moment = datetime.fromisoformat(wanted)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            return (moment - _EPOCH) // timedelta(microseconds=1)
        except (ValueError, OverflowError) as failure:
            raise LocalError(f"{text[:60]!r} is no time: {failure}", hint=FORMS) from None
    raise LocalError(f"{text[:60]!r} is no time", hint=FORMS)


def moment_text(moment_us: int) -> str:
    """A moment as ISO 8601 in UTC, which `parse_moment` reads again; what no calendar holds as microseconds."""
    try:
        return (_EPOCH + timedelta(microseconds=moment_us)).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return f"@{moment_us}"
