"""Small copies of normal pictures that a model keeps, to show what a picture should look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float16, Float32

from isotherm.anomaly.inputs import resize

SIDE = 128
"""Largest side of a thumbnail [px]."""
MAX_THUMBNAILS = 64
Picture = Float32[np.ndarray, "3 H W"]
Thumbnail = Float16[np.ndarray, "_ r c"]
"""One channel (grey) or three."""


def thumbnail(picture: Picture) -> Thumbnail:
    """Shrink a network input; a grey one keeps one channel. Half precision resolves a 2,000th of the span."""
    shrink = min(1.0, SIDE / max(picture.shape[1:]))
    size = (max(1, round(picture.shape[1] * shrink)), max(1, round(picture.shape[2] * shrink)))
    grey = bool((picture == picture[0]).all())
    channels = picture[:1] if grey else picture
    return np.stack([resize(channel, size) for channel in channels]).astype(np.float16)


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """Some normal pictures: (T C r c) float16, C = 1 (all grey) or 3, in the units of the network input."""

    values: Float16[np.ndarray, "T C r c"]

    @classmethod
    def gather(cls, thumbnails: Sequence[Thumbnail]) -> Thumbnails:
        """Stack thumbnails; where one is coloured, all get three channels."""
        channels = max(item.shape[0] for item in thumbnails)
        return cls(np.stack([np.broadcast_to(item, (channels, *item.shape[1:])) for item in thumbnails]))

    def pictures(self, indices: Sequence[int]) -> Float32[np.ndarray, "N 3 r c"]:
        """Return the thumbnails of these indices with three channels."""
        chosen = self.values[np.asarray(indices, dtype=np.int64)].astype(np.float32)
        return np.ascontiguousarray(np.broadcast_to(chosen, (len(chosen), 3, *chosen.shape[2:])))
