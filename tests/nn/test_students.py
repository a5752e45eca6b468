"""The students of EfficientAD: their loss, the scale of the teacher's features, and what does not count."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from isotherm.anomaly.method import Inputs
from isotherm.nn.fitting import Fitted
from isotherm.nn.lessons import Lesson, Lessons
from isotherm.nn.students import Scale, Students, hardest, held_out_maps, imitation, kept_cells
from isotherm.testing.anomaly import BatchImages, normal_pictures

SIZE = (64, 96)
STUDENTS = partial(Students, 3, SIZE, (4, 4, 8), (1, 2), 8)


def teacher(pictures: np.ndarray) -> np.ndarray:
    """Three features of each square of 8 px: its brightness, the same ten times as strong, and none."""
    cells = pictures[:, 0].reshape(len(pictures), SIZE[0] // 8, 8, SIZE[1] // 8, 8).mean(axis=(2, 4))
    return np.stack([cells, 10 * cells + 5, np.zeros_like(cells)], axis=1).astype(np.float32)


def lessons_of(inputs: Inputs) -> Lessons:
    return Lessons(BatchImages(inputs), 0.25, 0, teacher)


def test_answers_are_of_the_shape_of_the_grid() -> None:
    answer = STUDENTS()(torch.rand(2, 3, *SIZE))
    assert [tuple(part.shape) for part in answer] == [(2, 3, 8, 12)] * 3


def test_the_scale_takes_mean_and_spread_off() -> None:
    scale = Scale(lessons_of(normal_pictures(8, seed=0)))
    assert scale.mean[1] == pytest.approx(10 * scale.mean[0] + 5, rel=1e-3)
    assert scale.mean[2] == 0
    assert (scale.deviation > 0).all()
    scaled = scale.apply(torch.from_numpy(teacher(normal_pictures(8, seed=1).pixels)))
    assert float(scaled[:, 1].std()) == pytest.approx(1.0, abs=0.1)
    assert float(scaled[:, 2].abs().max()) == 0.0


def test_the_scale_leaves_out_what_is_to_be_ignored() -> None:
    clean = normal_pictures(8, seed=0)
    pixels, ignore = clean.pixels.copy(), clean.ignored().copy()
    pixels[:, :, :16, :32], ignore[:, :16, :32] = 1.0, True
    masked, plain = Scale(lessons_of(Inputs(pixels, ignore))), Scale(lessons_of(Inputs(pixels)))
    expected = teacher(clean.pixels)[:, 0].mean()
    assert abs(float(masked.mean[0]) - expected) < 0.05
    assert float(plain.mean[0]) > expected + 0.02


def test_only_the_hardest_errors_count() -> None:
    errors = torch.arange(100.0).reshape(1, 1, 10, 10)
    assert float(hardest(errors, 0.9)) == pytest.approx(94.5)
    assert float(hardest(errors, 0.0)) == pytest.approx(49.5)
    assert float(hardest(errors, 0.9999)) == 99.0


def test_the_loss_adds_all_three_differences_and_ignores_cells() -> None:
    scale = Scale(lessons_of(normal_pictures(8, seed=0)))
    task = imitation(STUDENTS, scale, 0.0)
    pictures, keep = torch.zeros(2, 3, *SIZE), torch.ones(2, 1, *SIZE)
    truth = torch.from_numpy(teacher(normal_pictures(2, seed=2).pixels))
    right = scale.apply(truth)
    lesson = Lesson(pictures, pictures, keep, truth)
    assert float(task.loss((right, right, right), lesson)) == pytest.approx(0.0, abs=1e-6)
    for place, expected in ((0, 1.0), (1, 1.0), (2, 2.0)):
        # The autoencoder is compared with the teacher and with the student.
        answer = [right, right, right]
        answer[place] = right + 1
        assert float(task.loss(tuple(answer), lesson)) == pytest.approx(expected, rel=1e-4)
    wrong = right.clone()
    wrong[:, :, 2:4, 2:4] += 10
    keep = keep.clone()
    keep[:, :, 16:32, 16:32] = 0
    assert float(task.loss((wrong, wrong, wrong), lesson)) > 1
    ignoring = Lesson(pictures, pictures, keep, truth)
    assert float(task.loss((wrong, wrong, wrong), ignoring)) == pytest.approx(0.0, abs=1e-6)


def test_a_cell_counts_when_three_quarters_of_it_do() -> None:
    keep = torch.ones(1, 1, 16, 16)
    keep[..., :2, :8] = 0
    keep[..., 8:11, :8] = 0
    assert kept_cells(keep)[0, 0].tolist() == [[1.0, 1.0], [0.0, 1.0]]


def test_held_out_maps_are_those_of_the_network() -> None:
    inputs = normal_pictures(8, seed=0)
    ignore = inputs.ignored().copy()
    ignore[:, :8, :] = True
    lessons = lessons_of(Inputs(inputs.pixels, ignore))
    scale = Scale(lessons)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = STUDENTS().eval()
    local, whole = held_out_maps(Fitted(network, lessons.validation, 0.0), scale)
    held = lessons.validation.to(torch.device("cpu"))
    assert local.shape == whole.shape == (2 * 7 * 12,)
    with torch.no_grad():
        answer = network(held.shown)
    assert held.truth is not None
    expected = ((scale.apply(held.truth) - answer[0]) ** 2).mean(dim=1)[:, 1:].flatten()
    np.testing.assert_allclose(local, expected.numpy(), rtol=1e-5)
    np.testing.assert_allclose(
        whole, ((answer[2] - answer[1]) ** 2).mean(dim=1)[:, 1:].flatten().numpy(), rtol=1e-4, atol=1e-6
    )
