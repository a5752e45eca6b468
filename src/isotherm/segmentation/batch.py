"""What a network is given at once while it learns."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class Batch:
    """Crops of examples.

    Parameters
    ----------
    inputs
        (N C H W) float32 maps or frames; 0 where a pixel has no number.
    truth
        (N 1 H W) float32, 1 on defects.
    keep
        (N 1 H W) float32, 0 where the labels say nothing and what is answered does not count.
    """

    inputs: torch.Tensor
    truth: torch.Tensor
    keep: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return Batch(self.inputs.to(device), self.truth.to(device), self.keep.to(device))
