"""Labelled recordings: every place where labels may be, what goes wrong, and splits that never share a specimen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from isotherm.core.errors import ConfigError, DataError
from isotherm.datasets.plate_dataset import write_plates
from isotherm.datasets.plate_random import RandomPlates
from isotherm.evaluation.defects import PlateTruth
from isotherm.workflows.sequence_data import (
    DataSettings,
    LabelledRecording,
    digest_of,
    labelled_recordings,
    split_by_specimen,
)
from isotherm.workflows.sequence_opening import PrepareSettings

HEIGHT, WIDTH = 20, 30
MASK = np.zeros((HEIGHT, WIDTH), np.uint8)
MASK[3:7, 4:8] = 255
MASK[12:15, 20:26] = 255
FRAMES = np.random.default_rng(0).normal(300, 1, (6, HEIGHT, WIDTH)).astype(np.float32)


def write_recording(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, FRAMES)
    return path


def write_mask(path: Path, mask: np.ndarray = MASK) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plates")
    spec = replace(RandomPlates(), height_px=32, width_px=40, frames=12, low_defects=2, high_defects=3)
    write_plates(folder, spec, count=3, seed=1)
    return folder


def test_a_simulated_set_gives_exact_sizes_depths_and_kinds(plates: Path) -> None:
    found = labelled_recordings(plates)
    assert [one.name for one in found] == ["plate_0001.npz", "plate_0002.npz", "plate_0003.npz"]
    lines = [line.split(",") for line in (plates / "defects.csv").read_text().splitlines()]
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    for one in found:
        own = [row for row in rows if row["file"] == one.name and int(row["pixels"])]
        np.testing.assert_allclose(one.truth.depth_mm, [float(row["depth_mm"]) for row in own])
        np.testing.assert_allclose(one.truth.diameter_mm, [float(row["diameter_mm"]) for row in own])
        assert one.kinds == tuple(row["kind"] for row in own)
        with np.load(one.path) as stored:
            assert ((one.truth.labels > 0) == (stored["mask"] > 0)).all()
        assert one.pixel_mm == 0.5
        assert one.specimen == one.name


def test_without_its_tables_a_simulated_file_says_the_same(plates: Path, tmp_path: Path) -> None:
    (tmp_path / "plate_0001.npz").write_bytes((plates / "plate_0001.npz").read_bytes())
    (alone,) = labelled_recordings(tmp_path)
    with_tables = labelled_recordings(plates)[0]
    np.testing.assert_allclose(alone.truth.diameter_mm, with_tables.truth.diameter_mm)
    np.testing.assert_allclose(alone.truth.depth_mm, with_tables.truth.depth_mm)
    assert (alone.kinds, alone.pixel_mm) == (with_tables.kinds, with_tables.pixel_mm)
    assert alone.diffusivity_m2_s == pytest.approx(with_tables.diffusivity_m2_s)


@pytest.mark.parametrize(
    "place",
    ["a_mask.png", "masks/a.png", "labels/a.png", "labels/manual_mask/a.png", "labels/automated_mask/a.png", "a.png"],
)
def test_masks_beside_a_recording(place: str, tmp_path: Path) -> None:
    write_recording(tmp_path / "a.npy")
    write_mask(tmp_path / place)
    (one,) = labelled_recordings(tmp_path)
    assert ((one.truth.labels > 0) == (MASK > 0)).all()
    assert one.truth.diameter_mm.size == 2
    assert np.isnan(one.truth.diameter_mm).all()
    assert "bright pixels are taken as the defect" in " ".join(one.notes)


def test_labelme_and_coco_beside_a_recording(tmp_path: Path) -> None:
    shape = {"label": "hole", "points": [[4, 3], [7, 6]], "shape_type": "rectangle"}
    drawn = {"shapes": [shape], "imagePath": "a.jpg", "imageHeight": HEIGHT, "imageWidth": WIDTH}
    write_recording(tmp_path / "a.npy")
    (tmp_path / "a.json").write_text(json.dumps(drawn))
    image = {"id": 1, "file_name": "b.png", "height": HEIGHT, "width": WIDTH}
    box = [4, 3, 8, 3, 8, 7, 4, 7]
    marked = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [box], "bbox": [4, 3, 4, 4], "area": 16}
    shared = {"images": [image], "annotations": [marked], "categories": [{"id": 1, "name": "hole"}]}
    write_recording(tmp_path / "b.npy")
    (tmp_path / "labels.json").write_text(json.dumps(shared))
    found = labelled_recordings(tmp_path, DataSettings(pixel_mm=0.5))
    assert [one.name for one in found] == ["a.npy", "b.npy"]
    for one in found:
        assert (one.truth.labels[3:7, 4:8] == 1).all()
        assert one.truth.diameter_mm[0] == pytest.approx(np.sqrt(4 * 0.25 * np.sum(one.truth.labels > 0) / np.pi))


def test_polarity_is_as_said(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.npy")
    write_mask(tmp_path / "a_mask.png", 255 - MASK)
    for polarity in ("dark", None):
        (one,) = labelled_recordings(tmp_path, DataSettings(polarity=polarity))  # type: ignore[arg-type]
        assert ((one.truth.labels > 0) == (MASK > 0)).all()


def test_an_empty_mask_is_a_sound_plate_and_none_is_said(tmp_path: Path) -> None:
    write_recording(tmp_path / "sound.npy")
    write_mask(tmp_path / "sound_mask.png", np.zeros_like(MASK))
    write_recording(tmp_path / "unknown.npy")
    (tmp_path / "README.md").write_text("hello\n")
    found = labelled_recordings(tmp_path)
    assert [one.name for one in found] == ["sound.npy"]
    assert not found[0].truth.labels.any()
    assert [(one.name, one.reason) for one in found.skipped] == [("unknown.npy", "no labels beside it or in it")]
    assert found.notes == ("1 files are no recordings: README.md",)


def test_labels_in_the_file_of_pythermondt_with_its_parameters(tmp_path: Path) -> None:
    table = [["Name", "Expression", "Description", "Value", "Unit"], ["dp_def", "", "", 0.0008, "m"],
             ["ds_lat", "", "", 0.0002, "m"], ["alpha3_mat", "", "", 4.5e-7, "m^2/s"]]  # fmt: skip
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["Data/Tdata"] = FRAMES.transpose(1, 2, 0)
        file["GroundTruth/DefectMask"] = MASK
        file["MetaData/DomainValues"] = np.arange(6) / 10.0
        # As pythermondt does: a JSON text in a JSON text, and a bare nan.
        file["MetaData"].attrs["SimulationParameter"] = json.dumps(json.dumps(table))
    (one,) = labelled_recordings(tmp_path)
    assert ((one.truth.labels > 0) == (MASK > 0)).all()
    np.testing.assert_allclose(one.truth.depth_mm, [0.8, 0.8])
    np.testing.assert_allclose(one.truth.diameter_mm, [np.sqrt(4 * area * 0.04 / np.pi) for area in (16, 18)])
    assert (one.pixel_mm, one.diffusivity_m2_s) == (0.2, 4.5e-7)


@pytest.mark.parametrize("name", ["manual_mask", "automated_mask"])
def test_labels_in_a_mat_file(name: str, tmp_path: Path) -> None:
    from scipy.io import savemat

    savemat(tmp_path / "a.mat", {"imageArray": FRAMES.transpose(1, 2, 0), name: MASK})
    (one,) = labelled_recordings(tmp_path)
    assert ((one.truth.labels > 0) == (MASK > 0)).all()


def test_labels_of_another_size_are_a_row_that_names_both_sizes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_recording(tmp_path / f"{name}.npy")
    write_mask(tmp_path / "a_mask.png", MASK.T.copy())
    write_mask(tmp_path / "b_mask.png")
    found = labelled_recordings(tmp_path)
    assert [one.name for one in found] == ["b.npy"]
    assert found.skipped[0].name == "a.npy"
    assert "20 x 30 pixels" in found.skipped[0].reason
    assert "30 x 20" in found.skipped[0].reason


def test_damage_is_a_row_and_stops_nothing(tmp_path: Path) -> None:
    write_recording(tmp_path / "good.npy")
    write_mask(tmp_path / "good.png")
    whole = write_recording(tmp_path / "cut.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[: len(whole) // 2])
    write_mask(tmp_path / "cut.png")
    found = labelled_recordings(tmp_path)
    assert [one.name for one in found] == ["good.npy"]
    assert [one.name for one in found.skipped] == ["cut.npy"]


@pytest.mark.parametrize("made", ["nothing", "file", "empty", "unlabelled"])
def test_no_usable_recording_says_what_would_be_right(made: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    if made == "file":
        folder.write_bytes(b"hello")
    elif made != "nothing":
        folder.mkdir()
    if made == "unlabelled":
        write_recording(folder / "a.npy")
    with pytest.raises(DataError, match="with labels"):
        labelled_recordings(folder)


def test_a_crop_holds_for_the_labels_and_a_defect_that_is_cut_is_not_judged(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.npy")
    write_mask(tmp_path / "a_mask.png")
    (one,) = labelled_recordings(tmp_path, prepare=PrepareSettings(crop="2,1,20,16"))
    assert one.truth.labels.shape == (16, 20)
    assert (one.truth.labels[2:6, 2:6] == 1).all()
    assert one.truth.diameter_mm.size == 1
    assert one.truth.judged is not None
    assert not one.truth.judged[11:14, 18:].any()
    assert one.truth.labels.max() == 1


def test_specimens_by_table_by_folder_or_by_recording(tmp_path: Path) -> None:
    for name in ("x/a", "x/b", "c"):
        write_recording(tmp_path / f"{name}.npy")
        write_mask(tmp_path / f"{name}_mask.png")
    assert [one.specimen for one in labelled_recordings(tmp_path)] == ["c.npy", "x", "x"]
    (tmp_path / "specimens.csv").write_text("file,specimen\nx/a.npy,one\n")
    assert [one.specimen for one in labelled_recordings(tmp_path)] == ["c.npy", "one", "x"]
    (tmp_path / "specimens.csv").write_text("file,specimen\nx/z.npy,one\n")
    with pytest.raises(DataError, match=r"x/z\.npy"):
        labelled_recordings(tmp_path)


def test_a_table_of_defects_says_sizes_and_depths(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.npy")
    write_mask(tmp_path / "a_mask.png")
    (tmp_path / "defects.csv").write_text("file,number,kind,depth_mm\na.npy,2,hole,1.5\n")
    (one,) = labelled_recordings(tmp_path, DataSettings(pixel_mm=1.0))
    np.testing.assert_allclose(one.truth.depth_mm, [np.nan, 1.5])
    assert one.kinds == ("", "hole")
    (tmp_path / "defects.csv").write_text("file,number,depth_mm\na.npy,two,1.5\n")
    with pytest.raises(DataError, match="number"):
        labelled_recordings(tmp_path)


def test_a_folder_of_frames_is_one_recording(tmp_path: Path) -> None:
    for number, frame in enumerate(FRAMES):
        path = tmp_path / "part" / f"frame_{number}.csv"
        path.parent.mkdir(exist_ok=True)
        np.savetxt(path, frame, delimiter=",", fmt="%.3f")
    write_mask(tmp_path / "part.png")
    (one,) = labelled_recordings(tmp_path)
    assert (one.name, one.specimen) == ("part", "part")
    before = digest_of(one.path)
    (tmp_path / "part" / "frame_3.csv").write_text("1,2\n")
    assert digest_of(one.path) != before


def bare(name: str, specimen: str, *, defects: int) -> LabelledRecording:
    labels = np.arange(4, dtype=np.int32).reshape(2, 2) if defects else np.zeros((2, 2), np.int32)
    known = np.full(3 if defects else 0, np.nan)
    return LabelledRecording(Path(name), specimen, PlateTruth(labels, known, known), None, None, name)


@given(
    specimens=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1)), min_size=1, max_size=20),
    share=st.floats(0.05, 0.9),
    seed=st.integers(0, 5),
)
def test_a_split_never_shares_a_specimen(specimens: list[tuple[int, int]], share: float, seed: int) -> None:
    data = [bare(f"{place}", f"{number}", defects=faulty) for place, (number, faulty) in enumerate(specimens)]
    faulty = {one.specimen for one in data if one.truth.diameter_mm.size}
    if len(faulty) < 2:
        with pytest.raises(DataError, match="two specimens"):
            split_by_specimen(data, validation=share, seed=seed)
        return
    train, held = split_by_specimen(data, validation=share, seed=seed)
    assert {one.specimen for one in train}.isdisjoint(one.specimen for one in held)
    assert sorted(one.name for one in (*train, *held)) == sorted(one.name for one in data)
    assert faulty & {one.specimen for one in held}
    assert faulty & {one.specimen for one in train}
    again = split_by_specimen(data[::-1], validation=share, seed=seed)
    assert {one.name for one in again[1]} == {one.name for one in held}


def test_a_share_that_is_none() -> None:
    with pytest.raises(ConfigError, match="below 1"):
        split_by_specimen([], validation=1.0, seed=0)


@pytest.mark.real_data
def test_third_party_files(data: Path) -> None:
    found = labelled_recordings(data / "sequences")
    by_name = {one.name: one for one in found}
    plate = by_name["pythermondt/example-data0.hdf5"]
    assert np.count_nonzero(plate.truth.labels) == 1218
    np.testing.assert_allclose(plate.truth.depth_mm, [0.8684])
    assert plate.pixel_mm == pytest.approx(0.2)
    assert not by_name["pythermondt/source1.mat"].truth.labels.any()
    assert [one.name for one in found.skipped] == ["huaiyoubuyi/F1.mat"]
