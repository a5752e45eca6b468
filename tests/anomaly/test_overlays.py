"""What is drawn into a picture is found, and the scene is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from overlaid_scenes import IRON, RAINBOW, Drawing, coloured, overlaid, temperatures

from isotherm.core.errors import ModelError
from isotherm.core.regions import dilate
from isotherm.formats.overlays import OverlayModel, find, learn


def share_marked(found: np.ndarray, where: np.ndarray) -> float:
    return float(found[where].mean())


def far_from(drawn: np.ndarray) -> np.ndarray:
    """Return what is so far from everything drawn that no margin reaches it."""
    return ~dilate(drawn, 10)


@pytest.mark.parametrize("palette", [IRON, RAINBOW], ids=["iron", "rainbow"])
@pytest.mark.parametrize("seed", range(4))
def test_what_a_camera_draws_is_found_and_hardly_anything_else(
    seed: int, palette: list[tuple[float, tuple[int, int, int]]]
) -> None:
    drawing = overlaid(seed, palette)
    found = find(drawing.picture)
    assert share_marked(found, drawing.drawn) > 0.9
    assert share_marked(found, far_from(drawing.drawn)) < 0.002


@pytest.mark.parametrize("palette", [IRON, RAINBOW], ids=["iron", "rainbow"])
@pytest.mark.parametrize("seed", range(4))
def test_a_scene_with_hot_spots_and_wires_has_no_overlays(
    seed: int, palette: list[tuple[float, tuple[int, int, int]]]
) -> None:
    assert not find(coloured(temperatures(seed), palette)).any()


@pytest.mark.parametrize("seed", range(4))
def test_print_in_a_grey_picture_is_found_and_the_scene_left_alone(seed: int) -> None:
    grey = (30 + 190 * temperatures(seed)).astype(np.uint8)
    assert not find(grey).any()
    drawing = Drawing.on(grey)
    drawing.text((20, 20), "12.03.2026", size=18)
    found = find(drawing.picture)
    assert share_marked(found, drawing.drawn) > 0.9
    assert share_marked(found, far_from(drawing.drawn)) == 0


def test_a_hot_spot_under_print_is_left_alone_beyond_the_print() -> None:
    drawing = Drawing.on(coloured(temperatures(1), RAINBOW))
    hot = temperatures(1) > 0.85
    # The spot is where hot pixels lie in a heap, away from the wire.
    row, column = np.unravel_index(np.argmax(sum(np.roll(hot, step, axis=0) * 1 for step in range(-5, 6))), hot.shape)
    drawing.text((int(column) + 2, int(row) - 8), "88.8", size=16)
    found = find(drawing.picture)
    assert share_marked(found, drawing.drawn) > 0.9
    assert share_marked(found, hot & far_from(drawing.drawn)) == 0


def test_frames_are_found_to_their_edge() -> None:
    drawing = Drawing.on(coloured(temperatures(2), IRON))
    drawing.frame(bottom=14, right=30)
    found = find(drawing.picture)
    assert share_marked(found, drawing.drawn) == 1
    assert share_marked(found, far_from(drawing.drawn)) == 0


def test_a_sky_of_one_colour_is_no_frame() -> None:
    place = temperatures(3)
    place[:60] = 0
    place[60:80] *= np.linspace(0, 1, 20)[:, None]
    assert not find(coloured(place, IRON)).any()


def test_a_large_picture_is_searched_at_a_lower_resolution() -> None:
    small = overlaid(0, RAINBOW)
    large = small.picture.repeat(5, axis=0).repeat(5, axis=1)
    found = find(large)
    assert found.shape == large.shape[:2]
    assert share_marked(found, small.drawn.repeat(5, axis=0).repeat(5, axis=1)) > 0.8


def test_a_picture_too_small_for_print_has_no_overlays() -> None:
    rng = np.random.default_rng(0)
    assert not find(rng.integers(0, 256, (40, 24), dtype=np.uint8)).any()


def marked_set(count: int) -> list[np.ndarray]:
    """Return grey scenes with the same small sign at the same place."""
    pictures = []
    for seed in range(count):
        drawing = Drawing.on((20 + 150 * temperatures(seed)).astype(np.uint8))
        drawing.crosshair(160, 60)
        pictures.append(drawing.picture)
    return pictures


def test_what_is_constant_across_the_set_is_learnt_and_found() -> None:
    pictures = marked_set(8)
    sign = Drawing.on(np.zeros((240, 320), np.uint8))
    sign.crosshair(160, 60)
    assert not find(pictures[0]).any(), "one grey picture alone must not be enough"
    model = learn(pictures)
    found = find(pictures[0], model)
    assert share_marked(found, sign.drawn) > 0.95
    assert share_marked(found, far_from(sign.drawn)) == 0


def test_a_learnt_mark_is_not_seen_where_a_picture_lacks_it() -> None:
    model = learn(marked_set(8))
    other = (20 + 150 * temperatures(99)).astype(np.uint8)
    assert not find(other, model).any()
    assert not find(other[:200], model).any()


def test_few_pictures_and_a_camera_that_stood_still_teach_nothing() -> None:
    assert not learn(marked_set(5)).constant.any()
    rng = np.random.default_rng(0)
    scene = 200 * temperatures(0)
    scene[100:140, 80:83] = 250
    still = [(scene + rng.normal(0, 1, scene.shape)).clip(0, 255).astype(np.uint8) for _ in range(8)]
    assert not learn(still).constant.any()
    assert not learn([]).constant.size


def test_a_model_becomes_plain_values_and_back() -> None:
    model = learn(marked_set(8))
    values = model.to_mapping()
    assert np.array_equal(OverlayModel.from_mapping(values).constant, model.constant)
    empty = OverlayModel.empty()
    assert OverlayModel.from_mapping(empty.to_mapping()).constant.shape == (0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"size": [240]},
        {"size": [10**9, 10**9]},
        {"changes": ["a"]},
        {"changes": [3]},
        {"changes": [5, 3]},
        {"changes": [0, 10**12]},
        {"changes": [-4, 3]},
    ],
    ids=str,
)
def test_a_damaged_description_is_refused(change: dict[str, list[object]]) -> None:
    with pytest.raises(ModelError, match="description of its overlays"):
        OverlayModel.from_mapping(learn(marked_set(6)).to_mapping() | change)
