"""Maps and labels change together; values change within bounds, and only where their meaning allows it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from isotherm.segmentation.augment import augmented, blurred, moved, revalued, smooth_field, tilted, turned
from isotherm.segmentation.batch import Batch

STD4 = ("pct_1", "pct_2", "ppt_phase_1", "tsr_d1_1")
Step = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(seed: int, size: tuple[int, int] = (24, 24), channels: int = 4) -> Batch:
    generator = seeded(seed)
    truth, keep = torch.zeros(6, 1, *size), torch.ones(6, 1, *size)
    truth[:, :, 3:9, 5:12], keep[:, :, :, -4:] = 1.0, 0.0
    return Batch(torch.randn(6, channels, *size, generator=generator), truth, keep)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.integers(8, 30), st.integers(8, 30), st.sampled_from([turned, tilted, moved]))
def test_a_label_drawn_into_the_picture_moves_as_the_label_does(seed: int, height: int, width: int, step: Step) -> None:
    labels = (torch.rand(4, 1, height, width, generator=seeded(seed)) > 0.7).float()
    noise = torch.randn(4, 2, height, width, generator=seeded(seed + 1))
    alone = step(labels, seeded(seed))
    together = step(torch.cat([noise, labels], 1), seeded(seed))[:, 2:]
    assert together.shape == labels.shape
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.sampled_from([(24, 24), (20, 32)]))
# A corner of a tilted defect, one pixel wide and blurred.
@example(3312, (20, 32))
def test_the_truth_is_where_the_picture_shows_the_defect(seed: int, size: tuple[int, int]) -> None:
    # A picture that is its own label, high above what the changes of values do away from the rim of a defect.
    given_batch = batch(seed, size)
    drawn = Batch(100 * (2 * given_batch.truth - 1), given_batch.truth, given_batch.keep)
    found = augmented(drawn, ("tsr_d1_1",), seeded(seed))
    assert set(found.truth.unique().tolist()) <= {0.0, 1.0}
    assert set(found.keep.unique().tolist()) <= {0.0, 1.0}
    rim = functional.max_pool2d(found.truth, 3, 1, 1) != -functional.max_pool2d(-found.truth, 3, 1, 1)
    sure = (found.inputs.abs() > 60) & ~rim
    assert sure.float().mean() > 0.7
    assert torch.equal((found.inputs > 0)[sure], found.truth[sure] > 0)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.integers(4, 12), st.integers(4, 12))
def test_turning_loses_nothing(seed: int, height: int, width: int) -> None:
    planes = torch.randn(5, 2, height, width, generator=seeded(seed))
    found = turned(planes, seeded(seed))
    for before, after in zip(planes, found, strict=True):
        torch.testing.assert_close(before.flatten(1).sort()[0], after.flatten(1).sort()[0], atol=0, rtol=0)


def test_all_eight_ways_a_square_can_lie_occur() -> None:
    corner = torch.zeros(200, 1, 4, 4)
    corner[:, :, 0, 1] = 1
    found = {tuple(each.flatten().tolist()) for each in turned(corner, seeded(0))}
    assert len(found) == 8
    oblong = torch.zeros(200, 1, 4, 6)
    oblong[:, :, 0, 1] = 1
    assert len({tuple(each.flatten().tolist()) for each in turned(oblong, seeded(0))}) == 4


def test_tilts_keep_shape_and_change_size_within_bounds() -> None:
    planes = torch.zeros(200, 1, 64, 96)
    planes[:, :, 22:42, 38:58] = 1
    found = tilted(planes, seeded(0))
    areas = found.sum(dim=(1, 2, 3)) / 400
    assert 0.66 < float(areas.min()) < 0.75
    assert 1.35 < float(areas.max()) < 1.5
    assert (areas == 1).float().mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_only_principal_components_change_their_sign(seed: int) -> None:
    shown = torch.full((200, 4, 12, 12), 30.0)
    found = revalued(shown, STD4, seeded(seed)).mean(dim=(2, 3))
    assert (found[:, 2:] >= 0).all()
    assert float((found[:, :2] < 0).float().mean()) == pytest.approx(0.1, abs=0.04)
    # Gains lie within e^±0.3; a fifth of the pictures lacks a channel.
    present = found[found != 0].abs()
    assert 30 * 0.74 - 2 < float(present.min()) < float(present.max()) < 30 * 1.35 + 2
    assert float((found == 0).any(dim=1).float().mean()) == pytest.approx(0.2, abs=0.07)
    assert int((found == 0).sum(dim=1).max()) == 1


def test_frames_keep_their_course_over_time() -> None:
    curve = torch.tensor([8.0, 4.0, 2.0, 1.0]) * 10
    shown = curve[None, :, None, None].expand(50, -1, 16, 16)
    found = revalued(shown, ("frame_1", "frame_2", "frame_3", "frame_4"), seeded(0))
    for each in found.mean(dim=(2, 3)):
        present = each != 0
        ratio = each[present] / curve[present]
        assert float(ratio.max() / ratio.min()) < 1.05


def test_fields_are_smooth_have_mean_0_and_spread_up_to_1() -> None:
    field = smooth_field((50, 2, 40, 60), seeded(0))
    torch.testing.assert_close(field.mean(dim=(2, 3)), torch.zeros(50, 2), atol=1e-5, rtol=0)
    spread = field.std(dim=(2, 3))
    assert 0.9 < float(spread.max()) <= 1.001
    assert float(field.diff(dim=3).abs().mean() / field.abs().mean()) < 0.15


def test_blur_is_a_gaussian_of_up_to_a_pixel_and_leaves_even_pictures() -> None:
    even = torch.full((40, 2, 9, 9), 5.0)
    torch.testing.assert_close(blurred(even, seeded(0)), even)
    point = torch.zeros(200, 1, 15, 15)
    point[:, :, 7, 7] = 1
    found = blurred(point, seeded(0))
    torch.testing.assert_close(found.sum(dim=(1, 2, 3)), torch.ones(200))
    variance = (found.sum(dim=(1, 2)) * (torch.arange(15) - 7.0) ** 2).sum(dim=1)
    assert 0.8 < float(variance.max()) < 1.01
    assert float((variance > 0.01).float().mean()) == pytest.approx(0.25, abs=0.1)


def test_pixels_without_a_number_stay_so_and_a_seed_decides_all() -> None:
    given_batch = batch(0)
    given_batch.inputs[:, :, 12:, :] = 0
    before = given_batch.inputs.clone()
    found, again = (augmented(given_batch, STD4, seeded(7)) for _ in range(2))
    assert torch.equal(given_batch.inputs, before)
    assert torch.equal(found.inputs, again.inputs)
    assert torch.equal(found.truth, again.truth)
    assert 0.3 < float((found.inputs == 0).all(dim=1).float().mean()) < 0.6
    assert not torch.equal(found.inputs, augmented(given_batch, STD4, seeded(8)).inputs)


def test_a_single_channel_is_never_left_out() -> None:
    assert (revalued(torch.full((100, 1, 6, 6), 9.0), ("pct_1",), seeded(0)) != 0).any(dim=(1, 2, 3)).all()
