"""What a FLIR frame holds beside temperatures: photo, alignment, palette, the user's measurement tools and texts.

Records 0x0E, 0x2A, 0x22, 0x21 and 0x23 as in Exiftool's FLIR.pm. None of them decides a temperature, so that a damaged
one is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from isotherm.core.capture import Alignment, Annotation, CameraPalette, VisualPhoto
from isotherm.core.errors import FormatError
from isotherm.core.shapes import Box, Ellipse, Line, Marked, Shape, Spot
from isotherm.formats import fff, jpeg
from isotherm.formats.colours import rgb_of_ycrcb
from isotherm.formats.cursor import Cursor
from isotherm.formats.file_texts import texts_of_flir_record

_PHOTO, _PHOTO_DATA = 0x0E, 32
_TOOLS, _PALETTE, _TEXTS, _PICTURE_IN_PICTURE = 0x21, 0x22, 0x23, 0x2A
_MOST_TOOLS = 100


def photo(container: fff.Container, size: tuple[int, int], zoom: float) -> VisualPhoto | None:
    """Return the photo of the same view, and where the thermal picture of height and width `size` lies in it.

    `zoom` is the digital zoom of the camera's screen, on which the recorded alignment rests.
    """
    parts = container.split(_PHOTO, _PHOTO_DATA)
    try:
        if parts is None:
            return None
        head, data = fff.marked(parts[0], 3), parts[1].data
        alignment = _alignment(container, size, (head.u16(4), head.u16(2)), zoom)
    except FormatError:
        return None
    if data.startswith(b"\x89PNG"):
        return VisualPhoto(data, alignment=alignment, colours="ycbcr")
    return VisualPhoto(data, alignment=alignment) if data.startswith(jpeg.SIGNATURE) else None


def _alignment(
    container: fff.Container, thermal: tuple[int, int], photo: tuple[int, int], zoom: float
) -> Alignment | None:
    """Return the alignment of the picture-in-picture record; None where there is none that makes sense.

    The record's first number says how many times wider the photo's view is than that of the thermal picture as it was
    shown, which the digital zoom had enlarged. Its offsets are from the photo's centre, in pixels of the photo.
    """
    record = container.get(_PICTURE_IN_PICTURE)
    if record is None:
        return None
    record = record.part(0, len(record), record.what, order="<")
    wider, offsets = record.f32(0) / zoom, (record.i16(4), record.i16(6))
    if not (math.isfinite(wider) and 0.05 <= wider <= 20 and min(photo) > 0):
        return None
    scale = photo[1] / wider / thermal[1]
    # Centre upon centre, then the record's offset.
    left, top = ((photo[axis] - 1) / 2 - (thermal[axis] - 1) / 2 * scale for axis in (1, 0))
    return Alignment(scale, scale, left + offsets[0], top + offsets[1], "picture-in-picture record")


def palette(container: fff.Container) -> CameraPalette | None:
    """Return the camera's palette; None where the frame has none."""
    record = container.get(_PALETTE)
    try:
        count = record.take(0, 1)[0] if record is not None else 0
        if record is None or count == 0:
            return None
        levels = np.frombuffer(record.take(0x70, 3 * count), np.uint8).reshape(count, 3)
        return CameraPalette(record.text(0x50, 32) or record.text(0x30, 32), rgb_of_ycrcb(levels))
    except FormatError:
        return None


def texts(container: fff.Container) -> tuple[Annotation, ...]:
    """Return the text annotations of the camera's user."""
    record = container.get(_TEXTS)
    return texts_of_flir_record(record) if record is not None else ()


def tools(container: fff.Container, size: tuple[int, int]) -> tuple[Marked, ...]:
    """Return the spots, boxes, ellipses and lines that the camera's user drew, inside a picture of `size`."""
    record = container.get(_TOOLS)
    if record is None:
        return ()
    found: list[Marked] = []
    try:
        record = fff.marked(record, 1)
        found.extend(tool for tool in _tools(record) if _inside(tool.shape, size))
    except FormatError:
        # The list is cut short: the tools before the cut are good.
        return tuple(found)
    return tuple(found)


def _tools(record: Cursor) -> Iterator[Marked]:
    """Yield the tools; each begins with the distance to the next one, which is 0 for the last."""
    place = 12
    for _ in range(_MOST_TOOLS):
        step, coordinate_bytes, label_bytes = record.u16(place), record.u16(place + 4), record.u16(place + 6)
        numbers = [record.i16(place + 0x24 + offset) for offset in range(0, min(coordinate_bytes, 12) - 1, 2)]
        label = record.take(place + 0x24 + coordinate_bytes, label_bytes).decode("utf-16-le", "replace")
        label = "".join(letter for letter in label.split("\0")[0] if letter.isprintable())[:40]
        made = _shape(record.u16(place + 0x0A), numbers)
        if made is not None:
            yield Marked(made[0] + label, made[1], origin="camera")
        if step == 0:
            return
        place += step


def _shape(kind: int, numbers: list[int]) -> tuple[str, Shape] | None:
    """Return FLIR's abbreviation and the shape of a tool; None for tools without a place (alarm, difference)."""
    if kind == 1 and len(numbers) >= 2:
        return "Sp", Spot(*numbers[:2])
    if kind == 2 and len(numbers) >= 4:
        return "Bx", Box(*numbers[:4])
    if kind == 3 and len(numbers) >= 6:
        # The centre, and two points where the axes end.
        x, y, *ends = numbers[:6]
        return "El", Ellipse(x, y, max(abs(x - end) for end in ends[::2]), max(abs(y - end) for end in ends[1::2]))
    if kind == 4 and len(numbers) >= 4:
        return "Li", Line(*numbers[:4])
    return None


def _inside(shape: Shape, size: tuple[int, int]) -> bool:
    """Say whether a shape makes sense in a picture of this height and width."""
    height, width = size
    match shape:
        case Spot(x, y):
            return 0 <= x < width and 0 <= y < height
        case Box(x, y, across, down):
            return x >= 0 and y >= 0 and 0 < across <= width - x and 0 < down <= height - y
        case Ellipse(x, y, radius_x, radius_y):
            return 0 <= x < width and 0 <= y < height and 0 < radius_x <= width and 0 < radius_y <= height
        case Line(x0, y0, x1, y1):
            return all(0 <= x < width for x in (x0, x1)) and all(0 <= y < height for y in (y0, y1))
        case _:
            return False
