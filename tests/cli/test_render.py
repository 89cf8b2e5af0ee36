"""Text as people read it."""

from __future__ import annotations

import sys

import pytest

from cli.render import fields, jsonable, moment, one_line, paint, printable, table
from crdtgraph.ids import CommitId


def test_control_characters_are_shown_and_line_ends_and_tabs_kept() -> None:
    assert printable("a\x1b[31m\r\x00\x7f\x9b\n\tb") == "a\\x1b[31m\\x0d\\x00\\x7f\\x9b\n\tb"
    assert printable("caf\u00e9 \ud800") == "caf\u00e9 ?"


def test_one_line_is_the_first_that_says_something() -> None:
    assert one_line("\n\n subject\tx \nbody") == "subject x "
    assert one_line("") == ""


@pytest.mark.parametrize(
    "microseconds, text",
    [
        (0, "1970-01-01 00:00:00 UTC"),
        (-1, "1969-12-31 23:59:59 UTC"),
        (1_700_000_000_999_999, "2023-11-14 22:13:20 UTC"),
        (1 << 62, f"{1 << 62} us"),
        (-(1 << 63), f"{-(1 << 63)} us"),
    ],
)
def test_moments_are_utc_and_what_no_calendar_holds_stays_a_number(microseconds: int, text: str) -> None:
    assert moment(microseconds) == text


def test_tables_align_all_columns_but_the_last() -> None:
    assert list(table([["a", "bb", "c"], ["aaa", "b", "cccc"], ["", "", ""]])) == ["a    bb  c", "aaa  b   cccc", ""]
    assert list(table([])) == []
    assert list(fields([("x", "1"), ("long", "2")])) == ["x     1", "long  2"]


def test_ids_are_hex_in_json() -> None:
    assert jsonable({"id": CommitId(b"\x01\xff"), "list": (b"", None, 1, "x")}) == {
        "id": "01ff",
        "list": ["", None, 1, "x"],
    }


def test_colours_are_for_terminals_without_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert paint("x", "id") == "x"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert paint("x", "id") == "\x1b[33mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("x", "id") == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert paint("x", "id") == "x"
