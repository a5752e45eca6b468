"""Which pictures are learnt from and which are judged: folds that never share a picture, a group or a copy."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from isotherm.core.errors import DataError, IsothermError
from isotherm.core.files import sha256
from isotherm.datasets.label_table import order_of, some
from isotherm.datasets.layouts import LabelledImages, Sample
from isotherm.formats.reading import load

Protocol = Literal["fixed", "leave-one-site-out", "kfold"]


@dataclass(frozen=True)
class Fold:
    """One model's share: `train` holds normal pictures only; none of `test` has been learnt from."""

    name: str
    train: tuple[Sample, ...]
    test: tuple[Sample, ...]


@dataclass(frozen=True)
class Distinct:
    """Pictures of which no two are byte-identical, with their digests, and what was left out or joined."""

    samples: tuple[Sample, ...]
    digests: dict[str, str]
    """sample name -> sha256 of the file."""
    notes: tuple[str, ...]


def distinct(images: LabelledImages) -> Distinct:
    """Keep one of each set of byte-identical files, and none where their labels contradict each other.

    Of copies in a training and a test part the one in the test part stays. Groups that share a file are one item under
    two names and become one group.

    A file that cannot be opened is like no other; reading it will say why.
    """
    digests = {sample.name: _digest(sample) for sample in images.samples}
    copies: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(images.samples, key=lambda sample: sample.part == "train"):
        copies[digests[sample.name]].append(sample)
    contradicting = [sample for same in copies.values() if _contradict(same) for sample in same]
    extra = [sample for same in copies.values() if not _contradict(same) for sample in same[1:]]
    left_out = {sample.name for sample in (*contradicting, *extra)}
    groups = _joined_groups(copies.values())
    kept = [
        replace(sample, group=groups.get(sample.group, sample.group))
        for sample in images.samples
        if sample.name not in left_out
    ]
    return Distinct(tuple(kept), digests, tuple(_notes(contradicting, extra, groups)))


def _digest(sample: Sample) -> str:
    try:
        return sha256(load(sample.path))
    except IsothermError:
        return f"unreadable {sample.name}"


def _contradict(same: Sequence[Sample]) -> bool:
    return len({sample.anomalous for sample in same}) > 1 or len({sample.kind for sample in same}) > 1


def _joined_groups(copies: Iterable[Sequence[Sample]]) -> dict[str, str]:
    """Return the new name of each group that shares a file with another."""
    first: dict[str, str] = {}

    def root(group: str) -> str:
        while group in first:
            group = first[group]
        return group

    for same in copies:
        roots = sorted({root(sample.group) for sample in same if sample.group})
        for other in roots[1:]:
            first[other] = roots[0]
    return {group: root(group) for group in first}


def _notes(contradicting: Sequence[Sample], extra: Sequence[Sample], groups: dict[str, str]) -> Iterable[str]:
    if extra:
        yield f"{len(extra)} byte-identical copies left out: {some(sample.name for sample in extra)}"
    if contradicting:
        names = some(sample.name for sample in contradicting)
        yield f"{len(contradicting)} byte-identical pictures with contradicting labels left out: {names}"
    if groups:
        yield f"groups that share a picture joined: {some(f'{group} with {into}' for group, into in groups.items())}"


def with_groups(images: LabelledImages, table: Path) -> LabelledImages:
    """Give each picture the group, and perhaps the order in it, that a CSV table names for it.

    The columns are ``file``, ``group`` and, where pictures of a group were taken one after another, ``order``, a
    number.

    Raises
    ------
    DataError
        The table cannot be read, lacks a column or a picture, or names one that does not exist.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            rows = {row["file"]: (row["group"], order_of(table, row)) for row in csv.DictReader(stream)}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: cannot be read: {error}") from error
    except KeyError as error:
        raise DataError(f"{table}: no column {error}; expected the columns file and group") from error
    missing = [sample.name for sample in images.samples if not rows.get(sample.name, ("",))[0]]
    if missing:
        raise DataError(f"{table}: no group for {some(missing)} (names are relative to {images.root})")
    absent = sorted(set(rows) - {sample.name for sample in images.samples})
    if absent:
        raise DataError(f"{table}: names images that {images.root} does not hold: {some(absent)}")
    samples = (replace(each, group=rows[each.name][0], order=rows[each.name][1]) for each in images.samples)
    return replace(images, samples=tuple(samples))


def fixed(samples: Sequence[Sample], *, train_share: float, seed: int) -> list[Fold]:
    """Learn from the layout's own training part, or from a seeded share of each site's normal pictures.

    Where the layout has no training part, whole groups go to one side; anomalous pictures are all judged (but those of
    a group that is learnt from).
    """
    if any(sample.part for sample in samples):
        train = [sample for sample in samples if sample.part == "train"]
        return [_fold("fixed", train, [sample for sample in samples if sample.part != "train"])]
    chosen = {key for site in _sites(samples) for key in _training_keys(samples, site, train_share, seed)}
    train = [sample for sample in samples if _key(sample) in chosen]
    return [_fold("fixed", train, [sample for sample in samples if _key(sample) not in chosen])]


def _training_keys(samples: Sequence[Sample], site: str, share: float, seed: int) -> list[str]:
    keys = sorted({_key(sample) for sample in samples if sample.site == site and not sample.anomalous})
    count = min(round(share * len(keys)), len(keys) - 1)
    order = np.random.default_rng([seed, len(keys)]).permutation(len(keys))
    return [keys[index] for index in order[:count]]


def leave_one_site_out(samples: Sequence[Sample]) -> list[Fold]:
    """Judge each site by a model that has learnt from the normal pictures of all others."""
    sites = _sites(samples)
    if len(sites) < 2:
        raise DataError(f"leave-one-site-out needs at least two sites; found only {', '.join(sites)}")
    return [
        _fold(
            site,
            [sample for sample in samples if sample.site != site],
            [sample for sample in samples if sample.site == site],
        )
        for site in sites
    ]


def kfold(samples: Sequence[Sample], *, folds: int, seed: int) -> list[Fold]:
    """Cut the groups into `folds` parts of about the same make-up; judge each by a model that learnt from the others.

    Groups go, largest first and in seeded order among equals, to the part that has the fewest pictures of their most
    frequent kind so far (then the fewest pictures).
    """
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[_key(sample)].append(sample)
    if len(groups) < folds:
        raise DataError(f"{folds} folds need at least as many groups of pictures; found {len(groups)}")
    names = sorted(groups)
    shuffled = [names[index] for index in np.random.default_rng(seed).permutation(len(names))]
    parts: list[list[Sample]] = [[] for _ in range(folds)]
    kinds: list[Counter[str]] = [Counter() for _ in range(folds)]
    for name in sorted(shuffled, key=lambda name: -len(groups[name])):
        kind = _rarest_need(groups[name])
        target = min(range(folds), key=lambda index: (kinds[index][kind], len(parts[index]), index))
        parts[target] += groups[name]
        kinds[target].update(sample.kind for sample in groups[name])
    tested = [{sample.name for sample in part} for part in parts]
    return [
        _fold(
            f"fold {index + 1}",
            [sample for sample in samples if sample.name not in part],
            [sample for sample in samples if sample.name in part],
        )
        for index, part in enumerate(tested)
    ]


def _rarest_need(group: Sequence[Sample]) -> str:
    """Return the kind by which a group is placed: its most frequent kind of defect, as defects are the scarcer."""
    faulty = Counter(sample.kind for sample in group if sample.anomalous)
    return faulty.most_common(1)[0][0] if faulty else group[0].kind


def _fold(name: str, train: Sequence[Sample], test: Sequence[Sample]) -> Fold:
    judged = {sample.group for sample in test if sample.group}
    normal = tuple(sample for sample in train if not sample.anomalous and sample.group not in judged)
    if not normal:
        raise DataError(f"{name}: no normal pictures to learn from")
    if not test:
        raise DataError(f"{name}: no pictures left to judge")
    return Fold(name, normal, tuple(test))


def _sites(samples: Sequence[Sample]) -> list[str]:
    return list(dict.fromkeys(sample.site for sample in samples))


def _key(sample: Sample) -> str:
    # A picture without a group is a group of its own; the separator keeps it apart from a group of that name.
    return sample.group or f"\0{sample.name}"
