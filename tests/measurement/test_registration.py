"""Pictures of one view are laid over each other; other pictures are refused, with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from isotherm.formats import read
from isotherm.measurement.registration import LEAST_CORRELATION, Registration, moved, register, view_of

HEIGHT, WIDTH = 120, 160


def scene(x: np.ndarray, y: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the temperatures [°C] of a cabinet of warm boxes at any places (x, y) [px]."""
    random = np.random.default_rng(seed)
    values = 25 + 0.02 * x
    for _ in range(14):
        left, top = random.uniform(-20, WIDTH), random.uniform(-20, HEIGHT)
        wide, high, rise = random.uniform(8, 50), random.uniform(8, 40), random.uniform(2, 12)
        # Edges of two pixels, so that parts of a pixel can be seen.
        inside = [1 / (1 + np.exp(-side)) for side in (x - left, left + wide - x, y - top, top + high - y)]
        values = values + rise * np.prod(inside, axis=0)
    return values


def view(turn_deg: float = 0, size: float = 1, right: float = 0, down: float = 0, seed: int = 0) -> np.ndarray:
    """Return the scene through a camera that was moved, and the places of its pixels."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    angle, middle = np.radians(turn_deg), ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    across, along = x - middle[0], y - middle[1]
    seen_x = size * (np.cos(angle) * across - np.sin(angle) * along) + middle[0] + right
    seen_y = size * (np.sin(angle) * across + np.cos(angle) * along) + middle[1] + down
    noise = np.random.default_rng(seed + 100).normal(0, 0.1, (HEIGHT, WIDTH))
    return (scene(seen_x, seen_y, seed) + noise).astype(np.float32)


def corner_error(found: Registration, turn_deg: float, size: float, right: float, down: float) -> float:
    """Return how far [px] the corners of the reference are from where they lie in the unmoved picture."""
    angle, middle = np.radians(turn_deg), np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([[0.0, 0], [WIDTH - 1, 0], [0, HEIGHT - 1], [WIDTH - 1, HEIGHT - 1]])
    true = (corners - middle) @ turn.T + middle + [right, down]
    return float(
        max(
            np.hypot(*(np.array(found.place(*corner.tolist())) - place))
            for corner, place in zip(corners, true, strict=True)
        )
    )


@pytest.mark.parametrize(
    "motion",
    [(0, 1, 0, 0), (0, 1, 6.3, -4.6), (4, 1, 3, 2), (-5, 0.93, -8, 5), (7, 1.12, 10, -6), (0, 0.85, 0, 0)],
)
def test_a_moved_camera_is_found_to_a_pixel(motion: tuple[float, float, float, float]) -> None:
    found = register(view(*motion), view())
    assert found.accepted, found.reason
    assert corner_error(found, *motion) < 1.0
    assert found.correlation > 0.9
    assert found.kind == ("translation" if motion[:2] == (0, 1) else "affine")


def test_warming_and_a_new_hot_spot_do_not_move_it() -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    later = view(right=5) * 1.3 + 8 + 60 * np.exp(-((x - 110) ** 2 + (y - 30) ** 2) / 20)
    found = register(view(), later.astype(np.float32))
    assert found.accepted
    assert corner_error(found, 0, 1, -5, 0) < 0.6


def test_the_moved_picture_fits_and_is_nan_where_nothing_was_seen() -> None:
    reference, later = view(), view(right=12)
    found = register(reference, later)
    shown = moved(later, found, reference.shape)
    seen = np.isfinite(shown)
    assert not seen[:, :11].any()
    assert seen[:, 13:].all()
    assert found.overlap == pytest.approx(1 - 12 / WIDTH, abs=0.01)
    assert np.abs(shown - reference)[seen].mean() < 0.2


def test_a_picture_of_another_resolution_is_the_same_view() -> None:
    finer = np.kron(view(), np.ones((2, 2), np.float32))
    found = register(view(), finer)
    assert found.accepted
    assert found.place(10, 20) == pytest.approx((20.5, 40.5), abs=0.3)


@settings(deadline=None, max_examples=8)
@given(st.integers(1, 10_000))
@example(81)
@example(145)
def test_other_views_are_refused(seed: int) -> None:
    found = register(view(), view(seed=seed))
    assert not found.accepted
    assert found.reason


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.full((HEIGHT, WIDTH), 20, np.float32), "the picture shows no structure"),
        (np.full((HEIGHT, WIDTH), np.nan, np.float32), "the picture shows no structure"),
        (np.zeros((8, 8), np.float32), "fewer than 16 pixels"),
        (view()[:, :100], "different forms"),
        (np.random.default_rng(1).normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), "agrees by|turned or|is in both"),
    ],
)
def test_what_cannot_be_compared_says_why(picture: np.ndarray, reason: str) -> None:
    found = register(view(), picture)
    assert not found.accepted
    assert any(part in found.reason for part in reason.split("|")), found.reason


def test_a_view_is_all_that_is_needed_and_a_small_part_of_the_picture() -> None:
    first, second = np.kron(view(), np.ones((6, 6))), np.kron(view(right=5), np.ones((6, 6)))
    views = view_of(first), view_of(second)
    whole, from_views = register(first, second), register(*views)
    assert np.array_equal(whole.matrix, from_views.matrix)
    assert (whole.correlation, whole.overlap, whole.reason) == (from_views.correlation, from_views.overlap, "")
    for one in views:
        assert one.coarse is not None
        assert one.fine is not None
        assert one.coarse.nbytes + one.fine.nbytes < first.nbytes / 20


def test_gaps_do_not_matter() -> None:
    later = view(right=4)
    later[:, :3] = np.nan
    later[50:60, 50:60] = np.nan
    assert corner_error(register(view(), later), 0, 1, -4, 0) < 0.6


@pytest.mark.real_data
def test_real_pictures_of_one_view_and_of_others(data: Path) -> None:
    folder = data / "resistive_circuit"
    paths = sorted(folder.rglob("IR_032[678].jpg")) + sorted(folder.rglob("IR_0332.jpg"))
    first, second, third, other = (read(path).values() for path in paths)
    for later in (second, third):
        found = register(first, later)
        assert found.accepted, found.reason
        assert found.correlation > 0.8
    assert register(first, other).correlation < LEAST_CORRELATION
