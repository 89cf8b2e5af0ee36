"""The tracker of episodes: what opens one, what ends it, and what is none."""

from __future__ import annotations

from crdtgraph.episodes import Episode, Side
from crdtgraph.ids import ReplicaId
from crdtgraph.steps import Stepwise
from sync.protocol.episodes import BRIDGED_US, JOIN_WINDOW_US, OPEN_MAX, Episodes
from sync.protocol.sides import Counts, Reaches

SECOND_US = 1_000_000
ME, N1, N2, N3 = (Side(ReplicaId(bytes([number]) * 16), f"n{number}") for number in range(4))
OURS, THEIRS = 1, 2
"""Writers, one on each side; each segment holds one commit."""


class Around:
    """A graph, a cluster and a store, as far as the tracker looks at them."""

    def __init__(self) -> None:
        self.vector = {OURS: 3, THEIRS: 3}
        self.conflicts: set[str] = set()
        self.linked: set[ReplicaId] = set()
        self.kept: dict[int, Episode] = {}
        self.now_us = 0
        self.other_records = 0
        self.tracker = Episodes(self, ME)

    def state_vector(self) -> dict[int, int]:
        return dict(self.vector)

    def conflicted(self) -> frozenset[str]:
        return frozenset(self.conflicts)

    def reachable(self) -> set[ReplicaId]:
        return self.linked

    def count(self, reaches: Reaches, ours: frozenset[ReplicaId], theirs: frozenset[ReplicaId]) -> Stepwise[Counts]:
        yield
        mine, others = (reaches.high.get(each, 0) - reaches.low.get(each, 0) for each in (OURS, THEIRS))
        return Counts(max(mine, 0), max(others, 0), True, max(mine, 0) + max(others, 0) + self.other_records)

    def keep(self, number: int, episode: Episode | None) -> None:
        if episode is None:
            del self.kept[number]
        else:
            self.kept[number] = episode

    # What happens

    def join(self, *sides: Side) -> None:
        for side in sides:
            self.tracker.join(side.replica, side.name)

    def leave(self, *sides: Side, after_s: float = 1) -> None:
        for side in sides:
            self.now_us += round(after_s * SECOND_US)
            self.tracker.leave(side.replica, "silent", self.now_us)

    def tell(self, side: Side, after_s: float = 1, **vector: int) -> None:
        """A summary: `ours` and `theirs` are what the peer has of the two writers, by default all that we have."""
        self.now_us += round(after_s * SECOND_US)
        told = {OURS: vector.get("ours", self.vector[OURS]), THEIRS: vector.get("theirs", self.vector[THEIRS])}
        self.tracker.compare(side.replica, told, told == self.vector, self.now_us)
        self.count_all()

    def count_all(self) -> None:
        while self.tracker.is_counting:
            self.tracker.count()

    def restart(self) -> None:
        begun = [(number, each) for number, each in sorted(self.kept.items()) if not each.ended]
        self.tracker = Episodes(self, ME, begun, max(self.kept, default=-1) + 1)

    @property
    def episodes(self) -> list[Episode]:
        return [self.kept[number] for number in sorted(self.kept)]


def split() -> Around:
    """We and n1 have lost n2; both sides wrote."""
    around = Around()
    around.join(N1, N2)
    around.leave(N2)
    around.vector[OURS] += 4
    return around


def test_both_sides_wrote_and_have_it_all_again() -> None:
    around = split()
    [episode] = around.episodes
    assert (episode.kind, episode.ours, episode.theirs) == ("open", (ME, N1), (N2,))
    around.join(N2)
    around.tell(N2, ours=3, theirs=5)
    around.vector[THEIRS] = 5
    around.conflicts.add("main")
    around.tell(N2, ours=3, theirs=5)
    assert around.episodes[0].kind == "open"
    around.tell(N2)
    [episode] = around.episodes
    assert (episode.kind, episode.ended) == ("split", "reconnected")
    assert (episode.commits_ours, episode.commits_theirs, episode.conflicts) == (4, 2, ("main",))
    assert (episode.from_us, episode.returned_us, episode.to_us) == (SECOND_US, 2 * SECOND_US, 4 * SECOND_US)
    assert episode.base == ()


def test_it_is_over_as_soon_as_the_last_of_it_has_come() -> None:
    around = split()
    around.vector[OURS] = 3
    around.join(N2)
    around.tell(N2, theirs=5)
    around.tracker.settle(around.now_us)
    assert around.episodes[0].kind == "open"
    around.vector[THEIRS] = 5
    around.tracker.settle(around.now_us)
    around.count_all()
    assert [(each.kind, each.commits_theirs) for each in around.episodes] == [("one-sided", 2)]


def test_what_was_said_into_the_dead_link_did_not_get_there() -> None:
    around = split()
    around.join(N2)
    around.tell(N2, ours=1, theirs=3)
    around.tell(N2)
    assert [each.commits_ours for each in around.episodes] == [6]


def test_nobody_wrote_and_nothing_is_left_of_it() -> None:
    around = Around()
    around.join(N2)
    around.leave(N2)
    assert len(around.episodes) == 1
    around.join(N2)
    around.tell(N2)
    assert around.episodes == []
    assert not around.tracker.is_open


def test_what_is_no_commit_counts_as_well() -> None:
    around = split()
    around.vector[OURS] = 3
    around.other_records = 2
    around.conflicts.add("main")
    around.join(N2)
    around.tell(N2)
    assert [(each.kind, each.conflicts) for each in around.episodes] == [("quiet", ("main",))]


def test_the_partner_is_forgotten_and_others_are_waited_for() -> None:
    around = Around()
    around.join(N2, N3)
    around.leave(N2, N3)
    around.vector[OURS] += 1
    around.join(N2)
    around.tell(N2, ours=3)
    around.tracker.forget(N2.replica, around.now_us)
    around.join(N3)
    around.tell(N3, ours=3)
    around.tell(N3)
    assert not around.tracker.is_open


def test_one_side_wrote() -> None:
    around = split()
    around.join(N2)
    around.tell(N2, ours=3)
    around.tell(N2)
    assert [each.kind for each in around.episodes] == ["one-sided"]


def test_peers_lost_within_moments_are_on_one_side_and_later_ones_are_not() -> None:
    around = Around()
    around.join(N1, N2, N3)
    around.leave(N2, N3)
    around.leave(N1, after_s=JOIN_WINDOW_US / SECOND_US)
    assert [(each.ours, each.theirs) for each in around.episodes] == [((ME, N1), (N2, N3)), ((ME,), (N1,))]


def test_a_third_side_stays_away() -> None:
    around = Around()
    around.join(N2, N3)
    around.leave(N2, N3)
    around.vector[OURS] += 1
    around.join(N2)
    around.tell(N2, ours=3)
    around.tell(N2)
    over, still = around.episodes
    assert (over.theirs, over.kind) == ((N2,), "one-sided")
    assert (still.theirs, still.kind, still.from_us) == ((N3,), "open", over.from_us)
    around.join(N3)
    around.tell(N3, ours=3)
    around.tell(N3)
    assert [each.kind for each in around.episodes] == ["one-sided", "one-sided"]


def test_a_peer_that_others_lead_to_all_the_while_was_never_apart() -> None:
    around = Around()
    around.join(N1, N2)
    around.linked = {N1.replica, N2.replica}
    around.leave(N2)
    around.vector[OURS] += 4
    around.join(N2)
    around.tell(N2, ours=6)
    assert around.episodes == []


def test_a_peer_that_others_lead_to_again_for_long_is_no_longer_lost() -> None:
    around = split()
    around.tracker.look(around.now_us)
    around.linked = {N2.replica}
    around.tracker.look(around.now_us)
    around.vector[THEIRS] += 2
    around.tracker.look(around.now_us + BRIDGED_US - 1)
    assert [each.kind for each in around.episodes] == ["open"]
    around.tracker.look(around.now_us + BRIDGED_US)
    around.count_all()
    assert [(each.kind, each.ended, each.commits_theirs) for each in around.episodes] == [("split", "converged", 2)]


def test_a_peer_that_others_lead_to_ever_since_is_none_for_long() -> None:
    around = Around()
    around.join(N1, N2)
    around.linked = {N1.replica, N2.replica}
    around.leave(N2)
    around.vector[OURS] += 4
    around.tracker.look(around.now_us + BRIDGED_US)
    assert around.episodes == []


def test_it_began_when_the_peer_was_last_heard_of() -> None:
    around = split()
    around.kept.clear()
    around.restart()
    around.join(N2)
    around.vector[OURS] = 9
    around.tracker.leave(N2.replica, "silent", 40 * SECOND_US, 30 * SECOND_US, {OURS: 5, THEIRS: 3})
    around.now_us = 41 * SECOND_US
    around.join(N2)
    around.tell(N2)
    [episode] = around.episodes
    assert (episode.from_us, episode.commits_ours, episode.ended) == (10 * SECOND_US, 4, "converged")


def test_others_find_out_a_little_later_that_they_have_lost_it_too() -> None:
    around = Around()
    around.join(N1, N2)
    around.linked = {N1.replica, N2.replica}
    around.leave(N2)
    around.linked = {N1.replica}
    around.tracker.look(around.now_us + 2 * SECOND_US)
    around.vector[OURS] += 4
    # And they may be the first that have it back.
    around.linked = {N1.replica, N2.replica}
    around.join(N2)
    around.tell(N2, ours=3)
    around.tell(N2)
    assert [each.kind for each in around.episodes] == ["one-sided"]


def test_a_courier_carries_everything_before_the_link_is_back() -> None:
    around = split()
    around.tracker.expect()
    around.vector[THEIRS] += 2
    around.conflicts.add("main")
    around.now_us += SECOND_US
    around.tracker.receive(around.now_us)
    around.conflicts.clear()
    around.join(N2)
    around.tell(N2)
    [episode] = around.episodes
    assert (episode.kind, episode.ended, episode.commits_ours, episode.commits_theirs) == ("split", "converged", 4, 2)
    assert (episode.conflicts, episode.returned_us) == (("main",), 2 * SECOND_US)


def test_others_have_it_back_first() -> None:
    around = split()
    around.vector[THEIRS] += 2
    around.join(N2)
    around.tell(N2)
    [episode] = around.episodes
    assert (episode.kind, episode.ended) == ("split", "converged")


def test_a_conflict_that_was_there_before_is_not_of_its_making() -> None:
    around = Around()
    around.conflicts.add("old")
    around.join(N2)
    around.leave(N2)
    around.vector[OURS] += 1
    around.conflicts.add("new")
    around.join(N2)
    around.tell(N2, ours=3)
    around.tell(N2)
    assert [each.conflicts for each in around.episodes] == [("new",)]


def test_it_outlives_the_process() -> None:
    around = split()
    around.restart()
    assert around.tracker.is_waiting
    around.join(N2)
    around.tell(N2, ours=3, theirs=5)
    around.restart()
    around.vector[THEIRS] = 5
    around.join(N2)
    around.tell(N2)
    [episode] = around.episodes
    assert (episode.kind, episode.commits_ours, episode.commits_theirs) == ("split", 4, 2)
    around.leave(N2)
    assert len(around.episodes) == 2


def test_lost_again_before_it_has_everything() -> None:
    around = split()
    around.join(N2)
    around.tell(N2, ours=3)
    around.leave(N2)
    around.vector[OURS] += 1
    around.join(N2)
    around.tell(N2, ours=5)
    around.tell(N2)
    assert [(each.kind, each.commits_ours) for each in around.episodes] == [("one-sided", 5)]


def test_a_clock_that_is_set_back_makes_no_negative_time() -> None:
    around = split()
    around.now_us = -100 * SECOND_US
    around.join(N2)
    around.tell(N2, ours=3)
    around.tell(N2)
    [episode] = around.episodes
    assert episode.from_us == episode.returned_us == episode.to_us


def test_peers_that_never_come_back_are_given_up_when_there_are_too_many() -> None:
    around = Around()
    around.vector[OURS] = 0
    for number in range(OPEN_MAX + 1):
        side = Side(ReplicaId(number.to_bytes(16, "big")), "")
        around.join(side)
        around.leave(side, after_s=2 * JOIN_WINDOW_US / SECOND_US)
        around.vector[OURS] += 1
    around.count_all()
    assert [each.ended for each in around.episodes] == ["given up"] + OPEN_MAX * [""]


def test_who_is_forgotten_is_given_up() -> None:
    around = split()
    around.tracker.forget(N1.replica, around.now_us)
    assert [each.ended for each in around.episodes] == [""]
    around.tracker.forget(N2.replica, around.now_us)
    around.count_all()
    assert [(each.ended, each.kind) for each in around.episodes] == [("given up", "one-sided")]


def test_who_was_never_connected_is_not_lost() -> None:
    around = Around()
    around.leave(N1)
    assert around.episodes == []
