"""The rules for alerts that come with the program; docs/metrics.md says what to do when one fires."""

from __future__ import annotations

from importlib.resources import files

FILE_NAME = "crdtgraph.rules.yml"


def alert_rules() -> str:
    """The file for Prometheus' `rule_files`."""
    return files("sync.prometheus").joinpath(FILE_NAME).read_text(encoding="utf-8")
