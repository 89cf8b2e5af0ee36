"""`crdtgraph top`: the cluster, live."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from cli.cluster.asking import places_argument, timeout_option
from cli.context import Invocation, NumberRange, Output, examples, graph_options

if TYPE_CHECKING:
    from cli.cluster.watching import Watcher
    from cli.terminal import Keyboard

INTERVAL_S, INTERVAL_S_MIN, INTERVAL_S_MAX = 1.0, 0.1, 3_600.0
REDRAW_S = 0.5
"""While nothing is new only the ages on the screen are, and they are drawn this often."""


@click.command("top", epilog=examples("crdtgraph top --once", "crdtgraph top --once -o json"))
@click.option(
    "--interval",
    "interval_s",
    type=NumberRange(INTERVAL_S_MIN, INTERVAL_S_MAX),
    default=INTERVAL_S,
    metavar="SECONDS",
    help="How often to ask (default: 1).",
)
@click.option("--once", is_flag=True, help="Measure for one interval, print that, and end.")
@timeout_option
@places_argument
@graph_options
@click.pass_obj
def command(invocation: Invocation, places: tuple[str, ...], timeout_s: float, interval_s: float, once: bool) -> None:
    """Watch all members of the cluster on a screen that is drawn again and again; q quits.

    RATE is how many commits a second become visible at a member. P50 and P99 are what a commit took that was asked for
    on its control socket, half of them and all but one in a hundred, over the last minute at most; DURABLE is the P99
    of the wait until the disk has what was written behind. SPEC is the share of commits outside of the ledger. The
    other columns are those of `status --cluster`. Where the window is narrow, the less important columns go.

    Where standard output is no terminal, or with another output than text, it does what --once says. A node that goes
    away is asked again until it is back.
    """
    import time

    from cli.cluster.asking import ask
    from cli.cluster.watching import Watcher

    first = ask(invocation, places, timeout_s)
    is_live = not once and invocation.output is Output.TEXT and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    place = ", ".join(places) or invocation.store or invocation.node or ""
    if is_live:
        from cli.terminal import keyboard

        with keyboard() as keys:
            watcher = Watcher(lambda: ask(invocation, places, timeout_s), first, interval_s, keys.wake)
            _watch(watcher, keys, place)
        return
    watcher = Watcher(lambda: ask(invocation, places, timeout_s), first, interval_s, lambda: None)
    time.sleep(interval_s)
    watcher.look()
    _print_once(invocation, watcher, place)


def _print_once(invocation: Invocation, watcher: Watcher, place: str) -> None:
    from cli.cluster.rates import TOP_KEYS, document
    from cli.cluster.screen import frame
    from cli.output import print_documents
    from cli.render import paint, print_lines, screen_width

    seen = watcher.seen
    if seen.failure:
        from crdtgraph.errors import UnreachableError

        raise UnreachableError(seen.failure)
    if invocation.output is Output.TEXT:
        print_lines(frame(seen, place, seen.at, screen_width(), None, paint))
    else:
        groups = seen.cluster.groups()
        documents = (document(member, groups, seen.rates) for member in seen.cluster.listed)
        print_documents(invocation.output, documents, TOP_KEYS)


def _watch(watcher: Watcher, keys: Keyboard, place: str) -> None:
    import time

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live
    from rich.text import Text

    from cli.cluster.screen import frame
    from cli.render import paint

    class Screen:
        """The latest answer, drawn for whatever size the window has by then."""

        def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
            height = options.height or options.max_height
            for line in frame(watcher.seen, place, time.monotonic(), options.max_width, height, paint):
                yield Text.from_ansi(line, no_wrap=True, overflow="crop", end="\n")

    watcher.start()
    try:
        with Live(Screen(), console=Console(), screen=True, auto_refresh=False, redirect_stdout=False) as live:
            while "q" not in keys.wait(REDRAW_S).lower():
                if watcher.bug is not None:
                    raise watcher.bug
                live.refresh()
    except KeyboardInterrupt:
        pass  # It is the other way to quit.
    finally:
        watcher.stop()
