r"""The graph in Graphviz's DOT language: a box for each commit, an edge from it to each parent.

Only `label` and `tooltip` hold text of a commit. Both are "escape strings", the one kind of string in DOT in which a
backslash can be escaped, so that any text can be written; `&` is escaped because Graphviz looks for HTML entities.
(Language: https://graphviz.org/doc/info/lang.html, escape strings: https://graphviz.org/docs/attr-types/escString/.)
"""

from __future__ import annotations

from collections.abc import Iterator

from crdtgraph.interchange.labels import DrawnCommit, Progress, drawn_commits, moment, visible
from crdtgraph.reader import Reader

TOOLTIP_CHARACTERS_MAX = 1_000
"""Of a message; a drawing is no place for more."""

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "&": "&amp;", "\n": r"\n"})


def dot_lines(reader: Reader, *, progress: Progress | None = None) -> Iterator[str]:
    """The lines of a DOT file, without line ends. Children stand before their parents. About 20 us a commit."""
    yield "digraph crdtgraph {"
    yield '  node [shape=box, style=filled, fillcolor=white, fontname="monospace", fontsize=10];'
    yield "  edge [arrowsize=0.5];"
    for drawn in drawn_commits(reader, progress):
        yield f"  {_id(drawn.id)} [{_attributes(drawn)}];"
        for place, parent in enumerate(drawn.parents):
            # What a commit changes it changes against the first parent; the others are drawn lighter.
            yield f"  {_id(drawn.id)} -> {_id(parent)}{' [style=dashed]' if place else ''};"
    yield "}"


def _id(commit: bytes) -> str:
    return f'"{commit.hex()}"'


def _attributes(drawn: DrawnCommit) -> str:
    lines = [drawn.short, drawn.subject]
    if drawn.refs:
        lines.insert(1, f"({', '.join(drawn.refs)})")
    if drawn.counters:
        lines.append(" ".join(map(str, drawn.counters)))
    message = "\n".join(map(visible, drawn.commit.message[:TOOLTIP_CHARACTERS_MAX].strip().split("\n")))
    tooltip = [drawn.id.hex(), drawn.author, moment(drawn.commit.time), message]
    attributes = {"label": _quoted("\n".join(filter(None, lines))), "tooltip": _quoted("\n".join(tooltip))}
    if any(name.endswith("??") for name in drawn.refs):
        attributes["fillcolor"] = "mistyrose"
    elif drawn.refs:
        attributes["fillcolor"] = "lightcyan"
    if not drawn.is_live:
        attributes["fontcolor"] = "gray"
    return ", ".join(f"{name}={value}" for name, value in attributes.items())


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'
