"""The losses against values computed by hand or by their definition, and what is to be ignored."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from isotherm.nn.losses import focal_loss, mean_kept, squared_error, ssim, ssim_loss


def ones(size: tuple[int, int], count: int = 1) -> torch.Tensor:
    return torch.ones(count, 1, *size)


def test_ssim_is_that_of_its_definition() -> None:
    rng = np.random.default_rng(0)
    one = rng.random((24, 31))
    other = np.clip(one + rng.normal(0, 0.1, one.shape), 0, 1)

    def window(values: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(values, 1.5, truncate=3.4)[5:-5, 5:-5]

    mean_one, mean_other = window(one), window(other)
    variances = window(one**2) - mean_one**2 + window(other**2) - mean_other**2
    covariance = window(one * other) - mean_one * mean_other
    expected = (2 * mean_one * mean_other + 1e-4) * (2 * covariance + 9e-4)
    expected /= (mean_one**2 + mean_other**2 + 1e-4) * (variances + 9e-4)
    first, second = (torch.from_numpy(values.astype(np.float32))[None, None] for values in (one, other))
    np.testing.assert_allclose(ssim(first, second)[0, 0].numpy(), expected, atol=2e-4)


def test_ssim_of_flat_pictures_is_known() -> None:
    dark, bright = torch.full((1, 1, 16, 16), 0.25), torch.full((1, 1, 16, 16), 0.75)
    expected = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)
    assert float(ssim(dark, bright).mean()) == pytest.approx(expected, abs=1e-4)
    assert float(ssim(dark, dark).min()) == pytest.approx(1.0, abs=1e-6)


def test_ssim_loss_leaves_out_what_is_to_be_ignored() -> None:
    wanted = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    drawn, keep = wanted.clone(), ones((48, 48))
    drawn[..., 20:28, 20:28] = 1.0
    assert float(ssim_loss(drawn, wanted, keep)) > 0.01
    keep[..., 20:28, 20:28] = 0
    assert float(ssim_loss(drawn, wanted, keep)) == pytest.approx(0.0, abs=1e-6)


def test_focal_loss_by_hand() -> None:
    # Probabilities 0.9 for a true 1, 0.8 for a true 0 (so 0.2 of its truth), and one pixel that is ignored.
    logits = torch.tensor([math.log(9), math.log(4), 5.0]).reshape(1, 1, 1, 3)
    truth = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 1, 1, 3)
    keep = torch.tensor([1.0, 1.0, 0.0]).reshape(1, 1, 1, 3)
    expected = (0.1**2 * -math.log(0.9) + 0.8**2 * -math.log(0.2)) / 2
    assert float(focal_loss(logits, truth, keep)) == pytest.approx(expected, rel=1e-5)


def test_errors_are_means_of_what_is_kept() -> None:
    drawn, wanted, keep = torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8), ones((8, 8), 2)
    drawn[0, :, :4] = 0.5
    assert float(squared_error(drawn, wanted, keep)) == pytest.approx(0.25 / 4)
    keep[:, :, 4:] = 0
    assert float(squared_error(drawn, wanted, keep)) == pytest.approx(0.25 / 2)
    assert float(mean_kept(drawn, torch.zeros_like(keep))) == 0.0
