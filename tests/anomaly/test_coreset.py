"""The fast core set against the literal greedy rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.anomaly import coreset
from isotherm.anomaly.coreset import greedy_coreset


def literal(points: np.ndarray, count: int, start: int) -> list[int]:
    """Take the farthest point, again and again, in double precision."""
    points = points.astype(np.float64)
    chosen = [start]
    distances = np.square(points - points[start]).sum(axis=1)
    while len(chosen) < count:
        chosen.append(int(distances.argmax()))
        distances = np.minimum(distances, np.square(points - points[chosen[-1]]).sum(axis=1))
    return chosen


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 400), st.integers(1, 20), st.integers(0, 10_000), st.sampled_from([1, 2, 7, 32, 1000]))
def test_each_step_takes_a_farthest_point(count: int, dimensions: int, seed: int, batch: int) -> None:
    rng = np.random.default_rng(seed)
    points = (rng.normal(0, 1, (count, dimensions)) * rng.gamma(1, 1, (count, 1))).astype(np.float32)
    wanted, start = int(rng.integers(1, count + 1)), int(rng.integers(count))
    found = greedy_coreset(points, wanted, start=start, batch=batch)
    rounding = 1e-5 * np.square(points).sum(axis=1).max()
    distances = np.full(count, np.inf)
    for place, taken in enumerate(found):
        assert place == 0 or distances[taken] >= distances.max() - rounding
        distances = np.minimum(distances, np.square(points.astype(np.float64) - points[taken]).sum(axis=1))
    assert found[0] == start
    # Fewer come out only where float32 cannot tell the rest from what is taken.
    assert len(found) == wanted or distances.max() <= rounding


@pytest.mark.parametrize("batch", [1, 16, 200, 5000])
def test_the_selection_is_the_literal_one(batch: int) -> None:
    points = np.random.default_rng(2).normal(0, 1, (1500, 24)).astype(np.float32)
    assert greedy_coreset(points, 300, start=5, batch=batch).tolist() == literal(points, 300, 5)


@pytest.mark.parametrize("block", [7, 64])
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    points = np.random.default_rng(1).normal(0, 1, (500, 12)).astype(np.float32)
    expected = literal(points, 120, 3)
    monkeypatch.setattr(coreset, "BLOCK", block)
    assert greedy_coreset(points, 120, start=3, batch=50).tolist() == expected


def test_copies_are_taken_once() -> None:
    points = np.random.default_rng(0).normal(0, 1, (40, 8)).astype(np.float32)
    found = greedy_coreset(np.repeat(points, 5, axis=0), 150)
    assert sorted(set(found // 5)) == list(range(40))
    assert len(found) == 40
    assert greedy_coreset(np.zeros((9, 4), np.float32), 5).tolist() == [0]


def test_progress_reaches_the_end() -> None:
    points = np.random.default_rng(0).normal(0, 1, (300, 8)).astype(np.float32)
    reports: list[tuple[int, int, str]] = []
    greedy_coreset(points, 100, progress=lambda *report: reports.append(report), batch=32)
    assert reports[-1] == (100, 100, "coreset")
    assert [done for done, _, _ in reports] == sorted({done for done, _, _ in reports})
