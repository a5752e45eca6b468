"""Normalising flows: invertible networks under which the features of normal pictures are standard normal.

Both flows are steps of one kind: an affine for each channel, an affine coupling, and a fixed shuffle of the channels
(L. Dinh et al., Density estimation using Real NVP, ICLR 2017, section 3; D. Kingma and P. Dhariwal, Glow, NeurIPS 2018,
section 3). They differ in the small network inside the coupling: one sees a neighbourhood of the feature map
(`MapSubnet`), the other a single vector and its place in the picture (`FibreSubnet`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float32, Int32
from torch import nn

# jaxtyping: any shape
Array = Float32[np.ndarray, "..."] | Int32[np.ndarray, "..."]
Subnet = Callable[[int, int], nn.Module]
"""From the number of channels that a coupling keeps and changes to its network."""
CLAMP = 2.0
"""Largest log-scale of a coupling; no feature is ever cut off."""


class MapSubnet(nn.Module):
    """Two convolutions with a ReLU between: kept channels (N K h w) to raw log-scales and shifts (N 2C h w)."""

    def __init__(self, kept: int, changed: int, kernel: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(kept, width, kernel, padding=kernel // 2)
        self.last = nn.Conv2d(width, 2 * changed, kernel, padding=kernel // 2)
        _silence(self.last)

    def forward(self, kept: torch.Tensor, _condition: torch.Tensor | None) -> torch.Tensor:
        """Return (N 2C h w)."""
        raw: torch.Tensor = self.last(torch.relu(self.first(kept)))
        return raw


class FibreSubnet(nn.Module):
    """Two linear layers with a ReLU between, told where the vector is: (B K) and (B E) to (B 2C)."""

    def __init__(self, kept: int, changed: int, encoding: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(kept, width)
        self.place = nn.Linear(encoding, width, bias=False)
        self.last = nn.Linear(width, 2 * changed)
        _silence(self.last)

    def forward(self, kept: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        """Return (B 2C)."""
        assert condition is not None
        raw: torch.Tensor = self.last(torch.relu(self.first(kept) + self.place(condition)))
        return raw


def _silence(layer: nn.Conv2d | nn.Linear) -> None:
    """Start a coupling as the identity (Glow, section 3.3): learning begins from the standard normal of the inputs."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)


class Step(nn.Module):
    """One step: y = (x + bias) exp(log_gain); the later channels scaled and shifted as the earlier ones say; shuffled.

    The log-scale of the coupling is clamp * tanh(raw / clamp), as in L. Ardizzone et al., Guided image generation with
    conditional invertible neural networks (2019), section 3.2 (there an arctangent): a step can stretch by exp(clamp)
    and no more.
    """

    order: torch.Tensor

    def __init__(self, channels: int, subnet: Subnet, order: torch.Tensor) -> None:
        super().__init__()
        self.kept = channels // 2
        self.bias = nn.Parameter(torch.zeros(channels))
        self.log_gain = nn.Parameter(torch.zeros(channels))
        self.subnet = subnet(self.kept, channels - self.kept)
        self.register_buffer("order", order)

    def forward(self, values: torch.Tensor, condition: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the values (N D ...) after the step and its log-determinant (N ...) for each cell."""
        values = (values + _along(self.bias, values)) * torch.exp(_along(self.log_gain, values))
        kept, changed = values[:, : self.kept], values[:, self.kept :]
        log_scale, shift = self._coupling(kept, condition)
        joined = torch.cat([kept, changed * torch.exp(log_scale) + shift], 1)
        return joined[:, self.order], log_scale.sum(1) + self.log_gain.sum()

    def inverse(self, values: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        """Undo `forward`."""
        values = values[:, torch.argsort(self.order)]
        kept, changed = values[:, : self.kept], values[:, self.kept :]
        log_scale, shift = self._coupling(kept, condition)
        joined = torch.cat([kept, (changed - shift) * torch.exp(-log_scale)], 1)
        return joined * torch.exp(-_along(self.log_gain, values)) - _along(self.bias, values)

    def _coupling(self, kept: torch.Tensor, condition: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        raw, shift = self.subnet(kept, condition).chunk(2, dim=1)
        return CLAMP * torch.tanh(raw / CLAMP), shift


def _along(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Give values of the channels (D) the shape (1 D 1 1) or (1 D)."""
    return values.reshape(1, -1, *([1] * (like.dim() - 2)))


class Flow(nn.Module):
    """Some steps in a row.

    Parameters
    ----------
    channels
        Length D of the feature vectors.
    subnets
        One for each step.
    generator
        Draws the shuffles and the first weights.
    """

    def __init__(self, channels: int, subnets: Sequence[Subnet], generator: torch.Generator) -> None:
        super().__init__()
        self.channels = channels
        orders = [torch.randperm(channels, generator=generator) for _ in subnets]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
            self.steps = nn.ModuleList(
                Step(channels, subnet, order) for subnet, order in zip(subnets, orders, strict=True)
            )

    def forward(self, values: torch.Tensor, condition: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the latent values (N D ...) and the log-determinant of each cell (N ...)."""
        total = torch.zeros_like(values[:, 0])
        for step in self.steps:
            values, log_determinant = step(values, condition)
            total = total + log_determinant
        return values, total

    def inverse(self, latent: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        """Undo `forward`."""
        for step in reversed(self.steps):
            assert isinstance(step, Step)
            latent = step.inverse(latent, condition)
        return latent

    def surprise(self, values: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        """Return the negative log-likelihood of each cell (N ...) in nats a channel."""
        latent, log_determinant = self(values, condition)
        squares = 0.5 * latent.square().sum(1)
        nats: torch.Tensor = (squares - log_determinant) / self.channels + 0.5 * math.log(2 * math.pi)
        return nats


def flow_arrays(flow: Flow) -> dict[str, Array]:
    """Return the parameters of a flow.

    Returns
    -------
    dict
        ``<i>.order`` (D) int32, ``<i>.bias``, ``<i>.log_gain`` (D), and the weights of ``<i>.subnet`` for step i.
    """
    found: dict[str, Array] = {}
    for name, values in flow.state_dict().items():
        dtype = np.int32 if name.endswith("order") else np.float32
        found[name.removeprefix("steps.")] = np.ascontiguousarray(values.numpy().astype(dtype))
    return found
