"""What a benchmark prints for people."""

from __future__ import annotations

import pytest

from benchmarks.__main__ import show
from benchmarks.report import Report


@pytest.mark.parametrize("width", [50, 80, 400])
def test_no_column_of_a_wide_result_is_cut(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    report = Report("wide", {})
    columns = [f"quantity_{number}" for number in range(20)]
    for row in (1, 2):
        report.results[f"after {row}"] = {name: 1_000 * row + place for place, name in enumerate(columns)}
    report.results["alone"] = {"quantity_7": "other"}
    show(report)
    printed = capsys.readouterr().out
    assert all(f"{name} " in printed or f"{name}\n" in printed for name in columns)
    assert printed.count("alone") == 1, "a row stands only where it has something"
    assert max(map(len, printed.splitlines())) <= width
