"""Label files: LabelMe's own pixels, round trips, COCO, PNG and polarity."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from isotherm.core.errors import ConfigError, DataError, IsothermError
from isotherm.datasets.coco_labels import document_of_coco, labels_of_coco, run_lengths, segmentation_mask, unpacked
from isotherm.datasets.label_files import LabelRules, label_files, read_labels_of
from isotherm.datasets.label_masks import (
    IGNORED,
    LabelledMask,
    labels_from_picture,
    palette_of_classes,
    png_of_labels,
)
from isotherm.datasets.labelme import LabelMeRules, classes_in, document_of_labels, labels_of_document

# Runs down the columns (outside first) of shapes in a picture 24 wide and 16 high, as LabelMe 6.3.1's own function
# `labelme.utils.shape_to_mask` paints them (Pillow 12).
LABELME_PIXELS: list[tuple[str, list[list[float]], str]] = [
    (
        "polygon",
        [[2.5, 1.5], [20.4, 3.9], [15.0, 14.6], [4.2, 11.1]],
        "33 3 14 7 9 10 6 10 6 10 6 10 6 11 5 11 5 11 5 12 5 11 5 11 5 11 5 12 4 10 6 8 8 6 10 4 12 2 59",
    ),
    (
        "polygon",
        [[1, 1], [18, 12], [18, 1], [1, 12]],
        "17 12 5 10 6 10 7 8 9 6 10 6 11 4 13 2 14 2 14 2 14 2 13 4 11 6 10 6 9 8 7 10 6 10 5 12 83",
    ),
    (
        "rectangle",
        [[17.8, 12.2], [3.1, 4.9]],
        "52 9 7 9 7 9 7 9 7 9 7 9 7 9 7 9 7 9 7 9 7 9 7 9 7 9 7 9 7 9 99",
    ),
    (
        "circle",
        [[12.3, 8.1], [16.9, 9.4]],
        "118 4 11 6 9 8 7 10 6 10 6 10 6 10 6 10 7 8 9 6 11 4 102",
    ),
    (
        "line",
        [[3.2, 3.9], [20.8, 10.1]],
        "23 2 12 4 10 7 7 9 6 10 6 11 5 11 6 11 5 11 5 11 6 11 5 11 6 11 5 11 5 11 6 11 5 11 6 11 5 9 7 7 10 4 12 2 24",
    ),
    (
        "linestrip",
        [[1.5, 14.5], [10.2, 2.2], [21.9, 13.3]],
        "8 7 8 9 5 11 4 12 3 13 1 30 2 13 4 11 5 9 8 7 8 9 6 11 4 13 3 14 2 15 2 15 2 14 3 13 4 12 5 11 6 9 8 7 10 5 3",
    ),
    (
        "point",
        [[11.4, 7.7]],
        "101 5 10 7 8 9 6 11 5 11 5 11 5 11 5 11 6 9 8 7 10 5 118",
    ),
    (
        "oriented_rectangle",
        [[8, 1.5], [20, 6], [16.5, 13.2], [5, 9]],
        "88 2 12 4 9 7 7 10 7 9 7 9 8 9 7 9 7 10 7 9 7 9 8 9 7 8 8 6 11 3 13 1 57",
    ),
    (
        "rectangle",
        [[-5.5, 8], [9.2, 40]],
        "8 8 8 8 8 8 8 8 8 8 8 8 8 8 8 8 8 8 8 8 224",
    ),
]


def document(*shapes: dict[str, Any], size: tuple[int, int] = (16, 24)) -> dict[str, Any]:
    return {"shapes": list(shapes), "imageHeight": size[0], "imageWidth": size[1], "imagePath": "..\\a\\plate.png"}


def shape(kind: str, points: object, label: object = "defect", **more: object) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, **more}


def painted(*shapes: dict[str, Any], **rules: Any) -> LabelledMask:
    return labels_of_document(document(*shapes), "a.json", LabelMeRules(**rules))


@pytest.mark.parametrize(("kind", "points", "runs"), LABELME_PIXELS)
def test_shapes_cover_the_pixels_that_labelme_gives_them(kind: str, points: list[list[float]], runs: str) -> None:
    assert run_lengths(painted(shape(kind, points)).mask).tolist() == [int(run) for run in runs.split()]


def test_a_shape_of_background_makes_a_hole_and_a_later_shape_lies_on_top() -> None:
    outer, hole = shape("rectangle", [[2, 2], [12, 12]]), shape("rectangle", [[4, 4], [10, 10]], "_background_")
    island = shape("rectangle", [[6, 6], [7, 7]], "crack")
    labelled = painted(outer, hole, island)
    assert labelled.classes == ("crack", "defect")
    assert labelled.of_class("defect").sum() == 11 * 11 - 7 * 7
    assert labelled.of_class("crack").sum() == 4
    assert not labelled.mask[5, 5]
    assert painted(island, hole, outer).of_class("defect").sum() == 121


def test_what_is_not_to_be_judged_is_no_defect() -> None:
    labelled = painted(shape("rectangle", [[0, 0], [3, 3]], "__ignore__"), shape("point", [[12, 8]]))
    assert labelled.classes == ("defect",)
    assert (~labelled.judged).sum() == 16
    assert not labelled.mask[0, 0]


def test_a_stored_mask_is_pasted_into_its_box() -> None:
    inside = np.array([[1, 0, 1], [0, 1, 0]], np.uint8)
    stream = io.BytesIO()
    Image.fromarray(inside * 255).save(stream, "PNG")
    stored = base64.b64encode(stream.getvalue()).decode()
    mask = painted(shape("mask", [[5.0, 3.0], [7.0, 4.0]], mask=stored)).mask
    assert np.array_equal(mask[3:5, 5:8], inside > 0)
    assert mask.sum() == 3
    with pytest.raises(DataError, match="not of one size"):
        painted(shape("mask", [[5.0, 3.0], [8.0, 4.0]], mask=stored))
    with pytest.raises(DataError, match="cannot be read"):
        painted(shape("mask", [[5.0, 3.0], [7.0, 4.0]], mask="AAAA"))


def test_classes_are_the_same_numbers_for_a_whole_set() -> None:
    first, second = document(shape("point", [[3, 3]], "gap")), document(shape("point", [[3, 3]], "blister"))
    classes = classes_in([first, second])
    assert classes == ("blister", "gap")
    assert labels_of_document(first, "a", LabelMeRules(classes)).labels[3, 3] == 2
    assert labels_of_document(second, "b", LabelMeRules(classes)).labels[3, 3] == 1


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({}, "imageHeight and imageWidth"),
        ({"imageHeight": 4, "imageWidth": True}, "imageHeight and imageWidth"),
        ({"imageHeight": 10**6, "imageWidth": 10**6}, "at most"),
        ({"imageHeight": 4, "imageWidth": 4}, "no list of shapes"),
        (document(shape("star", [[1, 1]])), "shape 1: unknown shape_type 'star'; known: polygon"),
        (document(shape("point", [[1, 1]]), shape("polygon", [[1, 1], [2, 2]])), "shape 2: a polygon has at least 3"),
        (document(shape("circle", [[1, 1]])), "a circle has 2 points, not 1"),
        (document(shape("point", [[1, float("nan")]])), "a point is two numbers"),
        (document(shape("point", [[1, 1e9]])), "a point is two numbers"),
        (document(shape("point", [[1, "2"]])), "a point is two numbers"),
        (document(shape("point", 7)), "no list of points"),
        (document(shape("point", [[1, 1]], None)), "the label None is not among"),
        (document(shape("mask", [[1, 1]])), "a mask has two points"),
    ],
)
def test_what_is_wrong_with_a_document_is_said(made: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        labels_of_document(made, "a.json", LabelMeRules())


def test_a_label_outside_the_given_classes_is_an_error() -> None:
    with pytest.raises(DataError, match="'defect' is not among the classes gap, hole"):
        painted(shape("point", [[1, 1]]), classes=("gap", "hole"))


@settings(deadline=None, max_examples=120)
@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.sampled_from([0, 1, 2, 255])))
def test_labels_written_for_labelme_come_back_pixel_for_pixel(labels: np.ndarray) -> None:
    labelled = LabelledMask(labels, ("gap", "hole"))
    back = labels_of_document(document_of_labels(labelled, "p.png"), "p.json", LabelMeRules(("gap", "hole")))
    assert np.array_equal(back.labels, labels)


def test_a_ring_is_two_polygons() -> None:
    labels = np.zeros((12, 12), np.uint8)
    labels[2:10, 2:10] = 1
    labels[4:8, 4:8] = 0
    shapes = document_of_labels(LabelledMask(labels), "p.png")["shapes"]
    assert [one["label"] for one in shapes] == ["defect", "_background_"]
    assert shapes[0]["points"] == [[2, 2], [9, 2], [9, 9], [2, 9]]


@settings(deadline=None, max_examples=80)
@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([0, 1, 2, 255])))
def test_coco_holds_every_pixel(labels: np.ndarray) -> None:
    labelled = LabelledMask(labels, ("gap", "hole"))
    found = json.loads(json.dumps(document_of_coco({"p.png": labelled})))
    back = labels_of_coco(found, "x")["p.png"]
    assert np.array_equal(back.labels, labels)
    things = [row for row in found["annotations"] if not row["iscrowd"]]
    assert sum(row["area"] for row in things) == labelled.mask.sum()


@pytest.mark.parametrize(
    ("text", "size", "runs"),
    # From pycocotools 2.0.11, mask.encode.
    [
        ("7240005", (6, 5), [7, 2, 4, 2, 4, 2, 9]),
        (
            "\\c0n0n000\\OUO7k0IUO7U1Ba00ZT3",
            (60, 70),
            [620, 30, 30, 30, 30, 10, 3, 17, 30, 10, 3, 17, 40, 3, 57, 3, 3267],
        ),
        ("071M", (3, 4), [0, 7, 1, 4]),
    ],
)
def test_packed_runs_are_read_as_pycocotools_writes_them(text: str, size: tuple[int, int], runs: list[int]) -> None:
    assert unpacked(text, "x") == runs
    assert run_lengths(segmentation_mask({"size": list(size), "counts": text}, size, "x")).tolist() == runs


def test_coco_polygons_are_the_pixels_whose_centre_is_inside() -> None:
    mask = segmentation_mask([[2, 1, 6, 1, 6, 4, 2, 4], [8.4, 0.4, 9.6, 0.4, 9.6, 1.6, 8.4, 1.6]], (6, 12), "x")
    assert mask[1:4, 2:6].all()
    assert mask[0:2, 8:10].sum() == 4
    assert mask.sum() == 16


@pytest.mark.parametrize(
    ("segmentation", "says"),
    [
        ([[1, 2, 3, 4]], "at least three corners"),
        ([[1, 2, 3, 4, 5, float("inf")]], "at least three corners"),
        ({"size": [4, 5], "counts": [20]}, "of size"),
        ({"size": [5, 4], "counts": [21]}, "do not add up"),
        ({"size": [5, 4], "counts": [-1, 21]}, "do not add up"),
        ({"size": [5, 4], "counts": 7}, "do not add up"),
        ({"size": [5, 4], "counts": "\x01"}, "holds? the sign"),
        ({"size": [5, 4], "counts": "P"}, "too early"),
        (None, "polygons or run lengths"),
    ],
)
def test_what_is_no_segmentation_is_said(segmentation: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        segmentation_mask(segmentation, (5, 4), "x")


def test_a_coco_file_without_its_parts_is_an_error() -> None:
    with pytest.raises(DataError, match="no list of categories"):
        labels_of_coco({"annotations": []}, "x")
    whole = document_of_coco({"p.png": LabelledMask.of(np.ones((2, 3), np.bool_))})
    whole["annotations"][0]["image_id"] = 9
    with pytest.raises(DataError, match="annotation 1: its picture or its category"):
        labels_of_coco(whole, "x")
    whole["annotations"][0]["image_id"] = "1"
    with pytest.raises(DataError, match="ids as whole numbers"):
        labels_of_coco(whole, "x")


def png(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


def test_polarity_is_as_stated_or_the_rarer_side_and_then_a_note_says_so() -> None:
    dark = np.full((10, 10), 255, np.uint8)
    dark[2:4, 3:6] = 0
    guessed = labels_from_picture(png(dark), "m.png")
    assert guessed.mask.sum() == 6
    assert any("dark pixels are taken as the defect (6.0% of all)" in note for note in guessed.notes)
    bright = labels_from_picture(png(dark), "m.png", polarity="bright")
    assert bright.mask.sum() == 94
    assert not bright.notes
    dark[:5] = 0
    with pytest.raises(DataError, match="say whether bright or dark"):
        labels_from_picture(png(dark), "m.png")


def test_grey_edges_are_cut_half_way_and_told() -> None:
    grey = np.zeros((10, 10), np.uint8)
    grey[4:6, 4:6] = 200
    grey[4:6, 6] = 60
    found = labels_from_picture(png(grey), "m.png", polarity="bright")
    assert found.mask.sum() == 4
    assert found.notes == ("2.0% of the pixels are neither dark nor bright: cut half-way",)


def test_masks_of_zero_and_one_and_of_one_level_are_read() -> None:
    ones = np.zeros((8, 8), np.uint8)
    ones[1, 1:3] = 1
    assert labels_from_picture(png(ones), "m.png").mask.sum() == 2
    assert labels_from_picture(png(ones > 0), "m.png").mask.sum() == 2
    assert not labels_from_picture(png(np.zeros((8, 8), np.uint8)), "m.png").mask.any()
    assert not labels_from_picture(png(np.full((8, 8), 255, np.uint8)), "m.png").mask.any()
    assert labels_from_picture(png(np.full((8, 8), 255, np.uint8)), "m.png", polarity="bright").mask.all()


def test_png_of_one_and_of_several_classes_comes_back() -> None:
    rng = np.random.default_rng(0)
    one = LabelledMask.of(rng.random((9, 11)) < 0.2)
    for side in ("bright", "dark"):
        back = labels_from_picture(png_of_labels(one, polarity=side), "m.png", polarity=side)
        assert np.array_equal(back.labels, one.labels)
    several = LabelledMask(rng.choice([0, 1, 2, 3, IGNORED], (9, 11)).astype(np.uint8), ("a", "b", "c"))
    back = labels_from_picture(png_of_labels(several), "m.png", classes=("a", "b", "c"))
    assert np.array_equal(back.labels, several.labels)
    with pytest.raises(ConfigError, match="stored by number"):
        png_of_labels(several, polarity="dark")
    with pytest.raises(DataError, match="numbers up to 3"):
        labels_from_picture(png_of_labels(several), "m.png", classes=("a", "b"))
    assert len(np.unique(palette_of_classes(), axis=0)) == 256


def test_labels_of_another_size_are_an_error_that_tells_what_is_likely() -> None:
    labelled = LabelledMask.of(np.zeros((20, 30), np.bool_))
    assert labelled.fitted((20, 30), "m.png") is labelled
    with pytest.raises(DataError, match=r"30 x 20 pixels .*30; height and width look swapped"):
        labelled.fitted((30, 20), "m.png")
    with pytest.raises(DataError, match="must be of one size"):
        labelled.fitted((21, 30), "m.png")


def test_classes_must_fit_the_numbers() -> None:
    with pytest.raises(DataError, match="has the class 2"):
        LabelledMask(np.full((2, 2), 2, np.uint8), ("one",))
    with pytest.raises(DataError, match="must differ"):
        LabelledMask(np.zeros((2, 2), np.uint8), ("one", "one"))
    with pytest.raises(DataError, match="no class 'two'; there are: one"):
        LabelledMask(np.zeros((2, 2), np.uint8), ("one",)).of_class("two")


def test_any_kind_is_read_by_its_content_and_written_as_any_other(tmp_path: Path) -> None:
    labels = np.zeros((16, 24), np.uint8)
    labels[3:9, 4:12] = 1
    rules = LabelRules(polarity="bright")
    found = {"plate.png": LabelledMask(labels)}
    for kind in ("labelme", "coco", "png", "labelme"):
        ((name, data),) = label_files(found, kind).items()
        path = tmp_path / f"{kind}-{name}.dat"
        path.write_bytes(data)
        ((picture, one),) = read_labels_of(path, rules).items()
        assert picture == (path.name if kind == "png" else "plate.png")
        assert np.array_equal(one.labels, labels)
        found = {"plate.png": one}
    path.write_text(json.dumps(document()))
    assert list(read_labels_of(path)) == ["plate.png"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"{}", b'{"a": 1}', b"\x89PNG\r\n\x1a\n", b"[" * 100_000, b"{" * 9]
)
def test_damaged_files_are_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "labels.json"
    path.write_bytes(content)
    with pytest.raises(IsothermError):
        read_labels_of(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_labels_of(tmp_path / "absent.json")


def test_two_pictures_of_one_name_are_not_written_over_each_other() -> None:
    one = LabelledMask.of(np.ones((2, 2), np.bool_))
    with pytest.raises(DataError, match=r"label file a\.png"):
        label_files({"a.png": one, "a.jpg": one}, "png")
