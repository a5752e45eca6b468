"""Label files of any kind, read by what is in them and written as any other: LabelMe, COCO, PNG."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from isotherm.core.errors import DataError
from isotherm.datasets.coco_labels import document_of_coco, labels_of_coco
from isotherm.datasets.label_masks import LabelledMask, Polarity, labels_from_picture, png_of_labels
from isotherm.datasets.labelme import LabelMeRules, document_of_labels, labels_of_document, parsed_document
from isotherm.formats.reader import MAX_FILE_BYTES

Kind = Literal["labelme", "coco", "png"]


@dataclass(frozen=True)
class LabelRules:
    """How label files are read.

    Parameters
    ----------
    polarity
        Which side of a grey mask is the defect; None: the rarer one, and a note says so.
    shapes
        Classes, and how LabelMe's shapes become pixels.
    """

    polarity: Polarity | None = None
    shapes: LabelMeRules = field(default_factory=LabelMeRules)


def read_labels_of(path: Path, rules: LabelRules | None = None) -> dict[str, LabelledMask]:
    """Read the labels in a file, by the name of the picture they belong to.

    Parameters
    ----------
    path
        JSON of LabelMe or of COCO, or a picture; which one it is, is seen from its content.
    rules
        How to read it.

    Returns
    -------
    dict
        File name of the picture -> its labels. A file of LabelMe names its picture; a mask that is a picture says
        nothing of it, and counts as that of its own name.

    Raises
    ------
    DataError
        None of these, damaged, or at odds with the rules; the message says what and where.
    """
    rules = rules or LabelRules()
    data = _bytes_of(path)
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"{":
        classes = rules.shapes.classes or ()
        return {path.name: labels_from_picture(data, path.name, polarity=rules.polarity, classes=classes)}
    document = parsed_document(data, path)
    if "shapes" in document:
        return {_picture_of(document, path): labels_of_document(document, path.name, rules.shapes)}
    if "annotations" in document:
        return labels_of_coco(document, path.name)
    raise DataError(f"{path.name}: JSON, but of neither LabelMe (shapes) nor COCO (annotations)")


def _bytes_of(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def _picture_of(document: Mapping[str, object], path: Path) -> str:
    """Return the file name alone: the folder is that of whoever drew the labels."""
    stored = document.get("imagePath")
    name = stored.replace("\\", "/").rpartition("/")[2] if isinstance(stored, str) else ""
    return name or f"{path.stem}.png"


def label_files(labelled: Mapping[str, LabelledMask], kind: Kind, *, polarity: Polarity = "bright") -> dict[str, bytes]:
    """Return files that hold these labels: name of the file -> its bytes.

    Parameters
    ----------
    labelled
        File name of the picture -> its labels.
    kind
        ``labelme`` and ``png`` give one file for each picture, ``coco`` one for all.
    polarity
        Of a PNG with one class.

    Raises
    ------
    DataError
        Two pictures would have label files of one name.
    """
    if kind == "coco":
        return {"labels.json": _json(document_of_coco(labelled))}
    suffix = "json" if kind == "labelme" else "png"
    found: dict[str, bytes] = {}
    for picture, one in labelled.items():
        name = f"{Path(picture).stem}.{suffix}"
        if name in found:
            raise DataError(f"two pictures would have the label file {name}; {picture} is one of them")
        found[name] = (
            _json(document_of_labels(one, picture)) if kind == "labelme" else png_of_labels(one, polarity=polarity)
        )
    return found


def _json(document: Mapping[str, object]) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
