"""Links and parts of a cluster, from made-up cards."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from cli.cluster.columns import STATUS_COLUMNS, rows_of, table
from cli.cluster.members import LEFT, UNREACHABLE, UP, Behind, Cluster, Member, Stranger, merged
from cli.cluster.picture import dot, lines
from cli.cluster.reports import MEMBER_COLUMNS, member_documents, verdict
from cli.cluster.topology import LinkState, topology_of
from crdtgraph.ids import ReplicaId
from sync.protocol.cards import AlarmCard, Card, LinkCard, PlaneCard

ESCAPE = "\x1b[31m"


def replica(name: str) -> ReplicaId:
    return ReplicaId(name.encode()[:1] * 16)


def link(other: str, state: str = "open", **changes: object) -> LinkCard:
    facts: dict[str, object] = {"agrees": True, "queued_messages": 0, "queued_bytes": 0, "queue_drops": 0}
    return LinkCard(replica(other), f"{other}:1", state, **(facts | changes))  # type: ignore[arg-type]


def member(name: str, *links: LinkCard, state: str = UP, digest: bytes = b"A" * 32, **changes: object) -> Member:
    vector = changes.pop("vector", {1: 5})
    assert isinstance(vector, dict)
    plane = PlaneCard("ledger", digest, digest, 5, 5, 0, 1, 5, 0, sum(vector.values()), vector)
    facts: dict[str, object] = {
        "replica": replica(name),
        "nonce": bytes(16),
        "number": 1,
        "name": name,
        "version": "1.0",
        "protocol": 2,
        "addresses": (f"{name}:1",),
        "started_us": 0,
        "issued_us": 60_000_000,
        "leaving": state == LEFT,
        "store_bytes": None,
        "refs": 0,
        "conflicted_refs": 0,
        "buffered": 0,
        "alarms_total": 0,
        "planes": (plane,),
        "links": links,
    }
    return Member(Card(**(facts | changes)), state, 2.0, Behind(0, True, 0))  # type: ignore[arg-type]


def cluster(*members: Member, strangers: tuple[Stranger, ...] = ()) -> Cluster:
    return Cluster(frozenset(), members, strangers)


def states(*members: Member) -> dict[str, str]:
    return {
        f"{pair.one.card.name}{pair.other.card.name}": pair.state.value for pair in topology_of(cluster(*members)).pairs
    }


def parts(*members: Member) -> list[str]:
    return ["".join(each.card.name for each in part) for part in topology_of(cluster(*members)).parts]


def text(made: Cluster) -> str:
    return "\n".join(lines(made, topology_of(made), lambda words, _: words))


def test_a_link_is_open_when_both_ends_say_so() -> None:
    pair = (member("a", link("b")), member("b", link("a")))
    assert states(*pair) == {"ab": "open"}
    assert parts(*pair) == ["ab"]


def test_a_link_that_one_end_believes_in_joins_nothing() -> None:
    for other in (member("b"), member("b", link("a", "waiting")), member("b", link("a", "greeting"))):
        found = topology_of(cluster(member("a", link("b")), other))
        assert [each.state for each in found.pairs] == [LinkState.ONE_SIDED]
        assert not found.is_whole
        assert len(found.parts) == 2
    assert "one-sided  open at a only" in text(cluster(member("a", link("b")), member("b")))


def test_a_link_that_either_end_blocks_is_blocked() -> None:
    for entry in (replica("b").hex()[:6], "b:1"):
        assert states(member("a", blocked=(entry,)), member("b", link("a", "waiting"))) == {"ab": "blocked"}
    assert states(member("a", link("b", "blocked")), member("b")) == {"ab": "blocked"}
    both = cluster(member("a", blocked=("b:1",)), member("b", blocked=("a:1",)))
    assert "blocked  by a and b" in text(both)


def test_a_link_that_is_wanted_and_not_there_is_down_with_the_reason() -> None:
    made = cluster(member("a", link("b", "waiting", failure="refused")), member("b"))
    assert [each.state for each in topology_of(made).pairs] == [LinkState.DOWN]
    assert "b  down  refused" in text(made)


def test_of_a_member_that_did_not_answer_only_the_other_end_counts() -> None:
    made = cluster(member("a", link("b", "waiting")), member("b", link("a"), state=UNREACHABLE))
    assert [each.state for each in topology_of(made).pairs] == [LinkState.UNKNOWN]
    assert parts(*made.members) == ["a"]
    assert topology_of(made).is_whole
    assert "unreachable for 2.0s" in text(made)
    assert "no word from b" in text(made)


def test_a_peer_that_is_dialled_and_has_not_said_who_it_is_is_known_by_its_address() -> None:
    unknown = LinkCard(b"", "b:1", "waiting", False, 0, 0, 0)
    assert states(member("a", unknown), member("b")) == {"ab": "down"}


def test_parts_are_what_open_links_join() -> None:
    ring = [member(name, link(after), link(before)) for name, after, before in ("abc", "bca", "cab")]
    lone = member("d", link("a", "waiting"))
    assert parts(*ring, lone) == ["abc", "d"]
    made = cluster(*ring, lone)
    assert "part 1 of 2: 3 of 4 members that are up" in text(made)
    assert text(made).endswith("SPLIT: no links lead from one of the 2 parts to another")


def test_control_characters_in_names_reach_no_terminal() -> None:
    evil = member("a", link("b", "waiting", failure=f"no{ESCAPE}"), blocked=(f"x{ESCAPE}",))
    evil = replace(evil, card=replace(evil.card, name=f"a{ESCAPE}", version=ESCAPE))
    made = cluster(evil, member("b"), strangers=(Stranger(f"s{ESCAPE}", ESCAPE, (evil.id,)),))
    shown, _ = table(STATUS_COLUMNS, rows_of(made), made.strangers, None, lambda words, _: words)
    printed = [*shown, *verdict(made, lambda words, _: words), text(made)]
    assert not [line for line in printed if "\x1b" in line]


def test_dot_is_a_graph_that_graphviz_reads() -> None:
    odd = member("a", link("b"), link("c", "waiting"))
    odd = replace(odd, card=replace(odd.card, name='a "quoted" \\ name'))
    made = cluster(
        odd,
        member("b", link("a"), digest=b"B" * 32),
        member("c", state=LEFT),
        member("d", blocked=("b:1",)),
        strangers=(Stranger("x:1", "refused", (odd.id,)),),
    )
    source = "\n".join(dot(made, topology_of(made)))
    assert source.count(" -- ") == 4
    assert source.count("subgraph cluster_") == 2
    assert source.count("{") == source.count("}")
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tsvg"], input=source, text=True, check=True, capture_output=True)


# --- tables


def test_a_mismatch_is_said_plane_by_plane_with_who_is_on_which_side() -> None:
    made = cluster(member("a"), member("b", digest=b"B" * 32), member("c"), member("d", digest=b"C" * 32, state=LEFT))
    assert made.differing() == ["ledger"]
    said = [*verdict(made, lambda words, _: words)]
    assert said == ["MISMATCH: 3 of 4 members are up, and they differ", "  ledger: A 41414141 a, c; B 42424242 b"]
    assert cluster(member("a"), member("d", digest=b"C" * 32, state=UNREACHABLE)).differing() == []


def test_alarms_and_blocks_are_said_by_name() -> None:
    alarm = AlarmCard("diverged", "ledger", replica("b"))
    made = cluster(member("a", alarms=(alarm,), blocked=("b:1", "z:1")), member("b"))
    said = [*verdict(made, lambda words, _: words)]
    assert said[1:] == ["a blocks b", "a blocks z:1", "ALARM a and b: diverged in ledger"]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 120, 140, 200])
def test_a_table_is_as_wide_as_the_window_and_what_matters_most_stays(width: int) -> None:
    made = cluster(member("a", link("b")), member("b", state=UNREACHABLE))
    shown, left_out = table(STATUS_COLUMNS, rows_of(made), (), width, lambda words, _: words)
    titles = shown[0].split()
    assert {"NODE", "STATE", "DIGEST"} <= set(titles)
    assert len(titles) + len(left_out) == len(STATUS_COLUMNS)
    if width >= 50:
        assert max(map(len, shown)) <= width
    assert all(re.search(r"41414141$", row) for row in shown[1:])


def test_every_document_has_every_key() -> None:
    made = cluster(member("a", link("b")), strangers=(Stranger("x:1", "refused"),))
    for document in member_documents(made):
        assert tuple(document) == MEMBER_COLUMNS


# --- several answers


def test_of_several_answers_the_latest_card_counts_and_whoever_answered_is_up() -> None:
    old, new = member("b", state=UNREACHABLE, number=9), member("b", number=5)
    assert [each.state for each in merged([cluster(old), cluster(new)]).members] == [UP]
    older, newer = member("b", state=UNREACHABLE, number=1), member("b", state=LEFT, number=2)
    assert [each.state for each in merged([cluster(newer), cluster(older)]).members] == [LEFT]


def test_lag_is_counted_anew_over_all_answers() -> None:
    one, other = cluster(member("a", vector={1: 5})), cluster(member("b", vector={1: 2, 2: 7}))
    found = merged([one, other]).members
    assert [(each.card.name, each.lag) for each in found] == [
        ("a", Behind(7, True, None)),
        ("b", Behind(3, True, None)),
    ]


def test_an_address_that_another_answer_knows_is_no_stranger() -> None:
    one = Cluster(frozenset(), (member("a"),), (Stranger("b:1", "refused"), Stranger("z:1", "refused")))
    found = merged([one, cluster(member("b"))])
    assert [each.address for each in found.strangers] == ["z:1"]
