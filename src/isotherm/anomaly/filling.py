"""Pictures resized as if what hides the scene were not there."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Shaped
from PIL import Image

from isotherm.anomaly.tiles import Size, resize

SEEN = 0.75
"""A pixel of the smaller picture is kept where at least this share of what it averages belongs to the scene."""
TRUSTED = 0.25
"""Below this share its value is taken from its surroundings."""


def resized_without(
    picture: Shaped[np.ndarray, "h w *C"], hidden: Bool[np.ndarray, "h w"], size: Size
) -> tuple[Shaped[np.ndarray, "H W *C"], Bool[np.ndarray, "H W"]]:
    """Resize a picture so that hidden pixels leave no trace.

    Each pixel is the mean of what it sees of the scene; where it sees (nearly) nothing, its surroundings fill it.

    Returns
    -------
    picture
        (H W *C) of the same type.
    ignore
        (H W), true where too little of the scene is seen.
    """
    weight = resize((~hidden).astype(np.float32), size)
    planes = picture[..., None] if picture.ndim == 2 else picture
    visible = planes.copy()
    visible[hidden] = 0
    filled = np.moveaxis(_filled(_resized(visible, size), weight), 0, 2)
    if picture.dtype == np.uint8:
        filled = np.clip(np.rint(filled), 0, 255)
    result = filled.astype(picture.dtype)
    return (result[..., 0] if picture.ndim == 2 else result), weight < SEEN


def _resized(planes: Shaped[np.ndarray, "h w C"], size: Size) -> Float32[np.ndarray, "C H W"]:
    """Resize each channel; a coloured picture at once and as bytes, which is many times faster."""
    if planes.dtype == np.uint8 and planes.shape[2] == 3:
        picture = Image.fromarray(planes).resize((size[1], size[0]), Image.Resampling.BILINEAR)
        return np.moveaxis(np.asarray(picture, dtype=np.float32), 2, 0)
    return np.stack([resize(plane.astype(np.float32), size) for plane in np.moveaxis(planes, 2, 0)])


def _filled(sums: Float32[np.ndarray, "C H W"], weight: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "C H W"]:
    """Return sums over weights; where the weight is small, those of a picture of half the size, and so on.

    This is the pull-push way to fill holes (Gortler et al., The Lumigraph, SIGGRAPH 1996, section 3.5).
    """
    values: Float32[np.ndarray, "C H W"] = sums / np.maximum(weight, np.float32(1e-3))
    hole = weight < TRUSTED
    height, width = weight.shape
    if not hole.any() or max(height, width) == 1:
        return values
    half = (-(-height // 2), -(-width // 2))
    coarse = _filled(np.stack([resize(plane, half) for plane in sums]), resize(weight, half))
    for plane, around in zip(values, coarse, strict=True):
        plane[hole] = _enlarged(around, (height, width))[hole]
    return values


def _enlarged(plane: Float32[np.ndarray, "h w"], size: Size) -> Float32[np.ndarray, "H W"]:
    picture = Image.fromarray(np.ascontiguousarray(plane))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR))
