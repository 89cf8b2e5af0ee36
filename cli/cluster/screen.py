"""A screen full of cluster: a headline, the table as far as there is room, and what there is to say about it."""

from __future__ import annotations

from collections.abc import Iterator

from cli.cluster.columns import Paint, rows_of, table
from cli.cluster.rates import TOP_COLUMNS, cells, commits_of, rate_text
from cli.cluster.reports import verdict
from cli.cluster.watching import Seen
from cli.render import one_line
from cli.units import number, span

NOTES_SHARE = 3
"""The lines below the table take at most one in so many of the screen."""


def frame(seen: Seen, place: str, now: float, width: int | None, height: int | None, paint: Paint) -> list[str]:
    """The lines of a screen of this size (None: no end) at a time of `time.monotonic`."""
    cluster = seen.cluster
    lines, left_out = table(TOP_COLUMNS, rows_of(cluster, cells(cluster, seen.rates)), cluster.strangers, width, paint)
    notes = [*verdict(cluster, paint)]
    if left_out:
        notes.append(paint(f"(no room for: {', '.join(left_out).lower()})", "faint"))
    head = [*_headline(seen, place, now, paint), ""]
    if height is not None:
        head[0] += paint("  (q quits)", "faint")
    if height is not None:
        notes = notes[: max(1, height // NOTES_SHARE)]
        room = max(2, height - len(head) - len(notes) - 1)
        if len(lines) > room:
            lines = [*lines[: room - 1], paint(f"... and {len(lines) - room + 1} more", "faint")]
    return [*head, *lines, "", *notes][:height]


def _headline(seen: Seen, place: str, now: float, paint: Paint) -> Iterator[str]:
    fastest = seen.rates.fastest
    commits = max((commits_of(member) for member in seen.cluster.members), default=0)
    facts = [f"{number(commits)} commits", rate_text(fastest) if fastest is not None else "measuring"]
    yield f"{paint('crdtgraph top', 'strong')}  {one_line(place)}  {'  '.join(facts)}"
    if seen.failure:
        age = span(max(0.0, now - seen.at))
        yield paint(f"NO ANSWER for {age}, trying again: {one_line(seen.failure)}", "bad")
