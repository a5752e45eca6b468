"""Which examples are held out: whole groups, and every category in about the same share everywhere."""

from __future__ import annotations

import numpy as np

from isotherm.classification.method import Fold, Labels


def grouped_folds(labels: Labels, groups: Labels, *, folds: int, seed: int) -> tuple[Fold, ...]:
    """Deal whole groups into at most `folds` parts; each is judged by what learns from the others.

    Groups go, largest first and in seeded order among equals, to the part that has the fewest examples of their rarest
    category so far (then the fewest at all). A group that holds the last examples of a category stays on the
    learning side always. With fewer than two groups that can be held out there is no fold.
    """
    if not labels.size:
        return ()
    names, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), int(labels.max()) + 1), np.int64)
    np.add.at(counts, (group, labels), 1)
    free = np.flatnonzero(~_only_ones(counts))
    parts = min(folds, len(free))
    if parts < 2:
        return ()
    part = np.full(len(names), -1)
    part[free] = _dealt(counts[free], parts, np.random.default_rng(seed))
    return _sound([_fold(part[group], number) for number in range(parts)], labels)


def held_out_fold(labels: Labels, groups: Labels, *, share: float, seed: int) -> tuple[Fold, ...]:
    """Return one fold whose judged part holds about `share` of the examples; none where nothing can be held out."""
    return grouped_folds(labels, groups, folds=max(2, round(1 / share)), seed=seed)[:1]


def _only_ones(counts: np.ndarray) -> np.ndarray:
    """Say which groups (G) hold all examples of some category."""
    return np.asarray(((counts == counts.sum(axis=0)) & (counts > 0)).any(axis=1))


def _dealt(counts: np.ndarray, parts: int, rng: np.random.Generator) -> np.ndarray:
    """Return the part of each group by its counts (G C)."""
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    filled = np.zeros((parts, counts.shape[1]), np.int64)
    found = np.empty(len(counts), np.int64)
    rarity = counts.sum(axis=0)
    for number in order:
        held = np.flatnonzero(counts[number])
        wanted = held[np.argmin(rarity[held])]
        target = np.lexsort((filled.sum(axis=1), filled[:, wanted]))[0]
        found[number] = target
        filled[target] += counts[number]
    return found


def _fold(part: np.ndarray, number: int) -> Fold:
    return Fold(np.flatnonzero(part != number), np.flatnonzero(part == number))


def _sound(folds: list[Fold], labels: Labels) -> tuple[Fold, ...]:
    """Leave out folds that could not learn every category that they judge, or judge nothing."""
    every = np.unique(labels).size
    return tuple(fold for fold in folds if fold.judged.size and np.unique(labels[fold.learnt]).size == every)
