"""The hazard of each shipped scenario, as a check of what was observed of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from simulations import timeline
from simulations.observer import NodeState
from sync.protocol.limits import DEFAULTS
from tests.simulations.spied_runs import Run, time_of

FEW_S = 0.5
"""Before a fault ends: late enough for everything that it causes."""

Check = Callable[[Run], None]
HAZARDS: dict[str, Check] = {}


def hazard(scenario: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        assert scenario not in HAZARDS
        HAZARDS[scenario] = check
        return check

    return register


def check_sides(run: Run, sides: Sequence[Sequence[str]], from_s: float, to_s: float) -> None:
    """For so long every side grew, and in the end no machine of one showed what one of another did."""
    shown = [{run.at(name, to_s).digest for name in side} for side in sides]
    for number, digests in enumerate(shown):
        assert not any(digests & other for other in shown[:number])
    for number, side in enumerate(sides):
        assert all(run.commits(name, from_s) < run.commits(name, to_s) for name in side)
        # At one moment they may differ by what is on its way; but not for half of the time.
        for other in sides[:number]:
            assert not run.agree_sometime([side[0], other[0]], (from_s + to_s) / 2, to_s)


def check_found_dead(run: Run, at_least: int = 1) -> None:
    """A connection was given up because nothing was heard, and not because somebody said so."""
    assert len(run.lines("connection closed", "silent for")) >= at_least


def starts(run: Run, name: str) -> list[str]:
    """The writer numbers of a machine's processes."""
    return [line.split(" starts ")[1].split()[0] for line in run.lines(f" {name} starts ")]


@hazard("clean-split")
def the_halves_part(run: Run) -> None:
    check_sides(run, [["n0", "n1"], ["n2", "n3"]], 10, 50 - FEW_S)
    check_found_dead(run, 4)


@hazard("three-way-split")
def three_part_and_two_meet_first(run: Run) -> None:
    check_sides(run, [["n0", "n1"], ["n2", "n3"], ["n4", "n5"]], 10, 44)
    assert run.agree_sometime(["n0", "n1", "n2", "n3"], 45, 60)
    assert not run.agree_sometime(["n0", "n4"], 11, 59)


@hazard("isolated-node")
def one_is_alone(run: Run) -> None:
    check_sides(run, [["n4"], ["n0", "n1", "n2", "n3"]], 10, 50 - FEW_S)


@hazard("asymmetric-cut")
def one_hears_and_is_not_heard(run: Run) -> None:
    heard, own = run.commits("n1", 35), run.commits("n0", 35)
    assert own > 10
    assert heard > 2.5 * own
    assert not run.lines("n0 hears n1", after_s=10.01, before_s=50)
    assert run.lines("n1 hears n0", after_s=20, before_s=35)
    check_found_dead(run)


@hazard("flapping-link")
def the_link_comes_and_goes_and_news_gets_through(run: Run) -> None:
    assert len([*run.lines("n1 connects n2"), *run.lines("n2 connects n1")]) >= 5
    check_found_dead(run, 5)
    middle = [run.agree_sometime(run.scenario.names, from_s, from_s + 15) for from_s in (10, 25, 40, 55)]
    assert any(middle)
    assert {run.at("n0", at_s).digest == run.at("n3", at_s).digest for at_s in range(10, 70)} == {True, False}


@hazard("broken-transfers")
def connections_break_in_the_middle_and_nothing_starts_over(run: Run) -> None:
    resets = [line for line in run.lines(" n1 hears n0 reset") if run.commits("n1", time_of(line)) < 60]
    assert len(resets) >= 5
    commits = [run.commits("n1", time_of(line)) for line in resets]
    assert commits == sorted(commits)
    assert run.outcome.bytes_sent < 10e6


@hazard("slow-link")
def large_commits_take_longer_than_anyone_waits(run: Run) -> None:
    arrived = [sample.at_s for sample in run.seen.samples["n2"] if run.commits("n0", sample.at_s) > sample.commits]
    assert max(arrived) > 5 + 2 * DEFAULTS.send_timeout_s
    assert len(run.lines(" connects n2")) + len(run.lines(" n2 connects")) <= 2
    assert run.commits("n2", 200) == 22


@hazard("large-values")
def commits_are_there_at_once_and_their_values_are_not_when_their_only_holder_dies(run: Run) -> None:
    assert len(run.lines(" n0 commit_object", before_s=3)) == 20
    assert run.lines(" n0 loses power")
    assert run.lines(" n1 is killed")
    assert [run.commits(name, 6 - FEW_S) for name in ("n1", "n2", "n3")] == [20] * 3
    # What one path carries until then is far less than what each of three has to carry.
    assert run.outcome.bytes_sent / 3 > 3 * (6 - 2) * run.scenario.wire.bytes_per_s
    assert run.lines(" n3 collect_garbage", " to be continued")


@hazard("wide-area")
def paths_are_long_and_narrow_and_there_is_much_to_say(run: Run) -> None:
    check_sides(run, [["n0", "n1", "n2", "n3"], ["n4", "n5"]], 15, 40 - FEW_S)
    assert run.outcome.converged_after_s > 1


@hazard("large-cluster")
def two_halves_of_fifteen_part(run: Run) -> None:
    names = run.scenario.names
    check_sides(run, [names[:15], names[15:]], 10, 50 - FEW_S)
    check_found_dead(run, 4)


@hazard("bridge-node")
def the_cliques_part_when_the_bridge_is_down(run: Run) -> None:
    assert run.at("n3", 44).state is NodeState.DOWN
    check_sides(run, [["n0", "n1", "n2"], ["n4", "n5", "n6"]], 15, 45 - FEW_S)


@hazard("hub-loss")
def nobody_hears_of_anybody_without_the_hub(run: Run) -> None:
    assert run.at("n0", 49).state is NodeState.DOWN
    check_sides(run, [[f"n{number}"] for number in range(1, 6)], 15, 50 - FEW_S)
    check_found_dead(run)


@hazard("rolling-restarts")
def everyone_is_a_new_writer(run: Run) -> None:
    for name in run.scenario.names:
        assert len(set(starts(run, name))) == 2
        assert run.lines(f" {name} stops")


@hazard("old-backup")
def it_returns_with_less(run: Run) -> None:
    before, after = run.commits("n0", 29.9), int(run.lines(" n0 starts ")[1].split()[-2])
    assert before == 120
    assert 0 < after < 80
    first_heard = time_of(run.lines(" n0 hears ", " ", after_s=35)[0])
    first_made = time_of(run.lines(" n0 commit ", after_s=35)[0])
    assert first_made <= first_heard
    assert len(set(starts(run, "n0"))) == 2


@hazard("amnesia")
def it_forgets_and_is_another_writer(run: Run) -> None:
    assert run.outcome.lost > 0
    assert len(set(starts(run, "n0"))) == 2
    [kept] = run.lines(" n0 disk keeps ")
    assert int(kept.split(" of ")[1].split()[0]) > 0
    assert run.commits("n0", 30) == 60 + 1_600 + 20 - run.outcome.lost


@hazard("clock-skew")
def clocks_are_hours_apart(run: Run) -> None:
    ahead_s = run.spy.clocks_s.values()
    assert max(ahead_s) - min(ahead_s) > 5 * 3_600
    assert sum(abs(one - sorted(ahead_s)[2]) > 3_600 for one in ahead_s) >= 2
    assert [line.split()[1] for line in run.lines(" force_ref ")] == ["n0", "n3", "n0", "n1"]


@hazard("slow-reader")
def its_peers_drop_what_they_kept_for_it(run: Run) -> None:
    assert run.spy.drops > 0
    assert run.commits("n2", 44) < 60 < run.commits("n0", 44)


@hazard("split-during-import")
def one_side_has_a_part(run: Run) -> None:
    for name in ("n2", "n3"):
        assert 1_000 <= run.commits(name, 16) < 5_000
        assert run.commits(name, 49) < 5_000
    assert run.commits("n1", 49) >= 5_000
    assert run.lines(" n0 import the last ", after_s=15)


@hazard("crash-during-import")
def the_import_is_taken_up_again(run: Run) -> None:
    assert 0 < int(run.lines(" n0 starts ")[1].split()[-2]) < 5_000
    assert len(run.lines(" n0 import a batch", before_s=9.01)) == 3
    assert run.lines(" n0 import the last ", after_s=21)


@hazard("split-during-merge")
def both_sides_make_the_same_merge(run: Run) -> None:
    assert all(run.at(name, 29).conflicts == 1 for name in run.scenario.names)
    merges = run.lines(" merge main ", after_s=30, before_s=50)
    assert sorted(line.split()[1] for line in merges) == ["n0", "n3"]
    assert len({line.split(" merge ")[1] for line in merges}) == 1
    assert all(line.endswith("of 2") for line in merges)
    assert all(run.at(name, 49).conflicts == 0 for name in run.scenario.names)
    assert run.at("n0", 49).digest != run.at("n3", 49).digest


@hazard("long-split")
def each_side_makes_a_hundred_thousand(run: Run) -> None:
    assert [run.commits(name, 49) for name in run.scenario.names] == [100_000, 100_000]
    assert run.seen.samples["n0"][-1].commits >= 200_000


@hazard("late-joiner")
def it_gets_the_whole_past_and_the_present(run: Run) -> None:
    assert run.at("n3", 34).state is NodeState.DOWN
    assert run.commits("n0", 34) >= 10_000
    assert run.commits("n3", 37) >= 10_000
    assert run.commits("n0", 35) < run.commits("n0", 40)


@hazard("tree-search")
def both_sides_grow_and_discard(run: Run) -> None:
    searches = run.lines(" search 77 below ", after_s=10.01, before_s=45)
    assert {line.split()[1] for line in searches} == {"n0", "n1", "n2", "n3"}
    here, there = ({run.at(name, 44.5).digest for name in side} for side in (("n0", "n1"), ("n2", "n3")))
    # Trees that grew below what was discarded are dead from the beginning, and in no digest.
    assert not here & there


@hazard("split-search")
def both_sides_search_on(run: Run) -> None:
    names = ("n0", "n1", "n2", "n3")
    during = run.lines(" tree_step ", after_s=10.01, before_s=30)
    assert {line.split()[1] for line in during} == set(names)
    assert run.lines("n3", "loses power")
    here, there = ({run.at(name, 29.5).digest for name in side} for side in (("n0", "n1"), ("n2",)))
    assert not here & there


@hazard("full-disk")
def it_refuses_work_and_news(run: Run) -> None:
    assert run.lines(" n1 ", "failed: ", " is full")
    assert run.lines(" n1 ", "the store refuses to write")
    assert run.commits("n1", 44) - run.commits("n1", 30) < run.commits("n0", 44) - run.commits("n0", 30)


@hazard("failing-disk")
def it_fails_and_is_replaced(run: Run) -> None:
    assert run.lines(" n1 ", "failed to")
    assert run.lines(" n1 loses power", after_s=40)
    assert len(set(starts(run, "n1"))) >= 2


@hazard("half-open-connection")
def nobody_says_that_it_is_gone(run: Run) -> None:
    [closed] = run.lines(" n1 connection closed ", "silent for")
    # The last word came some time before the power went.
    wait_s = DEFAULTS.ping_after_s + DEFAULTS.pong_timeout_s
    assert wait_s <= time_of(closed) <= 10 + wait_s + 1
    assert not run.lines("reset", before_s=time_of(closed))


@hazard("long-pause")
def it_stands_still_and_goes_on(run: Run) -> None:
    assert run.at("n0", 69).state is NodeState.PAUSED
    assert len(starts(run, "n0")) == 1
    assert len(run.lines("connection closed", "silent for", after_s=30, before_s=70)) >= 2
    assert not run.lines(" n0 ", "commit", after_s=10.01, before_s=69.99)
    assert run.commits("n1", 69) > run.commits("n0", 69)


@hazard("everything-at-once")
def there_is_every_fault(run: Run) -> None:
    assert {type(event) for event in run.scenario.timeline} == set(timeline.AnyEvent.__args__)  # type: ignore[attr-defined]
    for event in run.scenario.timeline:
        assert run.lines(f"nemesis {event.kind}")
    assert run.lines(" n1 is killed")
