"""From folders of normal images to models, and back from disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.anomaly.method import AnomalyMaps, Inputs
from isotherm.anomaly.padim import PadimConfig
from isotherm.anomaly.patchcore import PatchCoreConfig
from isotherm.core.errors import ConfigError, DataError, ModelError, OutputError, UnknownNameError
from isotherm.core.progress import silent
from isotherm.core.scene import SceneEdit
from isotherm.core.thermogram import Thermogram
from isotherm.formats import read
from isotherm.runtime.bundle import ARRAYS, MANIFEST, read_bundle, write_bundle
from isotherm.workflows import normals as normals_module
from isotherm.workflows.models import load_model, save_model
from isotherm.workflows.normals import Subset, ThermogramImages, gather
from isotherm.workflows.reading import Outcome
from isotherm.workflows.train import FolderImages, TrainSettings, fit_model, train

SMALL = TrainSettings(image_size=64)
PADIM = PadimConfig(dimensions=20)


def celsius(seed: int, shape: tuple[int, int] = (48, 60)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    pattern = 25 + 4 * np.sin(12 * rows / shape[0]) * np.cos(9 * columns / shape[1])
    return (pattern + rng.normal(0, 0.3) + rng.normal(0, 0.2, shape)).astype(np.float32)


def hot(seed: int) -> np.ndarray:
    values = celsius(seed)
    values[20:32, 30:44] += 40
    return values


def write_tiffs(folder: Path, pictures: Sequence[np.ndarray]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for place, values in enumerate(pictures):
        tifffile.imwrite(folder / f"IR_{place}.tif", values)
    return folder


def write_pngs(folder: Path, seeds: Sequence[int]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        grey = np.clip((celsius(seed) - 15) * 12, 0, 255).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"IR_{seed}.png")
    return folder


@pytest.fixture
def shed(tmp_path: Path) -> Path:
    return write_tiffs(tmp_path / "shed", [celsius(seed) for seed in range(6)])


def thermograms(folder: Path) -> list[Thermogram]:
    return [read(path) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("name", ["patchcore", "padim"])
def test_train_save_load_and_score(shed: Path, tmp_path: Path, name: str) -> None:
    model = train(shed, tmp_path / "model", method_name=name, settings=SMALL)
    again = load_model(tmp_path / "model")
    asked = thermograms(write_tiffs(tmp_path / "asked", [celsius(50), hot(51), celsius(52, (96, 120)), hot(53)]))
    one, other = list(model.score_many(asked)), list(again.score_many(iter(asked)))
    assert [item.score for item in one] == [item.score for item in other]
    assert again.calibration.to_mapping() == model.calibration.to_mapping()
    assert (again.method, again.config, again.inputs) == (model.method, model.config, model.inputs)
    good, bad = (one[0], one[2]), (one[1], one[3])
    assert max(item.score for item in good) < min(item.score for item in bad)
    assert all(item.anomalous and item.percentile == 100 for item in bad)
    # A reference is in degrees, whatever the span of the input.
    assert one[1].reference is not None
    assert 15 < one[1].reference.mean() < 35
    for item, thermogram in zip(bad, (asked[1], asked[3]), strict=True):
        strangeness = model.restore(item, thermogram.size)
        assert strangeness.shape == (48, 60)
        row, column = np.unravel_index(strangeness.argmax(), strangeness.shape)
        assert 14 <= row <= 38
        assert 24 <= column <= 50
        assert strangeness[row, column] > model.calibration.pixel_threshold


def test_the_manifest_tells_where_the_model_is_from(shed: Path, tmp_path: Path) -> None:
    (shed / "notes.txt").write_text("not an image")
    train(shed, tmp_path / "model", method_name="padim", config=PADIM, settings=SMALL)
    manifest, _ = read_bundle(tmp_path / "model")
    assert manifest["method"] == "padim"
    assert manifest["config"]["dimensions"] == 20
    assert manifest["settings"]["image_size"] == 64
    data = manifest["data"]
    assert (data["images"], data["different_images"], data["fitted_on"], data["held_out"]) == (6, 6, 6, 6)
    assert [item["name"] for item in data["skipped"]] == ["notes.txt"]
    assert "format" in data["skipped"][0]["error"]
    assert len(data["digest"]) == 64
    assert {"isotherm", "numpy", "openvino"} <= set(manifest["versions"])
    assert manifest["created_at"].endswith("+00:00")
    assert "6 normal images, each scored by a model that had not seen it (5 folds)" in manifest["calibration"]["how"]
    assert "/" not in json.dumps(manifest["data"])


def test_the_data_digest_is_of_the_images_not_their_names(shed: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for place, path in enumerate(sorted(shed.iterdir(), reverse=True)):
        (other / f"{place}.dat").write_bytes(path.read_bytes())
    digests = [gather(FolderImages(folder), (64, 0), silent).digest for folder in (shed, other)]
    assert digests[0] == digests[1]
    write_tiffs(other, [celsius(99)])
    assert gather(FolderImages(other), (64, 0), silent).digest != digests[0]


def test_same_seed_same_model(shed: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        train(shed, tmp_path / name, settings=SMALL)
    train(shed, tmp_path / "three", settings=TrainSettings(image_size=64, seed=1))
    one, two, three = ((tmp_path / name / ARRAYS).read_bytes() for name in ("one", "two", "three"))
    assert one == two != three


class Recorder:
    """A method that remembers what it was fitted on; the score is the mean pixel."""

    name = "recorder"
    config_type = PadimConfig

    def __init__(self) -> None:
        self.fits: list[tuple[int, ...]] = []
        self.scored: list[int] = []

    def fit(self, images: Subset, config: object, seed: int, progress: object) -> Recorder:
        self.fits.append(images.members)
        return self

    def load(self, arrays: object, config: object) -> None:
        raise AssertionError

    def predict(self, inputs: Inputs) -> AnomalyMaps:
        scores = inputs.pixels.mean(axis=(1, 2, 3))
        self.scored.append(len(scores))
        return AnomalyMaps(np.broadcast_to(scores[:, None, None], (len(scores), 2, 2)).copy(), scores)

    def arrays(self) -> dict[str, np.ndarray]:
        return {}


def copies(pictures: int, of: int) -> list[Thermogram]:
    counts = [celsius(place % of) for place in range(pictures)]
    return [Thermogram((item * 10).astype(np.uint8), None, scene(), "test") for item in counts]


def scene() -> object:
    from isotherm.core.scene import assumed_scene

    return assumed_scene()


def test_large_sets_are_held_out_once() -> None:
    method = Recorder()
    model = fit_model(copies(60, 60), method, settings=SMALL)
    assert [len(members) for members in method.fits] == [48]
    assert sum(method.scored) == model.calibration.scores.size == 12
    assert "12 normal images that the model has not learnt from (20%, drawn at random)" in model.calibration.how
    assert model.manifest["data"]["fitted_on"] == 48
    other = Recorder()
    fit_model(copies(60, 60), other, settings=TrainSettings(image_size=64, seed=1))
    assert other.fits != method.fits


def test_small_sets_are_cross_fitted() -> None:
    method = Recorder()
    model = fit_model(copies(12, 12), method, settings=SMALL)
    *folds, final = method.fits
    assert len(folds) == 5
    assert final == tuple(range(12))
    left_out = [set(final) - set(members) for members in folds]
    assert sorted(member for part in left_out for member in part) == list(final)
    assert model.calibration.scores.size == 12


@pytest.mark.parametrize(("pictures", "of"), [(15, 5), (60, 20)])
def test_identical_images_stay_on_one_side(pictures: int, of: int) -> None:
    method = Recorder()
    model = fit_model(copies(pictures, of), method, settings=SMALL)
    for members in method.fits if pictures > 50 else method.fits[:-1]:
        inside = {member % of for member in members}
        outside = {member % of for member in range(pictures) if member not in members}
        assert outside
        assert not inside & outside
    assert model.manifest["data"]["different_images"] == of


def test_two_images_are_enough_and_one_is_not(tmp_path: Path) -> None:
    two = write_tiffs(tmp_path / "two", [celsius(0), celsius(1, (90, 33))])
    for name in ("patchcore", "padim"):
        model = train(two, tmp_path / name, method_name=name, settings=SMALL)
        assert "with 2 scores this is the largest" in model.calibration.how
    one = write_tiffs(tmp_path / "one", [celsius(0)])
    with pytest.raises(DataError, match=r"1 usable normal image\(s\), 1 of them different; at least 2 are needed"):
        train(one, tmp_path / "m", settings=SMALL)
    same = write_tiffs(tmp_path / "same", [celsius(0), celsius(0)])
    with pytest.raises(DataError, match=r"2 usable normal image\(s\), 1 of them different"):
        train(same, tmp_path / "m", settings=SMALL)
    assert not (tmp_path / "m").exists()


def test_empty_missing_and_unreadable_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no file"):
        train(tmp_path / "empty", tmp_path / "m")
    with pytest.raises(DataError, match="no such file or folder"):
        train(tmp_path / "nowhere", tmp_path / "m")
    (tmp_path / "empty" / "a.txt").write_text("words")
    (tmp_path / "empty" / "b.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"none of 2 images can be used; the first: a\.txt: "):
        train(tmp_path / "empty", tmp_path / "m")


def test_mixed_kinds(shed: Path, tmp_path: Path) -> None:
    write_pngs(shed / "photos", [0, 1])
    with pytest.raises(DataError, match=r"6 temperature images \(IR_0\.tif .*2 plain pictures \(photos/IR_0\.png"):
        train(shed, tmp_path / "m", settings=SMALL)


def test_images_without_any_temperature_are_left_out(shed: Path, tmp_path: Path) -> None:
    tifffile.imwrite(shed / "blind.tif", np.full((20, 20), np.nan, np.float32))
    partly = celsius(8)
    partly[:10], partly[11, 3] = np.nan, np.inf
    tifffile.imwrite(shed / "partly.tif", partly)
    model = train(shed, tmp_path / "m", method_name="padim", config=PADIM, settings=SMALL)
    assert [item["name"] for item in model.manifest["data"]["skipped"]] == ["blind.tif"]
    assert model.manifest["data"]["images"] == 7


def test_mixed_sizes_grey_and_colour_pictures(tmp_path: Path) -> None:
    folder = write_pngs(tmp_path / "p", range(4))
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (33, 71, 3), dtype=np.uint8)).save(folder / "c.png")
    Image.fromarray(rng.integers(0, 256, (200, 10), dtype=np.uint8)).save(folder / "g.jpg")
    model = train(folder, tmp_path / "m", method_name="padim", config=PADIM, settings=SMALL)
    assert (model.inputs.kind, model.inputs.high) == ("picture", 255)
    with pytest.raises(DataError, match="learnt from plain pictures"):
        list(model.score_many(thermograms(write_tiffs(tmp_path / "t", [celsius(0)]))))


def test_scene_edits_change_what_is_learnt(tmp_path: Path) -> None:
    from thermal_files import FlirFile, ramp

    folder = tmp_path / "flir"
    folder.mkdir()
    for place in range(3):
        (folder / f"{place}.jpg").write_bytes(FlirFile(counts=ramp(low=17000 + 50 * place)).jpeg())
    spans = []
    for name, edit in (("plain", SceneEdit()), ("shiny", SceneEdit(emissivity=0.5))):
        source = FolderImages(folder, edit=edit, jobs=1)
        spans.append(train(source, tmp_path / name, method_name="padim", config=PADIM, settings=SMALL).inputs.high)
    assert spans[1] > spans[0] + 5


def test_what_does_not_fit_in_memory_is_read_again(shed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(shed, tmp_path / "kept", settings=SMALL)
    monkeypatch.setattr(normals_module, "CACHE_BYTES", 64 * 64 * (4 + 1) * 2)
    images = gather(FolderImages(shed, jobs=1), (64, 0), silent)
    assert len(images._kept) == 2
    train(shed, tmp_path / "again", settings=SMALL)
    kept, again = ((tmp_path / name / ARRAYS).read_bytes() for name in ("kept", "again"))
    assert kept == again


class Vanishing(ThermogramImages):
    """Images of which one cannot be read, or has changed, the second time."""

    def __init__(self, images: list[Thermogram], *, changes: bool) -> None:
        super().__init__(images)
        object.__setattr__(self, "asked", 0)
        object.__setattr__(self, "changes", changes)

    def outcomes(self, indices: Sequence[int]) -> Iterator[Outcome]:
        object.__setattr__(self, "asked", self.asked + 1)  # type: ignore[attr-defined]
        for outcome in super().outcomes(indices):
            # Twice while gathering (the sizes of some, then all), then to learn.
            if self.asked <= 2 or outcome.name != "3":  # type: ignore[attr-defined]
                yield outcome
            elif self.changes:  # type: ignore[attr-defined]
                yield Outcome(outcome.path, outcome.name, self.thermograms[0])
            else:
                yield Outcome(outcome.path, outcome.name, None, "gone")


@pytest.mark.parametrize(("changes", "reason"), [(False, "not any more: gone"), (True, "3 has changed while")])
def test_images_that_vanish_or_change_stop_training(
    monkeypatch: pytest.MonkeyPatch, changes: bool, reason: str
) -> None:
    monkeypatch.setattr(normals_module, "CACHE_BYTES", 0)
    with pytest.raises(DataError, match=reason):
        fit_model(Vanishing(copies(6, 6), changes=changes), ANOMALY_METHODS.get("padim"), config=PADIM, settings=SMALL)


def test_progress_is_reported_for_each_stage(shed: Path, tmp_path: Path) -> None:
    reports: list[tuple[int, int, str]] = []
    train(shed, tmp_path / "m", settings=SMALL, progress=lambda *report: reports.append(report))
    stages = list(dict.fromkeys(message for _, _, message in reports))
    assert stages[:3] == ["reading", "fold 1/5: features", "fold 1/5: coreset"]
    assert stages[-2:] == ["features", "coreset"]


def test_unknown_method_and_bad_settings(shed: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'padim'"):
        train(shed, tmp_path / "m", method_name="pdim")
    with pytest.raises(ConfigError, match="image_size must be a multiple of 32, not 100"):
        TrainSettings(image_size=100)
    with pytest.raises(ConfigError, match="threshold_percentile must be at most 100"):
        TrainSettings(threshold_percentile=101)


def test_output_that_is_no_model_is_left_alone(shed: Path) -> None:
    with pytest.raises(OutputError, match=r"holds 'IR_0\.tif', which is not part of a model"):
        train(shed, shed, settings=SMALL)
    assert len(list(shed.iterdir())) == 6


def test_an_interrupted_training_leaves_the_old_model(shed: Path, tmp_path: Path) -> None:
    train(shed, tmp_path / "m", method_name="padim", config=PADIM, settings=SMALL)
    before = (tmp_path / "m" / MANIFEST).read_bytes()

    def interrupt(done: int, total: int, message: str) -> None:
        if message == "features":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(shed, tmp_path / "m", settings=SMALL, progress=interrupt)
    assert (tmp_path / "m" / MANIFEST).read_bytes() == before
    assert sorted(item.name for item in tmp_path.iterdir()) == ["m", "shed"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"method": "telepathy"}, "unknown anomaly method 'telepathy'"),
        ({"method": None}, "lacks one of method, config"),
        ({"config": [1]}, "lacks one of method, config"),
        ({"config": {"dimensions": 20, "colour": "blue"}}, "unknown colour"),
        ({"config": {"dimensions": 30}}, "array 'kept' has the shape"),
        ({"inputs": {"kind": "smell"}}, "description of its inputs"),
        ({"calibration": {}}, "calibration is damaged"),
    ],
)
def test_models_that_do_not_fit_together_are_refused(
    shed: Path, tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    folder = tmp_path / "m"
    train(shed, folder, method_name="padim", config=PADIM, settings=SMALL)
    manifest, arrays = read_bundle(folder)
    write_bundle(folder, manifest=manifest | change, arrays=arrays)
    with pytest.raises(ModelError, match=f"model .*m: .*{reason}") as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


def test_a_loaded_model_can_be_saved_again(shed: Path, tmp_path: Path) -> None:
    train(shed, tmp_path / "one", settings=SMALL, config=PatchCoreConfig(max_rows=40))
    save_model(load_model(tmp_path / "one"), tmp_path / "two")
    for name in (ARRAYS, MANIFEST):
        first, second = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
        assert json.loads(first) == json.loads(second) if name == MANIFEST else first == second
