"""Exported graphs say what their model says, or the export fails."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import openvino as ov
import pytest
from labelled_scenes import scene, write, write_site

from isotherm.anomaly.padim import PadimConfig
from isotherm.anomaly.patchcore import PatchCoreConfig
from isotherm.core.errors import ConfigError, DataError, OutputError, UsageError
from isotherm.workflows.export import ExportSettings, Images, export_model
from isotherm.workflows.models import TrainedModel
from isotherm.workflows.parity import compare, made_up
from isotherm.workflows.train import TrainSettings, train


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("export")
    rng = np.random.default_rng(0)
    for place in range(12):
        write(root / "normals" / f"{place}.npy", scene(rng))
    write_site(root / "test", "", normal=4, faulty=3, seed=3)
    return root


@pytest.fixture(scope="module")
def model(folder: Path) -> TrainedModel:
    return train(
        folder / "normals",
        folder / "model",
        method_name="patchcore",
        config=PatchCoreConfig(max_rows=64),
        settings=TrainSettings(image_size=64),
    )


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_onnx_of_labelled_images(model: TrainedModel, folder: Path, tmp_path: Path) -> None:
    exported = export_model(model, tmp_path / "out", images=Images(folder / "test"))
    assert sorted(item.name for item in exported.folder.iterdir()) == ["manifest.json", "model.onnx", "parity.json"]
    parity, manifest = read(tmp_path / "out" / "parity.json"), read(tmp_path / "out" / "manifest.json")
    assert parity["accepted"]
    assert parity["max_difference"] < 1e-4
    assert parity["max_batch_difference"] < 1e-4
    assert parity["flips"] == 0
    assert parity["auroc"] == parity["auroc_exported"] == 1.0
    assert [row["anomalous"] for row in parity["images"]] == [True] * 3 + [False] * 4
    assert manifest["inputs"][0]["shape"] == ["N", 1, *model.inputs.frame.size]
    assert manifest["inputs"][0]["unit"] == "°C"
    assert manifest["threshold"] == model.calibration.threshold
    assert manifest["span"]["low"] == model.inputs.low


def test_what_the_manifest_says_is_enough_to_use_it(model: TrainedModel, folder: Path, tmp_path: Path) -> None:
    out = export_model(model, tmp_path / "out").folder
    manifest = read(out / "manifest.json")
    session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
    assert [item.name for item in session.get_inputs()] == [item["name"] for item in manifest["inputs"]]
    shape = [2, *manifest["inputs"][0]["shape"][1:]]
    image = np.full(shape, 21.0, np.float32)
    image[1, :, 20:40, 20:40] = 60.0
    _, scores = session.run(["maps", "scores"], {"image": image, "ignore": np.zeros_like(image)})
    assert scores[1] > manifest["threshold"]
    assert session.get_modelmeta().custom_metadata_map["method"] == "patchcore"


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_openvino_carries_its_precision(model: TrainedModel, folder: Path, tmp_path: Path, precision: str) -> None:
    settings = ExportSettings(to="openvino", precision=precision, max_difference=0.2, max_flips=7)
    out = export_model(model, tmp_path / "out", settings, images=Images(folder / "test")).folder
    manifest, parity = read(out / "manifest.json"), read(out / "parity.json")
    assert manifest["compile_with"] == {"INFERENCE_PRECISION_HINT": precision}
    core = ov.Core()
    image = np.full([1, *manifest["inputs"][0]["shape"][1:]], 21.0, np.float32)
    ignore = np.zeros_like(image)
    without_hint, exact = (
        float(core.compile_model(out / "model.xml", "CPU", hints)([image, ignore])[1][0])
        for hints in ({}, {"INFERENCE_PRECISION_HINT": "f32"})
    )
    has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert parity["without_hint"]["max_difference"] < 0.1
    if precision == "f32":
        assert parity["max_difference"] < 1e-4
        # Marked operations stay exact; what OpenVINO merges does not, which is why the hint is in the manifest.
        assert abs(without_hint / exact - 1) < 5e-3
    elif has_bf16:
        assert abs(without_hint / exact - 1) > 1e-3
        assert parity["max_difference"] > 1e-3


def test_tiles_borders_and_pictures(tmp_path: Path) -> None:
    from PIL import Image as Pillow

    rng = np.random.default_rng(0)
    (tmp_path / "normals").mkdir()
    for place in range(6):
        values = (120 + 30 * np.sin(np.arange(200) / 9) + rng.normal(0, 3, (90, 200, 3)).mean(axis=2)).clip(0, 255)
        picture = np.stack([values, values / 2, 255 - values], axis=-1).astype(np.uint8)
        Pillow.fromarray(picture).save(tmp_path / "normals" / f"{place}.png")
    settings = TrainSettings(image_size=64, canvas_size=128)
    config = PadimConfig(dimensions=20)
    model = train(tmp_path / "normals", tmp_path / "model", method_name="padim", config=config, settings=settings)
    exported = export_model(model, tmp_path / "out", images=Images(tmp_path / "normals"))
    assert exported.parity.max_difference < 1e-4
    assert exported.parity.max_map_difference < 1e-3
    assert exported.manifest["inputs"][0]["shape"][1] == 3
    assert len(exported.manifest["tiles"]) > 1
    assert exported.parity.auroc is None


def test_eight_bits(model: TrainedModel, folder: Path, tmp_path: Path) -> None:
    settings = ExportSettings(precision="int8", max_difference=2.0, max_flips=7, calibration_images=5)
    with pytest.raises(UsageError, match="needs --calibration"):
        export_model(model, tmp_path / "out", settings)
    exported = export_model(
        model, tmp_path / "out", settings, images=Images(folder / "test"), calibration=folder / "normals"
    )
    assert 1e-3 < exported.parity.max_difference < 2
    assert exported.manifest["calibration"] == {"images": 5, "learnt_from": 5}
    with pytest.raises(DataError, match="among the calibration images"):
        export_model(model, tmp_path / "o2", settings, images=Images(folder / "test"), calibration=folder / "test")


def test_a_graph_that_says_something_else_fails(model: TrainedModel, folder: Path, tmp_path: Path) -> None:
    settings = ExportSettings(to="openvino", precision="bf16", max_difference=0.0)
    with pytest.raises(OutputError, match=r"differs by .* of the threshold; accepted are 0; kept in .*parity-failed"):
        export_model(model, tmp_path / "out", settings, calibration=None)
    assert not (tmp_path / "out").exists()
    assert not read(tmp_path / "out.parity-failed" / "parity.json")["accepted"]
    # A second attempt takes its place.
    with pytest.raises(OutputError, match="parity-failed"):
        export_model(model, tmp_path / "out", settings)
    assert [item.name for item in tmp_path.iterdir()] == ["out.parity-failed"]


def test_flipped_labels_and_scores_that_are_no_numbers_are_seen(model: TrainedModel) -> None:
    def upside_down(images: np.ndarray, ignore: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = model.detector.predict(model.inputs.inputs(next(iter(made_up(model.inputs))).shrunk))
        return np.repeat(found.maps, len(images), axis=0), np.full(len(images), np.float32(0))

    parity = compare(model, upside_down, made_up(model.inputs))
    assert parity.flips == sum(row.score > model.calibration.threshold for row in parity.images) > 0
    assert parity.max_difference > 0.5

    from isotherm.workflows.export import _failure

    assert "labels flipped" in _failure(replace(parity, max_difference=0.0), ExportSettings())
    assert "differs" in _failure(replace(parity, max_difference=float("nan"), flips=0), ExportSettings())


def test_a_method_that_is_not_one_graph_says_so(model: TrainedModel, tmp_path: Path) -> None:
    class Plain:
        predict = model.detector.predict
        arrays = model.detector.arrays

    with pytest.raises(UsageError, match="method 'mine' cannot be exported: it is not one graph"):
        export_model(replace(model, detector=Plain(), method="mine"), tmp_path / "out")


def test_bfloat16_in_onnx_is_refused() -> None:
    with pytest.raises(ConfigError, match="not in bfloat16; give --precision f32 or int8, or --to openvino"):
        ExportSettings(to="onnx", precision="bf16")


def test_a_folder_with_something_else_is_left_alone(model: TrainedModel, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds 'letter.txt', which is not part of an export"):
        export_model(model, tmp_path / "out")
