"""One run of the small world."""

from __future__ import annotations

import pytest

from simulations.runner import Outcome, run
from tests.simulations.page.pages import SMALL


@pytest.fixture(scope="module")
def small() -> Outcome:
    return run(1, SMALL, observe=True)
