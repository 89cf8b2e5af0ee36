"""Divergence for programs. Replicas are named by their place in the list `replicas`; its order is that of the command.

docs/json.md has the shapes; they are stable.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import TYPE_CHECKING

from cli.diverging.report import Report
from cli.views import value_document

if TYPE_CHECKING:
    from crdtgraph.divergence import Blocked, SharedPath

PAIR_COLUMNS = ("replica", "other", "equal", "ahead", "behind")
"""Of the table: one row for every replica and every other one."""


def document(report: Report) -> dict[str, object]:
    """Everything that is known."""
    found = report.found
    return {
        "equal": found.equal,
        "settled": found.settled,
        "replicas": [
            {
                "name": place.name,
                "place": place.given,
                "replica": place.replica,
                "commits": found.commits[number],
                "behind": found.scattered.behind[number],
                "digest": found.digests[number],
            }
            for number, place in enumerate(report.places)
        ],
        "union": found.union,
        "ahead": found.scattered.ahead,
        "groups": found.groups,
        "first_divergent_generation": found.scattered.first_generation,
        "fork_points": found.scattered.fork_points,
        "commits": [{"id": commit, "held_by": holders} for commit, holders in found.scattered.holders.items()],
        "refs": [
            {
                "name": ref.name,
                "state": ref.state.value,
                "targets": ref.targets,
                "healed": ref.healed,
                "behind": ref.behind or None,
            }
            for ref in found.refs
        ],
        "conflicted": found.conflicted,
        "paths": [_path(path) for path in found.paths],
        "metadata": [
            {"name": each.name, "values": list(map(value_document, each.values)), "healed": value_document(each.healed)}
            for each in found.metadata
        ],
        "set_apart": found.set_apart,
        "counters": [{"commit": each.commit, "totals": each.totals} for each in found.counters],
        "discarded": found.discarded,
        "pending": [list(map(_blocked, side)) for side in found.pending],
        "heal": {
            "round_trips": report.round_trips,
            "lacking": [
                {"segments": each.segments, "by_key": each.by_key, "bytes": each.bytes} for each in report.lacking
            ],
        },
    }


def pairs(report: Report) -> Iterator[dict[str, object]]:
    """The matrix as a table, one row for every replica and every other one."""
    ahead, digests = report.found.scattered.ahead, report.found.digests
    for here, there in permutations(range(len(report.places)), 2):
        yield {
            "replica": report.places[here].given,
            "other": report.places[there].given,
            "equal": digests[here] == digests[there],
            "ahead": ahead[here][there],
            "behind": ahead[there][here],
        }


def _path(path: SharedPath) -> dict[str, object]:
    return {
        "path": path.path,
        "clean": not path.conflicts,
        "conflicts": [
            {
                "ref": ref,
                "base": value_document(conflict.base),
                "ours": value_document(conflict.ours),
                "theirs": value_document(conflict.theirs),
            }
            for ref, conflict in path.conflicts
        ],
    }


def _blocked(each: Blocked) -> dict[str, object]:
    record = each.record
    return {
        "kind": record.kind,
        "subject": record.subject,
        "waits_for": record.waits_for,
        "elsewhere": each.elsewhere,
    }
