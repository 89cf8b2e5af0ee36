"""Revsets at the terminal: the lines of the guide run, and a mistake is shown in its place."""

from __future__ import annotations

import re
import shlex

import pytest

from .conftest import ROOT, CommandLine

GUIDE = (ROOT / "docs" / "revsets.md").read_text(encoding="utf-8")
LINES = re.findall(r"^\$ crdtgraph (.*)$", GUIDE.partition("## Mistakes")[0], re.MULTILINE)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("line", LINES)
def test_lines_of_the_guide_run(crdtgraph: CommandLine, line: str) -> None:
    assert crdtgraph("commit", "-m", "write", "--set", "docs/a=x", "--ref", "main").code == 0
    outcome = crdtgraph(*shlex.split(line))
    assert outcome.code in (0, 1), outcome.err


@pytest.mark.usefixtures("store")
def test_the_mistake_of_the_guide_looks_as_it_says(crdtgraph: CommandLine) -> None:
    [(line, shown)] = re.findall(
        r"^\$ crdtgraph (.*)\n((?:.*\n)*?)```", GUIDE.partition("## Mistakes")[2], re.MULTILINE
    )
    outcome = crdtgraph(*shlex.split(line))
    assert outcome.code == 2
    assert outcome.err == shown


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    "revset, code",
    [
        ("main", 0),
        ("roots()", 0),
        ("main-", 0),
        ("heads()", 3),
        ("none()", 3),
        ("main & mian", 3),
        ("main |", 2),
        ("since(x)", 2),
        ("", 2),
        ("(" * 1_000, 2),
    ],
)
def test_one_commit_by_a_revset_or_an_exit_code_that_says_why_not(
    crdtgraph: CommandLine, revset: str, code: int
) -> None:
    outcome = crdtgraph("state", revset)
    assert outcome.code == code, outcome.err
    assert bool(outcome.err) == bool(code)


@pytest.mark.usefixtures("node")
def test_a_node_answers_as_the_store_does(crdtgraph: CommandLine) -> None:
    assert [line.split()[-1] for line in crdtgraph("log", "main..side").out.splitlines()] == ["aside"]
    outcome = crdtgraph("log", "main | hed()")
    assert outcome.code == 2
    assert outcome.err.splitlines()[-2:] == ["  main | hed()", "         ^"]


@pytest.mark.usefixtures("store")
def test_a_revset_with_bytes_that_are_no_text_is_an_error_and_no_bug(crdtgraph: CommandLine) -> None:
    for revset in ("\udcff", "author(\udcff)", '"\udcff" | main'):
        assert crdtgraph("show", revset).code == 3


@pytest.mark.usefixtures("node")
def test_bytes_that_are_no_text_are_no_bug_at_a_node_either(crdtgraph: CommandLine) -> None:
    assert crdtgraph("show", "\udcff").code in (2, 3)
