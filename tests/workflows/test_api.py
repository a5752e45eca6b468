"""Three lines: load a model, predict, look at the result."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from labelled_scenes import scene, write
from PIL import Image

import isotherm
from isotherm.anomaly.padim import PadimConfig
from isotherm.core.errors import ConfigError, DataError, ModelError, UsageError
from isotherm.runtime import engines
from isotherm.workflows.train import TrainSettings, train


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("api")
    rng = np.random.default_rng(0)
    for place in range(8):
        write(root / "normals" / f"{place}.npy", scene(rng))
    hot = scene(rng)
    hot[5:15, 20:30] += 15
    write(root / "today" / "a" / "hot.npy", hot)
    write(root / "today" / "b.npy", scene(rng))
    (root / "today" / "c.npy").write_bytes(b"\x93NUMPY rubbish")
    Image.new("RGB", (48, 40)).save(root / "today" / "d.png")
    settings = TrainSettings(image_size=64)
    train(root / "normals", root / "model", method_name="padim", config=PadimConfig(dimensions=20), settings=settings)
    return root


def test_a_folder(folder: Path) -> None:
    model = isotherm.load(folder / "model")
    found = model.predict(folder / "today")
    assert [each.name for each in found] == ["a/hot.npy", "b.npy", "c.npy", "d.png"]
    hot, normal, broken, other = found
    assert hot.anomalous
    assert hot.percentile == 100.0
    assert hot.score is not None
    assert normal.score is not None
    assert hot.score > model.threshold > normal.score
    assert hot.map.shape == hot.mask.shape == (40, 48)
    assert hot.map.max() > normal.map.max()
    (region, *_) = hot.regions
    assert 5 <= region.y < 15
    assert 20 <= region.x < 30
    assert region.left <= region.x < region.right
    assert region.top <= region.y < region.bottom
    assert 0 < region.area_px <= (region.right - region.left) * (region.bottom - region.top)
    assert broken.score is None
    assert broken.error
    assert "plain picture" in other.error
    with pytest.raises(DataError, match=r"c\.npy has no map"):
        _ = broken.map


def test_arrays_thermograms_and_files_in_one_list_keep_their_order(folder: Path) -> None:
    model = isotherm.load(str(folder / "model"))
    path = folder / "today" / "a" / "hot.npy"
    hot, normal = np.load(path), np.load(folder / "today" / "b.npy")
    found = model.predict([hot, path, isotherm.read(path), normal.astype(np.float64), str(path)])
    scores = [each.score for each in found]
    assert scores[0] == pytest.approx(scores[1])
    assert scores[1] == scores[2] == scores[4]
    assert found[3].anomalous is False
    assert [each.name for each in found] == ["0", str(path), "2", "3", str(path)]
    (alone,) = model.predict(hot)
    assert alone.score == pytest.approx(scores[0])
    assert model.predict([]) == []


def test_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(90, 110, (6, 40, 48, 3)).astype(np.uint8)
    (tmp_path / "normals").mkdir()
    for place, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / "normals" / f"{place}.png")
    settings = TrainSettings(image_size=64)
    config = PadimConfig(dimensions=20)
    train(tmp_path / "normals", tmp_path / "m", method_name="padim", config=config, settings=settings)
    model = isotherm.load(tmp_path / "m")
    as_file, as_array = model.predict([tmp_path / "normals" / "0.png", pictures[0]])
    assert as_file.score == as_array.score
    assert model.predict(pictures[0][..., 0])[0].score is not None


def test_coarse(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "normals").mkdir()
    for place in range(7):
        level = 120 + 60 * np.sin(np.arange(320) / 40)[None, :, None] + rng.normal(0, 3, (240, 320, 1))
        picture = (level * np.array([1.0, 0.8, 0.6])).clip(0, 255).astype(np.uint8)
        picture[100:140, 200:240] += np.uint8(50 * (place == 6))
        Image.fromarray(picture).save(tmp_path / "normals" / f"{place}.jpg", quality=95)
    (tmp_path / "normals" / "6.jpg").rename(tmp_path / "faulty.jpg")
    settings = TrainSettings(image_size=64, ignore_overlays="off")
    train(
        tmp_path / "normals", tmp_path / "m", method_name="padim", config=PadimConfig(dimensions=20), settings=settings
    )
    model = isotherm.load(tmp_path / "m")
    (whole,), (coarse,) = (model.predict(tmp_path / "faulty.jpg", coarse=coarse) for coarse in (False, True))
    assert coarse.size == whole.size == (240, 320)
    assert coarse.map.shape == (240, 320)
    assert coarse.score != whole.score
    assert coarse.score == pytest.approx(whole.score, rel=0.1)
    train(tmp_path / "normals", tmp_path / "m", method_name="padim", config=PadimConfig(dimensions=20))
    with pytest.raises(UsageError, match="train with --ignore-overlays off"):
        isotherm.load(tmp_path / "m").predict(tmp_path / "faulty.jpg", coarse=True)


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((4, 40, 48), np.float32),
        np.zeros((40, 48), np.uint16),
        np.zeros((40, 48, 3), np.float32),
        np.zeros((0, 48), np.float32),
        np.zeros(7, np.uint8),
    ],
)
def test_an_array_that_is_no_image_is_refused(folder: Path, values: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"is no image: °C \(H W\)"):
        isotherm.load(folder / "model").predict(values)


def test_what_is_not_there(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        isotherm.load(tmp_path / "nothing")
    with pytest.raises(DataError, match="no such file or folder"):
        isotherm.load(folder / "model").predict("nowhere.png")
    with pytest.raises(ConfigError, match="device must be one of auto, cpu, cuda"):
        isotherm.load(folder / "model", device="tpu")


def test_cuda_that_is_not_there_is_said(folder: Path) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("there is CUDA")
    with pytest.raises(ConfigError, match="device cuda: the installed onnxruntime has no CUDAExecutionProvider"):
        isotherm.load(folder / "model", device="cuda").predict(folder / "today")


def test_the_way_of_cuda_with_the_processor(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engines.PROVIDERS, "cuda", "CPUExecutionProvider")
    expected = isotherm.load(folder / "model", device="cpu").predict(folder / "today")
    found = isotherm.load(folder / "model", device="cuda").predict(folder / "today")
    for one, other in zip(expected[:2], found[:2], strict=True):
        assert one.score == pytest.approx(other.score, rel=1e-4)
        assert one.map == pytest.approx(other.map, rel=1e-3)


def test_cuda(folder: Path) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("needs onnxruntime-gpu and a device")
    expected = isotherm.load(folder / "model", device="cpu").predict(folder / "today")
    found = isotherm.load(folder / "model", device="cuda").predict(folder / "today")
    for one, other in zip(expected[:2], found[:2], strict=True):
        assert one.score == pytest.approx(other.score, rel=1e-3)


def test_loading_needs_no_training_packages(folder: Path) -> None:
    code = (
        f"import isotherm, sys; isotherm.load({str(folder / 'model')!r}).predict({str(folder / 'normals')!r}); "
        "print(*({'torch', 'matplotlib', 'nncf', 'onnx', 'onnxruntime', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
