"""COCO's JSON files: the labels of many pictures in one file.

Layout: the data format of the COCO challenges (cocodataset.org, "Data format"): ``images``, ``categories`` and
``annotations`` with a ``segmentation`` that is a list of polygons, or run lengths in column order, as numbers or packed
into text. Polygons are painted where the centre of a pixel lies inside, so pixels at their edge may differ from those
of other programs; run lengths are exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from isotherm.core.errors import DataError
from isotherm.core.regions import label
from isotherm.datasets.label_masks import IGNORED, LabelledMask
from isotherm.datasets.labelme import MOST_PX, read_document
from isotherm.formats.reader import MAX_PIXELS

Mask = Bool[np.ndarray, "H W"]


def read_coco(path: Path) -> dict[str, LabelledMask]:
    """Read the labels of each picture of a file, by the picture's file name; see `labels_of_coco`."""
    return labels_of_coco(read_document(path), path.name)


def labels_of_coco(document: Mapping[str, Any], name: str) -> dict[str, LabelledMask]:
    """Paint the annotations of each picture, in their order; a crowd's are ignored pixels.

    Categories become classes in the order of their numbers.

    Raises
    ------
    DataError
        No such document, or an annotation that is none; the message says which.
    """
    classes = {int(row["id"]): str(row["name"]) for row in _rows(document, "categories", ("id", "name"), name)}
    numbers = {identity: place for place, identity in enumerate(sorted(classes), start=1)}
    painted: dict[int, tuple[str, np.ndarray]] = {}
    for row in _rows(document, "images", ("id", "file_name", "height", "width"), name):
        painted[int(row["id"])] = str(row["file_name"]), np.zeros(_size(row, name), np.uint8)
    for row in _rows(document, "annotations", ("image_id", "category_id", "segmentation"), name):
        where = f"{name}, annotation {row.get('id', '?')}"
        if row["image_id"] not in painted or row["category_id"] not in numbers:
            raise DataError(f"{where}: its picture or its category is not in the file")
        labels = painted[row["image_id"]][1]
        mask = segmentation_mask(row["segmentation"], (labels.shape[0], labels.shape[1]), where)
        # Run lengths of one thing are common too; what is to be ignored is a crowd.
        labels[mask] = IGNORED if row.get("iscrowd") == 1 else numbers[row["category_id"]]
    names = tuple(classes[identity] for identity in sorted(classes))
    return {file_name: LabelledMask(labels, names) for file_name, labels in painted.values()}


def _rows(document: Mapping[str, Any], key: str, needed: tuple[str, ...], name: str) -> list[Mapping[str, Any]]:
    rows = document.get(key)
    if not isinstance(rows, list):
        raise DataError(f"{name}: it has no list of {key}; is it a file of COCO?")
    for number, row in enumerate(rows, start=1):
        missing = [field for field in needed if not isinstance(row, dict) or field not in row]
        numbers = [row[field] for field in needed if not missing and (field == "id" or field.endswith("_id"))]
        if missing or not all(type(value) is int for value in numbers):
            raise DataError(f"{name}: number {number} of its {key} needs {', '.join(needed)}, ids as whole numbers")
    return rows


def _size(row: Mapping[str, Any], name: str) -> tuple[int, int]:
    height, width = row["height"], row["width"]
    if type(height) is not int or type(width) is not int or min(height, width) < 1 or height * width > MAX_PIXELS:
        raise DataError(f"{name}: the picture {row['file_name']!r} cannot be {width!r} x {height!r} pixels")
    return height, width


def segmentation_mask(segmentation: object, size: tuple[int, int], where: str) -> Mask:
    """Return the pixels (H W) of a segmentation: polygons, run lengths, or packed run lengths.

    Raises
    ------
    DataError
        It is none of these, or is of another size.
    """
    if isinstance(segmentation, list):
        mask = np.zeros(size, np.bool_)
        for ring in segmentation:
            mask |= _ring_mask(_ring(ring, where), size)
        return mask
    if not isinstance(segmentation, dict) or segmentation.get("size") != list(size):
        raise DataError(f"{where}: its segmentation must be polygons or run lengths of size {list(size)}")
    counts = segmentation.get("counts")
    return _of_runs(unpacked(counts, where) if isinstance(counts, str) else counts, size, where)


def _ring(ring: object, where: str) -> list[tuple[float, float]]:
    numbers = ring if isinstance(ring, list) else []
    fine = all(type(part) in (int, float) and abs(part) <= MOST_PX for part in numbers)
    if not fine or len(numbers) < 6 or len(numbers) % 2:
        raise DataError(f"{where}: a polygon is at least three corners as numbers x, y, x, y ... [px]")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _ring_mask(corners: list[tuple[float, float]], size: tuple[int, int]) -> Mask:
    """Count the edges to the right of each pixel's centre, which is half a pixel from its corner (even-odd rule)."""
    mask = np.zeros(size, np.bool_)
    centres = np.arange(size[1]) + 0.5
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        top, bottom = (min(max(math.ceil(end - 0.5), 0), size[0]) for end in (min(y0, y1), max(y0, y1)))
        if top < bottom:
            crossing = x0 + (np.arange(top, bottom) + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
            mask[top:bottom] ^= centres[None, :] < crossing[:, None]
    return mask


def _of_runs(counts: object, size: tuple[int, int], where: str) -> Mask:
    runs = counts if isinstance(counts, list) and all(type(run) is int and run >= 0 for run in counts) else None
    if runs is None or sum(runs) != size[0] * size[1]:
        raise DataError(f"{where}: its run lengths do not add up to {size[0]} x {size[1]} pixels")
    inside = np.arange(len(runs)) % 2 == 1
    return np.asarray(np.repeat(inside, np.array(runs, np.int64)).reshape(size[::-1]).T)


def unpacked(text: str, where: str) -> list[int]:
    """Return the run lengths of a packed text: 5 bits a sign from '0' on, the low ones first, the 6th says "more".

    From the fourth on each is the difference to the run two before. Raises DataError for any other text.
    """
    runs: list[int] = []
    value = shift = 0
    for sign in text:
        bits = ord(sign) - 48
        if not 0 <= bits < 64 or shift > 40:
            raise DataError(f"{where}: its packed run lengths hold the sign {sign!r} at a place where it cannot be")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise DataError(f"{where}: its packed run lengths end too early")
    return runs


def document_of_coco(labelled: Mapping[str, LabelledMask]) -> dict[str, Any]:
    """Return the labels of pictures, by their file names, as a COCO document with exact run lengths.

    Each connected part is one annotation; ignored pixels are a crowd of the first category.
    """
    names = list(dict.fromkeys(name for one in labelled.values() for name in one.classes))
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (file_name, one) in enumerate(labelled.items(), start=1):
        images.append({"id": number, "file_name": file_name, "height": one.size[0], "width": one.size[1]})
        for category, mask, crowd in _things(one, names):
            identity = {"id": len(annotations) + 1, "image_id": number, "category_id": category, "iscrowd": crowd}
            annotations.append(identity | _measured(mask))
    categories = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
    return {"images": images, "categories": categories, "annotations": annotations}


def _things(one: LabelledMask, names: list[str]) -> list[tuple[int, Mask, int]]:
    """Return category, pixels and whether it is a crowd, of each part."""
    found = []
    for name in one.classes:
        numbers, count = label(one.of_class(name))
        found += [(names.index(name) + 1, np.asarray(numbers == number), 0) for number in range(1, count + 1)]
    if not one.judged.all():
        found.append((1, ~one.judged, 1))
    return found


def _measured(mask: Mask) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
    counts = run_lengths(mask).tolist()
    return {
        "segmentation": {"size": list(mask.shape), "counts": counts},
        "area": int(mask.sum()),
        "bbox": [int(part) for part in box],
    }


def run_lengths(mask: Mask) -> Int[np.ndarray, " R"]:
    """Return the lengths of the runs of a mask, down the columns, the first one outside (0 where there is none)."""
    flat = mask.T.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0] if flat.size and flat[0] else [], [0], changes, [flat.size]]).astype(np.int64)
    return np.diff(edges)
