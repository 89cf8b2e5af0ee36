"""A topology as text for people and as a graph for Graphviz."""

from __future__ import annotations

from collections.abc import Iterator

from cli.cluster.columns import DIGEST_DIGITS, REPLICA_DIGITS, Paint, digest_cell
from cli.cluster.members import UP, Cluster, Member
from cli.cluster.reports import called
from cli.cluster.topology import BLOCKED, NO_WORD, OPEN, LinkState, Pair, Topology
from cli.render import one_line
from cli.units import short_time, span

ROLES = {
    LinkState.OPEN: "good",
    LinkState.ONE_SIDED: "bad",
    LinkState.BLOCKED: "warn",
    LinkState.DOWN: "bad",
    LinkState.UNKNOWN: "faint",
}
DOT_COLOURS = ("#0891b2", "#a21caf", "#1d4ed8", "#15803d", "#b45309", "#0f766e")
"""Of digests, by their first byte; dark enough for white text."""
DOT_LINKS = {
    LinkState.OPEN: 'color="#15803d"',
    LinkState.ONE_SIDED: 'color="#dc2626", style=dashed, label="one-sided"',
    LinkState.BLOCKED: 'color="#dc2626", style=dotted, label="blocked"',
    LinkState.DOWN: 'color="#dc2626", style=dashed, label="down"',
    LinkState.UNKNOWN: 'color="#9ca3af", style=dashed',
}


def lines(cluster: Cluster, topology: Topology, paint: Paint) -> Iterator[str]:
    """Each part of the cluster with its members, each member with its links."""
    parts = topology.parts
    for number, part in enumerate(parts, 1):
        if len(parts) > 1:
            yield paint(f"part {number} of {len(parts)}: {len(part)} of {len(cluster.up)} members that are up", "bad")
        for member in part:
            yield from _member_lines(cluster, topology, member, paint)
    for member in cluster.gone:
        yield from _member_lines(cluster, topology, member, paint)
    if len(parts) > 1:
        yield paint(f"SPLIT: no links lead from one of the {len(parts)} parts to another", "bad")
    elif topology.is_whole:
        yield f"whole: links lead from each of the {len(cluster.up)} members that are up to each"
    else:
        yield paint("whole, but some links are open at one end only", "bad")


def _member_lines(cluster: Cluster, topology: Topology, member: Member, paint: Paint) -> Iterator[str]:
    plane = member.ledger
    digest = digest_cell(plane.digest, cluster.groups()) if plane is not None else None
    state = "" if member.state == UP else f"  {paint(f'{member.state} for {span(member.heard_s)}', 'bad')}"
    shown = f"  {paint(digest.text, digest.role)}" if digest is not None else ""
    yield f"{paint(called(member), 'strong')}  {paint(member.id[:REPLICA_DIGITS], 'id')}{shown}{state}"
    links = [_link_line(pair, member, paint) for pair in topology.of(member)]
    links += [
        f"{one_line(each.address)}  {paint(f'never heard of: {one_line(each.failure)}', 'bad')}"
        for each in cluster.strangers
        if member.id in each.dialled_by
    ]
    for place, text in enumerate(links):
        yield f"{'└─' if place == len(links) - 1 else '├─'} {text}"


def _link_line(pair: Pair, member: Member, paint: Paint) -> str:
    other = pair.other_of(member)
    here, there = pair.said_by(member), pair.said_by(other)
    words = [paint(pair.state.value, ROLES[pair.state])]
    if pair.state is LinkState.OPEN and pair.rtt_us is not None:
        words.append(short_time(pair.rtt_us))
    elif pair.state is LinkState.BLOCKED:
        blockers = [called(each) for each, says in ((member, here), (other, there)) if says == BLOCKED]
        words.append(f"by {' and '.join(blockers)}")
    elif pair.state is LinkState.ONE_SIDED:
        words.append(f"open at {called(member) if here == OPEN else called(other)} only")
    elif pair.state is LinkState.UNKNOWN:
        silent = called(member) if here == NO_WORD else called(other)
        words.append(f"{there if here == NO_WORD else here} here, no word from {silent}" if here != NO_WORD else "")
    if pair.failure and pair.state is not LinkState.OPEN:
        words.append(one_line(pair.failure))
    return f"{called(other)}  {'  '.join(word for word in words if word)}"


def dot(cluster: Cluster, topology: Topology) -> Iterator[str]:
    """The same for Graphviz: members in the colour of their digest, each part in a box of its own."""
    yield "graph cluster {"
    yield '  node [shape=box, style="rounded,filled", fontname="sans-serif", fontcolor=white];'
    yield '  edge [fontname="sans-serif", fontsize=10];'
    for number, part in enumerate(topology.parts, 1):
        if len(topology.parts) > 1:
            yield f"  subgraph cluster_{number} {{"
            yield f'    label="part {number}"; color="#dc2626";'
        for member in part:
            yield f"  {_dot_member(member)}"
        if len(topology.parts) > 1:
            yield "  }"
    for member in cluster.gone:
        yield f"  {_dot_member(member)}"
    for pair in topology.pairs:
        yield f'  "{pair.one.id}" -- "{pair.other.id}" [{DOT_LINKS[pair.state]}];'
    for stranger in cluster.strangers:
        yield f"  {_quoted(stranger.address)} [fillcolor=white, fontcolor=black, style=dashed];"
        for replica in stranger.dialled_by:
            yield f'  "{replica}" -- {_quoted(stranger.address)} [{DOT_LINKS[LinkState.DOWN]}];'
    yield "}"


def _dot_member(member: Member) -> str:
    digest = member.ledger.digest if member.ledger is not None else b""
    colour = DOT_COLOURS[digest[0] % len(DOT_COLOURS)] if digest and member.state == UP else "#9ca3af"
    state = "" if member.state == UP else f"\n{member.state}"
    label = f"{called(member)}\n{digest.hex()[:DIGEST_DIGITS]}{state}"
    return f'"{member.id}" [label={_quoted(label)}, fillcolor="{colour}"];'


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
