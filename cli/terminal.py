"""A terminal that gives single keys and is left as it was found, whatever happens in between.

Keys come as they are pressed and are not echoed. Ctrl-Z is no key here: a program that is stopped in the middle of
drawing leaves a terminal that nobody can use. Signals that end a program, Ctrl-C among them, do so at the next wait for
a key and nowhere else: what draws is not made to be broken off, and would owe the terminal what it had begun.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress

READ_BYTES = 64
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Keyboard:
    """What is typed, and news from elsewhere to wait for together with it."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._ended_by: int | None = None
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)

    def wake(self) -> None:
        """End a `wait`; may be called from any thread and from signal handlers."""
        # A full pipe ends the wait anyway, and at a closed one nobody waits.
        with suppress(OSError):
            os.write(self._writer, b"!")

    def wait(self, timeout_s: float) -> str:
        """The keys that were pressed; empty after `wake` or when the time is over.

        Raises:
            KeyboardInterrupt: for Ctrl-C.
            SystemExit: for another signal that ends programs.
        """
        sources = [self._reader] if self._descriptor is None else [self._reader, self._descriptor]
        ready, _, _ = select.select(sources, [], [], max(0.0, timeout_s))
        if self._reader in ready:
            os.read(self._reader, READ_BYTES)
        if self._ended_by == signal.SIGINT:
            raise KeyboardInterrupt
        if self._ended_by is not None:
            raise SystemExit(128 + self._ended_by)
        if self._descriptor not in ready:
            return ""
        typed = os.read(self._descriptor, READ_BYTES)
        if not typed:
            self._descriptor = None  # The terminal is gone.
        return typed.decode("utf-8", "ignore")

    def end(self, number: int) -> None:
        """Have the next `wait` end the program as this signal does; for signal handlers."""
        self._ended_by = number
        self.wake()

    def close(self) -> None:
        """Give the pipe back."""
        reader, writer = self._reader, self._writer
        self._reader = self._writer = -1
        os.close(writer)
        os.close(reader)


@contextmanager
def keyboard() -> Iterator[Keyboard]:
    """The keys of standard input while the block runs; none if that is no terminal.

    A change of the window's size ends a `Keyboard.wait`.
    """
    descriptor = sys.stdin.fileno() if sys.stdin.isatty() else None
    keys = Keyboard(descriptor)
    handlers = {signal.SIGWINCH: signal.signal(signal.SIGWINCH, lambda _number, _frame: keys.wake())}
    for each in ENDING:
        handlers[each] = signal.signal(each, lambda number, _frame: keys.end(number))
    before = termios.tcgetattr(descriptor) if descriptor is not None else None
    try:
        if descriptor is not None and before is not None:
            termios.tcsetattr(descriptor, termios.TCSANOW, _single_keys(descriptor, before))
        yield keys
    finally:
        if descriptor is not None and before is not None:
            termios.tcsetattr(descriptor, termios.TCSANOW, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        keys.close()


def _single_keys(descriptor: int, before: list[int | list[bytes | int]]) -> list[int | list[bytes | int]]:
    attributes = [*before]
    flags, characters = attributes[3], attributes[6]
    assert isinstance(flags, int)
    assert isinstance(characters, list)
    attributes[3] = flags & ~(termios.ICANON | termios.ECHO)
    changed = [*characters]
    changed[termios.VMIN], changed[termios.VTIME] = 1, 0
    changed[termios.VSUSP] = bytes([os.fpathconf(descriptor, "PC_VDISABLE") & 0xFF])
    attributes[6] = changed
    return attributes
