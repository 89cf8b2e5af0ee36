"""Temporary folders: they go with their process, also with one that is killed, and nothing else goes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sync import scratch
from sync.scratch import LOCK_NAME, PREFIX, remove_abandoned, scratch_folder

HOLD = """
import sys
from sync.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "control").touch()
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def hold() -> tuple[subprocess.Popen[str], Path]:
    """A process in such a folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_folder_goes_at_the_end_of_its_block(place: Path) -> None:
    with scratch_folder() as folder:
        assert folder.parent == place
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "control").touch()
        with scratch_folder() as other:
            assert other != folder
        assert (folder / "control").exists()
    assert list(place.iterdir()) == []


def test_the_folder_of_a_killed_process_goes_with_the_next_start_and_that_of_a_live_one_stays(place: Path) -> None:
    live, kept = hold()
    killed, left = hold()
    killed.kill()
    killed.communicate()
    assert set(place.iterdir()) == {kept, left}
    with scratch_folder() as folder:
        assert set(place.iterdir()) == {kept, folder}
        assert (kept / "control").exists()
    live.communicate()
    assert list(place.iterdir()) == []


def test_what_others_named_alike_stays(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    mine = place / f"{PREFIX}notes"
    mine.mkdir()
    (mine / "notes").touch()
    (place / f"{PREFIX}file").touch()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / LOCK_NAME).touch()
    (place / f"{PREFIX}link").symlink_to(elsewhere)
    before = set(place.iterdir())
    remove_abandoned()
    assert set(place.iterdir()) == before
    assert (elsewhere / LOCK_NAME).exists()


def test_the_folder_of_another_user_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed, left = hold()
    killed.kill()
    killed.communicate()
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    remove_abandoned()
    assert left.exists()
    monkeypatch.undo()


def test_a_folder_whose_process_was_killed_before_it_had_locked_it_goes(place: Path) -> None:
    (place / f"{PREFIX}empty").mkdir()
    unlocked = place / f"{PREFIX}unlocked"
    unlocked.mkdir()
    (unlocked / LOCK_NAME).touch()
    remove_abandoned()
    assert list(place.iterdir()) == []


def test_a_folder_that_is_swept_away_before_it_is_locked_is_made_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, swept = tempfile.mkdtemp, list[str]()

    def made_and_swept(prefix: str) -> str:
        folder = make(prefix=prefix)
        if not swept:
            remove_abandoned()
            swept.append(folder)
        return folder

    monkeypatch.setattr(scratch.tempfile, "mkdtemp", made_and_swept)
    with scratch_folder() as folder:
        assert str(folder) != swept[0]
        remove_abandoned()
        assert folder.exists()


def test_a_folder_that_is_swept_away_while_it_is_locked_is_made_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, swept = scratch.fcntl.flock, list[int]()

    def swept_and_locked(descriptor: int, how: int) -> None:
        if not swept:
            swept.append(descriptor)
            remove_abandoned()
        lock(descriptor, how)

    monkeypatch.setattr(scratch.fcntl, "flock", swept_and_locked)
    with scratch_folder() as folder:
        assert folder.exists()
        assert list(place.iterdir()) == [folder]
