"""What cameras and programs draw into a picture: logos, read-outs, spot markers, scales, dates, frames.

A model that reads them judges the camera, not the scene. `find` marks them, so that they are neither learnt from nor
judged: print and marks (`overlay_prints`), palette bars and frames (`overlay_bars`), and whatever stands at the same
place in all pictures of a training set (`learn`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from isotherm.core.errors import ModelError
from isotherm.core.regions import dilate, label
from isotherm.formats.overlay_bars import find_bars, find_frames
from isotherm.formats.overlay_prints import find_prints
from isotherm.formats.overlay_strokes import Mask, Strokes, find_strokes

Picture = UInt8[np.ndarray, "H W *C"]
AnySize = UInt8[np.ndarray, "..."]
"""A picture whose size need not be that of its neighbours."""

WORKING_PX = 1100
"""Larger pictures are looked at after averaging whole blocks of pixels, with at most this longer side [px]."""
MIN_SIDE_PX = 64
"""Pictures with a shorter side carry no legible print."""
MARGIN_PX = 2
"""How far the mask reaches beyond what was found [px of the picture that was looked at]."""
MIN_SET = 6
"""So many pictures of one size are needed to tell what is constant."""
CONSTANT_SHARE, MAX_SPREAD = 0.9, 30
"""A constant stroke is one in this share of the pictures, and its tone (10th to 90th percentile) varies no more."""
MIN_VARIATION = 8
"""Median standard deviation of the tones over the set: below it the camera stood still, and its scene is constant."""
PRESENT_SHARE = 0.6
"""A constant mark is in a picture when so much of it is strokes there; pictures of another camera lack it."""


@dataclass(frozen=True, eq=False)
class OverlayModel:
    """The marks that all pictures of a training set show at the same place.

    Parameters
    ----------
    constant
        (H W) at the size at which those pictures are looked at; empty (0 0) where nothing is constant.
    """

    constant: Mask

    @classmethod
    def empty(cls) -> OverlayModel:
        """Return the model of a set without constant marks."""
        return cls(np.zeros((0, 0), dtype=np.bool_))

    def present(self, strokes: Strokes) -> Mask:
        """Return the constant marks that a picture shows too."""
        drawn = strokes.light | strokes.dark
        if self.constant.shape != drawn.shape:
            return np.zeros_like(drawn)
        labels, count = label(self.constant)
        size = np.bincount(labels.ravel(), minlength=count + 1)
        shown = np.bincount(labels.ravel(), drawn.ravel(), count + 1) >= PRESENT_SHARE * size
        shown[0] = False
        mask: Mask = shown[labels]
        return mask

    def to_mapping(self) -> dict[str, Any]:
        """Return the model as plain values: its size, and the flat places where set and unset pixels alternate."""
        changes = np.flatnonzero(np.diff(np.concatenate([[False], self.constant.ravel(), [False]])))
        return {"size": list(self.constant.shape), "changes": changes.tolist()}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> OverlayModel:
        """Rebuild what `to_mapping` gave; raises ModelError where it is damaged."""
        try:
            height, width = (int(side) for side in values["size"])
            changes = np.asarray(values["changes"], dtype=np.int64)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelError(f"the description of its overlays is damaged: {error}") from error
        sized = 0 <= height <= WORKING_PX and 0 <= width <= WORKING_PX and changes.ndim == 1 and changes.size % 2 == 0
        if not sized or (changes.size and (changes[0] < 0 or changes[-1] > height * width)):
            raise ModelError("the description of its overlays makes no sense")
        if np.any(np.diff(changes) <= 0):
            raise ModelError("the description of its overlays is out of order")
        flat = np.zeros(height * width, dtype=np.bool_)
        for start, end in changes.reshape(-1, 2):
            flat[start:end] = True
        return cls(flat.reshape(height, width))


def learn(pictures: Sequence[AnySize]) -> OverlayModel:
    """Find what is drawn at the same place in the pictures of a training set.

    Of pictures of several sizes the most frequent size counts. Nothing is learnt from few pictures, nor from those of a
    camera that stood still: there the scene is constant too.
    """
    looked_at = [_planes(picture) for picture in pictures if min(picture.shape[:2]) >= MIN_SIDE_PX]
    sizes = Counter(planes.shape[1:] for planes in looked_at)
    size, count = sizes.most_common(1)[0] if sizes else ((0, 0), 0)
    if count < MIN_SET:
        return OverlayModel.empty()
    drawn = [find_strokes(planes) for planes in looked_at if planes.shape[1:] == size]
    tones = np.stack([strokes.lowest for strokes in drawn])
    if np.median(tones[:, ::4, ::4].std(axis=0)) < MIN_VARIATION:
        return OverlayModel.empty()
    often = np.mean([strokes.light | strokes.dark for strokes in drawn], axis=0) >= CONSTANT_SHARE
    low, high = np.percentile(tones[:, often], (10, 90), axis=0)
    often[often] = high - low <= MAX_SPREAD
    return OverlayModel(often)


def find(picture: Picture, model: OverlayModel | None = None) -> Bool[np.ndarray, "H W"]:
    """Mark everything in a picture that does not belong to the scene.

    Parameters
    ----------
    picture
        Grey (H W) or RGB (H W 3).
    model
        What the training set showed at the same place, or None.

    Returns
    -------
    Mask
        (H W), true on overlays and a margin of a few pixels around them.
    """
    height, width = picture.shape[:2]
    if min(height, width) < MIN_SIDE_PX:
        return np.zeros((height, width), dtype=np.bool_)
    planes = _planes(picture)
    strokes = find_strokes(planes)
    found = find_bars(planes) | find_prints(strokes)
    if model is not None:
        found |= model.present(strokes)
    found = dilate(found, MARGIN_PX)
    found |= find_frames(planes, found)
    factor = _factor(picture)
    if factor == 1:
        return found
    return found.repeat(factor, axis=0).repeat(factor, axis=1)[:height, :width]


def _factor(picture: Picture) -> int:
    longer: int = max(picture.shape[:2])
    return math.ceil(longer / WORKING_PX)


def _planes(picture: Picture) -> UInt8[np.ndarray, "3 h w"]:
    """Return the three channels of a picture, at the size at which it is looked at."""
    factor = _factor(picture)
    small = picture if factor == 1 else np.asarray(Image.fromarray(picture).reduce(factor))
    if small.ndim == 2:
        return np.broadcast_to(small, (3, *small.shape))
    return np.ascontiguousarray(np.moveaxis(small, 2, 0))
