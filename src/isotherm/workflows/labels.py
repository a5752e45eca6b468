"""Labels of defects: files of one kind to another, and pictures with their labels over them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from isotherm.core.errors import DataError, IsothermError
from isotherm.core.files import make_folder, write_whole
from isotherm.datasets.label_files import Kind, LabelRules, label_files, read_labels_of
from isotherm.datasets.label_masks import LabelledMask, Polarity, palette_of_classes
from isotherm.formats.reading import read
from isotherm.reports import palette
from isotherm.reports.drawing import Span
from isotherm.reports.png import encode_png
from isotherm.workflows.reading import list_images

_SHARE_OF_COLOUR = 0.45


@dataclass(frozen=True)
class Converted:
    """What became of one label file: the files written, or the reason why none was."""

    name: str
    targets: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    error: str = ""


def convert_labels(
    path: Path, out: Path, kind: Kind, *, rules: LabelRules | None = None, polarity: Polarity = "bright"
) -> Iterator[Converted]:
    """Convert a label file, or each one in a folder; a bad file is said, and stops nothing.

    Files of COCO hold the labels of many pictures: all that were read go into one ``labels.json``.

    Raises
    ------
    DataError
        Nothing is there.
    OutputError
        `out` cannot be written.
    """
    make_folder(out)
    together: dict[str, LabelledMask] = {}
    for file in list_images(path):
        try:
            found = read_labels_of(file, rules)
            if kind == "coco":
                _joined(together, found)
                yield Converted(file.name, (), _notes(found))
                continue
            targets = _written(out, label_files(found, kind, polarity=polarity), file)
            yield Converted(file.name, targets, _notes(found))
        except IsothermError as error:
            yield Converted(file.name, (), error=_without_name(str(error), file))
    if together:
        yield Converted("all", _written(out, label_files(together, "coco"), path))


def _without_name(said: str, file: Path) -> str:
    """Return a message without the file's name in front, which stands in a column of its own."""
    return said.removeprefix(f"{file}: ").removeprefix(f"{file.name}: ").removeprefix(f"{file.name}, ")


def _joined(together: dict[str, LabelledMask], found: dict[str, LabelledMask]) -> None:
    twice = together.keys() & found.keys()
    if twice:
        raise DataError(f"labels of {', '.join(sorted(twice))} were read already from another file")
    together |= found


def _notes(found: dict[str, LabelledMask]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(note for one in found.values() for note in one.notes))


def _written(out: Path, files: dict[str, bytes], source: Path) -> tuple[Path, ...]:
    targets = []
    for name, data in files.items():
        target = out / name
        if target.resolve() == source.resolve():
            raise DataError(f"{target} is an input and is not overwritten; choose another folder")
        write_whole(target, data)
        targets.append(target)
    return tuple(targets)


def draw_labels(picture: Path, labels: Path, *, rules: LabelRules | None = None) -> bytes:
    """Return a PNG of a picture with its labels over it, each class in a colour of its own.

    Raises
    ------
    DataError
        The labels are of another size, or of several pictures none of which has this name.
    """
    found = read_labels_of(labels, rules)
    one = found.get(picture.name) or (next(iter(found.values())) if len(found) == 1 else None)
    if one is None:
        raise DataError(f"{labels.name} holds labels of {', '.join(sorted(found))}, not of {picture.name}")
    shown = _shown(picture)
    height, width = shown.shape[:2]
    return encode_png(_overlaid(shown, one.fitted((height, width), labels.name)))


def _shown(picture: Path) -> UInt8[np.ndarray, "H W 3"]:
    """Return a picture in colours; temperatures in those of a palette."""
    thermogram = read(picture)
    if thermogram.colour is not None and not thermogram.radiometric:
        return np.array(thermogram.colour)
    values = thermogram.values()
    coloured: UInt8[np.ndarray, "H W 3"] = palette.table("iron")[Span.of(values, least=0.1).bytes(values)]
    return coloured


def _overlaid(shown: UInt8[np.ndarray, "H W 3"], one: LabelledMask) -> UInt8[np.ndarray, "H W 3"]:
    colours = palette_of_classes().astype(np.float32)
    share = np.where(one.labels > 0, _SHARE_OF_COLOUR, 0).astype(np.float32)[..., None]
    mixed = shown * (1 - share) + colours[one.labels] * share
    edge = _edges(one.labels)
    mixed[edge] = colours[one.labels[edge]]
    picture: UInt8[np.ndarray, "H W 3"] = np.rint(mixed).astype(np.uint8)
    return picture


def _edges(labels: UInt8[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """Return the labelled pixels that touch another label (H W)."""
    edge = np.zeros(labels.shape, np.bool_)
    down, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    found: Bool[np.ndarray, "H W"] = edge & (labels > 0)
    return found
