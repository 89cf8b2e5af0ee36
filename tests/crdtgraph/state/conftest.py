"""Levels and pages so small that a test has all of them."""

from __future__ import annotations

import pytest

from crdtgraph.state import row as rowing
from crdtgraph.state import rows as rowsing


@pytest.fixture(autouse=True)
def low_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Levels and pages so small that a test has all of them."""
    monkeypatch.setattr(rowsing, "SPANS", (1, 2, 4, 8))
    monkeypatch.setattr(rowing, "PAGED_ENTRIES_MIN", 3)
    monkeypatch.setattr(rowing, "PAGE_ENTRIES", 2)
