"""Patterns of paths: what each fits, which of several decides, and that none takes for ever."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph import LocalError
from crdtgraph.state.patterns import PATTERN_BYTES_MAX, parse_path_pattern
from crdtgraph.state.policies import MergePolicy, read_policies

FITS = [
    ("a", "a", True),
    ("a", "A", False),
    ("a", "ab", False),
    ("a", "a/b", False),
    ("*", "", True),
    ("*", "a", True),
    ("*", "a/b", False),
    ("*", "/", False),
    ("a*c", "abbc", True),
    ("a*c", "ac", True),
    ("a*c", "a/c", False),
    ("scores/*", "scores/a", True),
    ("scores/*", "scores/a/b", False),
    ("scores/*", "scores", False),
    ("?", "ä", True),
    ("?", "/", False),
    ("?", "", False),
    ("a?c", "abc", True),
    ("**", "a/b/c", True),
    ("**", "", True),
    ("a/**", "a/b/c", True),
    ("a/**", "a/", True),
    ("a/**", "a", False),
    ("**/b", "b", True),
    ("**/b", "a/b", True),
    ("**/b", "a/a/b", True),
    ("**/b", "ab", False),
    ("a/**/b", "a/b", True),
    ("a/**/b", "a/x/y/b", True),
    ("a/**/b", "a/xb", False),
    ("a**b", "a/x/b", True),
    ("a***b", "a/x/b", True),
    ("**/**/b", "b", True),
    ("**/*.txt", "a/b.txt", True),
    ("**/*.txt", "b.txt", True),
    ("**/*.txt", "b.txt/c", False),
    ("[abc]", "b", True),
    ("[abc]", "d", False),
    ("[a-c]x", "bx", True),
    ("[!a-c]", "d", True),
    ("[!a-c]", "b", False),
    ("[!a]", "/", False),
    ("[.-0]", "/", False),
    ("[]]", "]", True),
    ("[!]]", "]", False),
    ("[!]]", "a", True),
    ("[a-]", "-", True),
    ("[-a]", "-", True),
    ("[*]", "*", True),
    ("[*]", "a", False),
    ("[[]", "[", True),
    ("a]", "a]", True),
    ("a\\*", "a\\b", True),
]


@pytest.mark.parametrize("pattern, path, fits", FITS)
def test_what_a_pattern_fits(pattern: str, path: str, fits: bool) -> None:
    assert parse_path_pattern(pattern).matches(path) is fits


def as_expression(pattern: str) -> str:
    """The same pattern as a regular expression, for those without classes."""
    parts = re.split(r"((?:(?<=/)|^)\*\*+/|\*\*+|\*|\?)", pattern)
    meanings = {"*": "[^/]*", "?": "[^/]"}
    return "".join(
        meanings.get(part) or ("(?:.*/)?" if part.endswith("*/") else ".*" if "**" in part else re.escape(part))
        for part in parts
    )


@given(st.text("ab/*?", min_size=1, max_size=10), st.text("ab/", max_size=10))
def test_matching_is_that_of_a_regular_expression(pattern: str, path: str) -> None:
    expected = re.fullmatch(as_expression(pattern), path, re.DOTALL) is not None
    assert parse_path_pattern(pattern).matches(path) == expected


@given(st.text("abäö/*?[]!-", min_size=1))
def test_a_pattern_is_read_or_refused(pattern: str) -> None:
    with suppress(LocalError):
        parse_path_pattern(pattern).matches("ab/ä")


@pytest.mark.parametrize(
    "pattern", ["", "[", "a[", "[]", "[!]", "[a", "[b-a]", "a\nb", "x" * (PATTERN_BYTES_MAX + 1), None, 3]
)
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(LocalError) as caught:
        parse_path_pattern(pattern)
    assert caught.value.hint


def test_a_pattern_that_backtracking_could_not_finish() -> None:
    assert not parse_path_pattern("a*" * 100 + "b").matches("a" * 1_000)
    assert not parse_path_pattern("**/a" * 100 + "b").matches("a/" * 500)


PRECEDENCE = ["scores/best", "scores/b*", "scores/?*", "scores/*", "scores/**", "**/best", "*", "**"]


def test_the_most_specific_pattern_decides() -> None:
    names = list(MergePolicy)
    given_ = {pattern: names[place] for place, pattern in enumerate(PRECEDENCE[:8])}
    for order in (PRECEDENCE, PRECEDENCE[::-1], sorted(PRECEDENCE)):
        policies = read_policies({pattern: given_[pattern] for pattern in order})
        assert policies.of("scores/best") is given_["scores/best"]
        assert policies.of("scores/bad") is given_["scores/b*"]
        assert policies.of("scores/worst") is given_["scores/*"], "one wildcard goes before two"
        assert policies.of("scores/a/b") is given_["scores/**"]
        assert policies.of("a/best") is given_["**/best"]
        assert policies.of("x/y") is given_["**"]
        assert policies.of("x") is given_["*"], "of equals the first by code points"


def test_a_path_without_a_policy_is_in_conflict() -> None:
    assert read_policies({"a": "max"}).of("b") is MergePolicy.CONFLICT


@pytest.mark.parametrize(
    "policies", [{"a": "most"}, {"a": None}, {"a": b"max"}, {"[": "max"}, {"": "max"}, ["a"], "max", {3: "max"}]
)
def test_policies_that_are_none_are_refused(policies: object) -> None:
    with pytest.raises(LocalError) as caught:
        read_policies(policies)  # type: ignore[arg-type]
    assert caught.value.hint
