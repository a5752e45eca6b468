"""Pictures with categories: from folders, from tables, and which of them may be learnt from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
from jaxtyping import Int64

from isotherm.classification.folds import held_out_fold
from isotherm.core.errors import DataError
from isotherm.datasets.label_table import TABLE, read_table, some
from isotherm.datasets.layouts import Part
from isotherm.workflows.classify_model import NO_CATEGORY
from isotherm.workflows.reading import list_images, printable

TRAIN_NAMES, TEST_NAMES = ("train", "training"), ("test", "testing")
MOST_LABEL = 200
"""Longest name of a category."""
Places = Int64[np.ndarray, " _"]


@dataclass(frozen=True)
class LabelledPicture:
    """One picture and its category.

    Parameters
    ----------
    path
        The file.
    label
        The category.
    name
        What it is called in results; empty: the file's name.
    group
        Pictures of one group depend on each other (one item, one asset) and never lie on both sides of a split; empty
        for a picture of its own.
    part
        ``test``: never learnt from; ``train`` and empty: learnt from (but for a share that is held out at random).
    common
        Belongs to a shared collection rather than to this site.
    """

    path: Path
    label: str
    name: str = ""
    group: str = ""
    part: Part = ""
    common: bool = False

    @property
    def shown(self) -> str:
        """Return what it is called in results."""
        return self.name or printable(Path(self.path.name))


@dataclass(frozen=True)
class LabelledFolder:
    """The pictures of a folder in natural order, and what a user should know about them, one sentence each."""

    root: Path
    pictures: tuple[LabelledPicture, ...]
    notes: tuple[str, ...] = ()


def labelled_folder(root: Path, *, groups: Path | None = None, common: bool = False) -> LabelledFolder:
    """Find the pictures below a folder; none is opened.

    ``<root>/<category>/...``, or ``<root>/train/<category>/...`` and ``<root>/test/<category>/...`` (also called
    training and testing), or a table ``labels.csv`` in the root with the columns file and label, and perhaps kind (more
    particular than the label: it is the category where it is not empty), group, and part (train or test).

    Parameters
    ----------
    groups
        CSV table with the columns file and group.
    common
        Whether this is a collection that is shared by several sites.

    Raises
    ------
    DataError
        No such folder, no picture, a category that cannot be one, or a table that does not fit.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    found, notes = _from_table(root) if (root / TABLE).is_file() else _from_folders(root)
    if not found:
        raise DataError(f"{root}: no pictures in folders of categories; expected {root.name}/<category>/<picture>")
    named = _grouped(root, found, groups) if groups else found
    return LabelledFolder(root, tuple(replace(each, common=common) for each in named), tuple(notes))


def check_label(label: str) -> None:
    """Raise DataError where a category cannot be called so."""
    if not label.strip() or len(label) > MOST_LABEL or label == NO_CATEGORY or not label.isprintable():
        raise DataError(
            f"{label[:MOST_LABEL]!r} cannot be a category: 1 to {MOST_LABEL} printable characters, not {NO_CATEGORY!r}"
        )


def _from_table(root: Path) -> tuple[list[LabelledPicture], list[str]]:
    table = root / TABLE
    names, rows = read_table(table)
    if "file" not in names or "label" not in names:
        raise DataError(f"{table}: expected the columns file and label, and perhaps kind, group and part")
    absent = [row["file"] for row in rows if not row["file"] or not (root / row["file"]).is_file()]
    if absent:
        raise DataError(f"{table}: names files that {root} does not hold: {some(absent)}")
    twice = [name for name, count in Counter(row["file"] for row in rows).items() if count > 1]
    if twice:
        raise DataError(f"{table}: names {some(twice)} more than once")
    return [_of_row(table, row) for row in rows], []


def _of_row(table: Path, row: Mapping[str, str]) -> LabelledPicture:
    label, part = row.get("kind") or row["label"], row.get("part") or ""
    check_label(label)
    if part not in get_args(Part):
        raise DataError(f"{table}: the part of {row['file']} is {part!r}; it can be train, test or empty")
    return LabelledPicture(
        table.parent / row["file"],
        label,
        name=row["file"],
        group=row.get("group") or "",
        part=part,  # type: ignore[arg-type]
    )


def _from_folders(root: Path) -> tuple[list[LabelledPicture], list[str]]:
    children = _folders(root)
    names = {child.name.casefold(): child for child in children}
    train = next((names[name] for name in TRAIN_NAMES if name in names), None)
    test = next((names[name] for name in TEST_NAMES if name in names), None)
    if train is None or test is None:
        return _categories(root, root, "")
    found, notes = _categories(root, train, "train")
    tested, more = _categories(root, test, "test")
    return found + tested, notes + more


def _categories(root: Path, folder: Path, part: Part) -> tuple[list[LabelledPicture], list[str]]:
    pictures, notes = list[LabelledPicture](), list[str]()
    for child in sorted(_folders(folder), key=lambda child: child.name):
        label = printable(Path(child.name))
        check_label(label)
        if not any(child.rglob("*")):
            notes.append(f"category {label!r} has no pictures and is left out")
            continue
        pictures += [
            LabelledPicture(path, label, name=printable(path.relative_to(root)), part=part)
            for path in list_images(child)
        ]
    return pictures, notes


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]


def _grouped(root: Path, pictures: Sequence[LabelledPicture], table: Path) -> list[LabelledPicture]:
    names, rows = read_table(table)
    if "file" not in names or "group" not in names:
        raise DataError(f"{table}: expected the columns file and group")
    groups = {row["file"]: row["group"] for row in rows}
    missing = [picture.name for picture in pictures if not groups.get(picture.name)]
    if missing:
        raise DataError(f"{table}: no group for {some(missing)} (names are relative to {root})")
    return [replace(picture, group=groups[picture.name]) for picture in pictures]


@dataclass(frozen=True, eq=False)
class Sides:
    """Which rows are learnt from, which are tested, and what a user should know about it.

    Parameters
    ----------
    train, test
        Places of rows; no two rows of ``train`` are byte-identical.
    learnt
        How many test pictures are (or depend on) pictures that are learnt from. They are not in ``test``, unless there
        are no others.
    """

    train: Places
    test: Places
    learnt: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """What is known of one usable picture beside its values."""

    name: str
    label: str
    digest: str
    group: str = ""
    part: Part = ""
    common: bool = False


def split_rows(
    rows: Sequence[Row], *, test_share: float = 0.0, seed: int = 0, common_in_testing: bool = False
) -> Sides:
    """Part pictures into those to learn from and those to test with.

    Of byte-identical pictures one is kept, and none where their labels contradict each other. A test picture that is
    also learnt from, or is of a group that is, does not count.

    Parameters
    ----------
    test_share
        Share of the pictures that is held out at random, by groups, where no part is called test.
    common_in_testing
        Whether test pictures of a shared collection are tested too.
    """
    kept, notes = _distinct(rows)
    tested = {place for place, row in enumerate(rows) if row.part == "test" and (common_in_testing or not row.common)}
    test = [place for place in kept if place in tested]
    train = [place for place in kept if rows[place].part != "test"]
    if not test and test_share > 0:
        train, test = _drawn(rows, train, test_share, seed)
    digests = {rows[place].digest for place in train}
    groups = {rows[place].group for place in train if rows[place].group}
    copies = [place for place in sorted(tested) if rows[place].digest in digests]
    dependent = [place for place in test if rows[place].group in groups]
    fresh = [place for place in test if rows[place].group not in groups]
    learnt = len(copies) + len(dependent)
    if learnt:
        notes.append(f"{learnt} test pictures are learnt from, or are of an item that is: {_what_then(fresh)}")
    if not fresh:
        fresh = dependent + copies
    return Sides(_places(train), _places(fresh), learnt, tuple(notes))


def _what_then(fresh: Sequence[int]) -> str:
    return "they are not tested" if fresh else "there are no others, so that the test says nothing"


def _places(found: Sequence[int]) -> Places:
    return np.array(sorted(found), np.int64)


def _distinct(rows: Sequence[Row]) -> tuple[list[int], list[str]]:
    """Return one place for each picture, that of training where there are several, and notes on what is left out."""
    copies: dict[str, list[int]] = defaultdict(list)
    for place in sorted(range(len(rows)), key=lambda place: rows[place].part == "test"):
        copies[rows[place].digest].append(place)
    contradicting = [same for same in copies.values() if len({rows[place].label for place in same}) > 1]
    sound = [same for same in copies.values() if len({rows[place].label for place in same}) == 1]
    extra = [place for same in sound for place in same[1:] if rows[place].part == rows[same[0]].part]
    notes = []
    if extra:
        notes.append(f"{len(extra)} byte-identical copies left out: {some(rows[place].name for place in extra)}")
    if contradicting:
        names = [rows[place].name for same in contradicting for place in same]
        notes.append(f"{len(names)} byte-identical pictures with contradicting labels left out: {some(names)}")
    return [same[0] for same in sound], notes


def _drawn(rows: Sequence[Row], places: Sequence[int], share: float, seed: int) -> tuple[list[int], list[int]]:
    labels = np.unique([rows[place].label for place in places], return_inverse=True)[1].astype(np.int64)
    folds = held_out_fold(labels, group_numbers([rows[place] for place in places]), share=share, seed=seed)
    if not folds:
        return list(places), []
    return [places[place] for place in folds[0].learnt], [places[place] for place in folds[0].judged]


def group_numbers(rows: Sequence[Row]) -> Places:
    """Return a number for each row, the same for rows of one group."""
    keys = [row.group or f"\0{place}" for place, row in enumerate(rows)]
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)


def counted(rows: Sequence[Row], sides: Sides) -> dict[str, dict[str, int]]:
    """Return how many pictures of each category are learnt from and tested, and how many of them are common."""
    labels = sorted({rows[place].label for place in (*sides.train, *sides.test)})
    counts = {
        "train": Counter(rows[place].label for place in sides.train),
        "test": Counter(rows[place].label for place in sides.test),
        "common": Counter(rows[place].label for place in sides.train if rows[place].common),
    }
    return {label: {name: count[label] for name, count in counts.items()} for label in labels}
