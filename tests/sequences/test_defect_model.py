"""Models of defect networks: what they answer, and that nothing damaged is believed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from isotherm.core.errors import ConfigError, ModelError
from isotherm.core.files import sha256
from isotherm.sequences import defect_model
from isotherm.sequences.defect_model import DefectModel, LearnedConfig, folder_of, shipped_models
from onnx_models import STD14, blurring, write_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "sums")


def maps() -> np.ndarray:
    """Sound but for a square of 10 x 10, a spot of 3 x 3, and pixels without a number."""
    values = np.zeros((14, 30, 41), np.float32)
    values[:, 5:15, 5:15] = 1.0
    values[:, 20:23, 20:23] = 1.0
    values[3, 8, 8] = np.nan
    values[:, 25:, 35:] = np.nan
    return values


def test_it_finds_what_it_was_taught(folder: Path) -> None:
    found = DefectModel.load(folder).segment(maps())
    assert found.mask[6:14, 6:14].sum() >= 60
    assert not found.mask[16:].any()
    assert found.score.dtype == np.float32
    assert np.isnan(found.score[25:, 35:]).all()
    assert np.isnan(found.score[8, 8])
    assert np.nanmin(found.score) >= 0
    assert np.nanmax(found.score) <= 1
    assert "model sums: probability of 0.500 and more" in found.notes[0]


def test_threshold_size_and_rim_can_be_asked_for(folder: Path) -> None:
    model = DefectModel.load(folder)
    small = model.segment(maps(), LearnedConfig(clean_px=1)).mask
    assert small[21, 21]
    assert not model.segment(maps(), LearnedConfig(threshold=0.97)).mask.any()
    assert not model.segment(maps(), LearnedConfig(rim_px=8)).mask[:, :8].any()
    with pytest.raises(ConfigError, match="threshold must be at most"):
        LearnedConfig(threshold=1.5)


def test_other_maps_are_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="the model takes 14 maps, not 4"):
        DefectModel.load(folder).segment(maps()[:4])


def test_what_is_no_probability_is_refused(tmp_path: Path) -> None:
    model = DefectModel.load(write_model(tmp_path / "m", blurring(14, gain=9.0)))
    with pytest.raises(ModelError, match="which is no probability"):
        model.segment(maps())


def test_a_pixel_unlike_all_it_was_taught_with_is_said(folder: Path) -> None:
    model = DefectModel.load(folder)
    assert model.unknown(pixel_mm=None) == model.unknown(pixel_mm=0.8) == ()
    assert "a pixel of 2 mm is far from the 0.4 to 0.6 mm" in model.unknown(pixel_mm=2.0)[0]


def forged(folder: Path, network: bytes | None = None, **changes: object) -> None:
    """Change a manifest, and the sums with it, as somebody would who means it."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) | changes
    if network is not None:
        (folder / "network.onnx").write_bytes(network)
        manifest["files"] = {"network.onnx": {"sha256": sha256(network), "bytes": len(network)}}
    del manifest["manifest_sha256"]
    manifest["manifest_sha256"] = sha256(json.dumps(manifest, sort_keys=True).encode())
    path.write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "padim"}, "is no defect network"),
        ({"channels": STD14[:3]}, "not 3 maps of a picture to one"),
        ({"channels": "pct_1"}, "channels are a list of names"),
        ({"channels": []}, "channels are a list of names"),
        ({"channels": [1] * 14}, "channels are a list of names"),
        ({"features": "std14"}, "no JSON object"),
        ({"features": {"preset": "std15"}}, "preset must be one of"),
        ({"features": None}, "no JSON object"),
        ({"threshold": 1.5}, "threshold must be at most"),
        ({"threshold": None}, "threshold must be float"),
        ({"threshold": float("nan")}, "threshold must be a finite number"),
        ({"multiple": 0}, "multiple must be at least 1"),
        ({"multiple": 10**30}, "multiple must be at most"),
        ({"multiple": 1024, "window_px": 64}, "cannot be multiples"),
        ({"window_px": "64"}, "window_px must be int"),
        ({"format_version": 1}, "format version 1"),
    ],
)
def test_forged_manifests_are_refused_in_one_line(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    folder = write_model(tmp_path / "m")
    forged(folder, **changes)
    with pytest.raises(ModelError) as caught:
        DefectModel.load(folder)
    assert said in str(caught.value)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_odd_words_about_the_data_do_not_matter(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m")
    for odd in ({"data": 5, "card": "x"}, {"data": {"pixel_mm": "ab"}}, {"data": {"pixel_mm": [1]}, "files": None}):
        files = json.loads((folder / "manifest.json").read_text())["files"]
        forged(folder, **(odd | {"files": files}))
        model = DefectModel.load(folder)
        assert model.unknown(pixel_mm=9.0) == ()
        assert model.described()["model"] == "m"
        assert all(isinstance(line, str) for line in model.card)


def test_no_damaged_copy_is_believed(tmp_path: Path) -> None:
    """200 copies with bytes changed, cut off or replaced; a third of them with sums that fit."""
    rng = np.random.default_rng(0)
    good = blurring(14, sigmoid=True)
    refused = 0
    for number in range(200):
        data = bytearray(good)
        if number % 2:
            data = data[: rng.integers(len(data))]
        else:
            for place in rng.integers(len(data), size=rng.integers(1, 9)):
                data[place] = rng.integers(256)
        folder = write_model(tmp_path / "m", good)
        if number % 3:
            (folder / "network.onnx").write_bytes(data)
        else:
            forged(folder, bytes(data))
        try:
            DefectModel.load(folder).segment(maps())
        except ModelError as error:
            assert "\n" not in str(error)  # noqa: PT017
            refused += 1
        else:
            # With sums that fit, other weights are another network, and nobody can tell.
            assert number % 3 == 0 or bytes(data) == good
    assert refused > 150


def test_missing_and_foreign_folders(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such folder; models that come with the package"):
        DefectModel.load(tmp_path / "none")
    with pytest.raises(ModelError, match=r"manifest\.json is missing"):
        DefectModel.load(tmp_path)
    (tmp_path / "network.onnx").write_bytes(blurring(14))
    with pytest.raises(ModelError, match="there is no such folder"):
        DefectModel.load(tmp_path / "network.onnx")


def test_shipped_models_go_by_name_and_a_folder_of_that_name_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "shipped" / "plates")
    monkeypatch.setattr(defect_model, "SHIPPED", tmp_path / "shipped")
    monkeypatch.chdir(tmp_path)
    assert shipped_models() == ["plates"]
    assert DefectModel.load("plates").name == "plates"
    (tmp_path / "plates").mkdir()
    assert folder_of("plates") == Path("plates")


def test_a_model_runs_where_torch_cannot_be_imported(folder: Path) -> None:
    program = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "monai", "onnx", "onnxruntime"):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Blocked())
import numpy as np
from isotherm.sequences.defect_model import DefectModel
values = np.zeros((14, 30, 41), np.float32)
values[:, 5:15, 5:15] = 1
print(int(DefectModel.load({str(folder)!r}).segment(values).mask.sum()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 60
