"""Differences between what a network answers and what it should, without the pixels that are to be ignored."""

from __future__ import annotations

import torch
from torch.nn import functional

WINDOW, SIGMA_PX = 11, 1.5
"""The Gaussian window of `ssim`."""
C1, C2 = 0.01**2, 0.03**2
FOCUS = 2.0
"""The exponent gamma of `focal_loss`."""


def mean_kept(values: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Return the mean of values (N D H W) where keep (N 1 H W) is 1; 0 where nothing is kept."""
    return (values * keep).sum() / (keep.sum() * values.shape[1]).clamp_min(1)


def squared_error(drawn: torch.Tensor, wanted: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Return the mean squared difference of two pictures (N 3 H W) where keep (N 1 H W) is 1."""
    return mean_kept(functional.mse_loss(drawn, wanted, reduction="none"), keep)


def ssim(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the structural similarity (N D h w) of two pictures (N D H W) of values 0..1, 1 where they are equal.

    Only windows that lie within the picture count, so h = H - 10 and w = W - 10.

    Source: Z. Wang et al., Image quality assessment, IEEE TIP 13 (2004), equation 13; window 11 x 11, sigma 1.5.
    """
    count = len(one)
    stacked = torch.cat([one, other, one * one, other * other, one * other])
    mean_one, mean_other, square_one, square_other, product = torch.split(_windowed(stacked), count)
    both = mean_one * mean_other
    means, variances = mean_one**2 + mean_other**2, square_one + square_other
    similar: torch.Tensor = (2 * both + C1) * (2 * (product - both) + C2)
    return similar / ((means + C1) * (variances - means + C2))


def ssim_loss(drawn: torch.Tensor, wanted: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Return the mean of 1 - SSIM of the pictures' grey (their mean over the channels: a third of the work).

    Ignored pixels are taken as drawn right, and windows about them do not count.
    """
    wanted = wanted.mean(dim=1, keepdim=True)
    drawn = torch.where(keep > 0, drawn.mean(dim=1, keepdim=True), wanted)
    edge = WINDOW // 2
    return mean_kept(1 - ssim(drawn, wanted), keep[:, :, edge:-edge, edge:-edge])


def focal_loss(logits: torch.Tensor, truth: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Return the mean of -(1 - p)^2 log p, where p is the probability that a pixel's logit gives to its truth (0 or 1).

    Source: T.-Y. Lin et al., Focal loss for dense object detection, ICCV 2017, equation 4, gamma 2.
    """
    cost = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return mean_kept((1 - torch.exp(-cost)) ** FOCUS * cost, keep)


def _windowed(pictures: torch.Tensor) -> torch.Tensor:
    # Every plane as a channel of one picture: 25 times as fast as the same planes as pictures of one channel.
    planes = pictures.reshape(1, -1, *pictures.shape[2:]).contiguous(memory_format=torch.channels_last)
    count = planes.shape[1]
    places = torch.arange(WINDOW, device=pictures.device) - WINDOW // 2
    weights = torch.exp(-0.5 * (places / SIGMA_PX) ** 2)
    weights = (weights / weights.sum()).repeat(count, 1, 1, 1)
    down = functional.conv2d(planes, weights.reshape(count, 1, WINDOW, 1), groups=count)
    across = functional.conv2d(down, weights.reshape(count, 1, 1, WINDOW), groups=count)
    return across.reshape(*pictures.shape[:2], *across.shape[2:])
