"""Principal component thermography as a layer: frames in, component maps out, of nothing but sums and products."""

from __future__ import annotations

import torch
from torch import nn

COMPONENTS = 4
"""As the published thermography network has, and `std14` of the ready-made maps."""
SQUARINGS = 8
"""A neighbour of 98 % of an eigenvalue is down to 0.6 % after the 256th power."""
_NOTHING = 1e-8
"""Share of the variance of all frames below which a component is rounding."""
_TINY = 1e-20
_EVEN = 0.02
"""A skewness below this says nothing, as in `isotherm.sequences`."""


class Components(nn.Module):
    """The first principal components of each recording by itself, of unit spread.

    Source: N. Rajic, Principal component thermography for flaw contrast enhancement and flaw depth characterisation in
    composite structures, Composite Structures 58, 2002; inside a network: the published thermography network (see
    `isotherm.segmentation.component_unets`).

    Each frame's mean over the pixels is taken off. Then, one component after the other: the T x T covariance of the
    frames is squared again and again, which leaves its first eigenvector; the frames are projected on it and what it
    explains is taken off them, so that small components are found among numbers of their own size (in one float32
    covariance they are lost beside the first). There is no eigensolver, no loop with an unknown end and no branch in
    it, so that it exports, and its gradient stays finite where two eigenvalues are alike.

    The sign is that of `isotherm.sequences`: small bright parts of a map are positive; no gradient goes through it. The
    published network lets a ReLU follow, which deletes half of each map, and does not scale, so that the later maps are
    many times smaller than the first: neither is done here.

    It is a statistic of the picture it is given: of a crop it is another than of the whole.

    Parameters
    ----------
    count
        Number of components K.
    """

    def __init__(self, count: int = COMPONENTS) -> None:
        super().__init__()
        self.count = count

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return maps (N K H W) of frames (N T H W), of mean 0 and variance 1; of nothing but 0 where no more is."""
        # In bfloat16 the covariance has two digits, and the second component often less than a hundredth of the first.
        with torch.autocast(frames.device.type, enabled=False):
            return self._maps(frames if frames.dtype == torch.float64 else frames.float())

    def _maps(self, frames: torch.Tensor) -> torch.Tensor:
        rest = frames - frames.mean(dim=(2, 3), keepdim=True)
        rest = rest / (rest.square().sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True) + _TINY).sqrt()
        maps = []
        for _ in range(self.count):
            curve = first_curve(rest.flatten(2))[:, :, None, None]
            scores = (curve * rest).sum(dim=1, keepdim=True)
            rest = rest - curve * scores
            maps.append(_signed(scores / (scores.square().mean(dim=(2, 3), keepdim=True) + _NOTHING).sqrt(), curve))
        return torch.cat(maps, dim=1)


def first_curve(values: torch.Tensor) -> torch.Tensor:
    """Return the first eigenvector (N T), of length 1, of the covariance of values (N T P); 0 where they are 0."""
    power = values @ values.transpose(1, 2)
    power = power / (_squares(power) + _TINY).sqrt()
    for _ in range(SQUARINGS):
        # The sum of the squares is the trace of the square: the first eigenvalue tends to 1, the others to 0.
        power = power @ power / (_squares(power) + _TINY)
    # By now all columns are multiples of the eigenvector; the longest is the surest.
    longest = power.detach().square().sum(dim=1).argmax(dim=1, keepdim=True)
    curve = (power * _one_hot(longest, like=power)).sum(dim=2)
    return curve / (curve.square().sum(dim=1, keepdim=True) + _TINY).sqrt()


def _squares(matrix: torch.Tensor) -> torch.Tensor:
    return matrix.square().sum(dim=(1, 2), keepdim=True)


def _one_hot(chosen: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return (N 1 T), 1 at the chosen (N 1) and 0 elsewhere."""
    places = torch.arange(like.shape[2], device=like.device)
    return (places == chosen).to(like.dtype).unsqueeze(1)


def _signed(maps: torch.Tensor, curve: torch.Tensor) -> torch.Tensor:
    skewness = (maps * maps * maps).mean(dim=(2, 3), keepdim=True).detach()
    # Of the same sign as the element of the largest size.
    largest = (curve.amax(dim=1, keepdim=True) + curve.amin(dim=1, keepdim=True)).detach()
    return torch.where(torch.where(skewness.abs() > _EVEN, skewness, largest) < 0, -maps, maps)
