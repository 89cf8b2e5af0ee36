"""Every planted bug is caught, for the reason that it deserves, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

import crdtgraph.planes
from crdtgraph import NotFoundError
from simulations import timeline
from simulations.mutants import (
    MUTANTS,
    UNPATCHED,
    Change,
    Evidence,
    Mutant,
    SeamError,
    find,
    judge_scenario,
    planted,
)
from simulations.scenario import Link, Scenario, Topology, Workload
from simulations.timeline import AnyEvent

SEEDS = range(12)


def world(
    *events: AnyEvent, seconds: float = 12.0, rate: float = 3.0, settings: dict[str, float] | None = None, **mix: float
) -> Scenario:
    """A small one, with these operations (or a little of everything) and events."""
    workload = Workload(operations_per_s=rate, mix=mix, refs=1) if mix else Workload(operations_per_s=rate, refs=1)
    return Scenario(duration_s=seconds, workload=workload, timeline=events, settings=settings or {})


def quiet(*events: AnyEvent, seconds: float = 14.0) -> Scenario:
    """One in which only what is ordered is done."""
    return world(*events, seconds=seconds, rate=0.0)


def split(at_s: float, for_s: float) -> AnyEvent:
    return timeline.Partition(at_s=at_s, for_s=for_s, groups=(("n0", "n1"), ("n2",)))


SPLIT = split(at_s=2, for_s=8)
LATE = timeline.Join(at_s=6, node="n2")
LATE_LINK = (Link(between=("n0", "n2"), latency_s=0.5),)
FILL = timeline.Do(at_s=1, for_s=3, nodes=("n0",), operation="commit_on_ref", count=60)
COMPACT = timeline.Do(at_s=6, nodes=("n0",), operation="compact")

NOTHING_LOST = "nothing durable is lost"
MODEL = "the projection is the model's"
SCRATCH = "incremental = from scratch"
EQUAL = "equal segment sets have equal digests"
ALARM = "no alarm among honest replicas"
AGREE = "all agree once everything is mended"
HONEST = "honest peers find no fault"
COMPACTION = "a compaction changes no digest"
PROMPT = "news travels at once"
SEARCH_MODEL = "a search is the model's"
SEARCHING = {"commit": 1, "share": 6, "flush": 3}

WORLDS: dict[str, tuple[Scenario, set[str]]] = {
    "orphans made visible": (replace(world(SPLIT), links=LATE_LINK), {"parents are visible", SCRATCH, EQUAL, ALARM}),
    "last-writer-wins by wall clock": (world(SPLIT, commit=1, set_meta=4), {MODEL}),
    "refs not superseded": (world(commit=1, force_ref=2), {MODEL}),
    "ties broken by arrival": (world(SPLIT, commit_on_ref=1), {MODEL}),
    "floats in counters": (world(commit=1, count=9), {SCRATCH, EQUAL, ALARM}),
    "counts counted twice at compaction": (world(commit=1, count=3, flush=3, compact=1), {COMPACTION, MODEL}),
    "digest not updated on remove": (world(commit=3, discard=1), {SCRATCH, EQUAL, ALARM}),
    "discards that miss later children": (world(commit=3, discard=1), {SCRATCH, EQUAL, ALARM}),
    "discards forgotten at compaction": (
        world(commit=3, discard=1, flush=3, compact=1),
        {SCRATCH, NOTHING_LOST, ALARM},
    ),
    "merge commits that depend on the merging node": (
        quiet(
            *(split(at_s=at_s, for_s=3) for at_s in (2, 7)),
            timeline.Do(at_s=3, nodes=("n0", "n2"), operation="commit_on_ref"),
            timeline.Do(at_s=8, nodes=("n0", "n2"), operation="merge"),
        ),
        {"equal heads merge alike"},
    ),
    "push before fsync": (
        replace(world(timeline.CrashInWrite(at_s=4, for_s=4, node="n0", moment="sync", loses_power=True)), sync_s=1.0),
        {NOTHING_LOST},
    ),
    "fsync forgotten when a ref moves": (
        world(timeline.PowerLoss(at_s=6, for_s=2, node="n0"), commit_on_ref=1),
        {NOTHING_LOST},
    ),
    "failed fsync taken for success": (
        world(timeline.DiskErrors(at_s=2, for_s=8, node="n0", share=0.3, is_sticky=True), rate=1, commit=1),
        {NOTHING_LOST},
    ),
    "memory changed before the disk": (
        world(timeline.DiskErrors(at_s=2, for_s=8, node="n0", share=0.5), commit=1, force_ref=1),
        {"a call that raises changes nothing"},
    ),
    "log deleted before its snapshot": (
        world(FILL, timeline.CrashInWrite(at_s=5, for_s=4, node="n0", moment="batch"), COMPACT),
        {NOTHING_LOST},
    ),
    "checkpoint without what is on its way to disk": (
        world(
            timeline.CrashInWrite(at_s=5, for_s=4, node="n0"),
            commit=1,
            count=3,
            settings={"checkpoint_weight_min": 20, "checkpoint_spacing_s": 0.05},
        ),
        {SCRATCH, EQUAL, ALARM, MODEL, NOTHING_LOST},
    ),
    "pending commits lost at restart": (
        world(LATE, timeline.CrashInWrite(at_s=6, for_s=2, node="n2", writes=12), commit=1),
        {SCRATCH, EQUAL, ALARM, MODEL, AGREE},
    ),
    "client id reused after amnesia": (world(timeline.Backup(at_s=2, for_s=5, node="n0")), {HONEST, AGREE, ALARM}),
    "state vectors taken for agreement": (
        quiet(FILL, split(at_s=5, for_s=3), COMPACT, timeline.CrashInWrite(at_s=7.9, for_s=2, node="n2", writes=2)),
        {AGREE},
    ),
    "deleted places taken for knowledge": (
        quiet(
            FILL,
            replace(COMPACT, at_s=4.5),
            LATE,
            timeline.CrashInWrite(at_s=6, for_s=1, node="n2", writes=9),
            split(at_s=6.5, for_s=8),
            seconds=20,
        ),
        {"a replica knows its holes"},
    ),
    "gapped delta applied": (
        world(timeline.Restart(at_s=2, for_s=4, node="n2"), rate=20.0, seconds=9),
        {HONEST, AGREE, ALARM},
    ),
    "newest segment served first": (replace(world(commit_many=1), sync_s=1.0), {ALARM, AGREE, HONEST}),
    "relay missing": (replace(world(), topology=Topology.LINE), {PROMPT}),
    "dropped queue not followed by anti-entropy": (world(settings={"queue_messages_max": 1}), {PROMPT}),
    "want never timed out": (
        world(
            timeline.OneWayCut(at_s=2, for_s=25, source="n0", target="n1"),
            seconds=28,
            rate=1.0,
            settings={"queue_messages_max": 1},
        ),
        {"every wait ends"},
    ),
    "counts of a search doubled after its compaction": (
        world(tree_step=4, tree_compact=1),
        {COMPACTION, "totals are what was counted"},
    ),
    "in flight for ever": (
        replace(world(timeline.PowerLoss(at_s=8, for_s=2, node="n0"), tree_step=1), topology=Topology.LINE),
        {"what is in flight lands"},
    ),
    "late peer brings a closed search back": (
        world(SPLIT, rate=8.0, **SEARCHING),
        {"a closed search stays closed"},
    ),
    "bases that stay bases": (world(SPLIT, rate=8.0, **SEARCHING), {SEARCH_MODEL, EQUAL, ALARM}),
    "ledger that comes after the search": (world(rate=8.0, **SEARCHING), {SEARCH_MODEL, EQUAL, ALARM}),
    "compaction forgets a concurrent assignment": (
        world(SPLIT, rate=8.0, commit=1, assign=6, flush=3, compact=2),
        {COMPACTION, "no value is lost that nobody replaced"},
    ),
    "compaction forgets what was replaced": (
        world(SPLIT, LATE, rate=8.0, commit=1, assign=6, flush=3, compact=2),
        {SEARCH_MODEL, EQUAL, ALARM, "what was replaced does not come back"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_a_planted_bug_is_caught_in_a_small_world_and_the_code_as_it_is_passes_it(name: str) -> None:
    scenario, rules = WORLDS[name]
    for seed in SEEDS:
        verdict = judge_scenario(find(name), seed, scenario)
        assert not verdict.unpatched_rule
        if verdict.rule:
            assert verdict.rule in rules, verdict.details
            return
    raise AssertionError(f"{len(SEEDS)} worlds passed")


def test_there_is_a_small_world_for_every_bug_that_shows_in_one() -> None:
    assert set(WORLDS) == {mutant.name for mutant in MUTANTS if mutant.evidence is Evidence.RULE}


def test_the_list_covers_what_people_get_wrong() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names) >= 20
    assert {
        "state vectors taken for agreement",
        "client id reused after amnesia",
        "push before fsync",
        "floats in counters",
        "orphans made visible",
        "last-writer-wins by wall clock",
        "discards forgotten at compaction",
        "gapped delta applied",
        "refs not superseded",
        "digest not updated on remove",
        "dropped queue not followed by anti-entropy",
        "relay missing",
        "pending commits lost at restart",
        "set order leaking into bytes",
        "merge commits that depend on the merging node",
    } <= set(names)
    assert all(text.endswith(".") for mutant in MUTANTS for text in (mutant.bug, mutant.why))


def test_a_name_that_is_none_is_answered_with_all_there_are() -> None:
    assert find("relay missing").name == "relay missing"
    assert find("unpatched") is UNPATCHED
    with pytest.raises(NotFoundError, match="no mutant 'typo'") as caught:
        find("typo")
    assert "relay missing" in caught.value.hint


# --- planting


class Code:
    """What is changed below."""

    limit = 3

    def double(self, number: int) -> int:
        return 2 * number


def instead(double: Callable[[Code, int], int], self: Code, number: int) -> int:
    return double(self, number) + 1


BUG = Mutant("bug", "One too many.", "It is only one.", (Change(Code, "double", instead),))


def functions(mutant: Mutant) -> list[object]:
    return [vars(change.owner)[change.name] for change in mutant.changes]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_bug_is_there_in_its_block_and_nothing_is_left_of_it(mutant: Mutant) -> None:
    before = functions(mutant)
    with planted(mutant):
        assert all(was is not now for was, now in zip(before, functions(mutant), strict=True))
    assert all(was is now for was, now in zip(before, functions(mutant), strict=True))
    with pytest.raises(ZeroDivisionError), planted(mutant):
        raise ZeroDivisionError
    assert all(was is now for was, now in zip(before, functions(mutant), strict=True))


def test_what_takes_a_functions_place_is_given_the_function() -> None:
    with planted(BUG):
        assert Code().double(4) == 9
    assert Code().double(4) == 8


@pytest.mark.parametrize("other", [BUG, UNPATCHED], ids=["itself", "another"])
def test_one_bug_at_a_time(other: Mutant) -> None:
    with planted(BUG):
        with pytest.raises(SeamError, match="'bug' is planted already"), planted(other):
            raise AssertionError
        assert Code().double(4) == 9
    assert Code().double(4) == 8


class Heir(Code):
    """Has `double` from elsewhere."""


@pytest.mark.parametrize(
    "change, words",
    [
        (Change(Code, "treble", instead), "Code.treble is None"),
        (Change(Code, "limit", instead), "Code.limit is 3"),
        (Change(Heir, "double", instead), "Heir.double is None"),
        (
            Change(Code, "double", lambda double, self, figure: 0),
            r"takes \['self', 'number'\], .* \['self', 'figure'\]",
        ),
        (Change(crdtgraph.planes, "LEDGER", instead), "crdtgraph.planes.LEDGER is 'ledger'"),
    ],
    ids=["gone", "a constant", "inherited", "other arguments", "of a module"],
)
def test_a_place_that_has_moved_is_an_error_and_changes_nothing(change: Change, words: str) -> None:
    double = Code.double
    with pytest.raises(SeamError, match=words), planted(Mutant("stale", "", "", (*BUG.changes, change))):
        raise AssertionError
    assert Code.double is double
    with planted(BUG):
        assert Code().double(4) == 9


def test_whoever_changes_the_same_place_meanwhile_is_told_and_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    double = Code.double
    with pytest.raises(SeamError, match="changed by somebody else"), planted(BUG):
        Code.double = instead  # type: ignore[method-assign, assignment]
    assert Code.double is double
