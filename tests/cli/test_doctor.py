"""What goes wrong in practice: where it can be brought about, for real; where it takes hours, by what was then seen."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

import crdtgraph as library
from cli.cluster.members import Behind, Cluster, Member
from cli.doctor.checks import CHECKS, Verdict, examine
from cli.doctor.facts import Disk, Facts, gather
from cli.main import COMMANDS
from crdtgraph.store import FORMAT
from sync.protocol.limits import PROTOCOL_VERSION
from sync.requests import LocalCaller
from tests.sync.test_membership import card

from .conftest import CommandLine, Process

HOUR_US = 3_600_000_000


def found(crdtgraph: CommandLine, *options: str) -> dict[str, str]:
    """The checks that found something, with what they say."""
    outcome = crdtgraph("doctor", "-o", "json", *options)
    assert isinstance(outcome.json, list)
    assert [each["check"] for each in outcome.json if each["verdict"] == "ok"] == [
        name for name in CHECKS if name not in {each["check"] for each in outcome.json if each["verdict"] != "ok"}
    ]
    troubles = {each["check"]: each["text"] for each in outcome.json if each["verdict"] != "ok"}
    assert outcome.code == bool(troubles), outcome.err
    for each in outcome.json:
        assert bool(each["remedy"]) == (each["verdict"] != "ok")
    return troubles


def test_a_sound_store_and_its_node(crdtgraph: CommandLine, node: Process) -> None:
    assert found(crdtgraph) == {}
    assert crdtgraph("doctor").out.count("ok  ") == len(CHECKS)


@pytest.mark.usefixtures("store")
def test_others_may_write_to_the_store(crdtgraph: CommandLine, store: str) -> None:
    Path(store).chmod(0o777)
    assert "others may write" in found(crdtgraph)["permissions"]


def test_a_backup_that_is_missing_stale_and_fresh(crdtgraph: CommandLine, store: str) -> None:
    crdtgraph("context", "add", "lab", "--store", store, "--backup", "graph.jsonl")
    assert "is not there" in found(crdtgraph)["backup"]
    crdtgraph("export", "jsonl", "graph.jsonl")
    assert found(crdtgraph) == {}
    long_ago = time.time() - 30 * 86_400
    os.utime("graph.jsonl", (long_ago, long_ago))
    assert "30d" in found(crdtgraph)["backup"]


@pytest.mark.usefixtures("store")
def test_a_conflict_and_a_record_from_the_future(crdtgraph: CommandLine, store: str) -> None:
    with library.open("other.db") as other:
        other.commit(message="another start", ref="main")
    assert crdtgraph("converge", store, "other.db").code == 0
    assert "1 refs are in conflict" in found(crdtgraph)["conflicts"]


def test_a_peer_out_of_reach_and_one_that_is_blocked(crdtgraph: CommandLine, store: str, start: object) -> None:
    assert callable(start)
    start("serve", "--store", store, "--peer", "127.0.0.1:1").wait_for("ready")
    crdtgraph("block", "127.0.0.1:9")
    outcome = crdtgraph("doctor")
    assert outcome.code == 1
    assert "127.0.0.1:1" in outcome.out
    assert "127.0.0.1:9 blocked by hand" in outcome.out


def facts() -> Facts:
    with library.open("memory:") as graph:
        graph.commit(message="start", ref="main")
        return gather(LocalCaller(graph), 0.0)


def peer(**changes: object) -> dict[str, object]:
    known = {"name": "b", "replica": "ab" * 16, "state": "open", "agrees": False, "connected_s": 1e5}
    return {**known, "last_exchange_s": None, **changes}


def node_of(*peers: dict[str, object], **changes: object) -> dict[str, object]:
    return {"peers": list(peers), "alarms": [], "blocked": [], "store_failures": 0, **changes}


def members(now_us: int, *cards: object) -> Cluster:
    listed = tuple(Member(each, "up", 0.0, Behind(0, True, 0)) for each in cards)  # type: ignore[arg-type]
    return Cluster(frozenset(), listed, ())


SOUND = facts()
NOW_US = SOUND.now_us
LARGE = Disk("search.db", 10 << 30, 30 << 30, 100 << 30, 0o755)
EARLIER = {"kind": "commit", "subject": "", "waits_for": bytes(32)}
SPLIT = {"to_us": None, "theirs": [{"name": "c", "replica": bytes(16)}], "commits_ours": 3}


@pytest.mark.parametrize(
    "check, changes, verdict, text",
    [
        ("clock", {"newest_us": NOW_US + HOUR_US}, Verdict.WARNING, "1h00m ahead of this machine's clock"),
        (
            "clock",
            {"cluster": members(NOW_US, card(1, NOW_US, issued_us=NOW_US - HOUR_US))},
            Verdict.WARNING,
            "the clock of n1 is 1h00m behind this machine's",
        ),
        ("equality", {"node": node_of(peer())}, Verdict.BAD, "not equal to b for"),
        ("equality", {"node": node_of(peer(last_exchange_s=1e4))}, Verdict.BAD, "not equal to b for"),
        ("equality", {"node": node_of(alarms=[{"text": "replicas differ"}])}, Verdict.BAD, "alarm: replicas differ"),
        ("pending", {"pending": [{**EARLIER, "since_us": NOW_US - HOUR_US}]}, Verdict.BAD, "1 records wait for 0000"),
        ("pending", {"graph": {**SOUND.graph, "holes": 2}}, Verdict.WARNING, "2 places"),
        ("splits", {"episodes": [{**SPLIT, "from_us": NOW_US - 2 * HOUR_US}]}, Verdict.WARNING, "apart from c for"),
        ("splits", {"episodes": "a record cannot be read"}, Verdict.BAD, "cannot be read"),
        ("disk", {"disk": replace(LARGE, free=15 << 30)}, Verdict.WARNING, "free on the disk of search.db"),
        ("disk", {"disk": replace(LARGE, free=5 << 30)}, Verdict.BAD, "free on the disk of search.db"),
        ("disk", {"node": node_of(store_failures=3)}, Verdict.BAD, "refused to write 3 times"),
        ("versions", {"graph": {**SOUND.graph, "format": FORMAT - 1}}, Verdict.WARNING, "has format"),
        (
            "versions",
            {"cluster": members(NOW_US, card(1, NOW_US), card(2, NOW_US, version="2"))},
            Verdict.WARNING,
            "members run 1, 2",
        ),
        (
            "versions",
            {"cluster": members(NOW_US, card(1, NOW_US, protocol=PROTOCOL_VERSION - 1))},
            Verdict.WARNING,
            "n1 speaks protocol",
        ),
    ],
)
def test_what_takes_long_or_another_machine(check: str, changes: dict[str, object], verdict: str, text: str) -> None:
    [trouble] = [each for each in examine(replace(SOUND, **changes)) if each.verdict != Verdict.OK]  # type: ignore[arg-type]
    assert (trouble.check, trouble.verdict) == (check, verdict)
    assert text in trouble.text
    assert trouble.remedy


@pytest.mark.parametrize(
    "changes",
    [
        {"newest_us": NOW_US + 1_000_000},
        {"cluster": members(NOW_US, card(1, NOW_US, issued_us=NOW_US - 1_000_000))},
        {"node": node_of(peer(agrees=True), peer(last_exchange_s=10.0), peer(state="waiting"))},
        {"pending": [{**EARLIER, "since_us": NOW_US - 1_000_000}]},
        {"episodes": [{**SPLIT, "from_us": NOW_US - 60_000_000}, {**SPLIT, "from_us": 0, "to_us": 5}]},
        {"disk": LARGE},
        {"disk": None},
        {"newest_us": None},
    ],
)
def test_what_is_no_trouble(changes: dict[str, object]) -> None:
    assert {each.verdict for each in examine(replace(SOUND, **{"disk": None, **changes}))} == {Verdict.OK}  # type: ignore[arg-type]


def test_every_remedy_names_commands_that_exist() -> None:
    source = (Path(__file__).parents[2] / "cli" / "doctor" / "checks.py").read_text()
    named = {part.split()[0].strip(".,;:\"'") for part in source.split("crdtgraph ")[1:]}
    assert {each for each in named if each.isalpha() and each != "import"} <= set(COMMANDS)
