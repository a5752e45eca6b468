"""A picture of what has become warmer and what colder: white where nothing has changed, red and blue where it has."""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import Float
from PIL import Image

from isotherm.reports.palette import INVALID

LEAST_SPAN_K = 2.0
"""The full colour stands for at least this change, so that noise stays pale."""
_WARM, _COLD = np.array([178, 24, 43], np.float32), np.array([33, 102, 172], np.float32)


def span_k(change: Float[np.ndarray, "H W"]) -> float:
    """Return the change [K] that has the full colour."""
    known = np.abs(change[np.isfinite(change)])
    return max(LEAST_SPAN_K, float(np.percentile(known, 99.5))) if known.size else LEAST_SPAN_K


def change_picture(change: Float[np.ndarray, "H W"]) -> bytes:
    """Return a PNG of changes [K]; grey where one of the pictures shows nothing."""
    known = np.isfinite(change)
    share = np.clip(np.where(known, change, 0) / span_k(change), -1, 1).astype(np.float32)[..., None]
    colours = 255 + np.abs(share) * (np.where(share > 0, _WARM, _COLD) - 255)
    colours[~known] = INVALID
    stream = io.BytesIO()
    Image.fromarray(colours.round().astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()
