"""Textures, patches of heat, and the faults that DRAEM learns from."""

from __future__ import annotations

import pytest
import torch

from isotherm.nn.draem import finding_faults, with_faults
from isotherm.nn.lessons import Lesson
from isotherm.nn.textures import FAMILIES, heat, textures

SIZE = (64, 96)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_fills_its_range_and_varies(family: object) -> None:
    made = family(16, SIZE, seeded())  # type: ignore[operator]
    assert made.shape == (16, 1, *SIZE)
    assert float(made.min()) >= -0.01
    assert float(made.max()) <= 1.01
    assert float(made.std()) > 0.1
    assert float((made[0] - made[1]).abs().mean()) > 0.02
    assert torch.equal(made, family(16, SIZE, seeded()))  # type: ignore[operator]


def test_textures_are_of_all_families() -> None:
    made = textures(64, SIZE, seeded())
    assert 0 <= float(made.min()) <= float(made.max()) <= 1
    # From grain to slopes: steps between neighbours are of several orders of magnitude.
    steps = (made[..., 1:] - made[..., :-1]).abs().mean(dim=(1, 2, 3))
    assert float(steps.max() / steps.min()) > 10


def test_heat_is_one_warm_patch_with_soft_or_steep_sides() -> None:
    patches = heat(200, SIZE, seeded())
    assert float(patches.min()) >= 0
    assert 0.9 < float(patches.amax(dim=(1, 2, 3)).median()) <= 1
    area = (patches > 0.3).float().mean(dim=(1, 2, 3))
    assert float(area.max()) < 0.2
    assert 0.0005 < float(area.median()) < 0.05
    # The share of the warm area that is nearly as warm as the middle tells a plateau from spreading heat.
    flat = (patches > 0.9).float().sum(dim=(1, 2, 3)) / (patches > 0.3).float().sum(dim=(1, 2, 3)).clamp_min(1)
    assert float(flat.max()) - float(flat.min()) > 0.3


def test_faults_are_where_the_truth_says_and_nowhere_else() -> None:
    wanted = torch.full((64, 3, *SIZE), 0.5)
    lesson = with_faults(Lesson(wanted, wanted, torch.ones(64, 1, *SIZE)), seeded())
    assert lesson.truth is not None
    changed = (lesson.shown - wanted).abs().amax(dim=1, keepdim=True)
    assert torch.equal(lesson.wanted, torch.full_like(wanted, 0.5))
    assert 0 <= float(lesson.shown.min()) <= float(lesson.shown.max()) <= 1
    faulty = lesson.truth.flatten(1).any(dim=1)
    assert 16 < int(faulty.sum()) < 48
    assert float(changed[~faulty].max()) < 0.61
    assert float((changed[~faulty] > 0.01).float().mean()) < 0.01
    # Heat spreads a little beyond what counts as faulty; foreign texture does not.
    assert float((changed * (1 - lesson.truth)).max()) < 0.2
    # A grey picture stays grey.
    assert torch.equal(lesson.shown[:, 0], lesson.shown[:, 2])
    assert float((lesson.shown - wanted).amax()) > 0.2
    assert float((lesson.shown - wanted).amin()) < -0.2


def test_the_loss_counts_redrawing_and_finding_but_not_what_is_to_be_ignored() -> None:
    task = finding_faults((4, 8), (4, 8))
    wanted = torch.rand(2, 3, 32, 32, generator=seeded())
    truth = torch.zeros(2, 1, 32, 32)
    truth[..., :16, :16] = 1
    keep = torch.ones(2, 1, 32, 32)
    right = 20 * truth - 10
    lesson = Lesson(wanted, wanted, keep, truth)
    assert float(task.loss((wanted, right), lesson)) == pytest.approx(0.0, abs=1e-5)
    assert float(task.loss((wanted, -right), lesson)) > 5
    assert float(task.loss((1 - wanted, right), lesson)) > 0.5
    wrong = right.clone()
    wrong[..., :16, :16] = -10
    keep = torch.ones(2, 1, 32, 32)
    keep[..., :16, :16] = 0
    ignoring = Lesson(wanted, wanted, keep, truth)
    assert float(task.loss((wanted, wrong), ignoring)) == pytest.approx(0.0, abs=1e-5)
    answer = task.build()(wanted)
    assert answer[0].shape == wanted.shape
    assert float(torch.sigmoid(answer[1]).detach().mean()) < 0.2
