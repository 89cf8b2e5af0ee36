"""Settings of the whole suite: property tests try the same examples in every run, and no example has a time limit.

`pytest --hypothesis-profile=search` looks for new ones, twenty times as many.
"""

import signal
from pathlib import Path

import pytest
from hypothesis import settings

from tests import recorded

# What modules of helpers assert is told with its values, as in the tests themselves.
pytest.register_assert_rewrite("tests.cli", "tests.crdtgraph", "tests.simulations", "tests.sync")

# Shells start background jobs with Ctrl-C ignored, and the commands under test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("ci", derandomize=True, deadline=None, database=None)
settings.register_profile("search", max_examples=2000, deadline=None, print_blob=True)
settings.load_profile("ci")


@pytest.fixture(scope="session")
def recorded_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare git repository of the recorded history, made once (some 5 s); only to be read."""
    if not recorded.IS_THERE:
        pytest.skip(recorded.WHY_NOT)
    repository = tmp_path_factory.mktemp("recorded") / "repository"
    recorded.rebuild(repository)
    return repository
