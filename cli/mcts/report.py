"""What a search came to, and a tree, as the lines that people read and the documents that programs do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cli.answers import list_of, of, table_of
from cli.render import one_line, paint, printable, table
from cli.units import span
from cli.views import short
from crdtgraph.ids import CommitId

if TYPE_CHECKING:
    from cli.mcts.runs import Found
    from crdtgraph.mcts import Node
    from sync.protocol.calls import Plain

CHILDREN_SHOWN = 10
ACTION_SHOWN = 40
"""Characters of an action's text."""
WRITERS_SHOWN = 4
WRITER_DIGITS = 8


def found_document(found: Found) -> dict[str, object]:
    """The result of a search, for programs."""
    return {
        "search": found.search,
        "problem": found.problem,
        "iterations": found.iterations,
        "seconds": round(found.seconds, 6),
        "stop": found.stop,
        "nodes": found.nodes,
        "root": found.root,
        "line": [_node_document(node) for node in found.line],
        "children": [_node_document(node) for node in found.children],
        "promoted": found.promoted,
    }


def found_lines(found: Found, ref: str | None) -> Iterator[str]:
    """The same for people."""
    rate = found.iterations / found.seconds if found.seconds else 0.0
    yield (
        f"{one_line(found.problem)}: {found.iterations:,} iterations in {span(found.seconds)} ({rate:,.0f}/s), "
        f"{found.nodes:,} nodes; ended: {found.stop}"
    )
    if not found.line:
        yield "nothing was tried yet"
        return
    yield f"best line: {paint(' '.join(_action(node.text) for node in found.line), 'ref')}"
    rows = [["ACTION", "VISITS", "VALUE", "DEVIATION", "", "COMMIT"]]
    for node in found.children[:CHILDREN_SHOWN]:
        proven = "" if node.proven is None else f"proven {node.proven:+.3f}"
        commit = short(node.commit) if node.commit is not None else ""
        rows.append(
            [_action(node.text), f"{node.visits:,}", f"{node.mean:+.3f}", f"{node.deviation:.3f}", proven, commit]
        )
    yield from table(rows)
    more = len(found.children) - CHILDREN_SHOWN
    if more > 0:
        yield f"and {more} more"
    if found.promoted is not None and ref is not None and found.failure is None:
        yield f"{printable(ref)} is now at {found.promoted.hex()}"


def tree_lines(answer: Plain) -> Iterator[str]:
    """The top of a tree."""
    top = table_of(answer)
    name, problem = of(str, top["search"]), of(str, top["problem"])
    yield f"{printable(name)}: {one_line(problem)}, {of(int, top['commits']):,} commits"
    rows = [["VISITS", "VALUE", "DEVIATION", "ACTION", "COMMIT", "WRITERS"]]
    for each in map(table_of, list_of(top["nodes"])):
        depth, children = of(int, each["depth"]), of(int, each["children"])
        action = "(root)" if not depth else _action(of(str, each["action"]))
        rows.append(
            [
                f"{of(int, each['visits']):,}",
                f"{of(float, each['mean']):+.3f}",
                f"{of(float, each['deviation']):.3f}",
                "  " * depth + action + (f"  ({children})" if children else ""),
                paint(short(CommitId(of(bytes, each["commit"]))), "id"),
                _writers(each["writers"]),
            ]
        )
    yield from table(rows)


def tree_document(answer: Plain) -> dict[str, object]:
    """The same for programs."""
    top = table_of(answer)
    nodes = []
    for each in map(table_of, list_of(top["nodes"])):
        writers = [list_of(entry) for entry in list_of(each["writers"])]
        nodes.append({**each, "writers": [{"replica": replica, "visits": visits} for replica, visits in writers]})
    return {**top, "nodes": nodes}


def _writers(plain: Plain) -> str:
    found = [
        (of(bytes, replica).hex()[:WRITER_DIGITS], of(int, visits)) for replica, visits in map(list_of, list_of(plain))
    ]
    total = sum(visits for _, visits in found)
    shown = [f"{name} {visits / total:.0%}" if total else name for name, visits in found[:WRITERS_SHOWN]]
    return ", ".join(shown) + (f", {len(found) - WRITERS_SHOWN} more" if len(found) > WRITERS_SHOWN else "")


def _action(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= ACTION_SHOWN else line[: ACTION_SHOWN - 3] + "..."


def _node_document(node: Node) -> dict[str, object]:
    return {
        "action": node.text,
        "visits": node.visits,
        "mean": node.mean,
        "deviation": node.deviation,
        "proven": node.proven,
        "commit": node.commit,
    }
