"""What must hold, each said once and by name.

Safety is checked all the time (`inspection.py` says when what), what a crash may break when the process is back.
Liveness is checked last: faults stop, everything is mended, and within a bound all nodes are one.

A checker is a function that raises `ViolationError`; each has a test that shows it failing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from crdtgraph import LEDGER, Commit, CommitId, Graph
from crdtgraph.ids import SegmentKey
from simulations.journal import Journal, Written
from simulations.model import REF, Model, Said, SegmentName
from simulations.reading import Held, Order
from sync import Node
from sync.protocol.limits import (
    ALARMS_MAX,
    CONNECTIONS_MAX,
    OBJECT_SERVE_MAX,
    OBJECT_WINDOW,
    QUEUE_BYTES_MAX,
    QUEUE_MESSAGES_MAX,
)
from sync.protocol.outbox import QUESTIONS_MAX
from sync.protocol.peerstate import OpenWant

SHOWN = 3
"""Of many violations of one rule."""
HARMLESS_ENDINGS = (
    "store refuses to write",
    "silent for",
    "no hello within",
    "a frame did not end within",
    "the peer did not read",
    "the stream ended",
)
"""By what fault a connection between honest peers may end: silence, slowness, a broken disk, half a frame."""


WAIT_SLACK_S = 3.0
"""A wait is over so much later at most, looks at it being a second apart."""


class ViolationError(Exception):
    """A rule does not hold. Not an error of the library: nothing may catch it but the runner."""

    def __init__(self, rule: str, details: str) -> None:
        super().__init__(rule, details)
        self.rule = rule
        self.details = details

    def __str__(self) -> str:
        return f"{self.rule}: {self.details}"


@dataclass(slots=True)
class Seen:
    """What one process has shown so far; a replica never un-sees.

    The contents of the first `read` commits were read when compactions had replaced `superseded`; `folded` are the
    digests of segments and projection that were last found to fit. `want` is the diff that it waited for when it was
    last looked at, until `want_deadline`, which was last renewed before `want_since_s`.
    """

    commits: list[CommitId] = field(default_factory=list)
    dead: set[CommitId] = field(default_factory=set)
    vector: dict[int, int] = field(default_factory=dict)
    read: int = 0
    superseded: frozenset[SegmentName] = frozenset()
    folded: tuple[bytes, bytes] | None = None
    want: OpenWant | None = None
    want_deadline: float = 0.0
    want_since_s: float = 0.0
    closed: set[str] = field(default_factory=set)
    """Searches that were over."""


class Shown:
    """What one replica shows at one moment: its commits in order of arrival, and those that are live."""

    def __init__(self, name: str, graph: Graph) -> None:
        self.name = name
        self.graph = graph
        self.commits = [graph.id_of(node) for node in range(len(graph))]
        self.live = {commit for commit in self.commits if graph.is_live(commit)}


def check_never_unsees(shown: Shown, seen: Seen) -> None:
    """What was visible, discarded or held stays so as long as the process lives. O(commits)."""
    name, commits = shown.name, shown.commits
    if commits[: len(seen.commits)] != seen.commits:
        raise ViolationError("a replica never un-sees", f"{name} shows other commits than before")
    alive_again = seen.dead & shown.live
    if alive_again:
        raise ViolationError("a replica never un-sees", f"{name}: {_some(alive_again)} were discarded and are live")
    vector = shown.graph.state_vector(LEDGER)
    for writer, clock in seen.vector.items():
        if vector.get(writer, 0) < clock:
            raise ViolationError("a replica never un-sees", f"{name} had {clock} segments of {writer:x}")
    seen.commits = commits
    seen.dead = set(commits) - shown.live
    seen.vector = dict(vector)


def check_contents(
    shown: Shown, commits: Sequence[CommitId], written: Mapping[bytes, Written], hashed: dict[CommitId, Commit]
) -> list[Commit]:
    """A commit's id is the hash of what is read, and what is read is what was written; what is read.

    What was found to have that id goes into `hashed`, so that it is hashed once and not once for each machine.
    """
    name = shown.name
    contents = shown.graph.get_many(commits)
    for commit, found in zip(commits, contents, strict=True):
        if hashed.get(commit) != found:
            if found.id != commit:
                raise ViolationError("ids match content", f"{name} reads {_hex(found.id)} for {_hex(commit)}")
            hashed[commit] = found
        expected = written.get(commit)
        if expected is not None and (found.parents, found.message, found.changes) != expected:
            raise ViolationError("ids match content", f"{name} reads other content of {_hex(commit)} than was written")
    return contents


def check_parents_visible(shown: Shown, contents: Iterable[Commit]) -> None:
    """Whoever sees a commit sees its parents; `contents` are those of commits that are seen."""
    for found in contents:
        for parent in found.parents:
            if parent not in shown.graph:
                raise ViolationError(
                    "parents are visible", f"{shown.name} shows {_hex(found.id)} without {_hex(parent)}"
                )


def check_set(name: str, told: Held, found: Held) -> None:
    """What is held is what the digest of the set says, on whatever replica it was first seen."""
    if told.content != found.content:
        keys = {key for key in (*told.content, *found.content) if told.content.get(key) != found.content.get(key)}
        raise ViolationError(
            "equal set digests mean equal segments", f"{name} differs in {len(keys)}: {', '.join(sorted(keys)[:SHOWN])}"
        )


def check_from_scratch(name: str, graph: Graph, held: Held, orders: Iterable[Order] = tuple(Order)) -> None:
    """The projection kept up to date is the one folded from all segments held, in whatever order."""
    for order in orders:
        if held.digest(order) != graph.digest():
            raise ViolationError(
                "incremental = from scratch",
                f"{name}: {len(held.by_key)} segments in {order.name.lower()} order fold to another digest",
            )


def check_model(shown: Shown, model: Model) -> None:
    """Visible and live commits, refs with their targets, counters, metadata: as the independent model has them."""
    name, graph, visible = shown.name, shown.graph, set(shown.commits)
    _same("visible commits", name, visible, set(model.parents))
    _same("live commits", name, shown.live, model.live)
    _same("refs", name, {ref: graph.refs.targets(ref) for ref in graph.refs}, model.refs)
    counters = {commit: graph.counters(commit) for commit in visible}
    _same("counters", name, {commit: total for commit, total in counters.items() if total}, model.counters)
    waiting = {bytes.fromhex(each.subject) for each in graph.pending() if each.kind == "commit"}
    _same("pending commits", name, waiting, model.pending_commits)
    _same("metadata", name, _metadata(graph, visible), _metadata_of(model))


def check_equal_sets(replicas: Mapping[str, Graph]) -> None:
    """Replicas with equal segment sets have equal digests."""
    first: dict[bytes, str] = {}
    for name, graph in replicas.items():
        if graph.flush_due() is None:
            other = first.setdefault(graph.set_digest(LEDGER), name)
            if replicas[other].digest() != graph.digest():
                raise ViolationError("equal segment sets have equal digests", f"{other} and {name}")


def check_nothing_lost(name: str, held: Iterable[Said], journal: Journal) -> None:
    """Everything that was acknowledged as durable is in these segments, and nothing that nobody said."""
    given = list(held)
    losses = list(journal.losses(given))
    if losses:
        raise ViolationError("nothing durable is lost", f"{name} lacks {len(losses)}: {'; '.join(losses[:SHOWN])}")
    inventions = list(journal.inventions(given))
    if inventions:
        raise ViolationError("nothing is made up", f"{name} has {len(inventions)}: {'; '.join(inventions[:SHOWN])}")


def check_own_durable(name: str, graph: Graph, journal: Journal) -> None:
    """A machine that came back has what it ever acknowledged or gave to others, unless its disk was replaced."""
    for writer in journal.writers.values():
        if writer.host == name and writer.is_at_home:
            for kind, subject, _ in writer.durable:
                if kind == "commit" and subject not in graph:
                    raise ViolationError("nothing durable is lost", f"{name} lost its own {_hex(subject)}")
            for commit in sorted(writer.promised):
                if commit not in graph:
                    raise ViolationError("nothing durable is lost", f"{name} gave {_hex(commit)} away and lost it")


def check_document(name: str, vector: Mapping[int, int], held: Held) -> None:
    """No segment beyond the state vector, and one under each key, its own: nobody here clones processes."""
    for key, reads in held.by_key.items():
        writer, seq = SegmentKey.parse(key)
        if seq >= vector.get(writer, 0) or [read.said.name for read in reads] != [(writer, seq)]:
            raise ViolationError("a key has one segment", f"{name} holds {key} twice or beyond its vector")


def check_holes(name: str, graph: Graph, held: Held) -> None:
    """A replica knows which places its vector covers with nothing there and nothing held that supersedes them."""
    known = {said.name for said in held.said} | held.superseded
    vector = graph.state_vector(LEDGER)
    empty = {(writer, seq) for writer, clock in vector.items() for seq in range(clock)} - known
    told = set(graph.holes(LEDGER))
    if empty != told:
        raise ViolationError("a replica knows its holes", f"{name} has {len(empty)}, and says that it has {len(told)}")


def check_bounds(name: str, node: Node) -> None:
    """Queues, tables and lists stay within their limits."""
    planes = 1 + len(node.graph.searches())
    sizes = [("connections", len(node.connections), CONNECTIONS_MAX), ("wants", len(node.gossip.wants), planes)]
    sizes.append(("alarms", len(node.gossip.alarms.standing), ALARMS_MAX))
    for peer in node.gossip.peers.values():
        outbox = peer.outbox
        sizes.append(("queued messages", outbox.queued, QUEUE_MESSAGES_MAX + QUESTIONS_MAX))
        sizes.append(("queued bytes", outbox.queued_bytes, QUEUE_BYTES_MAX))
    for each in node.objects.exchange.peers.values():
        sizes.append(("blocks asked for", len(each.asked), OBJECT_WINDOW))
        sizes.append(("blocks to give", len(each.serve), OBJECT_SERVE_MAX))
    for what, size, limit in sizes:
        if size > limit:
            raise ViolationError("queues are bounded", f"{name} has {size} {what}, and {limit} are allowed")


def check_waits(name: str, node: Node, seen: Seen, now: float, *, is_paused: bool) -> None:
    """Whoever was asked for a diff and sends nothing is passed over, though its connection stands."""
    want = node.gossip.wants.get(LEDGER)
    # What comes renews the deadline; so does a look around that found nobody else to ask.
    deadline = want.deadline if want is not None else 0.0
    if want is None or is_paused or want is not seen.want or deadline != seen.want_deadline:
        seen.want, seen.want_deadline, seen.want_since_s = want, deadline, now
    elif now - seen.want_since_s > node.settings.want_timeout_s + WAIT_SLACK_S:
        raise ViolationError("every wait ends", f"{name} has waited for a diff since {seen.want_since_s:.0f} s")


def check_quiet(sent: int, bound: float) -> None:
    """Who agrees has nothing to say but summaries and keep-alives."""
    if sent > bound:
        raise ViolationError("agreement is quiet", f"{sent} bytes were sent, and {bound:.0f} are enough")


def check_ending(name: str, reason: str) -> None:
    """Honest peers find nothing wrong with each other's messages."""
    if not any(harmless in reason for harmless in HARMLESS_ENDINGS):
        raise ViolationError("honest peers find no fault", f"{name}: {reason}")


def check_alarm(name: str, text: str) -> None:
    """Honest replicas have no cause for an alarm."""
    raise ViolationError("no alarm among honest replicas", f"{name}: {text}")


def _metadata(graph: Graph, visible: Iterable[bytes]) -> dict[tuple[str, str], bytes]:
    found = {("meta/graph", key): value for key, value in graph.meta().items()}
    for commit in visible:
        for key, value in graph.meta(CommitId(commit)).items():
            found[f"meta/{commit.hex()}", key] = value
    return found


def _metadata_of(model: Model) -> dict[tuple[str, str], bytes]:
    # What is said of a commit that is not visible is held, and there is no way to ask for it.
    spaces = {"meta/graph", *(f"meta/{commit.hex()}" for commit in model.parents)}
    return {name: value for name, value in model.meta.items() if name[0] in spaces and name[0] != REF}


def _same(what: str, name: str, ours: object, theirs: object) -> None:
    if ours != theirs:
        raise ViolationError(
            "the projection is the model's", f"{name} and the model differ in {what}: {_gap(ours, theirs)}"
        )


def _gap(ours: object, theirs: object) -> str:
    if isinstance(ours, set) and isinstance(theirs, set):
        return f"only here {_some(ours - theirs)}, only in the model {_some(theirs - ours)}"
    if isinstance(ours, dict) and isinstance(theirs, dict):
        keys = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
        return "; ".join(f"{key!r}: {ours.get(key)!r}, model {theirs.get(key)!r}" for key in keys[:SHOWN])
    return ""


def _some(commits: Iterable[bytes]) -> str:
    found = sorted(commits)
    return f"{len(found)} ({', '.join(_hex(commit) for commit in found[:SHOWN])})"


def _hex(value: object) -> str:
    return value.hex()[:16] if isinstance(value, bytes) else str(value)
