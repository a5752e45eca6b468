"""Model folders: whole or not at all, and nothing altered is believed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import ModelError, OutputError
from isotherm.runtime import bundle
from isotherm.runtime.bundle import ARRAYS, MANIFEST, read_bundle, write_bundle

ARRAYS_IN = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array([3], np.int32), "é": np.zeros((0, 2))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "model", manifest={"method": "wärme", "numbers": [1.5, 2]}, arrays=ARRAYS_IN)
    return tmp_path / "model"


def test_there_and_back(folder: Path) -> None:
    manifest, arrays = read_bundle(folder)
    assert (manifest["method"], manifest["numbers"], manifest["format_version"]) == ("wärme", [1.5, 2], 2)
    assert set(arrays) == set(ARRAYS_IN)
    for name, array in ARRAYS_IN.items():
        assert arrays[name].dtype == array.dtype
        assert np.array_equal(arrays[name], array)
    assert sorted(item.name for item in folder.iterdir()) == [ARRAYS, MANIFEST]
    assert [item.name for item in folder.parent.iterdir()] == ["model"]


def test_a_loaded_manifest_can_be_written_again(folder: Path, tmp_path: Path) -> None:
    manifest, arrays = read_bundle(folder)
    write_bundle(tmp_path / "again", manifest=manifest | {"format_version": 99, "files": {}}, arrays=arrays)
    assert read_bundle(tmp_path / "again")[0] == manifest
    assert (tmp_path / "again" / ARRAYS).read_bytes() == (folder / ARRAYS).read_bytes()


def test_views_are_stored_as_they_look(tmp_path: Path) -> None:
    array = np.arange(12.0).reshape(3, 4)
    write_bundle(tmp_path / "model", manifest={}, arrays={"turned": array.T, "part": array[:, ::2]})
    arrays = read_bundle(tmp_path / "model")[1]
    assert np.array_equal(arrays["turned"], array.T)
    assert np.array_equal(arrays["part"], array[:, ::2])


def test_an_older_model_is_replaced(folder: Path) -> None:
    write_bundle(folder, manifest={"method": "new"}, arrays={"x": np.ones(2)})
    manifest, arrays = read_bundle(folder)
    assert manifest["method"] == "new"
    assert list(arrays) == ["x"]
    assert [item.name for item in folder.parent.iterdir()] == ["model"]


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    write_bundle(tmp_path, manifest={}, arrays={"x": np.ones(1)})
    assert list(read_bundle(tmp_path)[1]) == ["x"]


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"holds 'photo\.jpg'"):
        write_bundle(tmp_path, manifest={}, arrays={"x": np.ones(1)})
    assert (tmp_path / "photo.jpg").read_bytes() == b"precious"


def test_a_folder_with_a_model_and_something_else_is_left_alone(folder: Path) -> None:
    (folder / "photo.jpg").write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"photo\.jpg"):
        write_bundle(folder, manifest={}, arrays={"x": np.ones(1)})
    assert (folder / "photo.jpg").read_bytes() == b"precious"


def test_somebody_elses_manifest_is_no_model(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text('{"name": "a web page"}')
    with pytest.raises(OutputError, match="holds something that is no model"):
        write_bundle(tmp_path, manifest={}, arrays={"x": np.ones(1)})


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError):
            write_bundle(place, manifest={}, arrays={"x": np.ones(1)})


@pytest.mark.parametrize("name", [MANIFEST, ARRAYS])
def test_a_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"model .*: {name} is missing"):
        read_bundle(folder)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such folder"):
        read_bundle(tmp_path / "nowhere")


def test_another_version(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"format_version": 1}))
    with pytest.raises(ModelError, match="format version 1; this isotherm reads version 2"):
        read_bundle(folder)


@pytest.mark.parametrize("text", ["", "[1]", "{}", "not json", '{"format_version": 2}', "[" * 100_000])
def test_a_manifest_that_is_none(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(ModelError) as caught:
        read_bundle(folder)
    assert "\n" not in str(caught.value)


def test_an_unknown_file(folder: Path) -> None:
    (folder / "extra.bin").write_bytes(b"?")
    with pytest.raises(ModelError, match=r"holds 'extra\.bin', which its manifest does not know"):
        read_bundle(folder)


def test_giant_files_are_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (folder / ARRAYS).open("r+b") as stream:
        stream.truncate(3 * 1024**3)
    with pytest.raises(ModelError, match="at most"):
        read_bundle(folder)
    with (folder / MANIFEST).open("r+b") as stream:
        stream.truncate(3 * 1024**3)
    with pytest.raises(ModelError, match="at most"):
        read_bundle(folder)
    monkeypatch.setattr(bundle, "MAX_ARRAY_BYTES", 100)
    with pytest.raises(OutputError, match="at most 100"):
        write_bundle(folder.parent / "other", manifest={}, arrays={"x": np.ones(1000)})


def test_a_longer_file(folder: Path) -> None:
    with (folder / ARRAYS).open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(ModelError, match=r"where .* are expected"):
        read_bundle(folder)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from([MANIFEST, ARRAYS]), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_any_flipped_byte_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, name: str, place: float, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("flipped") / "model"
    write_bundle(folder, manifest={"threshold": 21.25, "method": "padim"}, arrays=ARRAYS_IN)
    data = bytearray((folder / name).read_bytes())
    data[int(place * len(data))] ^= flip
    (folder / name).write_bytes(data)
    try:
        manifest, _ = read_bundle(folder)
    except ModelError:
        return
    # Only white space may differ without consequence.
    assert name == MANIFEST
    assert (manifest["threshold"], manifest["method"]) == (21.25, "padim")


def test_a_failed_replacement_keeps_the_old_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OutputError, match="No space left on device"):
        write_bundle(folder, manifest={"method": "new"}, arrays={"x": np.ones(2)})
    monkeypatch.undo()
    assert read_bundle(folder)[0]["method"] == "wärme"
    assert [item.name for item in folder.parent.iterdir()] == ["model"]


def test_a_read_only_place_is_noticed_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(OutputError, match="not a folder that can be written to"):
        bundle.check_target(tmp_path / "new" / "model")
