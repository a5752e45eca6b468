"""Crops of recordings, drawn so that defects, which are few, are seen as often as sound material."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from isotherm.segmentation.batch import Batch
from isotherm.segmentation.plan import Example

DEFECT_SHARE = 0.5
"""Share of the crops that are drawn around a pixel of a defect."""


class Crops:
    """Draws batches of crops from examples.

    Parameters
    ----------
    examples
        Recordings of any sizes.
    side_px
        Side of the crops; what reaches beyond a recording is 0 and does not count.
    rng
        What is drawn.
    """

    def __init__(self, examples: Sequence[Example], side_px: int, rng: np.random.Generator) -> None:
        self._wholes = [whole(example, least_px=side_px) for example in examples]
        self._defects = [np.argwhere((each.truth * each.keep).numpy()[0, 0] > 0) for each in self._wholes]
        self._faulty = [number for number, places in enumerate(self._defects) if len(places)]
        self._side, self._rng = side_px, rng

    def draw(self, count: int) -> Batch:
        """Return a batch of `count` crops."""
        drawn = [self._one() for _ in range(count)]
        return Batch(*(torch.cat(parts) for parts in zip(*drawn, strict=True)))

    def _one(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        on_defect = bool(self._rng.random() < DEFECT_SHARE)
        number = int(self._rng.choice(self._faulty) if on_defect else self._rng.integers(len(self._wholes)))
        chosen = self._wholes[number]
        size = np.array(chosen.inputs.shape[2:])
        if on_defect:
            corner = self._rng.choice(self._defects[number]) - self._rng.integers(self._side, size=2)
        else:
            corner = self._rng.integers(size - self._side + 1)
        y, x = np.clip(corner, 0, size - self._side).tolist()
        part = (..., slice(y, y + self._side), slice(x, x + self._side))
        return chosen.inputs[part], chosen.truth[part], chosen.keep[part]


def whole(example: Example, *, least_px: int = 1) -> Batch:
    """Return a whole recording as a batch of one, its sides filled up to at least `least_px`.

    Pixels without a number are 0, like sound ones; what was filled up does not count. Inputs that are complete and
    large enough are not copied.
    """
    height, width = example.truth.shape
    more = (0, max(0, least_px - width), 0, max(0, least_px - height))
    judged = np.ones_like(example.truth) if example.judged is None else example.judged
    layers = (example.known_inputs, *(np.asarray(layer, np.float32)[None] for layer in (example.truth, judged)))
    tensors = (torch.from_numpy(layer) for layer in layers)
    return Batch(*((torch.nn.functional.pad(each, more) if any(more) else each)[None] for each in tensors))
