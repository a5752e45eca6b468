"""The curve of sound material, which contrasts are taken against."""

from __future__ import annotations

import re

import numpy as np
from jaxtyping import Float64

from isotherm.core.errors import ConfigError, DataError
from isotherm.core.shapes import Box
from isotherm.sequences.kernels import sampled
from isotherm.sequences.stack import ThermalSequence

_SAMPLE_PX = 8192
_FORM = re.compile(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*")


def sound_curve(sequence: ThermalSequence, sound: str | None = None) -> Float64[np.ndarray, " T"]:
    """Return the curve of sound material.

    Parameters
    ----------
    sequence
        Frames (T H W).
    sound
        A box of sound pixels as ``x,y,width,height``, whose mean counts; None: the median of 8192 spread pixels, which
        is sound wherever less than half of the part is defect.

    Raises
    ------
    ConfigError
        The box is no box.
    DataError
        It lies outside, or no pixel of it has a number in every frame.
    """
    if sound is None:
        curves = sampled(sequence, _SAMPLE_PX)
        curve = np.median(curves, axis=1) if curves.shape[1] else None
    else:
        curves = sampled(sequence.crop(box_of(sound)), 2**62)
        curve = curves.mean(axis=1, dtype=np.float64) if curves.shape[1] else None
    if curve is None:
        raise DataError(f"{sequence.name}: no pixel of the sound material has a number in every frame")
    return np.asarray(curve, np.float64)


def box_of(text: str) -> Box:
    """Return the box that ``x,y,width,height`` stands for; raises ConfigError where it is none."""
    found = _FORM.fullmatch(text)
    if found is None or 0 in (int(found[3]), int(found[4])):
        raise ConfigError(f"a box is x,y,width,height in pixels, as 10,20,40,30; not {text!r}")
    x, y, width, height = (int(each) for each in found.groups())
    return Box(x, y, width, height)
