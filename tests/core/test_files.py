from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from isotherm.core.errors import OutputError
from isotherm.core.files import make_folder, sha256, whole_file, write_whole


def test_a_file_whose_content_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_whole(path, b"old")
    with pytest.raises(OutputError, match="damaged"):
        _half_written(path)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.bin", b"old")]


def _half_written(path: Path) -> None:
    with whole_file(path) as stream:
        stream.write(b"half")
        raise OutputError("the source is damaged")


def test_written_whole_and_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    before = os.umask(0o022)
    try:
        write_whole(path, b"one")
        write_whole(path, b"two")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [item.name for item in tmp_path.iterdir()] == ["a.bin"]


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    write_whole(path, b"old")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.bin"]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        write_whole(tmp_path / "absent" / "a.bin", b"")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot create the folder"):
        make_folder(tmp_path / "file" / "below")
    with pytest.raises(OutputError):
        make_folder(tmp_path / "file")


def test_folders_and_sums(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert sha256(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
