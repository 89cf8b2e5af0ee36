"""Simulated time: it stands still while anyone can run, and jumps to what comes next."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import trio

from simulations.agenda import Agenda


def run(work: Callable[[Agenda, list[str]], Awaitable[None]]) -> list[str]:
    agenda, happened = Agenda(), list[str]()
    trio.run(work, agenda, happened, clock=agenda)
    return happened


def test_entries_happen_at_their_times_and_those_of_one_moment_in_the_order_in_which_they_were_made() -> None:
    async def work(agenda: Agenda, happened: list[str]) -> None:
        def note(what: str) -> Callable[[], None]:
            return lambda: happened.append(f"{what} at {trio.current_time():g}")

        agenda.at(2.0, note("third"))
        agenda.at(1.0, note("first"))
        agenda.at(1.0, note("second"))
        await trio.sleep(3)

    assert run(work) == ["first at 1", "second at 1", "third at 2"]


def test_an_entry_comes_before_the_deadline_of_its_moment() -> None:
    async def work(agenda: Agenda, happened: list[str]) -> None:
        agenda.at(1.0, lambda: happened.append("entry"))
        await trio.sleep_until(1.0)
        happened.append("deadline")

    assert run(work) == ["entry", "deadline"]


def test_time_stands_still_while_a_task_can_run() -> None:
    async def work(agenda: Agenda, happened: list[str]) -> None:
        agenda.at(0.0, lambda: happened.append("entry"))
        for _ in range(100):
            await trio.lowlevel.checkpoint()
        happened.append(f"busy until {trio.current_time():g}")
        await trio.sleep(0.1)

    assert run(work) == ["busy until 0", "entry"]


def test_an_entry_that_wakes_a_task_lets_it_run_before_the_next_one() -> None:
    async def work(agenda: Agenda, happened: list[str]) -> None:
        agenda.is_idle = lambda: not woken
        woken: list[str] = []
        lot = trio.lowlevel.ParkingLot()

        def wake() -> None:
            woken.append("yes")
            lot.unpark()

        agenda.at(0.5, lambda: happened.append("wakes nobody"))
        agenda.at(1.0, wake)
        agenda.at(1.5, lambda: happened.append("later"))
        await lot.park()
        happened.append(f"woken at {trio.current_time():g}")
        woken.clear()
        await trio.sleep(1)

    assert run(work) == ["wakes nobody", "woken at 1", "later"]


def test_whoever_watches_is_called_before_each_jump() -> None:
    async def work(agenda: Agenda, happened: list[str]) -> None:
        agenda.before_jump = lambda: happened.append(f"{trio.current_time():g}")
        agenda.at(1.0, lambda: None)
        agenda.at(1.0, lambda: None)
        await trio.sleep(3)
        await trio.lowlevel.checkpoint()
        await trio.sleep(1)

    assert run(work) == ["0", "1", "3"]


def test_a_year_takes_no_time() -> None:
    async def work(agenda: Agenda, happened: list[str]) -> None:
        await trio.sleep(365 * 86_400)

    began = time.monotonic()
    run(work)
    assert time.monotonic() - began < 5
