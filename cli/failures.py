"""What a failure looks like at the terminal: one line with what was wrong, one with what to do, an exit code.

This is the only place that turns errors into exit codes. A traceback is for us, not for whoever typed the
command, and is shown only when CRDTGRAPH_DEBUG is set.
"""

from __future__ import annotations

import os
import sys
from enum import IntEnum

import click

from cli.render import printable
from crdtgraph.errors import (
    AmbiguousError,
    CorruptError,
    CrdtGraphError,
    LocalError,
    NotFoundError,
    RemoteError,
    StoreError,
    UnreachableError,
)


class ExitCode(IntEnum):
    """How a command ended."""

    FINE = 0
    DIFFERS = 1
    USAGE = 2
    NOT_FOUND = 3
    UNREACHABLE = 4
    CORRUPT = 5
    BUG = 70
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


CODES: tuple[tuple[type[CrdtGraphError], ExitCode], ...] = (
    (NotFoundError, ExitCode.NOT_FOUND),
    (AmbiguousError, ExitCode.NOT_FOUND),
    (UnreachableError, ExitCode.UNREACHABLE),
    (StoreError, ExitCode.CORRUPT),
    (CorruptError, ExitCode.CORRUPT),
    (RemoteError, ExitCode.CORRUPT),
    (LocalError, ExitCode.USAGE),
)
"""The first kind that fits decides: a path that is no store is both a store error and not found."""


class StoppedError(Exception):
    """A signal asked for an orderly end, and the work was left in good order. The message says how to go on."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code


def report(failure: BaseException) -> int:
    """Print a failure to standard error and return the exit code for it."""
    failure = innermost(failure)
    if os.environ.get("CRDTGRAPH_DEBUG"):
        import traceback

        traceback.print_exception(failure)
    match failure:
        case SystemExit():
            return failure.code if isinstance(failure.code, int) else int(failure.code is not None)
        case click.exceptions.Exit():
            return failure.exit_code
        case BrokenPipeError():
            _abandon_output()
            return ExitCode.BROKEN_PIPE
        case KeyboardInterrupt() | click.Abort():
            _say("interrupted")
            return ExitCode.INTERRUPTED
        case StoppedError():
            _say(str(failure))
            return failure.code
        case click.exceptions.NoArgsIsHelpError():
            print(failure.format_message(), file=sys.stderr)
            return ExitCode.USAGE
        case click.UsageError():
            _say(_usage(failure), _usage_hint(failure))
            return ExitCode.USAGE
        case click.ClickException():
            _say(failure.format_message())
            return ExitCode.USAGE
        case CrdtGraphError():
            _say(failure.message, failure.hint)
            return next((code for kind, code in CODES if isinstance(failure, kind)), ExitCode.USAGE)
        case OSError():
            _say(_system_text(failure))
            _abandon_output_if_broken()
            return ExitCode.NOT_FOUND if isinstance(failure, FileNotFoundError) else ExitCode.USAGE
        case _:
            _say(
                f"internal error: {type(failure).__name__}: {failure}",
                "this is a bug; run again with CRDTGRAPH_DEBUG=1 for the details to report",
            )
            return ExitCode.BUG


def innermost(failure: BaseException) -> BaseException:
    """The story of a failure: a task group wraps whatever ended it, and one alone is all there is to say."""
    while isinstance(failure, BaseExceptionGroup) and len(failure.exceptions) == 1:
        failure = failure.exceptions[0]
    return failure


def _say(message: str, hint: str = "") -> None:
    try:
        print(f"crdtgraph: {printable(message)}", file=sys.stderr)
        if hint:
            print(f"hint: {printable(hint)}", file=sys.stderr)
    except OSError:
        pass  # There is nobody left to tell.


def _usage(failure: click.UsageError) -> str:
    message = failure.format_message()
    # A sentence begins in lower case here, a name stays as it is.
    first = message[:1].lower() if message[1:2].islower() else message[:1]
    return first + message[1:].rstrip(".")


def _usage_hint(failure: click.UsageError) -> str:
    command = failure.ctx.command_path if failure.ctx is not None else "crdtgraph"
    return f"see: {command} --help"


def _system_text(failure: OSError) -> str:
    reason = failure.strerror or str(failure)
    return f"{failure.filename}: {reason}" if failure.filename else reason


def _abandon_output_if_broken() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _abandon_output()


def _abandon_output() -> None:
    """Point standard output elsewhere, or the interpreter complains when it flushes it at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
