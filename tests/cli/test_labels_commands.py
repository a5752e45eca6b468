"""`isotherm labels ...` from outside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isotherm.cli.main import main

SQUARE = {
    "version": "5.0.1",
    "flags": {},
    "imagePath": "plate.png",
    "imageData": None,
    "imageHeight": 20,
    "imageWidth": 30,
    "shapes": [
        {"label": "hole", "shape_type": "rectangle", "points": [[5, 4], [14, 11]], "group_id": None, "flags": {}},
    ],
}


@pytest.fixture
def labelme(tmp_path: Path) -> Path:
    path = tmp_path / "labels" / "plate.json"
    path.parent.mkdir()
    path.write_text(json.dumps(SQUARE), encoding="utf-8")
    return path


def test_labels_go_to_png_and_back_without_loss(labelme: Path, tmp_path: Path) -> None:
    assert main(["labels", "convert", str(labelme), "-o", str(tmp_path / "png"), "--to", "png"]) == 0
    mask = np.asarray(Image.open(tmp_path / "png" / "plate.png"))
    assert mask.shape == (20, 30)
    assert mask[7, 9] == 255
    assert mask[1, 1] == 0
    again = tmp_path / "again"
    assert main(["labels", "convert", str(tmp_path / "png" / "plate.png"), "-o", str(again), "--to", "labelme"]) == 0
    assert main(["labels", "convert", str(again / "plate.json"), "-o", str(tmp_path / "png2"), "--to", "png"]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "png2" / "plate.png")), mask)


def test_one_bad_file_stops_nothing(labelme: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (labelme.parent / "bad.json").write_text("{", encoding="utf-8")
    out = tmp_path / "coco"
    assert main(["labels", "convert", str(labelme.parent), "-o", str(out), "--to", "coco"]) == 3
    assert "bad.json" in capsys.readouterr().err
    document = json.loads((out / "labels.json").read_text(encoding="utf-8"))
    assert [image["file_name"] for image in document["images"]] == ["plate.png"]


def test_the_overlay_colours_the_labelled_pixels_only(labelme: Path, tmp_path: Path) -> None:
    picture, out = tmp_path / "plate.png", tmp_path / "over.png"
    Image.fromarray(np.full((20, 30), 90, np.uint8)).save(picture)
    assert main(["labels", "view", str(picture), str(labelme), "-o", str(out)]) == 0
    shown = np.asarray(Image.open(out))
    assert len(set(shown[7, 9].tolist())) > 1
    assert shown[1, 1].tolist() == shown[18, 28].tolist()
    assert shown[7, 9].tolist() != shown[1, 1].tolist()


def test_labels_of_another_size_are_refused(labelme: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "plate.png"
    Image.fromarray(np.full((30, 20), 90, np.uint8)).save(picture)
    assert main(["labels", "view", str(picture), str(labelme), "-o", str(tmp_path / "over.png")]) == 1
    assert "swapped" in capsys.readouterr().err


def test_an_input_is_never_overwritten(labelme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["labels", "convert", str(labelme), "-o", str(labelme.parent), "--to", "labelme"]) == 1
    assert "is an input and is not overwritten" in capsys.readouterr().err
    assert json.loads(labelme.read_text(encoding="utf-8")) == SQUARE
