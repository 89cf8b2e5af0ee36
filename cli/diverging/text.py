"""Divergence for people: a table of who has what, and below it what is apart, each list cut to a length to be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from string import ascii_uppercase
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from cli.diverging.report import Report
from cli.render import paint, printable
from cli.units import size
from cli.views import commit_line, short, value_text
from crdtgraph.errors import first_few

if TYPE_CHECKING:
    from crdtgraph import CommitId, Graph, Value
    from crdtgraph.divergence import Blocked, CounterSpread, MetaSpread, RefSpread, SharedPath

SHOWN_TEXT = 24
"""Characters of a value."""
DIGEST_DIGITS = 12

COLUMNS_NAMED_MAX = 3
"""Replicas that are columns of the table under their names; more of them have letters."""

_Item = TypeVar("_Item")
Cell: TypeAlias = "str | tuple[str, str]"
"""A text, or one with the role that colours it."""


def summary_lines(report: Report) -> Iterator[str]:
    """The verdict, the table, and counts."""
    found = report.found
    yield _verdict(report)
    yield from _matrix(report)
    counts = [
        (len(found.refs), "ref differs", "refs differ"),
        (len([ref for ref in found.refs if len(ref.healed) > 1]), "of them will be in conflict", ""),
        (len(found.paths), "path changed on several sides", "paths changed on several sides"),
        (len([path for path in found.paths if path.conflicts]), "of them in conflict", ""),
        (len(found.metadata), "metadata key differs", "metadata keys differ"),
        (len(found.counters), "commit with other counters", "commits with other counters"),
        (sum(map(len, found.discarded)), "discard not everywhere", "discards not everywhere"),
        (sum(map(len, found.pending)), "record waits", "records wait"),
    ]
    if shown := [f"{count} {one if count == 1 else many or one}" for count, one, many in counts if count]:
        yield ", ".join(shown)
    yield from _healing(report)


def lines(report: Report, limit: int) -> Iterator[str]:
    """Everything."""
    found = report.found
    yield _verdict(report)
    yield from _matrix(report)
    if found.scattered.first_generation is not None:
        yield f"first divergent generation: {found.scattered.first_generation}"
    yield from _fork_points(report, limit)
    yield from _commits(report, limit)
    yield from _refs(report, limit)
    yield from _paths(report, limit)
    yield from _metadata(report, limit)
    yield from _counters(report, limit)
    yield from _discards(report, limit)
    yield from _pending(report, limit)
    yield from _healing(report)


def _verdict(report: Report) -> str:
    found, names = report.found, report.names
    if found.equal:
        return f"{_all(names)} are equal" + ("" if found.settled else "; they hold it in different segments")
    groups = found.groups
    if len(groups) == len(names):
        return f"{_all(names)} differ"
    parts = " | ".join(" = ".join(names[place] for place in group) for group in groups)
    return f"{len(names)} replicas differ: {parts}"


def _all(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _matrix(report: Report) -> Iterator[str]:
    found, names = report.found, report.names
    columns = [f"ahead of {name}" for name in names]
    rows = list(names)
    if len(names) > COLUMNS_NAMED_MAX:
        letters = letters_of(len(names))
        columns = [f"ahead of {letters[0]}", *letters[1:]]
        rows = [f"{letter} {name}" for letter, name in zip(letters, names, strict=True)]
    table = [["", "commits", *columns, "behind all", "digest"]]
    for place, name in enumerate(rows):
        ahead = ["." if other == place else str(count) for other, count in enumerate(found.scattered.ahead[place])]
        digest = found.digests[place].hex()[:DIGEST_DIGITS]
        table.append([name, str(found.commits[place]), *ahead, str(found.scattered.behind[place]), digest])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for first, *numbers, last in table:
        cells = [cell.rjust(width) for cell, width in zip(numbers, widths[1:-1], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *cells, last]).rstrip()


def letters_of(count: int) -> list[str]:
    """A, B, C, ... for replicas: what stands for their names where there is little room."""
    more = [first + second for first in ascii_uppercase for second in ascii_uppercase]
    return [*ascii_uppercase, *more][:count]


def _fork_points(report: Report, limit: int) -> Iterator[str]:
    points = report.found.scattered.fork_points
    if points:
        yield "fork points:"
        yield from _listed(points, report.graphs[0], limit)


def _commits(report: Report, limit: int) -> Iterator[str]:
    by_holders: dict[tuple[int, ...], list[CommitId]] = {}
    for commit, holders in report.found.scattered.holders.items():
        by_holders.setdefault(holders, []).append(commit)
    for holders, commits in sorted(by_holders.items()):
        yield f"only in {' and '.join(report.names[place] for place in holders)}: {len(commits)}"
        yield from _listed(commits, report.graphs[holders[0]], limit)


def _listed(commits: Sequence[CommitId], graph: Graph, limit: int) -> Iterator[str]:
    from cli.answers import KnownCommit

    shown = commits[max(0, len(commits) - limit) :]
    if len(shown) < len(commits):
        yield f"  ({len(commits) - len(shown)} older ones; --max-count shows more)"
    for commit, content in zip(shown, graph.get_many(shown), strict=True):
        yield f"  {commit_line(KnownCommit(commit, content), {})}"


def _refs(report: Report, limit: int) -> Iterator[str]:
    found = report.found
    if found.refs:
        yield "refs that differ:"
        yield from _rows(found.refs, limit, lambda ref: _ref_row(report, ref))
    standing = [name for name in found.conflicted if name not in {ref.name for ref in found.refs}]
    if standing:
        yield paint(f"refs in conflict already: {', '.join(map(printable, standing))}", "conflict")


def _ref_row(report: Report, ref: RefSpread) -> list[Cell]:
    state = ref.state.value
    cells: list[Cell] = [printable(ref.name), (state, "conflict") if len(ref.healed) > 1 else state]
    for place, name in enumerate(report.names):
        targets = ref.targets[place]
        at = ", ".join(map(short, targets)) or "missing"
        behind = f" ({ref.behind[place]} behind)" if targets and ref.behind and ref.behind[place] else ""
        cells.append(f"{name} {at}{behind}")
    return cells


def _paths(report: Report, limit: int) -> Iterator[str]:
    if report.found.paths:
        yield "paths changed on several sides:"
        yield from _rows(report.found.paths, limit, _path_row)


def _path_row(path: SharedPath) -> list[Cell]:
    if not path.conflicts:
        return [printable(path.path), "merges cleanly"]
    ref, conflict = path.conflicts[0]
    more = f" and {len(path.conflicts) - 1} more refs" if len(path.conflicts) > 1 else ""
    values = f"base {_value(conflict.base)}, ours {_value(conflict.ours)}, theirs {_value(conflict.theirs)}"
    return [printable(path.path), (f"conflict in {printable(ref)}{more}", "conflict"), values]


def _value(value: Value) -> str:
    """A text that is short as it is, anything else by its size."""
    if isinstance(value, bytes) and len(value) <= SHOWN_TEXT and value.isascii() and value.decode().isprintable():
        return f'"{value.decode()}"'
    return "none" if value is None else value_text(value)


def _metadata(report: Report, limit: int) -> Iterator[str]:
    found = report.found
    if found.metadata:
        yield "metadata that differs:"
        yield from _rows(found.metadata, limit, lambda each: _meta_row(report, each))
    if found.set_apart:
        some = first_few(found.set_apart, printable, 3)
        yield f"set to the same value on several sides, each for itself: {len(found.set_apart)} ({some})"


def _meta_row(report: Report, each: MetaSpread) -> list[Cell]:
    values = [f"{name} {_value(value)}" for name, value in zip(report.names, each.values, strict=True)]
    return [printable(each.name), *values, f"after an exchange {_value(each.healed)}"]


def _counters(report: Report, limit: int) -> Iterator[str]:
    if report.found.counters:
        yield f"commits with other counters: {len(report.found.counters)}"
        yield from _rows(report.found.counters, limit, lambda each: _counter_row(report, each))


def _counter_row(report: Report, each: CounterSpread) -> list[Cell]:
    totals = [
        f"{name} {', '.join(map(str, total)) or 'none'}" for name, total in zip(report.names, each.totals, strict=True)
    ]
    return [short(each.commit), *totals]


def _discards(report: Report, limit: int) -> Iterator[str]:
    for name, commits in zip(report.names, report.found.discarded, strict=True):
        if commits:
            yield f"discarded in {name} and not everywhere: {first_few(commits, short, limit)}"


def _pending(report: Report, limit: int) -> Iterator[str]:
    for name, waiting in zip(report.names, report.found.pending, strict=True):
        if waiting:
            yield f"records that wait in {name}: {len(waiting)}"
            yield from _rows(waiting, limit, _pending_row)


def _pending_row(each: Blocked) -> list[Cell]:
    subject = printable(each.record.subject[:SHOWN_TEXT])
    where = "another side has it: an exchange brings it" if each.elsewhere else "no side has it"
    return [f"{each.record.kind} {subject}".rstrip(), f"waits for {short(each.record.waits_for)}", where]


def _healing(report: Report) -> Iterator[str]:
    if report.found.settled:
        return
    trips = f", in {report.round_trips} round trips" if report.round_trips is not None else ""
    yield f"to become equal{trips}:"
    yield from _table(
        [f"{name} lacks", f"{lack.segments} segments", f"{size(lack.bytes)} to carry"]
        for name, lack in zip(report.names, report.lacking, strict=True)
    )


def _rows(items: Sequence[_Item], limit: int, row: Callable[[_Item], list[Cell]]) -> Iterator[str]:
    """A table of the first ones."""
    yield from _table(map(row, items[:limit]))
    if len(items) > limit:
        yield f"  ({len(items) - limit} more; --max-count shows them)"


def _table(rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Aligned and indented; what colours a cell takes no room."""
    cells = [[(cell, "") if isinstance(cell, str) else cell for cell in row] for row in rows]
    widths: list[int] = []
    for row in cells:
        widths += [0] * (len(row) - len(widths))
        widths = [max(width, len(row[place][0]) if place < len(row) else 0) for place, width in enumerate(widths)]
    for row in cells:
        texts = [text.ljust(width) for (text, _), width in zip(row, widths, strict=False)]
        texts[-1] = texts[-1].rstrip()
        yield "  ".join(
            ["", *(paint(text, role) if role else text for text, (_, role) in zip(texts, row, strict=True))]
        ).rstrip()
