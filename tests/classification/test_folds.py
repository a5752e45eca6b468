"""Folds: whole groups, every category on the learning side, nothing judged twice."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.classification.folds import grouped_folds, held_out_fold

cases = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8)), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(cases, st.integers(2, 6), st.integers(0, 3))
def test_promises(pairs: list[tuple[int, int]], folds: int, seed: int) -> None:
    labels = np.unique([label for label, _ in pairs], return_inverse=True)[1].astype(np.int64)
    groups = np.array([group for _, group in pairs], np.int64)
    found = grouped_folds(labels, groups, folds=folds, seed=seed)
    judged = np.concatenate([fold.judged for fold in found]) if found else np.empty(0, np.int64)
    assert len(found) <= folds
    assert len(set(judged.tolist())) == judged.size
    for fold in found:
        assert not set(groups[fold.learnt].tolist()) & set(groups[fold.judged].tolist())
        assert sorted([*fold.learnt.tolist(), *fold.judged.tolist()]) == list(range(len(pairs)))
        assert set(labels[fold.learnt].tolist()) == set(labels.tolist())
    for label in set(labels.tolist()):
        owners = set(groups[labels == label].tolist())
        if len(owners) == 1:
            assert label not in labels[judged]


def test_categories_are_dealt_evenly() -> None:
    labels = np.repeat(np.array([0, 1, 2], np.int64), (50, 20, 10))
    for fold in grouped_folds(labels, np.arange(80), folds=5, seed=1):
        assert np.bincount(labels[fold.judged]).tolist() == [10, 4, 2]


def test_the_seed_decides() -> None:
    labels, groups = np.tile(np.array([0, 1], np.int64), 20), np.arange(40)
    first, again, other = (held_out_fold(labels, groups, share=0.25, seed=seed)[0].judged for seed in (0, 0, 1))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
    assert len(first) == 10


def test_one_picture_of_each_category_cannot_be_held_out() -> None:
    assert grouped_folds(np.arange(4), np.arange(4), folds=5, seed=0) == ()
    assert held_out_fold(np.zeros(3, np.int64), np.zeros(3, np.int64), share=0.2, seed=0) == ()
