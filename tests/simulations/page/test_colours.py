"""Colours on the report page: equal digests have equal ones, and a side keeps its own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulations.observer import NodeSample, NodeState
from simulations.page.colours import COLOURS, TOO_MANY, moments
from tests.simulations.page.pages import sample


def seen(*columns: str) -> dict[str, list[NodeSample]]:
    """What was seen second by second; each machine shows one letter, and a blank if it is down."""
    found: dict[str, list[NodeSample]] = {f"n{number}": [] for number in range(len(columns[0]))}
    for at_s, column in enumerate(columns):
        for name, digest in zip(found, column, strict=True):
            found[name].append(sample(at_s, digest, NodeState.DOWN if digest == " " else NodeState.UP))
    return found


def colours(*columns: str) -> list[list[int | None]]:
    return [[*each.colours.values()] for each in moments(seen(*columns))]


@given(st.lists(st.text("abcdefghijkl ", min_size=12, max_size=12), min_size=1, max_size=8))
def test_equal_digests_and_only_they_have_equal_colours(columns: list[str]) -> None:
    for column, coloured in zip(columns, colours(*columns), strict=True):
        for digest, colour in zip(column, coloured, strict=True):
            assert (colour is None) == (digest == " ")
            for other, other_colour in zip(column, coloured, strict=True):
                if " " not in (digest, other) and colour != TOO_MANY:
                    assert (colour == other_colour) == (digest == other)
        assert (TOO_MANY in coloured) == (len({*column} - {" "}) > COLOURS)


def test_where_all_agree_all_is_of_the_first_colour() -> None:
    assert colours("aab", "ccc", "d d") == [[0, 0, 1], [0, 0, 0], [0, None, 0]]


def test_a_side_keeps_its_colour_while_its_digest_moves_on() -> None:
    assert colours("aaaa", "bbcc", "ddcc", "ddee", "ffgg") == [[0, 0, 0, 0], *[[0, 0, 1, 1]] * 4]


def test_a_side_of_two_has_its_old_colour_again_when_one_of_them_was_ahead_for_a_moment() -> None:
    assert colours("aabbcc", "aaaabc", "aaaacc")[1:] == [[0, 0, 0, 0, 2, 1], [0, 0, 0, 0, 2, 2]]


def test_the_larger_part_of_a_side_keeps_its_colour() -> None:
    assert colours("aaabb", "caabb", "cccbb")[1:] == [[2, 0, 0, 1, 1], [0, 0, 0, 1, 1]]
