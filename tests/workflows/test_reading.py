"""Listing inputs and reading many of them."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import DataError
from isotherm.core.scene import SceneEdit, Source
from isotherm.core.thermogram import Thermogram
from isotherm.formats import ReadHints, read_bytes
from isotherm.workflows import reading
from isotherm.workflows.reading import (
    exit_status,
    in_order,
    list_images,
    list_inputs,
    natural_key,
    read_inputs,
    read_many,
)
from thermal_files import FlirFile, encoded

PNG = encoded(np.zeros((4, 5), np.uint8), "PNG")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("IR_10.png", "IR_9.png", "b/1.png", "b/a/2.png", ".hidden.png", "b/.cache/x.png", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG if name.endswith("png") else b"a note")
    return tmp_path


def test_a_folder_is_listed_in_natural_order_without_hidden_files(folder: Path) -> None:
    found = [path.relative_to(folder).as_posix() for path in list_images(folder)]
    assert found == ["b/1.png", "b/a/2.png", "IR_9.png", "IR_10.png", "notes.txt"]
    assert list_images(folder / "IR_9.png") == [folder / "IR_9.png"]


def test_nothing_to_list_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        list_images(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no file"):
        list_images(tmp_path / "empty")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text("aB1290_/é", min_size=1, max_size=12), max_size=8))
def test_natural_order_is_an_order(names: list[str]) -> None:
    assert sorted(sorted(names, key=natural_key, reverse=True), key=natural_key) == sorted(names, key=natural_key)
    assert natural_key("a10") > natural_key("a9")


def test_names_that_differ_in_case_alone_have_one_order() -> None:
    paths = [Path("x", name) for name in ("b.jpg", "A.jpg", "a.jpg")]
    assert in_order(paths, Path("x")) == in_order(reversed(paths), Path("x")) == [paths[1], paths[2], paths[0]]


def test_natural_order_counts_numbers_and_tells_their_zeros_apart() -> None:
    names = ["07", "7", "7a", "08", "8", "10", "a", "a/b", "a/b9", "a/b10", "A07", "a7", "a100", "b"]
    order = ["07", "7", "7a", "08", "8", "10", "a", "A07", "a7", "a100", "a/b", "a/b9", "a/b10", "b"]
    assert sorted(names, key=natural_key) == order


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_outcomes_come_in_input_order_and_bad_files_stop_nothing(folder: Path, jobs: int) -> None:
    outcomes = list(read_many(list_images(folder), root=folder, jobs=jobs))
    assert [outcome.name for outcome in outcomes] == ["b/1.png", "b/a/2.png", "IR_9.png", "IR_10.png", "notes.txt"]
    assert [outcome.thermogram is None for outcome in outcomes] == [False, False, False, False, True]
    assert "no known format" in outcomes[-1].error
    assert not any(outcome.error for outcome in outcomes[:-1])


def test_names_without_a_root_are_file_names(folder: Path) -> None:
    (outcome,) = read_many([folder / "b/1.png"])
    assert outcome.name == "1.png"
    assert next(iter(read_many([folder / "b/1.png"], root=folder / "elsewhere"))).name == "1.png"


def test_missing_and_unreadable_files_are_outcomes(tmp_path: Path) -> None:
    absent, folder = read_many([tmp_path / "absent.png", tmp_path])
    assert "cannot be read" in absent.error
    assert "cannot be read" in folder.error


def test_edits_and_hints_reach_every_file(tmp_path: Path) -> None:
    (tmp_path / "a.fff").write_bytes(FlirFile().fff())
    (tmp_path / "b.csv").write_text("68,70\n72,74\n")
    flir, csv = read_many(list_images(tmp_path), edit=SceneEdit(emissivity=0.5), hints=ReadHints(unit="f"))
    assert flir.thermogram is not None
    assert flir.thermogram.scene.emissivity.value == 0.5
    assert flir.thermogram.scene.emissivity.source is Source.USER
    assert csv.thermogram is not None
    assert csv.thermogram.celsius()[0, 0] == pytest.approx(20, abs=1e-3)
    assert csv.thermogram.notes == ("--emissivity: not used by csv files, no temperature changes",)


def test_only_a_few_files_are_held_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, lock = [], threading.Lock()

    def load(path: Path, hints: ReadHints) -> Thermogram:
        with lock:
            loaded.append(path)
        return read_bytes(PNG, hints)

    monkeypatch.setattr(reading, "read_file", load)
    outcomes = read_many([tmp_path / f"{number}.png" for number in range(100)], jobs=2)
    next(outcomes)
    time.sleep(0.1)
    assert len(loaded) <= 6
    # A consumer that stops early leaves no thread behind.
    outcomes.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("isotherm-read")]
    assert len(loaded) <= 6


def test_sidecars_are_no_pictures_and_are_read_with_theirs(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(FlirFile().jpeg())
    (tmp_path / "a.jpg.isotherm.json").write_text('{"isotherm_sidecar": 1, "scene": {"emissivity": 0.7}}')
    (tmp_path / "b.jpg").write_bytes(FlirFile().jpeg())
    (tmp_path / "b.jpg.isotherm.json").write_text("{}")
    assert [path.name for path in list_images(tmp_path)] == ["a.jpg", "b.jpg"]
    changed, broken = read_many(list_images(tmp_path), edit=SceneEdit(reflected_c=30))
    assert changed.thermogram is not None
    assert changed.thermogram.scene.emissivity.value == 0.7
    assert changed.thermogram.scene.reflected_k.value == pytest.approx(303.15)
    assert changed.thermogram.notes[-1] == "a.jpg.isotherm.json: emissivity"
    assert broken.thermogram is None
    assert "b.jpg.isotherm.json: no sidecar of isotherm" in broken.error


def test_odd_names(tmp_path: Path) -> None:
    names = ["é ü 図.png", "x" * 200 + ".png", "a\nb.png"]
    for name in names:
        (tmp_path / name).write_bytes(PNG)
    raw = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    with open(raw, "wb") as stream:  # noqa: PTH123 (the name is no text)
        stream.write(PNG)
    outcomes = list(read_many(list_images(tmp_path), root=tmp_path))
    assert all(outcome.thermogram for outcome in outcomes)
    assert {"é ü 図.png", "x" * 200 + ".png"} <= {outcome.name for outcome in outcomes}
    assert all(outcome.name.encode("utf-8") for outcome in outcomes)


def test_inputs_of_several_paths_keep_their_order(folder: Path) -> None:
    inputs = list_inputs([folder / "IR_10.png", folder / "b"])
    assert [item.name for item in inputs] == ["IR_10.png", "1.png", "a/2.png"]
    assert [outcome.name for outcome in read_inputs(inputs)] == [item.name for item in inputs]


def test_links_to_folders_are_not_followed(folder: Path) -> None:
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    assert len(list_images(folder)) == 5


@pytest.mark.parametrize(("failures", "total", "status"), [(0, 3, 0), (1, 3, 3), (3, 3, 1), (0, 0, 0)])
def test_exit_status(failures: int, total: int, status: int) -> None:
    assert exit_status(failures, total) == status


def test_the_first_folder_of_a_name_is_the_site(folder: Path) -> None:
    sites = {
        outcome.name: outcome.thermogram.site
        for outcome in read_many(list_images(folder), root=folder)
        if outcome.thermogram is not None
    }
    assert sites == {"b/1.png": "b", "b/a/2.png": "b", "IR_9.png": "", "IR_10.png": ""}
