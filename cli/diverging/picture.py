"""The sides drawn from the commits that they fork from: one letter a side, lines from children to parents.

What only some have is drawn, and at the bottom of it the fork points, which all have. Where the list of a side is cut,
a dotted line leads over what is left out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cli.answers import KnownCommit
from cli.diverging.report import Report
from cli.diverging.text import letters_of
from cli.drawing import ASCII, UNICODE, Layout, Placed, coloured
from cli.render import paint
from cli.views import commit_line

if TYPE_CHECKING:
    from crdtgraph import CommitId

FORK_POINT, SEVERAL = "=", "+"
"""The symbols of what all have, and of what several have."""


def picture_lines(report: Report, limit: int) -> Iterator[str]:
    """The drawing, below a line that says which letter is which side. At most `limit` commits of each kind."""
    letters = letters_of(len(report.places))
    yield "  ".join(f"{letter} {name}" for letter, name in zip(letters, report.names, strict=True))
    style = UNICODE if (sys.stdout.encoding or "").lower().startswith("utf") else ASCII
    is_painted = paint("x", "strong") != "x"
    labels = _labels(report, letters)
    for commit, placed in drawn(report, limit):
        holders = report.found.scattered.holders.get(commit, ())
        content = report.graphs[holders[0] if holders else 0].get(commit)
        rows = [row if style.table is None else row.translate(style.table) for row in (placed[0], *placed[1])]
        first, *others = [coloured(row) for row in rows] if is_painted else rows
        who = "" if len(holders) == 1 else ("".join(letters[place] for place in holders) or "all") + "  "
        yield f"{first}  {who}{commit_line(KnownCommit(commit, content), labels)}"
        yield from others


def drawn(report: Report, limit: int) -> Iterator[tuple[CommitId, Placed]]:
    """Every commit that is drawn, from the top, and how."""
    letters = letters_of(len(report.places))
    joined = _joined(report, limit)
    layout: Layout[CommitId] = Layout()
    for commit in _ordered(report, joined):
        direct, indirect = joined[commit]
        holders = report.found.scattered.holders.get(commit, ())
        symbol = letters[holders[0]] if len(holders) == 1 else SEVERAL if holders else FORK_POINT
        parents = report.graphs[holders[0] if holders else 0].parents(commit)
        cut_off = bool(parents) and not direct and not indirect
        yield commit, layout.place(commit, symbol, direct, indirect, is_cut_off=cut_off)


def _labels(report: Report, letters: list[str]) -> dict[CommitId, list[str]]:
    """The refs at each commit, those that are not the same everywhere with the sides on which they are there."""
    found: dict[CommitId, dict[str, list[str]]] = {}
    for letter, graph in zip(letters, report.graphs, strict=True):
        for name, ref in sorted(graph.refs.items()):
            for target in ref.targets:
                found.setdefault(target, {}).setdefault(name + "??" * ref.conflicted, []).append(letter)
    everywhere = len(letters)
    return {
        commit: [name if len(on) == everywhere else f"{name}@{''.join(on)}" for name, on in names.items()]
        for commit, names in found.items()
    }


_Links = tuple[tuple["CommitId", ...], tuple["CommitId", ...]]


def _joined(report: Report, limit: int) -> dict[CommitId, _Links]:
    """What is drawn, and for each the parents that are, and the nearest ancestors beyond those that are not."""
    found = report.found.scattered
    kinds: dict[tuple[int, ...], list[CommitId]] = {}
    for commit, holders in found.holders.items():
        kinds.setdefault(holders, []).append(commit)
    shown = {commit for commits in kinds.values() for commit in commits[max(0, len(commits) - limit) :]}
    shown.update(found.fork_points)
    nearest: dict[CommitId, tuple[CommitId, ...]] = {}
    joined: dict[CommitId, _Links] = dict.fromkeys(found.fork_points, ((), ()))
    for commit, holders in found.holders.items():
        # Parents come first, so what is beyond them is known.
        parents = tuple(dict.fromkeys(report.graphs[holders[0]].parents(commit)))
        direct = tuple(parent for parent in parents if parent in shown)
        beyond = dict.fromkeys(each for parent in parents for each in nearest.get(parent, ()))
        nearest[commit] = (commit,) if commit in shown else tuple(dict.fromkeys([*direct, *beyond]))
        if commit in shown:
            joined[commit] = direct, tuple(each for each in beyond if each not in direct)
    return joined


def _ordered(report: Report, joined: dict[CommitId, _Links]) -> Iterator[CommitId]:
    """Children before parents, one line to its end before the next, the first side's before the second's."""
    holders = report.found.scattered.holders
    above = dict.fromkeys(joined, 0)
    for direct, indirect in joined.values():
        for below in (*direct, *indirect):
            above[below] += 1
    place = {commit: number for number, commit in enumerate(holders)}
    heads = [commit for commit, count in above.items() if not count]
    stack = sorted(heads, key=lambda commit: (holders.get(commit, ()), -place.get(commit, 0), commit), reverse=True)
    while stack:
        commit = stack.pop()
        yield commit
        for below in (*joined[commit][0], *joined[commit][1]):
            above[below] -= 1
            if not above[below]:
                stack.append(below)
