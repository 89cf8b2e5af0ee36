"""Moments as people write them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph import LocalError
from crdtgraph.moments import parse_moment

NOW = 1_764_000_000_000_000
SECOND = 1_000_000


@pytest.mark.parametrize(
    "text, moment",
    [
        ("now", NOW),
        ("90s", NOW - 90 * SECOND),
        ("2m", NOW - 120 * SECOND),
        ("2h", NOW - 7_200 * SECOND),
        ("2h ago", NOW - 7_200 * SECOND),
        (" 1d12h ", NOW - 36 * 3_600 * SECOND),
        ("1w", NOW - 7 * 86_400 * SECOND),
        ("0s", NOW),
        ("1970-01-01", 0),
        ("2026-11-01", 1_793_491_200 * SECOND),
        ("2026-11-01T10:00", 1_793_527_200 * SECOND),
        ("2026-11-01 10:00:00.25", 1_793_527_200 * SECOND + 250_000),
        ("2026-11-01T10:00Z", 1_793_527_200 * SECOND),
        ("2026-11-01T10:00+02:00", 1_793_520_000 * SECOND),
        ("0001-01-01", -62_135_596_800 * SECOND),
        ("9999-12-31T23:59:59.999999", 253_402_300_799_999_999),
        ("@1732000000000000", 1_732_000_000_000_000),
        ("@-5", -5),
        ("999999999999w", -(2**63)),
    ],
)
def test_a_text_is_this_moment(text: str, moment: int) -> None:
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "yesterday", "2", "h", "2 h", "-2h", "2y", "2H", "2026", "2026-11", "20261101", "2026-02-30", "@",
        "@1.5", "@99999999999999999999", "@9223372036854775808", "2026-11-01T25:00", "2026-11-01T", "٢h", "0000-01-01",
        "1e3s",
    ],
)  # fmt: skip
def test_what_is_no_moment_is_told_the_forms(text: str) -> None:
    with pytest.raises(LocalError) as caught:
        parse_moment(text, NOW)
    assert "is no time" in caught.value.message
    assert "2026-11-01" in caught.value.hint


@given(st.one_of(st.text(), st.from_regex(r"[0-9@TZ:.+\-smhdw ]{0,30}", fullmatch=True)))
def test_any_text_is_a_moment_of_64_bits_or_an_error(text: str) -> None:
    with suppress(LocalError):
        assert -(2**63) <= parse_moment(text, NOW) < 2**63
