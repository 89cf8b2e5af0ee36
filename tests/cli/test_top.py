"""`top`: what it measures, what a screen of any size shows, and the real thing in a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cli.cluster.members import UNREACHABLE, Cluster, Stranger
from cli.cluster.rates import TOP_COLUMNS, TOP_KEYS, Rates, cells, document, rate_text, speculative_share
from cli.cluster.screen import frame
from cli.cluster.watching import Seen, Watcher
from crdtgraph.errors import UnreachableError
from sync.protocol.cards import TimingCard

from .conftest import ROOT, CommandLine, Process, Starter
from .test_topology import cluster, link, member

PATIENCE_S = 30


def looked(commits: int, at_s: float, **changes: object) -> Cluster:
    made = member("a", issued_us=round(at_s * 1e6), **changes)
    plane = replace(made.card.planes[0], commits=commits)
    return cluster(replace(made, card=replace(made.card, planes=(plane,))))


def plain(words: str, _role: str) -> str:
    return words


# --- rates


def test_the_rate_is_that_between_the_last_two_cards_by_their_owners_clock() -> None:
    rates = Rates()
    rates.update(looked(100, 10))
    assert rates.of(looked(100, 10).members[0]) is None
    rates.update(looked(300, 12))
    assert rates.of(looked(300, 12).members[0]) == 100
    rates.update(looked(300, 12))
    assert rates.of(looked(300, 12).members[0]) == 100, "the same card again says nothing new"
    rates.update(looked(300, 13))
    assert rates.fastest == 0


def test_a_restart_and_a_silence_have_no_rate() -> None:
    for broken in (looked(1_000, 11, nonce=b"x" * 16), looked(1_000, 11, state=UNREACHABLE)):
        rates = Rates()
        rates.update(looked(100, 10))
        rates.update(looked(200, 10.5))
        rates.update(broken)
        assert rates.fastest is None


def test_the_speculative_share_is_that_of_all_planes_but_the_ledger() -> None:
    made = member("a")
    [ledger] = made.card.planes
    assert speculative_share(made) == 0
    search = replace(ledger, plane="search/1", commits=15)
    assert speculative_share(replace(made, card=replace(made.card, planes=(ledger, search)))) == 0.75
    assert speculative_share(looked(0, 1).members[0]) is None


def test_timings_become_cells() -> None:
    timings = (TimingCard("commit", 9, 150, 2_500, 3_000), TimingCard("durable", 9, 100_000, 130_000, 140_000))
    made = member("a", timings=timings)
    found = {title: cell.text for title, cell in cells(cluster(made), Rates())[made.id].items()}
    assert found == {"P50": "150us", "P99": "2.5ms", "DURABLE": "130ms", "SPEC": "0%"}
    assert tuple(document(made, {}, Rates())) == TOP_KEYS
    assert [rate_text(each) for each in (0, 0.25, 12.4, 12_345.6)] == ["0/s", "0.2/s", "12/s", "12,346/s"]


# --- the screen


def many(count: int) -> Seen:
    members = [member(chr(ord("a") + number % 26)) for number in range(count)]
    named = [replace(each, card=replace(each.card, name=f"n{number:03}")) for number, each in enumerate(members)]
    return Seen(cluster(*named, strangers=(Stranger("x:1", "refused"),)), Rates(), 0.0)


@pytest.mark.parametrize("height", [3, 5, 10, 24, 60])
@pytest.mark.parametrize("width", [30, 80, 200])
def test_a_frame_fits_the_window(width: int, height: int) -> None:
    lines = frame(many(40), "here", 1.0, width, height, plain)
    assert len(lines) <= height
    if width >= 80:
        assert max(map(len, lines)) <= width
    if height >= 10:
        assert any(re.fullmatch(r"\.\.\. and \d+ more", line) for line in lines) or height > 45
        assert any("members are up" in line for line in lines)


def test_less_important_columns_go_first_and_the_rest_is_named() -> None:
    titles = frame(many(3), "here", 1.0, None, None, plain)[2].split()
    assert titles == [column.title for column in TOP_COLUMNS]
    narrow = frame(many(3), "here", 1.0, 70, None, plain)
    assert {"NODE", "STATE", "RATE", "LAG", "DIGEST"} <= set(narrow[2].split())
    assert narrow[-1].startswith("(no room for: ")


def test_a_node_that_is_gone_leaves_its_last_answer_and_a_warning() -> None:
    seen = replace(many(2), failure="no node answers at x")
    assert frame(seen, "x", 12.0, 100, 24, plain)[1] == "NO ANSWER for 12s, trying again: no node answers at x"


def test_the_watcher_goes_on_after_a_failure_and_gives_bugs_to_whoever_shows_the_screen() -> None:
    answers: list[Callable[[], Cluster]] = [lambda: looked(5, 2), unreachable, lambda: looked(9, 3), buggy]
    watcher = Watcher(lambda: answers.pop(0)(), looked(1, 1), 0.0, lambda: None)
    watcher.look()
    assert (watcher.seen.failure, watcher.seen.rates.fastest) == ("", 4)
    watcher.look()
    assert watcher.seen.failure == "gone"
    assert watcher.seen.cluster == looked(5, 2)
    watcher.look()
    assert (watcher.seen.failure, watcher.seen.rates.fastest) == ("", 4)
    watcher.start()
    watcher._thread.join(PATIENCE_S)
    assert isinstance(watcher.bug, ZeroDivisionError)


def unreachable() -> Cluster:
    raise UnreachableError("gone")


def buggy() -> Cluster:
    raise ZeroDivisionError


def test_a_link_that_waits_shows_what_is_queued() -> None:
    seen = Seen(cluster(member("a", link("b", queued_messages=3, queued_bytes=4_000))), Rates(), 0.0)
    assert "3 4.0kB" in frame(seen, "x", 0.0, None, None, plain)[3]


# --- in a terminal


class Terminal:
    """A command in a pseudo-terminal, and what it has written to it."""

    def __init__(self, folder: Path, *arguments: str, columns: int = 200, lines: int = 24) -> None:
        self.ours, self.theirs = pty.openpty()
        self.resize(columns, lines)
        self.before = termios.tcgetattr(self.theirs)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
        for variable in ("COLUMNS", "LINES", "NO_COLOR"):
            environment.pop(variable, None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments],
            cwd=folder,
            env=environment,
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.written = b""

    def resize(self, columns: int, lines: int) -> None:
        self.lines = lines
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def screen(self) -> list[str]:
        """The lines of the last frame that was drawn whole for the present size, without colours."""
        frames = self.written.decode(errors="replace").split("\x1b[H")
        whole = [each for each in frames if each.count("\n") == self.lines - 1]
        lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", whole[-1] if whole else "\n\n").replace("\r", "").split("\n")
        return [line.rstrip() for line in lines]

    def wait_for(self, condition: Callable[[list[str]], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition(self.screen()):
            assert time.monotonic() < deadline, "\n".join(self.screen())
            self._read(0.2)

    def type(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def end(self) -> int:
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline
            self._read(0.05)
        while self._read(0.05):
            pass
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)

    def _read(self, seconds: float) -> bool:
        if not select.select([self.ours], [], [], seconds)[0]:
            return False
        self.written += os.read(self.ours, 1 << 16)
        return True

    def check_left_as_found(self) -> None:
        assert termios.tcgetattr(self.theirs) == self.before
        assert b"\x1b[?1049h" in self.written, "it had the alternate screen"
        assert self.written.rfind(b"\x1b[?1049l") > self.written.rfind(b"\x1b[?1049h"), "and gave it back"
        assert self.written.rfind(b"\x1b[?25h") > self.written.rfind(b"\x1b[?25l"), "and the cursor is shown"
        assert b"Traceback" not in self.written


@pytest.fixture
def node(start: Starter, crdtgraph: CommandLine) -> Process:
    """A node that is named a and has one commit."""
    node = start("serve", "--store", "a.db", "--listen", "127.0.0.1:0", "--name", "a")
    node.wait_for("ready")
    assert crdtgraph("commit", "-m", "x", "--ref", "main", "--node", "a.db").code == 0
    return node


@pytest.fixture
def top(node: Process, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Starts `top` on that node."""
    opened: list[Terminal] = []

    def opener(**size: int) -> Terminal:
        opened.append(Terminal(tmp_path, "top", "--node", "a.db", "--interval", "0.2", **size))
        opened[-1].wait_for(lambda screen: any("1 of 1 members is up" in line for line in screen))
        return opened[-1]

    yield opener
    for terminal in opened:
        terminal.close()


def test_q_quits_and_the_terminal_is_as_it_was(
    top: Callable[..., Terminal], node: Process, start: Starter, crdtgraph: CommandLine
) -> None:
    terminal = top()
    titles = terminal.screen()[2].split()
    assert titles == [column.title for column in TOP_COLUMNS]
    assert b"\x1b[" in terminal.written
    assert crdtgraph("commit", "-m", "y", "--ref", "main", "--node", "a.db").code == 0
    terminal.wait_for(lambda screen: "2 commits" in screen[0])

    # Narrower: fewer columns, at once; wider: all are back.
    for columns, lines in ((90, 20), (200, 12)):
        terminal.resize(columns, lines)
        terminal.wait_for(lambda screen: ("EXCHANGED" in screen[2].split()) == (columns == 200))  # noqa: B023
        assert max(map(len, terminal.screen())) <= columns

    # The node goes away and comes back; keys work all the time.
    node.end(signal.SIGKILL)
    terminal.wait_for(lambda screen: screen[1].startswith("NO ANSWER for "))
    start("serve", "--store", "a.db", "--listen", "127.0.0.1:0", "--name", "again").wait_for("ready")
    terminal.wait_for(lambda screen: any(" again " in line for line in screen))
    assert not terminal.screen()[1]

    terminal.type(b"xQ")
    assert terminal.end() == 0
    terminal.check_left_as_found()


@pytest.mark.parametrize(
    "ending, code", [(b"\x03", 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["Ctrl-C", "SIGTERM", "SIGHUP"]
)
def test_however_it_ends_the_terminal_is_as_it_was(
    top: Callable[..., Terminal], ending: bytes | signal.Signals, code: int
) -> None:
    terminal = top()
    if isinstance(ending, bytes):
        terminal.type(ending)
    else:
        terminal.process.send_signal(ending)
    assert terminal.end() == code
    terminal.check_left_as_found()


def test_ctrl_z_does_not_leave_a_terminal_in_the_middle_of_a_drawing(top: Callable[..., Terminal]) -> None:
    terminal = top(columns=60, lines=8)
    terminal.type(b"\x1aq")
    assert terminal.end() == 0
    terminal.check_left_as_found()


def test_where_nobody_watches_it_measures_once(node: Process, crdtgraph: CommandLine) -> None:
    assert crdtgraph("top", "--node", "gone/control").code == 4
    shown = crdtgraph("top", "--node", "a.db", "--interval", "0.2")
    assert shown.code == 0
    assert "\x1b" not in shown.out
    assert re.search(r" a +up .* 0/s ", shown.out)
    rows = crdtgraph("top", "--once", "--node", "a.db", "--interval", "0.2", "-o", "json").json
    assert isinstance(rows, list)
    assert tuple(rows[0]) == TOP_KEYS
    assert (rows[0]["commits"], rows[0]["commits_per_s"], rows[0]["speculative_share"]) == (1, 0.0, 0.0)
    assert rows[0]["commit_p50_us"] > 0
    assert crdtgraph("top", "--node", "a.db", "--interval", "0").code == 2
