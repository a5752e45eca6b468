"""Crops altered while a network learns from them: pictures and labels always together."""

from __future__ import annotations

import torch

from isotherm.segmentation.batch import Batch


def augmented(batch: Batch, names: tuple[str, ...], generator: torch.Generator) -> Batch:  # noqa: ARG001
    """Return the batch mirrored and turned by a random choice; `names` are those of the channels."""
    turns = int(torch.randint(4, (), generator=generator))
    mirrored = bool(torch.rand((), generator=generator) < 0.5)
    layers = [torch.rot90(each, turns, (2, 3)) for each in (batch.inputs, batch.truth, batch.keep)]
    return Batch(*(each.flip(3) if mirrored else each for each in layers))
