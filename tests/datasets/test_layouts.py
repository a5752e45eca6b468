"""Folders of labelled images as people keep them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isotherm.core.errors import DataError, UnknownNameError
from isotherm.datasets.layouts import LabelledImages, load_layout
from isotherm.datasets.masks import fit_mask, read_mask


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def put_mask(path: Path, *, empty: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((6, 8), dtype=np.uint8)
    values[2, 3] = 0 if empty else 1
    Image.fromarray(values).save(path)
    return path


def rows(images: LabelledImages) -> list[tuple[str, bool, str, str]]:
    return [(sample.name, sample.anomalous, sample.kind, sample.site) for sample in images.samples]


def test_mvtec(tmp_path: Path) -> None:
    root = tmp_path / "bottle"
    put(root / "train/good/0.png")
    put(root / "test/good/0.png")
    put(root / "test/broken/10.png")
    put(root / "test/broken/9.png")
    put_mask(root / "ground_truth/broken/9_mask.png")
    put_mask(root / "ground_truth/broken/10.png")
    images = load_layout(root)
    assert images.layout == "mvtec"
    assert rows(images) == [
        ("test/broken/9.png", True, "broken", "bottle"),
        ("test/broken/10.png", True, "broken", "bottle"),
        ("test/good/0.png", False, "normal", "bottle"),
        ("train/good/0.png", False, "normal", "bottle"),
    ]
    assert [sample.part for sample in images.samples] == ["test", "test", "test", "train"]
    assert [sample.mask and sample.mask.name for sample in images.samples] == ["9_mask.png", "10.png", None, None]


@pytest.mark.parametrize(("normal", "faulty"), [("normal", "faulty"), ("good", "bad"), ("Normal", "Faulty")])
def test_folder_with_kinds_and_masks(tmp_path: Path, normal: str, faulty: str) -> None:
    root = tmp_path / "plant"
    put(root / normal / "a.tif")
    put(root / faulty / "b.tif")
    put(root / faulty / "joint" / "c.png.png")
    put_mask(root / "masks" / faulty / "b.png")
    put_mask(root / "masks" / "c_mask.png")
    put(root / faulty / ".hidden")
    images = load_layout(root)
    assert images.layout == "folder"
    assert {sample.path.name: (sample.anomalous, sample.kind, sample.site) for sample in images.samples} == {
        "a.tif": (False, "normal", "plant"),
        "b.tif": (True, "faulty", "plant"),
        "c.png.png": (True, "joint", "plant"),
    }
    masks = {sample.path.name: sample.mask for sample in images.samples}
    assert masks["a.tif"] is None
    assert masks["b.tif"] == root / "masks" / faulty / "b.png"
    assert masks["c.png.png"] == root / "masks" / "c_mask.png"


def test_sites_and_a_mask_name_that_fits_two_pictures(tmp_path: Path) -> None:
    root, masks = tmp_path / "images", tmp_path / "masks"
    put(root / "T4/normal/T4_n.png")
    put(root / "T4/faulty/T4_f2.png")
    put(root / "T5/faulty/T4_f2.png")
    put(root / "T5/faulty/T5_f1.png")
    put(root / "notes.txt")
    for stem in ("T4_n", "T4_f2", "T5_f1"):
        put_mask(masks / f"{stem}.png")
    images = load_layout(root, masks=masks)
    assert images.layout == "sites"
    assert rows(images) == [
        ("T4/faulty/T4_f2.png", True, "faulty", "T4"),
        ("T4/normal/T4_n.png", False, "normal", "T4"),
        ("T5/faulty/T4_f2.png", True, "faulty", "T5"),
        ("T5/faulty/T5_f1.png", True, "faulty", "T5"),
    ]
    assert [sample.mask and sample.mask.name for sample in images.samples] == [None, None, None, "T5_f1.png"]
    assert len(images.notes) == 1
    assert "T4_f2.png could belong to T4/faulty/T4_f2.png or T5/faulty/T4_f2.png" in images.notes[0]


def test_items_with_the_mask_beside_the_picture(tmp_path: Path) -> None:
    root = tmp_path / "set"
    put(root / "SOURCE.txt")
    put(root / "kos10/Part0.jpg")
    put_mask(root / "kos10/Part0_label.png")
    put(root / "kos9/Part0.jpg")
    put_mask(root / "kos9/Part0_label.png", empty=True)
    put(root / "kos9/Part1.jpg")
    images = load_layout(root)
    assert images.layout == "items"
    assert rows(images) == [("kos9/Part0.jpg", False, "normal", "set"), ("kos10/Part0.jpg", True, "faulty", "set")]
    assert [sample.group for sample in images.samples] == ["kos9", "kos10"]
    assert images.samples[0].mask is None
    assert images.samples[1].mask == root / "kos10/Part0_label.png"


def test_what_does_not_fit_is_said_with_what_would(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="of no known layout; mvtec: expected train/good"):
        load_layout(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        load_layout(tmp_path / "absent")
    put(tmp_path / "faulty/a.png")
    (tmp_path / "normal").mkdir()
    with pytest.raises(DataError, match="no normal pictures"):
        load_layout(tmp_path)
    with pytest.raises(DataError, match="no pictures in the layout 'sites'"):
        load_layout(tmp_path, "sites")
    with pytest.raises(UnknownNameError, match="did you mean 'folder'"):
        load_layout(tmp_path, "foldr")


def test_a_named_layout_wins_over_what_it_looks_like(tmp_path: Path) -> None:
    put(tmp_path / "normal/a.png")
    put(tmp_path / "faulty/a.png")
    put(tmp_path / "site/good/a.png")
    assert load_layout(tmp_path).layout == "folder"
    assert [sample.site for sample in load_layout(tmp_path, "sites").samples] == ["site"]


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"])
def test_any_mode_of_mask(tmp_path: Path, mode: str) -> None:
    marked = np.zeros((5, 7), dtype=bool)
    marked[1, 2:4] = True
    if mode == "I;16":
        picture = Image.fromarray(marked.astype(np.uint16) * 300)
    elif mode == "P":
        picture = Image.fromarray(marked.astype(np.uint8), mode="L").copy()
        picture = picture.convert("P")
    else:
        picture = Image.fromarray(marked.astype(np.uint8) * 255).convert(mode)
    picture.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), marked)


def test_a_mask_that_is_no_picture_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mask .*bad\.png: cannot be read"):
        read_mask(put(tmp_path / "bad.png", b"no picture"))
    with pytest.raises(DataError, match="cannot be read"):
        read_mask(tmp_path / "absent.png")


def test_a_mask_of_another_size_takes_the_nearest_pixel() -> None:
    mask = np.array([[True, False], [False, False]])
    grown = fit_mask(mask, (4, 6))
    assert grown[:2, :3].all()
    assert grown.sum() == 6
    np.testing.assert_array_equal(fit_mask(grown, (2, 2)), mask)
    assert fit_mask(mask, (2, 2)) is mask


@pytest.mark.real_data
def test_real_sets(data: Path) -> None:
    transformers = load_layout(data / "transformers/images", masks=data / "transformers/masks")
    assert transformers.layout == "sites"
    assert sum(sample.anomalous for sample in transformers.samples) == 62
    without = [sample.name for sample in transformers.samples if sample.anomalous and not sample.mask]
    assert without == ["T4/faulty/T4_faulty_002.png", "T5/faulty/T4_faulty_002.png"]
    kolektor = load_layout(data / "kolektor_sdd")
    assert kolektor.layout == "items"
    assert (len(kolektor.samples), sum(sample.anomalous for sample in kolektor.samples)) == (399, 52)
