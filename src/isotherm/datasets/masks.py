"""Defect masks as people store them: a PNG in which every pixel above 0 is a defect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int
from PIL import Image

from isotherm.core.errors import DataError
from isotherm.formats.reader import MAX_PIXELS

Mask = Bool[np.ndarray, "H W"]


def read_mask(path: Path) -> Mask:
    """Read a mask (H W); of a palette picture the indices count, of a coloured one any channel but alpha.

    Raises
    ------
    DataError
        The file cannot be read as a picture, or is too large.
    """
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise DataError(
                    f"mask {path}: {picture.width} x {picture.height} pixels; at most {MAX_PIXELS} are read"
                )
            values: np.ndarray = np.asarray(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"mask {path}: cannot be read as a picture: {error}") from error
    if values.ndim == 2:
        return np.asarray(values > 0)
    colours = 3 if values.shape[2] > 2 else 1
    return np.asarray((values[..., :colours] > 0).any(axis=2))


def mask_is_empty(path: Path) -> bool:
    """Say whether a mask marks no pixel."""
    return not bool(read_mask(path).any())


def check_mask(path: Path, size: tuple[int, int]) -> None:
    """Check that the mask of a faulty picture fits it; `size` is the picture's height and width.

    Raises
    ------
    DataError
        The mask has another size, or marks no pixel.
    """
    mask = read_mask(path)
    if mask.shape != size:
        raise DataError(
            f"mask {path} is {mask.shape[1]} x {mask.shape[0]} pixels, its picture {size[1]} x {size[0]}; "
            "they must be of one size"
        )
    if not mask.any():
        raise DataError(f"mask {path} marks no pixel, but its picture is labelled as faulty")


def fit_mask(mask: Bool[np.ndarray, "h w"], size: tuple[int, int]) -> Mask:
    """Return a mask at a picture's `size` (height, width); where it differs each pixel takes its nearest."""
    if mask.shape == size:
        return mask
    rows, columns = (_nearest(old, new) for old, new in zip(mask.shape, size, strict=True))
    return np.asarray(mask[np.ix_(rows, columns)])


def _nearest(old: int, new: int) -> Int[np.ndarray, " P"]:
    # The centre of new pixel i lies at (i + 1/2) old / new in old pixels; whole numbers keep it exact.
    return np.asarray((2 * np.arange(new) + 1) * old // (2 * new))
