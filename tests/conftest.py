"""Settings of the whole suite: property tests try the same examples in every run, and no example has a time limit.

`pytest --hypothesis-profile=search` looks for new ones, twenty times as many.
"""

import signal

from hypothesis import settings

# Shells start background jobs with Ctrl-C ignored, and the commands under test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("ci", derandomize=True, deadline=None, database=None)
settings.register_profile("search", max_examples=2000, deadline=None, print_blob=True)
settings.load_profile("ci")
