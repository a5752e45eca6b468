"""LabelMe's JSON files: shapes drawn by people -> masks, pixel for pixel as LabelMe does it, and back.

Shapes are painted in their order, a later one over an earlier one. Two labels are LabelMe's own: ``_background_``
clears (so a hole is a shape of that label on top of another), ``__ignore__`` marks pixels that are not to be judged.

Layout: the documents that LabelMe 4 to 6 write (``shapes``: ``label``, ``points``, ``shape_type``, ``mask``;
``imagePath``, ``imageHeight``, ``imageWidth``). Which pixels a shape covers follows from Pillow's drawing calls, which
LabelMe uses too: boundary pixels belong to a shape, coordinates are cut to whole numbers.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image, ImageDraw

from isotherm.core.errors import ConfigError, DataError
from isotherm.datasets.label_masks import BACKGROUND, IGNORED, LabelledMask
from isotherm.datasets.label_shapes import painted_polygons
from isotherm.formats.reader import MAX_FILE_BYTES, MAX_PIXELS

BACKGROUND_LABEL, IGNORE_LABEL = "_background_", "__ignore__"
LINE_PX, POINT_PX = 10, 5
"""Width of a drawn line and radius of a drawn point [px], as in LabelMe."""
MOST_PX = 100_000
"""A coordinate farther from the corner than this is refused."""

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class LabelMeRules:
    """How shapes become pixels.

    Parameters
    ----------
    classes
        The classes by number, the same for all files of a set. None: those of the file, in the order of the alphabet.
    line_px, point_px
        Width of lines and radius of points [px].
    """

    classes: tuple[str, ...] | None = None
    line_px: int = LINE_PX
    point_px: int = POINT_PX

    def __post_init__(self) -> None:
        if self.line_px < 1 or self.point_px < 1:
            said = f"{self.line_px} and {self.point_px}"
            raise ConfigError(f"lines must be at least 1 px wide and points have a radius of 1 px or more; not {said}")


def read_labelme(path: Path, rules: LabelMeRules | None = None) -> LabelledMask:
    """Read one file of LabelMe; see `labels_of_document`."""
    return labels_of_document(read_document(path), path.name, rules or LabelMeRules())


def read_document(path: Path) -> Mapping[str, Any]:
    """Read a JSON file that holds an object; raises DataError where it is none."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read as JSON: {error}") from error
    return parsed_document(data, path)


def parsed_document(data: bytes, path: Path) -> Mapping[str, Any]:
    """Return the object in a JSON file's bytes; raises DataError where it is none."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected a JSON object with labels")
    return document


def labels_of_document(document: Mapping[str, Any], name: str, rules: LabelMeRules) -> LabelledMask:
    """Paint the shapes of a LabelMe document.

    Parameters
    ----------
    document
        The parsed JSON.
    name
        What messages call it.
    rules
        The classes, and how wide lines and points are.

    Raises
    ------
    DataError
        No such document, no picture size, a shape that is none, or a label that is not among the classes; the message
        says which shape.
    """
    size = _picture_size(document, name)
    shapes = document.get("shapes")
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise DataError(f"{name}: it has no list of shapes; is it a file of LabelMe?")
    classes = rules.classes if rules.classes is not None else _classes_of(shapes)
    canvas = Image.new("L", (size[1], size[0]), BACKGROUND)
    outside = []
    for number, shape in enumerate(shapes, start=1):
        where = f"{name}, shape {number}"
        _paint(canvas, shape, _value(shape.get("label"), classes, where), where, rules)
        if _lies_outside(shape, canvas.size):
            outside.append(
                f"shape {number} ({shape.get('label')}) lies outside the picture of {size[1]} x {size[0]} px"
            )
    return LabelledMask(np.array(canvas), classes, tuple(outside))


def _lies_outside(shape: Mapping[str, Any], size: tuple[int, int]) -> bool:
    """Say whether all corners of a painted shape are on one side of the picture; those of a circle do not tell."""
    if shape.get("shape_type") in ("circle", "mask"):
        return False
    return any(
        all(point[axis] < 0 for point in shape["points"]) or all(point[axis] >= side for point in shape["points"])
        for axis, side in enumerate(size)
    )


def classes_in(documents: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the labels of all shapes of a set of documents, in the order of the alphabet."""
    lists = [shapes for document in documents if isinstance(shapes := document.get("shapes"), list)]
    return _classes_of([shape for shapes in lists for shape in shapes if isinstance(shape, dict)])


def _classes_of(shapes: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    names = {name for shape in shapes if isinstance(name := shape.get("label"), str)}
    return tuple(sorted(names - {BACKGROUND_LABEL, IGNORE_LABEL}))


def _value(label: object, classes: tuple[str, ...], where: str) -> int:
    if label == BACKGROUND_LABEL:
        return BACKGROUND
    if label == IGNORE_LABEL:
        return IGNORED
    if not isinstance(label, str) or label not in classes:
        raise DataError(f"{where}: the label {label!r} is not among the classes {', '.join(classes) or '(none)'}")
    return classes.index(label) + 1


def _picture_size(document: Mapping[str, Any], name: str) -> tuple[int, int]:
    height, width = document.get("imageHeight"), document.get("imageWidth")
    if type(height) is not int or type(width) is not int or height < 1 or width < 1:
        raise DataError(
            f"{name}: imageHeight and imageWidth must say the size of the picture, not {height!r}, {width!r}"
        )
    if height * width > MAX_PIXELS:
        raise DataError(f"{name}: {width} x {height} pixels; at most {MAX_PIXELS} are read")
    return height, width


def _paint(canvas: Image.Image, shape: Mapping[str, Any], value: int, where: str, rules: LabelMeRules) -> None:
    kind = shape.get("shape_type") or "polygon"
    points = _points(shape.get("points"), where)
    if kind == "mask":
        _paint_mask(canvas, points, shape.get("mask"), value, where)
        return
    if kind not in _PAINTERS:
        raise DataError(f"{where}: unknown shape_type {kind!r}; known: {', '.join(_PAINTERS)}, mask")
    painter, least, most = _PAINTERS[kind]
    if not least <= len(points) <= most:
        expected = str(least) if least == most else f"at least {least}"
        raise DataError(f"{where}: a {kind} has {expected} point{'s' if least > 1 else ''}, not {len(points)}")
    painter(ImageDraw.Draw(canvas), points, value, rules)


def _points(points: object, where: str) -> Points:
    if not isinstance(points, list):
        raise DataError(f"{where}: it has no list of points")
    return [_point(point, where) for point in points]


def _point(point: object, where: str) -> tuple[float, float]:
    if isinstance(point, list) and len(point) == 2 and all(type(part) in (int, float) for part in point):
        x, y = float(point[0]), float(point[1])
        if math.isfinite(x) and math.isfinite(y) and max(abs(x), abs(y)) <= MOST_PX:
            return x, y
    raise DataError(f"{where}: a point is two numbers x, y [px], not {str(point)[:60]}")


def _polygon(draw: ImageDraw.ImageDraw, points: Points, value: int, _: LabelMeRules) -> None:
    draw.polygon(points, outline=value, fill=value)


def _rectangle(draw: ImageDraw.ImageDraw, points: Points, value: int, _: LabelMeRules) -> None:
    (x0, y0), (x1, y1) = points
    draw.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), outline=value, fill=value)


def _circle(draw: ImageDraw.ImageDraw, points: Points, value: int, _: LabelMeRules) -> None:
    """Paint a circle that is given by its centre and a point on it."""
    (x, y), (x1, y1) = points
    _disc(draw, x, y, math.sqrt((x - x1) ** 2 + (y - y1) ** 2), value)


def _line(draw: ImageDraw.ImageDraw, points: Points, value: int, rules: LabelMeRules) -> None:
    draw.line(points, fill=value, width=rules.line_px)


def _spot(draw: ImageDraw.ImageDraw, points: Points, value: int, rules: LabelMeRules) -> None:
    ((x, y),) = points
    _disc(draw, x, y, rules.point_px, value)


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, value: int) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=value, fill=value)


_PAINTERS: dict[str, tuple[Callable[[ImageDraw.ImageDraw, Points, int, LabelMeRules], None], int, float]] = {
    "polygon": (_polygon, 3, math.inf),
    "rectangle": (_rectangle, 2, 2),
    "oriented_rectangle": (_polygon, 4, 4),
    "circle": (_circle, 2, 2),
    "line": (_line, 2, 2),
    "linestrip": (_line, 2, math.inf),
    "point": (_spot, 1, 1),
}
"""Kind of shape -> what paints it, and the least and the most points it has."""


def _paint_mask(canvas: Image.Image, points: Points, stored: object, value: int, where: str) -> None:
    """Paint a shape that brings its pixels along, as a PNG of the box between its two points (both included)."""
    if len(points) != 2 or not isinstance(stored, str):
        raise DataError(f"{where}: a mask has two points, the corners of its box, and its picture")
    (left, top), (right, bottom) = ((int(x), int(y)) for x, y in points)
    inside = _stored_mask(stored, where)
    if inside.shape != (bottom - top + 1, right - left + 1):
        raise DataError(f"{where}: its box and its picture are not of one size")
    canvas.paste(value, (left, top), Image.fromarray(inside.astype(np.uint8) * 255))


def _stored_mask(stored: str, where: str) -> Bool[np.ndarray, "h w"]:
    try:
        with Image.open(io.BytesIO(base64.b64decode(stored, validate=True)), formats=("PNG",)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise DataError(f"{where}: its picture is too large")
            return np.asarray(np.asarray(picture.convert("L")) > 0)
    except (binascii.Error, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{where}: its picture cannot be read: {error}") from error


def document_of_labels(labelled: LabelledMask, picture_name: str) -> dict[str, Any]:
    """Return labels as a document that LabelMe opens; read back it gives the very same pixels.

    Each connected part is a polygon through the centres of its outer pixels; what lies inside a hole of another (also
    background) follows it as a polygon of its own.

    Parameters
    ----------
    labelled
        The labels.
    picture_name
        Path of the picture from the document's folder on; it is not stored in the document.
    """
    names = {BACKGROUND: BACKGROUND_LABEL, IGNORED: IGNORE_LABEL}
    names |= dict(enumerate(labelled.classes, start=1))
    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": [_shape(names[value], corners) for value, corners in painted_polygons(labelled.labels, _filled)],
        "imagePath": picture_name,
        "imageData": None,
        "imageHeight": labelled.size[0],
        "imageWidth": labelled.size[1],
    }


def _filled(corners: Sequence[tuple[int, int]], size: tuple[int, int]) -> UInt8[np.ndarray, "H W"]:
    canvas = Image.new("L", (size[1], size[0]), 0)
    ImageDraw.Draw(canvas).polygon(list(corners), outline=1, fill=1)
    return np.asarray(canvas)


def _shape(label: str, corners: Sequence[tuple[int, int]]) -> dict[str, Any]:
    points = [[float(x), float(y)] for x, y in corners]
    return {"label": label, "points": points, "group_id": None, "description": "", "shape_type": "polygon", "flags": {}}
