"""Teaching a network from labelled recordings: what the model folder says, what is skipped, what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from isotherm.core.errors import ConfigError, DataError, OutputError, UnknownNameError
from isotherm.datasets.plate_dataset import write_plates
from isotherm.datasets.plate_random import RandomPlates
from isotherm.segmentation.network import NetConfig
from isotherm.segmentation.plan import FitConfig
from isotherm.sequences.defect_model import DefectModel
from isotherm.sequences.features import FeaturesConfig
from isotherm.workflows.sequence_data import digest_of
from isotherm.workflows.sequence_segment import SegmentSettings, segment_recording
from isotherm.workflows.sequence_train import SequenceTraining, SequenceTrainSettings, TaughtNetwork, train_network

SPEC = RandomPlates(height_px=48, width_px=56, frames=40, low_defects=2, high_defects=3, inclusion_share=0.0)
SMALL = SequenceTraining(
    net_config=NetConfig(width=4),
    fit=FitConfig(steps=8, batch_size=2, crop_px=32, checks=2),
    train=SequenceTrainSettings(validation=0.34, seed=3),
)


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four plates, a copy of one of them, a damaged one, one whose labels are missing, and a text."""
    folder = tmp_path_factory.mktemp("data") / "plates"
    write_plates(folder, SPEC, count=4, seed=5)
    shutil.copy(folder / "plate_0002.npz", folder / "plate_0009.npz")
    (folder / "cut.npz").write_bytes((folder / "plate_0001.npz").read_bytes()[:40_000])
    with np.load(folder / "plate_0001.npz") as stored:
        np.save(folder / "unlabelled.npy", stored["lookup_table"][stored["counts"]].astype(np.float32))
    (folder / "notes.txt").write_text("hello")
    return folder


@pytest.fixture(scope="module")
def taught(plates: Path, tmp_path_factory: pytest.TempPathFactory) -> TaughtNetwork:
    return train_network(plates, tmp_path_factory.mktemp("models") / "model", SMALL)


def test_the_manifest_says_what_it_was_taught_with(taught: TaughtNetwork, plates: Path) -> None:
    manifest = taught.model.manifest
    data = manifest["data"]
    assert manifest["network"] == "unet"
    assert manifest["training"]["seed"] == 3
    assert len(manifest["channels"]) == 14
    assert data["training"]["recordings"] == 3
    assert data["validation"]["recordings"] == data["validation"]["specimens"] == 1
    assert data["training"]["defects"] + data["validation"]["defects"] >= 8
    assert data["digests"] == sorted(digest_of(plates / f"plate_000{number}.npz") for number in range(1, 5))
    assert data["simulated"] == 4
    assert data["materials"] == ["cfrp"]
    assert data["pixel_mm"] == [0.5, 0.5]
    assert 0 <= manifest["validation"]["dice"] <= 1
    assert manifest["fit"]["steps"] == 8
    json.dumps(dict(manifest), allow_nan=False)


def test_what_cannot_be_used_is_listed_with_its_reason(taught: TaughtNetwork) -> None:
    reasons = {item.name: item.reason for item in taught.skipped}
    assert set(reasons) == {"cut.npz", "plate_0009.npz", "unlabelled.npy"}
    assert "it is the same as plate_0002.npz" in reasons["plate_0009.npz"]
    assert [item["name"] for item in taught.model.manifest["data"]["skipped"]] == [item.name for item in taught.skipped]
    assert any("notes.txt" in note for note in taught.notes)


def test_the_card_says_what_it_has_never_seen(taught: TaughtNetwork) -> None:
    card = "\n".join(taught.model.card)
    assert "3 recordings of 3 specimens" in card
    assert "all simulated" in card
    assert "never seen: any real recording" in card
    assert "cfrp" in card
    assert "pixels 0.5 mm" in card


def test_the_same_seed_gives_the_same_network(taught: TaughtNetwork, plates: Path, tmp_path: Path) -> None:
    again = train_network(plates, tmp_path / "again", SMALL).model
    path = plates / "plate_0003.npz"
    one, other = (segment_recording(path, SegmentSettings(model=model)) for model in (taught.model, again))
    assert np.array_equal(one.found.score, other.found.score, equal_nan=True)
    assert again.threshold == taught.model.threshold


def test_an_older_model_is_replaced_and_something_else_is_not(plates: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"photo\.jpg"):
        train_network(plates, tmp_path, SMALL)


def test_networks_over_frames_are_given_frames(plates: Path, tmp_path: Path) -> None:
    few = replace(SMALL, net="lstm", features=FeaturesConfig(preset="frames16"), fit=FitConfig(steps=1, batch_size=2))
    model = train_network(plates, tmp_path / "m", few).model
    assert model.channels[0] == "frame_1"
    assert len(model.channels) == 16
    assert DefectModel.load(tmp_path / "m").manifest["window_px"] == 256
    found = segment_recording(plates / "plate_0001.npz", SegmentSettings(model=model))
    assert found.maps.names == model.channels


def test_network_and_input_must_go_together(plates: Path, tmp_path: Path) -> None:
    for change, said in (
        (replace(SMALL, net="lstm", features=FeaturesConfig()), "sees frames in the order of time"),
        (replace(SMALL, net="lstm", net_config=NetConfig(attention="st")), "attention"),
    ):
        with pytest.raises(ConfigError, match=said):
            train_network(plates, tmp_path / "m", change)
    with pytest.raises(UnknownNameError, match="did you mean 'unet'"):
        train_network(plates, tmp_path / "m", replace(SMALL, net="unett"))
    assert not (tmp_path / "m").exists()


def test_what_would_not_fit_into_memory_is_not_begun(plates: Path, tmp_path: Path) -> None:
    little = replace(SMALL, train=SequenceTrainSettings(memory_gb=0.01, augment_copies=100))
    with pytest.raises(DataError, match=r"need .* GB of memory, 0\.01 GB are allowed"):
        train_network(plates, tmp_path / "m", little)


def test_several_folders_keep_their_specimens_apart(plates: Path, tmp_path: Path) -> None:
    for number in range(1, 5):
        half = tmp_path / ("one" if number < 3 else "other") / "plates"
        half.mkdir(parents=True, exist_ok=True)
        shutil.copy(plates / f"plate_000{number}.npz", half / f"plate_{number % 2}.npz")
    for name in ("one", "other"):
        (tmp_path / name / "plates" / "cut.npz").write_bytes(b"PK\3\4")
    few = replace(SMALL, fit=FitConfig(steps=1, batch_size=2, crop_px=32))
    taught = train_network([tmp_path / "one" / "plates", tmp_path / "other" / "plates"], tmp_path / "m", few)
    data = taught.model.manifest["data"]
    assert data["training"]["specimens"] + data["validation"]["specimens"] == 4
    assert {item.name for item in taught.skipped} == {"plates (1)/cut.npz", "plates (2)/cut.npz"}


def test_one_specimen_cannot_be_split(plates: Path, tmp_path: Path) -> None:
    below = tmp_path / "data" / "specimen"
    below.mkdir(parents=True)
    for number in (1, 2):
        shutil.copy(plates / f"plate_000{number}.npz", below)
    with pytest.raises(DataError, match="two specimens with a defect; there are 1"):
        train_network(tmp_path / "data", tmp_path / "m", SMALL)
