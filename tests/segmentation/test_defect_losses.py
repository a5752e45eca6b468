"""The losses of defect networks: values computed by hand, what is ignored, what a gradient says."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import UnknownNameError
from isotherm.segmentation.losses import LossName, loss_named

NAMES = get_args(LossName)


def row(*values: float) -> torch.Tensor:
    return torch.tensor(values).reshape(1, 1, 1, -1)


# Probabilities 0.9, 0.8, 0.25 and one pixel that is ignored, for the truths 1, 0, 1.
LOGITS = row(math.log(9), math.log(4), -math.log(3), 50.0)
TRUTH, KEEP = row(1.0, 0.0, 1.0, 0.0), row(1.0, 1.0, 1.0, 0.0)
BCE = -(math.log(0.9) + math.log(0.2) + math.log(0.25)) / 3
DICE = 1 - (2 * (0.9 + 0.25) + 1) / ((0.9 + 0.8 + 0.25) + 2 + 1)
FOCAL = -(0.1**2 * math.log(0.9) + 0.8**2 * math.log(0.2) + 0.75**2 * math.log(0.25)) / 3
BY_HAND = {
    "bce": BCE,
    "dice": DICE,
    "focal": FOCAL,
    "bce_dice": 2 * BCE + DICE,
    "dice_focal": DICE + FOCAL,
    # True 0.9 + 0.25, false 0.8, missed 0.1 + 0.75.
    "tversky": 1 - (1.15 + 1) / (1.15 + 0.3 * 0.8 + 0.7 * 0.85 + 1),
}


@pytest.mark.parametrize("name", NAMES)
def test_by_hand(name: str) -> None:
    assert float(loss_named(name)(LOGITS, TRUTH, KEEP)) == pytest.approx(BY_HAND[name], rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_of_several_answers_the_first_counts_most(name: str) -> None:
    loss = loss_named(name)
    first, second, third = (float(loss(LOGITS * factor, TRUTH, KEEP)) for factor in (1.0, 0.5, 2.0))
    together = loss((LOGITS, LOGITS * 0.5, LOGITS * 2.0), TRUTH, KEEP)
    assert float(together) == pytest.approx((first + 0.5 * second + 0.25 * third) / 1.75, rel=1e-5)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.sampled_from(NAMES))
def test_ignored_pixels_neither_count_nor_pull(seed: int, name: str) -> None:
    generator, loss = torch.Generator().manual_seed(seed), loss_named(name)
    logits = torch.randn(2, 1, 6, 7, generator=generator)
    truth, keep = ((torch.rand(2, 1, 6, 7, generator=generator) > 0.5).float() for _ in range(2))
    other = torch.where(keep > 0, logits, 9 * torch.randn(2, 1, 6, 7, generator=generator)).requires_grad_()
    wrong = torch.where(keep > 0, truth, 1 - truth)
    found = loss(other, wrong, keep)
    assert float(found.detach()) == pytest.approx(float(loss(logits, truth, keep)), rel=1e-5, abs=1e-7)
    found.backward()
    assert other.grad is not None
    assert (other.grad[keep == 0] == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_right_answer_is_best_and_every_pull_is_towards_it(name: str) -> None:
    loss, truth = loss_named(name), torch.zeros(3, 1, 8, 8)
    truth[0, 0, 2:5, 2:5] = 1
    keep = torch.ones_like(truth)
    assert float(loss(40 * (2 * truth - 1), truth, keep)) == pytest.approx(0.0, abs=1e-6)
    logits = torch.zeros_like(truth, requires_grad=True)
    loss(logits, truth, keep).backward()
    assert logits.grad is not None
    assert (logits.grad[truth == 1] < 0).all()
    # Also in the crops without a defect.
    assert (logits.grad[truth == 0] > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_without_defects_or_without_kept_pixels_stays_finite(name: str) -> None:
    loss, nothing = loss_named(name), torch.zeros(2, 1, 8, 8)
    assert float(loss(nothing - 40, nothing, nothing + 1)) == pytest.approx(0.0, abs=1e-6)
    logits = nothing.clone().requires_grad_()
    found = loss(logits, nothing, nothing)
    assert float(found.detach()) == pytest.approx(0.0, abs=1e-6)
    found.backward()
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'dice'"):
        loss_named("dise")
