"""What becomes small while a network learns where defects are, without the pixels that are to be ignored.

Each is counted over a whole batch: a crop without a defect has no overlap of its own to make larger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

import torch
from monai.losses.dice import DiceLoss
from monai.losses.focal_loss import FocalLoss
from monai.losses.tversky import TverskyLoss
from torch.nn import functional

from isotherm.core.errors import UnknownNameError
from isotherm.nn.losses import mean_kept

LossName = Literal["dice", "bce_dice", "focal", "dice_focal", "tversky", "bce"]
Answer: TypeAlias = torch.Tensor | tuple[torch.Tensor, ...]
"""Logits (N 1 H W), or several of them where a network is supervised at several depths, the one that counts first."""
DefectLoss: TypeAlias = Callable[[Answer, torch.Tensor, torch.Tensor], torch.Tensor]
"""Answer, truth (N 1 H W) of 0 to 1, keep (N 1 H W) of 0 and 1 -> a scalar."""

SMOOTH_PX = 1.0
"""Added above and below each overlap [px]: a batch without defects then asks for few pixels, not for none at all."""
MISSED, FALSE = 0.7, 0.3
"""Weights of `tversky_loss`, as in its source: a missed pixel costs more than a false one."""
BCE_WEIGHT = 2.0
FALLING = 0.5
"""Weight of each further answer, as a share of the one before."""


def loss_named(name: str) -> DefectLoss:
    """Return the loss of one of the names of `LossName`.

    Of several answers it is the weighted mean of their losses: weight 1 for the first, 0.5, 0.25 ... for the others.
    Where no pixel is kept, overlaps and means are 0 and so is the gradient.

    Raises
    ------
    UnknownNameError
        There is none of that name.
    """
    if name not in _LOSSES:
        raise UnknownNameError("loss", name, get_args(LossName))
    single = _LOSSES[name]

    def loss(answer: Answer, truth: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        answers = answer if isinstance(answer, tuple) else (answer,)
        weights = [FALLING**place for place in range(len(answers))]
        parts = [weight * single(each, truth, keep) for weight, each in zip(weights, answers, strict=True)]
        return torch.stack(parts).sum() / sum(weights)

    return loss


def bce_loss(logits: torch.Tensor, truth: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Return the mean binary cross-entropy of the pixels that are kept."""
    return mean_kept(functional.binary_cross_entropy_with_logits(logits, truth, reduction="none"), keep)


def dice_loss(logits: torch.Tensor, truth: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Return 1 - (2 sum(p g) + 1) / (sum(p) + sum(g) + 1) over all pixels that are kept.

    Source: F. Milletari et al., V-Net, 3DV 2016, without its squares.
    """
    return _overlap(DiceLoss(batch=True, smooth_nr=SMOOTH_PX, smooth_dr=SMOOTH_PX), logits, truth, keep)


def tversky_loss(logits: torch.Tensor, truth: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Return 1 - (tp + 1) / (tp + 0.3 fp + 0.7 fn + 1) over all pixels that are kept.

    Source: S. S. M. Salehi et al., Tversky loss function for image segmentation using 3D fully convolutional deep
    networks, MLMI 2017.
    """
    loss = TverskyLoss(alpha=FALSE, beta=MISSED, batch=True, smooth_nr=SMOOTH_PX, smooth_dr=SMOOTH_PX)
    return _overlap(loss, logits, truth, keep)


def focal_loss(logits: torch.Tensor, truth: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Return the mean of -(1 - p)^2 log p, p the probability given to the truth, over the pixels that are kept.

    Source: T.-Y. Lin et al., Focal loss for dense object detection, ICCV 2017, equation 4, gamma 2.
    """
    return mean_kept(FocalLoss(gamma=2.0, reduction="none")(logits, truth), keep)


def _bce_dice(logits: torch.Tensor, truth: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Return 2 BCE + Dice, what the published DefectNet learns with."""
    return BCE_WEIGHT * bce_loss(logits, truth, keep) + dice_loss(logits, truth, keep)


def _dice_focal(logits: torch.Tensor, truth: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Return Dice + focal, as MONAI's DiceFocalLoss does (which knows no pixels to ignore)."""
    return dice_loss(logits, truth, keep) + focal_loss(logits, truth, keep)


def _overlap(
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    logits: torch.Tensor,
    truth: torch.Tensor,
    keep: torch.Tensor,
) -> torch.Tensor:
    # MONAI's MaskedLoss multiplies the logits: an ignored pixel would count as a defect of probability one half.
    return loss(torch.sigmoid(logits) * keep, truth * keep)


_LOSSES: Mapping[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = MappingProxyType(
    {
        "dice": dice_loss,
        "bce_dice": _bce_dice,
        "focal": focal_loss,
        "dice_focal": _dice_focal,
        "tversky": tversky_loss,
        "bce": bce_loss,
    }
)
