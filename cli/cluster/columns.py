"""Members as rows of a table. Which columns there are, what is in them, and which may go where there is no room.

A cell is a text and the role that it is painted in; widths are those of the text alone. `status --cluster` prints such
a table once, `top` draws it again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cli.cluster.members import LEFT, NEVER_HEARD, UP, Cluster, Member, Stranger
from cli.render import one_line
from cli.units import number, size, span

REPLICA_DIGITS = 12
DIGEST_DIGITS = 8
GAP = 2
MARKS = ("mark-1", "mark-2", "mark-3", "mark-4", "mark-5", "mark-6")
"""Roles of digests; the same digest has the same one wherever and whenever it is shown."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, and how it looks."""

    text: str
    role: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One member, and what is known of it only together with others."""

    member: Member
    groups: Mapping[bytes, str]
    extra: Mapping[str, Cell]
    """Cells by the title of columns that need more than one look."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column. Where there is no room those with the greatest `rank` go first; 0 stays whatever happens."""

    title: str
    rank: int
    cell: Callable[[Row], Cell]
    is_number: bool = True


Paint: TypeAlias = Callable[[str, str], str]
"""(text, role) -> the text as the terminal shall have it."""


def mark(digest: bytes) -> str:
    """The role that a digest is painted in."""
    return MARKS[digest[0] % len(MARKS)] if digest else ""


def digest_cell(digest: bytes, groups: Mapping[bytes, str]) -> Cell:
    """A digest by its letter and first digits."""
    letter = groups.get(digest, "")
    return Cell(f"{letter} {digest.hex()[:DIGEST_DIGITS]}".strip(), mark(digest))


def _state(row: Row) -> Cell:
    member = row.member
    if member.state == UP:
        return Cell(UP, "good")
    return Cell(f"{member.state} {span(member.heard_s)}", "faint" if member.state == LEFT else "bad")


def _lag(row: Row) -> Cell:
    lag = row.member.lag
    bound = "" if lag.exact else ">="
    if not lag.segments:
        return Cell("0" if lag.exact else "?")
    commits = f" ({number(lag.commits)} commits)" if lag.commits is not None else ""
    return Cell(f"{bound}{number(lag.segments)}{commits}", "warn")


def _queued(row: Row) -> Cell:
    links = row.member.card.links
    messages, total = sum(link.queued_messages for link in links), sum(link.queued_bytes for link in links)
    return Cell(f"{number(messages)} {size(total)}", "warn") if messages else Cell("0")


def _exchanged(row: Row) -> Cell:
    seconds = row.member.exchanged_s
    return Cell("never" if seconds is None else f"{span(seconds)} ago")


def _links(row: Row) -> Cell:
    links = row.member.card.links
    return Cell(f"{row.member.open_links}/{len(links)}", "" if row.member.open_links == len(links) else "warn")


def _blocked(row: Row) -> Cell:
    card = row.member.card
    blocked = max(len(card.blocked), sum(link.state == "blocked" for link in card.links))
    return Cell(str(blocked), "warn" if blocked else "")


def _digest(row: Row) -> Cell:
    plane = row.member.ledger
    return digest_cell(plane.digest, row.groups) if plane is not None else Cell("?")


def _pending(row: Row) -> Cell:
    pending = sum(plane.pending for plane in row.member.card.planes)
    return Cell(number(pending), "warn" if pending else "")


def _alarms(row: Row) -> Cell:
    alarms = len(row.member.card.alarms)
    return Cell(str(alarms), "bad" if alarms else "")


def _heads(row: Row) -> Cell:
    return Cell(number(row.member.ledger.heads) if row.member.ledger is not None else "?")


def _commits(row: Row) -> Cell:
    return Cell(number(sum(plane.commits for plane in row.member.card.planes)))


def _store(row: Row) -> Cell:
    count = row.member.card.store_bytes
    return Cell("-" if count is None else size(count))


def extra(title: str) -> Callable[[Row], Cell]:
    """The cell that comes with the row under this title."""
    return lambda row: row.extra.get(title, Cell("-", "faint"))


NODE = Column("NODE", 0, lambda row: Cell(row.member.id[:REPLICA_DIGITS], "id"), is_number=False)
NAME = Column("NAME", 2, lambda row: Cell(one_line(row.member.card.name) or "-"), is_number=False)
STATE = Column("STATE", 0, _state, is_number=False)
VERSION = Column("VERSION", 15, lambda row: Cell(one_line(row.member.card.version)), is_number=False)
UPTIME = Column("UP", 12, lambda row: Cell(span(row.member.uptime_s)))
STORE = Column("STORE", 10, _store)
PLANES = Column("PLANES", 14, lambda row: Cell(str(len(row.member.card.planes))))
COMMITS = Column("COMMITS", 3, _commits)
PENDING = Column("PENDING", 8, _pending)
HEADS = Column("HEADS", 11, _heads)
LAG = Column("LAG", 1, _lag)
QUEUED = Column("QUEUED", 5, _queued)
EXCHANGED = Column("EXCHANGED", 9, _exchanged)
LINKS = Column("LINKS", 6, _links)
BLOCKED = Column("BLOCKED", 13, _blocked)
ALARMS = Column("ALARMS", 7, _alarms)
DIGEST = Column("DIGEST", 0, _digest, is_number=False)

STATUS_COLUMNS = (
    NODE, NAME, STATE, VERSION, UPTIME, STORE, PLANES, COMMITS, PENDING, HEADS, LAG, QUEUED, EXCHANGED, LINKS, BLOCKED,
    ALARMS, DIGEST,
)  # fmt: skip


def rows_of(cluster: Cluster, extras: Mapping[str, Mapping[str, Cell]] | None = None) -> list[Row]:
    """A row for each member, those that are up first; `extras` are cells by replica and title."""
    groups = cluster.groups()
    return [Row(member, groups, (extras or {}).get(member.id, {})) for member in cluster.listed]


def table(
    columns: Sequence[Column], rows: Sequence[Row], strangers: Sequence[Stranger], width: int | None, paint: Paint
) -> tuple[list[str], list[str]]:
    """The lines of a table no wider than `width` (None: however wide), and the titles of columns that were left out."""
    kept, left_out = fitting(columns, rows, width)
    grid = [[column.cell(row) for column in kept] for row in rows]
    widths = _widths(kept, grid)
    lines = [paint("".join(_placed(kept, [Cell(each.title) for each in kept], widths, _plain)).rstrip(), "faint")]
    lines += ["".join(_placed(kept, cells, widths, paint)).rstrip() for cells in grid]
    for stranger in strangers:
        text = f"{one_line(stranger.address)}  {NEVER_HEARD}: {one_line(stranger.failure)}"
        lines.append(paint(text if width is None else text[:width], "bad"))
    return lines, [column.title for column in left_out]


def fitting(columns: Sequence[Column], rows: Sequence[Row], width: int | None) -> tuple[list[Column], list[Column]]:
    """The columns that fit, and those that do not: as few as need be, the least important first."""
    kept = [*columns]
    left_out: list[Column] = []
    while width is not None and len(kept) > 1:
        grid = [[column.cell(row) for column in kept] for row in rows]
        if sum(_widths(kept, grid)) + GAP * (len(kept) - 1) <= width:
            break
        worst = max(kept, key=lambda column: column.rank)
        if worst.rank == 0:
            break
        kept.remove(worst)
        left_out.append(worst)
    return kept, left_out


def _widths(columns: Sequence[Column], grid: Sequence[Sequence[Cell]]) -> list[int]:
    return [
        max(len(column.title), *(len(cells[place].text) for cells in grid)) if grid else len(column.title)
        for place, column in enumerate(columns)
    ]


def _placed(columns: Sequence[Column], cells: Sequence[Cell], widths: Sequence[int], paint: Paint) -> Iterator[str]:
    for place, (column, cell, width) in enumerate(zip(columns, cells, widths, strict=True)):
        blank = " " * (width - len(cell.text))
        text = paint(cell.text, cell.role) if cell.role else cell.text
        yield (" " * GAP if place else "") + (blank + text if column.is_number else text + blank)


def _plain(text: str, _role: str) -> str:
    return text
