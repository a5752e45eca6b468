"""Temporary folders: gone at the end, and those of the dead soon after."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from isotherm.core.scratch import PREFIX, scratch_folder, sweep

HOLDER = """
from pathlib import Path
from isotherm.core.scratch import scratch_folder
with scratch_folder() as folder:
    Path(folder, "large.bin").write_bytes(b"x" * 1000)
    print(folder, flush=True)
    input()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    sweep.cache_clear()
    yield tmp_path
    sweep.cache_clear()


@pytest.fixture
def holder(place: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that has a folder, in the same place."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        with suppress(ProcessLookupError):
            process.kill()


def fail_within(place: Path) -> None:
    with scratch_folder() as folder:
        (folder / "within").write_bytes(b"1")
        assert folder.parent == place
        assert folder.stat().st_mode & 0o777 == 0o700
        raise ValueError("on purpose")


def test_a_folder_is_gone_at_the_end_of_the_block_however_it_ends(place: Path) -> None:
    with pytest.raises(ValueError, match="on purpose"):
        fail_within(place)
    assert list(place.iterdir()) == []


def test_what_a_killed_process_has_left_is_removed_by_the_next(
    place: Path, holder: tuple[subprocess.Popen[str], Path]
) -> None:
    process, left = holder
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (left / "large.bin").exists()
    with scratch_folder() as folder:
        assert [one.name for one in place.iterdir()] == [folder.name]


def test_what_a_living_process_uses_stays(place: Path, holder: tuple[subprocess.Popen[str], Path]) -> None:
    _, used = holder
    with scratch_folder():
        sweep.cache_clear()
        sweep(place)
        assert (used / "large.bin").exists()
    assert (used / "large.bin").exists()


def test_links_and_other_things_of_that_name_are_left_alone(
    place: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    precious = tmp_path_factory.mktemp("precious")
    (precious / "file").write_bytes(b"1")
    (place / f"{PREFIX}link").symlink_to(precious)
    (place / f"{PREFIX}file").write_bytes(b"2")
    (place / "isotherm-other").mkdir()
    sweep(place)
    assert sorted(one.name for one in place.iterdir()) == sorted(["isotherm-other", f"{PREFIX}file", f"{PREFIX}link"])
    assert (precious / "file").exists()


def test_a_full_disk_or_a_missing_place_is_an_error_of_the_system(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(place / "missing"))
    with pytest.raises(FileNotFoundError), scratch_folder():
        pass
