"""Folders of labelled images: which picture is normal, which is not, where from, and where its defect mask is.

=========  ==========================================================================================================
layout     folders
=========  ==========================================================================================================
mvtec      ``train/good``, ``test/good``, ``test/<kind>``, ``ground_truth/<kind>/<stem>_mask.png`` (or ``<stem>.png``)
folder     ``normal/`` and ``faulty/`` (or ``good/`` and ``bad/``); folders inside ``faulty/`` are kinds
sites      ``<site>/normal`` and ``<site>/faulty``, with the same words and kinds
items      ``<item>/<name>.<suffix>`` with its mask ``<name>_label.png`` (or ``_mask.png``) beside it; a picture whose
           mask is empty is normal
table      ``labels.csv`` in the root, which names each picture and says what it is (`isotherm.datasets.label_table`)
=========  ==========================================================================================================

In ``folder`` and ``sites`` masks may lie in a folder of their own (``masks/`` in the root, or one that is named), under
the picture's path or its bare stem. A mask pixel above 0 is a defect.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from isotherm.core.errors import DataError, UnknownNameError
from isotherm.datasets.label_table import FAULTY_NAMES, NORMAL_NAMES, TABLE, read_labels
from isotherm.datasets.masks import mask_is_empty

LayoutName = Literal["auto", "folder", "mvtec", "sites", "items", "table"]
Part = Literal["", "train", "test"]
NORMAL_KIND = "normal"
MASK_ENDINGS = ("_mask", "_label")
_SUFFIX = re.compile(r"\.(png|jpe?g|tiff?|bmp)$", re.IGNORECASE)


@dataclass(frozen=True)
class Sample:
    """One labelled picture.

    Parameters
    ----------
    path
        The file.
    name
        Its path below the root, with ``/`` between.
    anomalous
        The label.
    kind
        ``normal``, or the kind of defect (a folder's name, ``faulty`` where there is none).
    site
        Where it is from; results are given for each site. The root's name where the layout knows no sites.
    mask
        The defect mask's file, None where there is none.
    group
        Pictures of one group depend on each other (one item, one asset) and never lie in different folds; empty for a
        picture of its own.
    part
        ``train`` or ``test`` where the layout itself says so.
    order
        When it was taken among the pictures of its group, in any unit; None where that is not known.
    """

    path: Path
    name: str
    anomalous: bool
    kind: str
    site: str
    mask: Path | None = None
    group: str = ""
    part: Part = ""
    order: float | None = None


@dataclass(frozen=True)
class LabelledImages:
    """The pictures of one folder in natural order, and what a user should know about them, one sentence each."""

    root: Path
    layout: str
    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = field(default=())


def load_layout(root: Path, layout: str = "auto", masks: Path | None = None) -> LabelledImages:
    """Find the labelled pictures below `root`; none is opened (but the masks of ``items``).

    Parameters
    ----------
    root
        The folder.
    layout
        One of the table above; ``auto`` looks which one fits.
    masks
        Folder of defect masks, in place of the layout's own.

    Raises
    ------
    DataError
        No folder, no layout that fits, or no normal picture.
    UnknownNameError
        No layout has this name.
    """
    if layout not in get_args(LayoutName):
        raise UnknownNameError("layout", layout, get_args(LayoutName))
    for folder in (root, masks):
        if folder is not None and not folder.is_dir():
            raise DataError(f"{folder}: no such folder")
    name = _recognise(root) if layout == "auto" else layout
    samples = sorted(_READERS[name](root), key=lambda sample: natural_key(sample.name))
    if not samples:
        raise DataError(f"{root}: no pictures in the layout {name!r}; {_EXPECTED[name]}")
    if all(sample.anomalous for sample in samples):
        raise DataError(f"{root}: no normal pictures; {_EXPECTED[name]}")
    return _with_masks(LabelledImages(root, name, tuple(samples)), masks)


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts ``kos_9`` before ``kos_10``."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part.casefold()) for part in parts]


# --- which layout -----------------------------------------------------------------------------------------------------

_EXPECTED = {
    "mvtec": "expected train/good and test/<kind>",
    "folder": "expected normal/ and faulty/ (or good/ and bad/)",
    "sites": "expected <site>/normal and <site>/faulty",
    "table": f"expected {TABLE} with the columns file and label",
    "items": "expected <item>/<name>.<suffix> with <name>_label.png or <name>_mask.png beside it",
}


def _recognise(root: Path) -> str:
    if (root / TABLE).is_file():
        return "table"
    children = _folders(root)
    names = {child.name.casefold() for child in children}
    if {"train", "test"} <= names:
        return "mvtec"
    if names & set(NORMAL_NAMES) and names & set(FAULTY_NAMES):
        return "folder"
    if any(_child(child, NORMAL_NAMES) for child in children):
        return "sites"
    if any(_mask_beside(path) for child in children for path in _files(child)):
        return "items"
    raise DataError(f"{root}: of no known layout; " + "; or ".join(f"{key}: {text}" for key, text in _EXPECTED.items()))


# --- the layouts ------------------------------------------------------------------------------------------------------


def _read_mvtec(root: Path) -> Iterator[Sample]:
    for part in ("train", "test"):
        for folder in _folders(root / part):
            normal = folder.name.casefold() in NORMAL_NAMES
            for path in _files_below(folder):
                sample = _sample(root, path, normal=normal, kind=folder.name, site=root.name)
                mask = None if normal else _ground_truth(root, path.relative_to(root / part))
                yield replace(sample, part=part, mask=mask)


def _ground_truth(root: Path, relative: Path) -> Path | None:
    folder = root / "ground_truth" / relative.parent
    stem = _stem(relative.name)
    candidates = (folder / f"{stem}{ending}.png" for ending in ("_mask", ""))
    return next((path for path in candidates if path.is_file()), None)


def _read_folder(root: Path) -> Iterator[Sample]:
    yield from _read_classes(root, root, root.name)


def _read_sites(root: Path) -> Iterator[Sample]:
    for folder in _folders(root):
        yield from _read_classes(root, folder, folder.name)


def _read_classes(root: Path, folder: Path, site: str) -> Iterator[Sample]:
    normal, faulty = _child(folder, NORMAL_NAMES), _child(folder, FAULTY_NAMES)
    if normal:
        for path in _files_below(normal):
            yield _sample(root, path, normal=True, kind=NORMAL_KIND, site=site)
    if faulty:
        for path in _files_below(faulty):
            inner = path.relative_to(faulty).parts
            yield _sample(root, path, normal=False, kind=inner[0] if len(inner) > 1 else FAULTY_NAMES[0], site=site)


def _read_items(root: Path) -> Iterator[Sample]:
    for folder in _folders(root):
        for path in _files(folder):
            mask = _mask_beside(path)
            if mask:
                normal = mask_is_empty(mask)
                sample = _sample(root, path, normal=normal, kind=FAULTY_NAMES[0], site=root.name)
                yield replace(sample, mask=None if normal else mask, group=folder.name)


def _read_table(root: Path) -> Iterator[Sample]:
    for row in read_labels(root / TABLE):
        kind = row.kind or (FAULTY_NAMES[0] if row.anomalous else NORMAL_KIND)
        sample = _sample(root, row.path, normal=not row.anomalous, kind=kind, site=row.site or root.name)
        yield replace(sample, mask=row.mask, group=row.group, order=row.order)


_READERS = {
    "mvtec": _read_mvtec,
    "folder": _read_folder,
    "sites": _read_sites,
    "items": _read_items,
    "table": _read_table,
}


def _sample(root: Path, path: Path, *, normal: bool, kind: str, site: str) -> Sample:
    name = path.relative_to(root).as_posix()
    return Sample(path, name, anomalous=not normal, kind=NORMAL_KIND if normal else kind, site=site)


# --- masks in a folder of their own -----------------------------------------------------------------------------------


def _with_masks(images: LabelledImages, masks: Path | None) -> LabelledImages:
    own = images.root / "masks"
    if masks is None and images.layout in ("folder", "sites") and own.is_dir():
        masks = own
    if masks is None:
        return images
    stems = Counter(_stem(sample.path.name) for sample in images.samples)
    shared = {stem for stem, count in stems.items() if count > 1}
    found = [_find_mask(masks, sample, shared) for sample in images.samples]
    samples = [replace(sample, mask=mask) for sample, mask in zip(images.samples, found, strict=True)]
    return replace(images, samples=tuple(samples), notes=(*images.notes, *_ambiguous(masks, images.samples, shared)))


def _find_mask(masks: Path, sample: Sample, shared: set[str]) -> Path | None:
    if not sample.anomalous:
        return None
    stem = _stem(sample.path.name)
    nested = Path(sample.name).with_name(stem)
    places = [nested] if stem in shared else [nested, Path(stem)]
    candidates = (masks / f"{place}{ending}.png" for place in places for ending in ("", *MASK_ENDINGS))
    return next((path for path in candidates if path.is_file()), None)


def _ambiguous(masks: Path, samples: tuple[Sample, ...], shared: set[str]) -> Iterator[str]:
    for stem in sorted(shared):
        owners = [sample.name for sample in samples if _stem(sample.path.name) == stem and sample.anomalous]
        if owners and (masks / f"{stem}.png").is_file():
            yield f"mask {stem}.png could belong to {' or '.join(owners)}: used for none of them"


# --- files ------------------------------------------------------------------------------------------------------------


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]


def _files_below(folder: Path) -> Iterator[Path]:
    yield from _files(folder)
    for inner in _folders(folder):
        yield from _files_below(inner)


def _child(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((path for path in _folders(folder) if path.name.casefold() in names), None)


def _stem(name: str) -> str:
    """Return a file's name without its image suffixes (``a.png.png`` is ``a``)."""
    stem = Path(name).stem
    while _SUFFIX.search(stem):
        stem = _SUFFIX.sub("", stem)
    return stem


def _mask_beside(path: Path) -> Path | None:
    candidates = (path.with_name(f"{path.stem}{ending}.png") for ending in MASK_ENDINGS)
    return next((mask for mask in candidates if mask.is_file()), None)
