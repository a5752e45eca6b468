"""The fit loop of defect networks: it learns, gives the same for a seed, and its ONNX model answers alike."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float32

from isotherm.core.errors import DataError
from isotherm.core.progress import silent
from isotherm.runtime.onnx_network import OnnxNetwork
from isotherm.runtime.windows import Windows
from isotherm.segmentation import NETWORKS
from isotherm.segmentation.crops import Crops, whole
from isotherm.segmentation.export import onnx_of
from isotherm.segmentation.fitting import Fitted, _best_dice, best_cut, fit_segmenter, probability_of
from isotherm.segmentation.network import NetConfig
from isotherm.segmentation.plan import Example, Examples, FitConfig, window_px

NAMES = ("pct_1", "tsr_d1_1")
NET = NetConfig(width=4)


def example(seed: int, size: tuple[int, int] = (40, 50)) -> Example:
    """A bright square on one map, dark on the other, in noise."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(0, 1, (2, *size)).astype(np.float32)
    truth = np.zeros(size, np.bool_)
    y, x = rng.integers(4, np.array(size) - 16)
    truth[y : y + 12, x : x + 12] = True
    inputs[:, truth] += np.array([[5.0], [-5.0]], np.float32)
    return Example(inputs, truth)


def examples() -> Examples:
    return Examples([example(seed) for seed in range(4)], [example(9)], NAMES)


def taught(steps: int = 25, seed: int = 0) -> Fitted:
    config = FitConfig(steps=steps, batch_size=2, crop_px=32, checks=3)
    return fit_segmenter(NETWORKS.get("unet"), examples(), NET, config, seed=seed, progress=silent)


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return taught()


def test_it_learns_squares_and_says_how_well(fitted: Fitted) -> None:
    assert fitted.dice > 0.8
    fresh = example(77)
    probability = probability_of(fitted.module, fresh, Windows(16, 1024))
    found = probability >= fitted.threshold
    assert (found & fresh.truth).sum() / (found | fresh.truth).sum() > 0.6


def test_the_same_seed_gives_the_same_weights_and_leaves_the_random_state() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (taught(3, seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    for name, weights in first.module.state_dict().items():
        assert torch.equal(weights, again.module.state_dict()[name])
    assert not torch.equal(next(first.module.parameters()), next(other.module.parameters()))


def test_progress_comes_with_every_step() -> None:
    said: list[tuple[int, int, str]] = []
    config = FitConfig(steps=4, batch_size=2, crop_px=32, checks=2)
    network = NETWORKS.get("unet")
    fit_segmenter(network, examples(), NET, config, seed=0, progress=lambda *told: said.append(told))
    assert [(done, total) for done, total, _ in said] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert "validation Dice" in said[-1][2]


def test_the_onnx_model_answers_alike_in_openvino_and_onnxruntime(fitted: Fitted) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    data = onnx_of(fitted.module, 2)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for size in ((48, 32), (64, 80)):
        one = example(5, size)
        ours = probability_of(fitted.module, one, Windows(16, 1024))
        (other,) = session.run(["probability"], {"maps": one.inputs[None]})
        np.testing.assert_allclose(OnnxNetwork(data, channels=2, multiple=16).run(one.inputs), ours, atol=2e-5)
        np.testing.assert_allclose(other[0, 0], ours, atol=2e-5)
    onnx = pytest.importorskip("onnx")
    onnx.checker.check_model(onnx.load(BytesIO(data)))


def test_nothing_to_learn_from_is_said() -> None:
    sound = Example(np.zeros((2, 8, 8), np.float32), np.zeros((8, 8), np.bool_))
    ignored = Example(np.zeros((2, 8, 8), np.float32), np.ones((8, 8), np.bool_), np.zeros((8, 8), np.bool_))
    with pytest.raises(DataError, match="no defect in the 2 recordings for validation"):
        Examples([example(0)], [sound, ignored], NAMES)
    with pytest.raises(DataError, match="a recording of 2 channels where 3 are expected"):
        Examples([example(0)], [example(1)], (*NAMES, "more"))


class Given(torch.nn.Module):
    """Answers with its first channel."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps[:, :1] + 0 * self.weight


def scored(probability: Float32[np.ndarray, "H W"], truth: np.ndarray, judged: np.ndarray | None = None) -> Example:
    logits = np.log(probability / (1 - probability)).astype(np.float32)
    return Example(logits[None], truth, judged)


def test_the_threshold_has_the_largest_dice_of_pixels_that_count() -> None:
    probability = np.full((8, 8), 0.1, np.float32)
    truth, judged = np.zeros((8, 8), np.bool_), np.ones((8, 8), np.bool_)
    truth[:2], probability[:2] = True, 0.7
    probability[4], judged[4] = 0.9, False
    threshold, dice = best_cut(Given(), [scored(probability, truth, judged)], Windows(1, 64))
    assert dice == 1
    assert 0.1 < threshold <= 0.7
    assert best_cut(Given(), [scored(probability, truth)], Windows(1, 64))[1] == pytest.approx(2 * 16 / (2 * 16 + 8))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.floats(0.06, 0.94), st.booleans()), min_size=2, max_size=30))
def test_no_other_threshold_does_better(pixels: list[tuple[float, bool]]) -> None:
    values = np.array([value for value, _ in pixels])
    truth = np.array([true for _, true in pixels])
    edges = np.linspace(0, 1, 1001)
    threshold, dice = _best_dice(
        np.histogram(values[truth], edges)[0] * 1.0, np.histogram(values[~truth], edges)[0] * 1.0
    )

    def at(limit: float) -> float:
        # As the histogram has it: a value counts from the edge below it.
        above = np.floor(values * 1000 + 1e-9) >= np.round(limit * 1000)
        return float(2 * (above & truth).sum() / max(above.sum() + truth.sum(), 1))

    assert dice == pytest.approx(at(threshold), abs=1e-9) == pytest.approx(max(map(at, edges[50:950])), abs=1e-9)


def test_networks_over_frames_get_smaller_windows() -> None:
    sides = {name: window_px(NETWORKS.get(name)) for name in ("unet", "pca_unet", "unet3d", "lstm")}
    assert sides == {"unet": 1024, "pca_unet": 1024, "unet3d": 256, "lstm": 256}


def test_crops_hold_defects_and_beyond_the_rim_nothing_counts() -> None:
    drawn = Crops([example(0, (24, 70))], 48, np.random.default_rng(0)).draw(40)
    assert drawn.inputs.shape == (40, 2, 48, 48)
    assert (drawn.truth.sum(dim=(1, 2, 3)) > 0).float().mean() >= 0.4
    assert drawn.keep[:, :, 24:].sum() == 0
    assert drawn.keep[:, :, :24].all()


def test_complete_inputs_are_not_copied_and_missing_numbers_are_0() -> None:
    complete = example(0)
    assert np.shares_memory(whole(complete).inputs.numpy(), complete.inputs)
    holes = complete.inputs.copy()
    holes[0, 0, 0], holes[1, 3, 3] = np.nan, np.inf
    found = whole(Example(holes, complete.truth)).inputs.numpy()[0]
    assert found[0, 0, 0] == found[1, 3, 3] == 0
    assert np.isnan(holes[0, 0, 0])
