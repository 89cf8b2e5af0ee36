"""Recorded reads of real searches: the format, the problems that are searched, the search, and the recorder."""
