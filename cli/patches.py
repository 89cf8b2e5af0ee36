"""Changes of paths as a unified diff and as counts of lines, in the form that `git diff` prints and `patch` reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher, unified_diff
from typing import TYPE_CHECKING

from cli.render import paint, printable
from crdtgraph.records import Reference, Value

if TYPE_CHECKING:
    from crdtgraph.state import PathChange

COMPARED_LINES_MAX = 20_000
"""Of one side. Finding the shortest difference takes time that grows faster than the text; beyond this a text is shown
as replaced."""
NO_NEWLINE = "\\ No newline at end of file"


def status_of(change: PathChange) -> str:
    """`added`, `removed` or `changed`."""
    if change.before is None:
        return "added"
    return "removed" if change.after is None else "changed"


def patch_lines(change: PathChange, context: int) -> Iterator[str]:
    """One path as a unified diff with so many lines of context, coloured for a terminal."""
    path = printable(change.path).replace("\n", "\\x0a")
    yield paint(f"diff --git a/{path} b/{path}", "strong")
    if change.before is None:
        yield paint("new file mode 100644", "strong")
    elif change.after is None:
        yield paint("deleted file mode 100644", "strong")
    old, new = text_lines(change.before), text_lines(change.after)
    names = (
        "/dev/null" if change.before is None else f"a/{path}",
        "/dev/null" if change.after is None else f"b/{path}",
    )
    if old is None or new is None:
        yield f"Binary files {names[0].rstrip()} and {names[1].rstrip()} differ"
        for value, sign in ((change.before, "-"), (change.after, "+")):
            if isinstance(value, Reference):
                yield f"  {sign} {printable(value.scheme)}:{value.digest.hex()} ({value.size} bytes)"
        return
    if not old and not new:
        return
    for place, line in enumerate(_unified(old, new, names, context)):
        yield from _painted(line, is_heading=place < 2)


def line_counts(change: PathChange) -> tuple[int, int] | None:
    """How many lines were added and removed; None for what is no text."""
    old, new = text_lines(change.before), text_lines(change.after)
    if old is None or new is None:
        return None
    if max(len(old), len(new)) > COMPARED_LINES_MAX:
        return len(new), len(old)
    added = removed = 0
    for tag, old_from, old_to, new_from, new_to in SequenceMatcher(None, old, new).get_opcodes():
        if tag != "equal":
            removed += old_to - old_from
            added += new_to - new_from
    return added, removed


def text_lines(value: Value) -> list[str] | None:
    """The lines of a text, each with its end; none where there is no value, None for what is no text."""
    if value is None:
        return []
    if isinstance(value, Reference) or b"\0" in value:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    # Lines end at line feeds alone: `str.splitlines` also cuts at form feeds and the like, which stand within lines.
    lines = text.split("\n")
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _unified(old: Sequence[str], new: Sequence[str], names: tuple[str, str], context: int) -> Iterator[str]:
    if max(len(old), len(new)) <= COMPARED_LINES_MAX:
        yield from unified_diff(old, new, *names, n=context)
        return
    yield f"--- {names[0]}\n"
    yield f"+++ {names[1]}\n"
    yield f"@@ -{_range(old)} +{_range(new)} @@\n"
    yield from (f"-{line}" for line in old)
    yield from (f"+{line}" for line in new)


def _range(lines: Sequence[str]) -> str:
    return f"1,{len(lines)}" if lines else "0,0"


def _painted(line: str, *, is_heading: bool) -> Iterator[str]:
    role = "strong" if is_heading else {"@": "hunk", "+": "added", "-": "removed"}.get(line[:1], "")
    shown = printable(line.removesuffix("\n"))
    yield paint(shown, role) if role else shown
    if not line.endswith("\n") and not is_heading:
        yield NO_NEWLINE
