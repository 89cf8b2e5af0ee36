"""The language of revsets: its words, its tree, the tree as a text again, and errors that point at the place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.revsets import NESTING_MAX, TEXT_CHARACTERS_MAX, RevsetError, parse
from crdtgraph.revsets.calls import check
from crdtgraph.revsets.functions import FUNCTIONS
from crdtgraph.revsets.patterns import parse_pattern
from crdtgraph.revsets.syntax import (
    Against,
    Call,
    Complement,
    Expression,
    Name,
    Narrowed,
    Range,
    RangeKind,
    Steps,
    Union,
)
from crdtgraph.revsets.tokens import PATTERN_KINDS, Kind, is_bare, tokenize

A, B, C, X = Name("a"), Name("b"), Name("c"), Name("x")
GUIDE = Path(__file__).parents[3] / "docs" / "revsets.md"


def error(text: str) -> RevsetError:
    with pytest.raises(RevsetError) as caught:
        check(text, parse(text), FUNCTIONS, 0)
    return caught.value


@pytest.mark.parametrize(
    "name",
    [
        "main", "feature/x-1", "agents/w3/try.2", "release-1.0", "v1.2.3-rc+4", "x--y", "user@host", "#12", "50%", "_",
        "git:00ff", "a:b", "2026-11-01", "2026-11-01T10:00:00.5+02:00", "@1700000000000000", "w*", "src/?.py",
        "a{b}[c]", "größe", "日本語", "名-前", "🚀", "deadbeef",
    ],
)  # fmt: skip
def test_a_bare_name_is_one_word(name: str) -> None:
    assert is_bare(name)
    assert parse(name) == Name(name)


@pytest.mark.parametrize(
    "text",
    ["", "a b", "a-", "-a", "a.", ".a", "a..b", "a::b", ":a", "a:", "a|b", "a(", "a,b", 'a"b', "a^", "a\x00", "\n"],
)
def test_any_other_text_needs_quotes(text: str) -> None:
    assert not is_bare(text)
    assert parse(str(Name(text))) == Name(text)


@pytest.mark.parametrize(
    "text, tree",
    [
        ("'it \\n'", Name("it \\n")),
        ('"say \\"x\\" \\\\ \\n\\t"', Name('say "x" \\ \n\t')),
        ('"it\'s"', Name("it's")),
        ("x-", Steps(X, "-")),
        ("x-+-", Steps(X, "-+-")),
        ("x-1-", Steps(Name("x-1"), "-")),
        ("(x)-", Steps(X, "-")),
        ("a..b", Range(RangeKind.BEYOND, A, B)),
        ("a..", Range(RangeKind.BEYOND, A, None)),
        ("..b", Range(RangeKind.BEYOND, None, B)),
        ("..", Range(RangeKind.BEYOND, None, None)),
        ("a::b", Range(RangeKind.PATHS, A, B)),
        ("x-..x+", Range(RangeKind.BEYOND, Steps(X, "-"), Steps(X, "+"))),
        ("a-::b", Range(RangeKind.PATHS, Steps(A, "-"), B)),
        ("git:ab::", Range(RangeKind.PATHS, Name("git:ab"), None)),
        ("::git:ab", Range(RangeKind.PATHS, None, Name("git:ab"))),
        (" a  ..\tb ", Range(RangeKind.BEYOND, A, B)),
        ("~a", Complement(A)),
        ("~~a", Complement(Complement(A))),
        ("~a..b", Complement(Range(RangeKind.BEYOND, A, B))),
        ("a|b|c", Union((A, B, C))),
        ("(a|b)|c", Union((Union((A, B)), C))),
        ("a&b~c", Narrowed(A, ((Against.AND, B), (Against.WITHOUT, C)))),
        ("a & ~b", Narrowed(A, ((Against.AND, Complement(B)),))),
        ("a ~~b", Narrowed(A, ((Against.WITHOUT, Complement(B)),))),
        ("a|b&c", Union((A, Narrowed(B, ((Against.AND, C),))))),
        ("a&(b|c)", Narrowed(A, ((Against.AND, Union((B, C))),))),
        (":: ~ x", Narrowed(Range(RangeKind.PATHS, None, None), ((Against.WITHOUT, X),))),
        ("heads()", Call("heads", ())),
        ("heads( a , b )", Call("heads", (A, B))),
        ("heads(a)-", Steps(Call("heads", (A,)), "-")),
        ("author(exact:\"w 3\")", Call("author", (Name("exact:w 3"),))),
        ("author('glob-i:W*')", Call("author", (Name("glob-i:W*"),))),
        ("heads", Name("heads")),
    ],
)  # fmt: skip
def test_a_text_is_this_tree(text: str, tree: Expression) -> None:
    assert parse(text) == tree
    assert parse(str(tree)) == tree


names = st.one_of(st.sampled_from(["a", "b-1", "git:0f", "heads", "x.y", "2h"]), st.text(max_size=6)).map(Name)
functions = st.sampled_from([*FUNCTIONS, "other_1"])


def larger(trees: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    end = st.none() | trees
    narrowing = st.tuples(st.sampled_from(Against), trees)
    return st.one_of(
        st.builds(lambda name, arguments: Call(name, tuple(arguments)), functions, st.lists(trees, max_size=3)),
        st.builds(Steps, trees.filter(lambda tree: not isinstance(tree, Steps)), st.text("-+", min_size=1, max_size=4)),
        st.builds(Range, st.sampled_from(RangeKind), end, end),
        st.builds(Complement, trees),
        st.builds(
            lambda first, others: Narrowed(first, tuple(others)), trees, st.lists(narrowing, min_size=1, max_size=3)
        ),
        st.lists(trees, min_size=2, max_size=4).map(lambda terms: Union(tuple(terms))),
    )


trees = st.recursive(names, larger, max_leaves=12)


@given(trees)
def test_a_printed_tree_parses_to_itself(tree: Expression) -> None:
    assert parse(str(tree)) == tree


soup = st.lists(
    st.sampled_from(
        ["a", "main", "-", "+", "~", "&", "|", "(", ")", ",", "..", "::", ":", ".", " ", '"', "'", "\\", "heads("]
    )
).map("".join)


@given(st.one_of(st.text(), soup))
def test_any_text_is_a_tree_or_an_error_with_a_column(text: str) -> None:
    failure = None
    try:
        tree = parse(text)
    except RevsetError as raised:
        failure = raised
    if failure:
        assert 1 <= failure.column <= len(text) + 1
        assert f"column {failure.column}:" in failure.message
        assert failure.hint.splitlines()[-1].strip() == "^"
        assert len(failure.hint.splitlines()) == 3
    else:
        assert parse(str(tree)) == tree


@pytest.mark.parametrize(
    "text, column, message, remedy",
    [
        ("", 1, "it is empty", "all()"),
        ("   ", 1, "it is empty", "all()"),
        ("a b", 3, "expected an operator, not a name 'b'", "| (union)"),
        ("a |", 4, "expected a commit, a function or '(', not the end", "docs/revsets.md"),
        ("| a", 1, "not '|'", ""),
        ("(a", 1, "is not closed", "add a )"),
        ("(a | (b)", 1, "is not closed", "add a )"),
        ("heads(a", 1, "heads( that begins here is not closed", "add a )"),
        ("a)", 2, "there is no '(' for this ')'", "remove it"),
        ("()", 2, "not ')'", "between the parentheses"),
        ("a..b..c", 5, "after a range", "parentheses"),
        ("a::b..c", 5, "after a range", "parentheses"),
        ("a...b", 4, "unexpected '.'", "only(a, b) | only(b, a)"),
        ("a - b", 3, "unexpected '-'", "x ~ y"),
        ("a + b", 3, "unexpected '+'", "x | y"),
        ("-a", 1, "not '-'", "quotes"),
        ("main^", 5, "unexpected '^'", "x-"),
        ("!a", 1, "unexpected '!'", "~x"),
        ("a and b", 3, "expected an operator", "and is written &"),
        ("a or b", 3, "expected an operator", "or is written |"),
        ("not a", 5, "expected an operator", "not is written ~"),
        ("a, b", 2, "unexpected ','", "x | y"),
        ("heads (a)", 7, "expected an operator, not '('", "stand together"),
        ('"abc', 1, "does not end", 'close it with "'),
        ("a | 'abc", 5, "does not end", "close it with '"),
        ('"a\\q"', 3, "unknown escape", "single quotes"),
        ('"a\\', 3, "unknown escape", "single quotes"),
        ("a ; b", 3, "unexpected ';'", "quotes"),
        ("hed()", 1, "there is no function 'hed'", "did you mean heads([x])?"),
        ("a | xyzzy(b)", 5, "there is no function 'xyzzy'", "functions: all, none, heads"),
        ("heads(a, b)", 1, "heads() takes 0 or 1 argument, not 2", "heads([x])"),
        ("only(a)", 1, "only() takes 2 arguments, not 1", "only(a, b)"),
        ("merges(a)", 1, "merges() takes no arguments, not 1", "merges()"),
        ("limit(a)", 1, "limit() takes 2 arguments, not 1", "limit(x, n)"),
        ("limit(a, b)", 10, "n of limit() is a number, not 'b'", "whole number"),
        ("limit(a, -1)", 10, "not '-'", ""),
        ("limit(a, 9999999999)", 10, "is a number", "at most 9 digits"),
        ("limit(a, ²)", 10, "is a number", "whole number"),
        ("limit(limit(a, x), 1)", 16, "n of limit() is a number", "whole number"),
        ("author(a|b)", 8, "text of author() is a text", "quotes"),
        ("heads(author(heads()))", 14, "text of author() is a text", "quotes"),
        ('author("re:x")', 8, "'re' is no kind of pattern", "substring:re:x"),
        ("since(yesterday)", 7, "'yesterday' is no time", "2026-11-01"),
        ("until(2026-13-01)", 7, "month", "2026-11-01"),
        ("a\n| ^", 5, "unexpected '^'", "x-"),
    ],
)
def test_an_error_points_at_the_place_and_says_what_to_do(text: str, column: int, message: str, remedy: str) -> None:
    failure = error(text)
    assert failure.column == column
    assert failure.message.startswith(f"revset, column {column}: ")
    assert message in failure.message
    told, line, caret = failure.hint.split("\n")
    assert remedy in told
    assert line == "  " + text.replace("\n", " ")
    assert caret.index("^") == 1 + column


def test_the_caret_stands_below_wide_characters() -> None:
    assert error("日本 | ^").hint.splitlines()[-1] == " " * 2 + " " * 7 + "^"
    assert error("e\u0301 ^").hint.splitlines()[-1] == " " * 2 + " " * 2 + "^"


def test_control_characters_in_a_text_are_not_shown() -> None:
    assert "\x1b" not in error("a \x1b[31m").hint


@pytest.mark.parametrize("opening", ["(", "heads(", "~", "~("])
def test_nesting_has_a_limit_that_is_no_recursion_error(opening: str) -> None:
    levels = NESTING_MAX // (2 if opening == "~(" else 1)
    assert parse(opening * levels + "a" + ")" * (levels * opening.count("(")))
    for more in (levels + 1, 1_000, 2_000):
        assert "nested too deep" in error(opening * more + "a").message


def test_long_lists_are_no_nesting() -> None:
    assert len(str(parse(" | ".join(["a"] * 3_000)))) > 10_000
    assert parse("a" + " & b" * 3_000)
    assert parse("a" + "-" * 10_000) == Steps(A, "-" * 10_000)


def test_a_text_has_a_limit() -> None:
    assert parse("a" * TEXT_CHARACTERS_MAX) == Name("a" * TEXT_CHARACTERS_MAX)
    failure = error("a" * (TEXT_CHARACTERS_MAX + 1))
    assert "characters" in failure.message
    assert len(failure.hint) < 300


def test_the_place_in_a_long_text_is_shown_within_it() -> None:
    failure = error("a | " * 100 + "^" + " | a" * 100)
    _, line, caret = failure.hint.split("\n")
    assert len(line) < 100
    assert line[caret.index("^")] == "^"


def test_positions_do_not_make_trees_different() -> None:
    assert parse("a|b") == parse(" a  |  b ")
    assert [token.kind for token in tokenize("a-")] == [Kind.NAME, Kind.PARENTS, Kind.END]


@pytest.mark.parametrize(
    "pattern, text, matches",
    [
        ("w3", "agent w3 <w3@x>", True),
        ("W3", "agent w3", False),
        ("substring-i:W3", "agent w3", True),
        ("exact:w3", "w3", True),
        ("exact:w3", "w33", False),
        ("exact-i:STRASSE", "straße", True),
        ("glob:w*", "w3", True),
        ("glob:w*", "aw3", False),
        ("glob:w?.[ab]", "w1.b", True),
        ("glob-i:W*", "w3", True),
        ("glob:*b", "a\nb", True),
        ("substring:exact:x", "an exact:x", True),
        ("other:x", "an other:x", True),
        ("", "anything", True),
        ("exact:", "", True),
    ],
)
def test_patterns(pattern: str, text: str, matches: bool) -> None:
    assert parse_pattern(pattern).matches(text) is matches


def test_a_glob_of_many_stars_does_not_take_for_ever() -> None:
    assert not parse_pattern("glob:" + "*a" * 40 + "b").matches("a" * 2_000)


def test_the_guide_lists_every_function_and_kind_of_pattern() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    table = guide.partition("## Functions")[2].partition("## Order")[0]
    rows = re.findall(r"^\| `([^`]*)` \| (.*) \|$", table, re.MULTILINE)
    assert rows == [(function.signature(name), function.summary) for name, function in FUNCTIONS.items()]
    assert all(f"`{kind}:" in guide for kind in PATTERN_KINDS)
