"""Long answers through a pager, where somebody sits at a terminal.

$CRDTGRAPH_PAGER or else $PAGER names it, `less` by default; an empty one or `cat` means none. Unless $LESS is set,
`less` keeps colours, ends by itself when everything fits on one screen, and leaves it there. When the pager is quit
early, the rest is not even worked out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper

PAGER_VARIABLES = ("CRDTGRAPH_PAGER", "PAGER")
DEFAULT_PAGER = "less"
LESS_OPTIONS = "FRX"


class _Terminal(TextIOWrapper):
    """What goes to the pager ends on the terminal that standard output is."""

    def isatty(self) -> bool:
        return True


@contextmanager
def paged(*, wanted: bool = True) -> Iterator[None]:
    """Send what the block prints to standard output through the pager, if it is wanted and there is one."""
    command = _pager() if wanted and sys.stdout.isatty() else None
    if command is None:
        yield
        return
    sys.stdout.flush()
    environment = {**os.environ, "LESS": os.environ.get("LESS", LESS_OPTIONS), "LV": os.environ.get("LV", "-c")}
    process = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, env=environment)
    assert process.stdin is not None
    before = sys.stdout
    encoding = before.encoding or "utf-8"
    sys.stdout = _Terminal(process.stdin, encoding=encoding, errors="backslashreplace", line_buffering=True)
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # It was quit.
    finally:
        _close(sys.stdout)
        sys.stdout = before
        _wait(process)


def _pager() -> str | None:
    """The command line of the pager, or None."""
    for variable in PAGER_VARIABLES:
        command = os.environ.get(variable)
        if command is not None:
            return command if command.strip() not in ("", "cat") else None
    return DEFAULT_PAGER if shutil.which(DEFAULT_PAGER) and os.environ.get("TERM") != "dumb" else None


def _close(stream: object) -> None:
    assert isinstance(stream, TextIOWrapper)
    # What the pager had not read is of no interest any more.
    with suppress(BrokenPipeError):
        stream.close()


def _wait(process: subprocess.Popen[bytes]) -> None:
    # Ctrl-C is for the pager (it ends a search, say) as long as it runs; the terminal is its own until then.
    while True:
        try:
            process.wait()
            return
        except KeyboardInterrupt:
            continue
