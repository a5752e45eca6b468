"""The conformance check of segmentation networks; unlike the other checks it needs torch."""

from __future__ import annotations

import io
from typing import get_args

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

from isotherm.segmentation.export import onnx_of
from isotherm.segmentation.network import NetConfig, Network, Wants
from isotherm.testing.promises import require

CHANNELS = 16


def check_network(network: Network, config: NetConfig | None = None, *, channels: int = CHANNELS) -> None:
    """Check that a segmentation network keeps the seam's promises.

    Run it in the tests of your package, for every attention that the network has. It looks at the shapes of the answer
    while the network learns and in use, at the gradient of every weight, at the same weights from the same seed, at a
    recording's answer alone and among neighbours, and at the exported graph for another number and size of pictures
    than it was traced with.

    Parameters
    ----------
    network
        The network, as its registry row names it.
    config
        Its configuration, best a small width; the default one if None.
    channels
        Number of maps or frames.

    Raises
    ------
    AssertionError
        A promise is broken; the message says which.
    """
    require(isinstance(network, Network), "it must have name, wants, multiple and build")
    require(network.name == network.name.lower().strip() != "", "its name must be lower-case and not empty")
    require(network.wants in get_args(Wants), f"it must want one of {', '.join(get_args(Wants))}")
    require(network.multiple >= 1, "H and W must be multiples of at least 1")
    module = _built(network, channels, config or NetConfig())
    side = -(-16 // network.multiple) * network.multiple
    inputs = torch.from_numpy(cooling_frames(3, channels, (side, side + network.multiple), seed=1))
    _check_learning(module, inputs)
    _check_use(module, inputs)
    _check_graph(module, channels, network.multiple)


def cooling_frames(count: int, frames: int, size: tuple[int, int], *, seed: int) -> Float32[np.ndarray, "N T H W"]:
    """Return made-up recordings: smooth pictures that fade at different rates, each weaker than the one before."""
    rng = np.random.default_rng(seed)
    rows, columns = (np.linspace(0, np.pi, side) for side in size)
    times = np.linspace(0.1, 1, frames)
    found = np.zeros((count, frames, *size))
    for order in range(6):
        # The frames of real recordings are explained by a few components, each several times larger than the next.
        curve = 3.0**-order * np.cos(order * np.pi * times)
        waves = rng.uniform(1, 4, (count, 2)), rng.uniform(0, 6, (count, 2))
        down, across = (
            np.sin(waves[0][:, axis, None] * places + waves[1][:, axis, None])
            for axis, places in enumerate((rows, columns))
        )
        found += curve[:, None, None] * (down[:, :, None] * across[:, None, :])[:, None]
    return (found + rng.normal(0, 1e-3, found.shape)).astype(np.float32)


def _built(network: Network, channels: int, config: NetConfig) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = network.build(channels, config)
        torch.manual_seed(0)
        again = network.build(channels, config).state_dict()
    same = all(torch.equal(values, again[name]) for name, values in module.state_dict().items())
    require(same, "the same seed must give the same weights")
    return module


def _check_learning(module: nn.Module, inputs: torch.Tensor) -> None:
    before = inputs.clone()
    answer = module.train()(inputs)
    require(torch.equal(before, inputs), "it must leave its input alone")
    logits = answer if isinstance(answer, tuple) else (answer,)
    for each in logits:
        _check_answer(each, inputs)
    torch.stack([each.square().mean() for each in logits]).sum().backward()  # type: ignore[no-untyped-call]
    for name, weight in module.named_parameters():
        finite = weight.grad is not None and bool(torch.isfinite(weight.grad).all())
        require(finite, f"the weight {name} must have a part in what is learnt, with a finite gradient")


@torch.no_grad()
def _check_use(module: nn.Module, inputs: torch.Tensor) -> None:
    together = module.eval()(inputs)
    require(isinstance(together, torch.Tensor), "in use it must return one tensor, not several")
    _check_answer(together, inputs)
    for place in range(len(inputs)):
        alone = module(inputs[place : place + 1])
        same = torch.allclose(alone[0], together[place], rtol=1e-3, atol=1e-4)
        require(same, "a recording's answer must not depend on its neighbours in the batch")


def _check_answer(logits: torch.Tensor, inputs: torch.Tensor) -> None:
    right = (len(inputs), 1, *inputs.shape[2:])
    require(tuple(logits.shape) == right, f"logits must have the shape {right}, not {tuple(logits.shape)}")
    require(bool(torch.isfinite(logits).all()), "logits must be finite")
    require(float(logits.detach().std()) > 0, "logits must depend on the place")


@torch.no_grad()
def _check_graph(module: nn.Module, channels: int, multiple: int) -> None:
    import openvino as ov

    graph = ov.Core().read_model(io.BytesIO(onnx_of(module, channels)))
    compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    sides = [-(-side // multiple) * multiple for side in (24, 40)]
    for count, size in ((2, (sides[0], sides[1])), (1, (sides[1], sides[0]))):
        frames = cooling_frames(count, channels, size, seed=2)
        expected = torch.sigmoid(module(torch.from_numpy(frames))).numpy()
        found = compiled([frames])[0]
        require(found.shape == expected.shape, f"the graph must answer {expected.shape}, not {found.shape}")
        worst = float(np.abs(found - expected).max())
        require(worst < 1e-4, f"the graph's probabilities must be those of the network; they differ by {worst:.1e}")
