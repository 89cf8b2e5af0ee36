"""Names by their beginnings, looked up in sorted lists: O(log n) and what matches."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from crdtgraph.ids import COMMIT_ID_BYTES, CommitId

MATCHES_MAX = 1_000
"""Nobody reads more candidates."""


def ids_with_prefix(ids: Sequence[CommitId], digits: str) -> list[CommitId]:
    """The ids, of a sorted sequence, whose hex begins with these digits; at most 1,000."""
    place = bisect_left(ids, CommitId(bytes.fromhex(digits.ljust(2 * COMMIT_ID_BYTES, "0"))))
    found: list[CommitId] = []
    while place < len(ids) and len(found) < MATCHES_MAX and ids[place].hex().startswith(digits):
        found.append(ids[place])
        place += 1
    return found


def texts_with_prefix(texts: Sequence[str], prefix: str) -> list[str]:
    """The texts, of a sorted sequence, that begin with this one; at most 1,000."""
    place = bisect_left(texts, prefix)
    found: list[str] = []
    while place < len(texts) and len(found) < MATCHES_MAX and texts[place].startswith(prefix):
        found.append(texts[place])
        place += 1
    return found
