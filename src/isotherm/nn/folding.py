"""Trained layers become plain arrays: batch normalisation is folded into the convolution before it."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

# jaxtyping: any shape
Array = Float32[np.ndarray, "..."]
Convolution = nn.Conv2d | nn.ConvTranspose2d


def folded(convolution: Convolution, norm: nn.BatchNorm2d | None) -> tuple[Array, Array]:
    """Return the weight, in torch's order of axes, and the bias of a convolution and the normalisation after it."""
    weight = convolution.weight.detach()
    bias = torch.zeros(convolution.out_channels) if convolution.bias is None else convolution.bias.detach()
    if norm is not None:
        mean, variance = cast(torch.Tensor, norm.running_mean), cast(torch.Tensor, norm.running_var)
        scale = norm.weight.detach() / torch.sqrt(variance + norm.eps)
        bias = norm.bias.detach() + (bias.to(mean.device) - mean) * scale
        # The output channels come first, in a transposed convolution second.
        shape = (1, -1, 1, 1) if isinstance(convolution, nn.ConvTranspose2d) else (-1, 1, 1, 1)
        weight = weight * scale.reshape(shape)
    return array(weight), array(bias)


def array(tensor: torch.Tensor) -> Array:
    """Return a tensor as a float32 array, wherever it lies."""
    return np.ascontiguousarray(tensor.detach().float().cpu().numpy())
