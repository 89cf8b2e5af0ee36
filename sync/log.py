"""Where a node's log goes when nobody says: to the standard logging module, under the name `sync`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import structlog

if TYPE_CHECKING:
    from sync.protocol.alarms import Alarm

LOGGER_NAME = "sync"


class Log(Protocol):
    """The part of a structlog logger that a node uses: an event and what belongs to it."""

    def info(self, event: str, **fields: object) -> object:
        """Something happened as it should."""

    def warning(self, event: str, **fields: object) -> object:
        """Somebody should know."""

    def error(self, event: str, **fields: object) -> object:
        """Somebody should do something."""


def default_log() -> Log:
    """A logger that is quiet below warnings unless the program configures `logging`; adds no timestamps."""
    log: Log = structlog.wrap_logger(
        logging.getLogger(LOGGER_NAME),
        processors=[structlog.stdlib.filter_by_level, structlog.processors.KeyValueRenderer(key_order=["event"])],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return log


def reporter(log: Log) -> Callable[[Alarm, bool], None]:
    """What logs alarms as they are raised and cleared."""

    def report(alarm: Alarm, standing: bool) -> None:
        event = "replicas disagree" if standing else "replicas agree again"
        log.warning(event, kind=alarm.kind.value, plane=alarm.plane, replica=alarm.replica.hex(), text=alarm.text)

    return report
