"""The network, its folded weights, the augmentation and the fit loop."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch.nn import functional

from isotherm.core.progress import silent
from isotherm.nn import fitting
from isotherm.nn.augment import augment
from isotherm.nn.autoencoder import WIDTHS, Autoencoder, folded_arrays
from isotherm.nn.fitting import FitPlan, fit_autoencoder

SIZE = 64
PLAN = FitPlan(epochs=3, patience=3, batch_size=4, learning_rate=1e-3, validation=0.25, bfloat16=False)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    # Many small steps: threads would mostly wait for each other.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def scenes(count: int, seed: int = 0) -> np.ndarray:
    """Smooth pictures: a bright bar whose place and height vary a little."""
    rng = np.random.default_rng(seed)
    across = np.linspace(-1, 1, SIZE, dtype=np.float32)
    bars = [0.8 * np.exp(-(((across - rng.normal(0, 0.1)) / 0.3) ** 2)) for _ in range(count)]
    grey = np.stack([np.tile(bar, (SIZE, 1)) for bar in bars]).astype(np.float32)
    return np.ascontiguousarray(np.repeat(grey[:, None], 3, axis=1))


def source(pictures: np.ndarray) -> fitting.Batches:
    def batches(size: int) -> Iterator[np.ndarray]:
        for start in range(0, len(pictures), size):
            yield pictures[start : start + size]

    return batches


def test_the_shape_is_that_of_the_issue() -> None:
    network = Autoencoder().eval()
    assert WIDTHS == (32, 64, 128, 256, 128)
    with torch.no_grad():
        features = torch.zeros(2, 3, 256, 256)
        shapes = []
        for stage in network.encoder:
            features = stage(features)
            shapes.append(tuple(features.shape[1:]))
        drawn = network(torch.rand(2, 3, 64, 96))
    assert shapes == [(32, 128, 128), (64, 64, 64), (128, 32, 32), (256, 16, 16), (128, 8, 8)]
    assert drawn.shape == (2, 3, 64, 96)
    assert 0 <= float(drawn.min()) <= float(drawn.max()) <= 1


def test_folded_weights_draw_the_same_picture() -> None:
    torch.manual_seed(0)
    network = Autoencoder()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.normal_()
    network.eval()
    arrays = {name: torch.from_numpy(array) for name, array in folded_arrays(network).items()}
    pictures = torch.rand(2, 3, SIZE, SIZE)
    features = pictures
    for index in range(5):
        weight, bias = arrays[f"encoder.{index}.weight"], arrays[f"encoder.{index}.bias"]
        features = torch.relu(functional.conv2d(features, weight, bias, stride=2, padding=1))
    for index in range(5):
        weight, bias = arrays[f"decoder.{index}.weight"], arrays[f"decoder.{index}.bias"]
        features = functional.conv_transpose2d(features, weight, bias, stride=2, padding=1)
        features = torch.relu(features) if index < 4 else torch.sigmoid(features)
    with torch.no_grad():
        torch.testing.assert_close(features, network(pictures), atol=1e-5, rtol=1e-4)


def test_augmentation_tilts_by_at_most_15_degrees_and_keeps_the_span() -> None:
    picture = torch.zeros(1, 3, 101, 101)
    picture[..., 50, 90] = 1.0
    picture[..., 50:53, 88:93] = 1.0
    generator = torch.Generator().manual_seed(0)
    angles, sides = [], set()
    for _ in range(60):
        changed = augment(picture, generator)
        assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
        row, column = divmod(int(changed[0, 0].argmax()), 101)
        sides.add(column > 50)
        angles.append(abs(np.degrees(np.arctan2(row - 51, abs(column - 50)))))
    assert sides == {True, False}
    assert 8 < max(angles) < 17


def test_augmentation_turns_oblong_pictures_without_shear() -> None:
    # A square in the middle stays as large as it was, whatever the picture's sides.
    picture = torch.zeros(1, 3, 64, 128)
    picture[..., 22:42, 54:74] = 1.0
    generator = torch.Generator().manual_seed(1)
    for _ in range(10):
        area = float((augment(picture, generator)[0, 0] > 0.5).sum())
        assert area == pytest.approx(400, rel=0.08)


def test_fitting_lowers_the_loss_and_is_seeded() -> None:
    pictures = scenes(12)
    losses: list[str] = []
    plan = FitPlan(epochs=12, patience=12, batch_size=4, learning_rate=3e-3, validation=0.25, bfloat16=False)
    network = fit_autoencoder(
        source(pictures), 12, plan, seed=1, progress=lambda done, total, message: losses.append(message)
    )
    first, last = (float(text.split("loss ")[1].split(",")[0]) for text in (losses[0], losses[-1]))
    assert last < first / 3
    assert not network.training
    again = fit_autoencoder(source(pictures), 12, plan, seed=1, progress=silent)
    for name, array in folded_arrays(network).items():
        np.testing.assert_array_equal(array, folded_arrays(again)[name])


def test_fitting_leaves_the_random_state_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    fit_autoencoder(source(scenes(4)), 4, PLAN, seed=0, progress=silent)
    torch.testing.assert_close(torch.rand(2), expected)


def test_it_stops_early_and_keeps_the_best() -> None:
    rng = np.random.default_rng(0)
    noise = rng.random((8, 3, SIZE, SIZE), dtype=np.float32)
    messages: list[tuple[int, int, str]] = []
    plan = FitPlan(epochs=50, patience=2, batch_size=4, learning_rate=0.3, validation=0.5, bfloat16=False)
    fit_autoencoder(source(noise), 8, plan, seed=0, progress=lambda *step: messages.append(step))
    assert len(messages) < 50
    assert messages[-1][:2] == (50, 50)
    assert "stopped early; best was epoch" in messages[-1][2]


def test_a_set_larger_than_a_chunk_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "CHUNK", 3)
    asked: list[int] = []
    pictures = scenes(8)

    def batches(size: int) -> Iterator[np.ndarray]:
        asked.append(size)
        yield from source(pictures)(size)

    fit_autoencoder(batches, 8, PLAN, seed=0, progress=silent)
    assert asked == [3] * (1 + PLAN.epochs)


def test_two_pictures_are_enough_and_bfloat16_works() -> None:
    plan = FitPlan(epochs=1, patience=1, batch_size=4, learning_rate=1e-3, validation=0.1, bfloat16=True)
    network = fit_autoencoder(source(scenes(2)), 2, plan, seed=0, progress=silent)
    assert all(np.isfinite(array).all() for array in folded_arrays(network).values())
