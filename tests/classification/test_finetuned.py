"""A network that is taught on: the same features as the frozen one before, better answers after."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from isotherm.classification.finetuned import METHOD, FinetunedConfig
from isotherm.classification.method import Examples
from isotherm.core.errors import DataError
from isotherm.runtime.backbones import BACKBONES

torch = pytest.importorskip("torch")
SIZE = (32, 64)


def quiet(*_: object) -> None:
    """Show no progress."""


def stripes(count: int, seed: int = 0, size: tuple[int, int] = SIZE) -> Examples:
    """Upright or level stripes in noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    values = 0.5 + 0.1 * rng.standard_normal((count, 3, *size)).astype(np.float32)
    rows, columns = np.indices(size)
    for place, label in enumerate(labels):
        values[place] += 0.3 * np.sin((columns if label else rows) * 0.8 + rng.uniform(0, 6))
    return Examples(values, labels.astype(np.int64), np.arange(count), 2)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"])
def test_its_blocks_are_those_of_the_frozen_network(name: str) -> None:
    from isotherm.classification.lite import STAGES, Lite

    loaded = BACKBONES.get(name).loaded()
    pixels = stripes(1).values
    node = ops.parameter([1, 3, *SIZE], np.float32)
    frozen = ov.Core().compile_model(
        ov.Model(loaded.graph(node, [32]), [node]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )(pixels)[0]
    body = Lite(loaded.weights.tensors, STAGES[name], 2, trained=0, body_rate=0.1).eval().features
    seen = []
    body._blocks[-1].register_forward_hook(lambda _module, _inputs, output: seen.append(output.numpy()))
    with torch.no_grad():
        body(torch.from_numpy(pixels))
    np.testing.assert_allclose(seen[0], frozen, rtol=1e-3, atol=1e-3)


def test_it_learns_and_only_what_it_may() -> None:
    config = FinetunedConfig(epochs=4, trained_blocks=1, mirror=True)
    fitted = METHOD.fit(stripes(32), config, seed=0, progress=quiet)
    fresh = stripes(20, seed=5)
    assert (fitted.classifier.answer(fresh.values).logits.argmax(axis=1) == fresh.labels).mean() >= 0.9
    assert fitted.embeddings.shape == (32, 1280)
    stored = METHOD.load(fitted.classifier.stored(), config, classes=2)
    np.testing.assert_array_equal(stored.answer(fresh.values).logits, fitted.classifier.answer(fresh.values).logits)


def test_batch_normalisation_and_the_first_blocks_stay() -> None:
    from isotherm.classification.lite import STAGES, Lite

    tensors = BACKBONES.get("efficientnet_lite0").loaded().weights.tensors
    network = Lite(tensors, STAGES["efficientnet_lite0"], 2, trained=2, body_rate=0.1).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = torch.optim.Adam(network.groups(0.01))
    network(torch.from_numpy(stripes(4).values)).square().sum().backward()
    optimiser.step()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert {"last.weight", "features._conv_head.weight", "features._blocks.15._project_conv.weight"} <= changed
    assert not [name for name in changed if "running" in name or "_blocks.13." in name or "stem" in name]


def test_sides_that_are_no_multiples() -> None:
    with pytest.raises(DataError, match="multiples of 32"):
        METHOD.fit(stripes(4, size=(30, 64)), FinetunedConfig(), seed=0, progress=quiet)
