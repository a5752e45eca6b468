"""Stacks of maps from several methods, on one scale: what classifiers and networks are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from isotherm.core.config import setting, validate
from isotherm.sequences.log_frames import log_frames
from isotherm.sequences.maps import MapStack, Wanted
from isotherm.sequences.pct import Pct, PctConfig
from isotherm.sequences.ppt import Ppt, PptConfig
from isotherm.sequences.stack import ThermalSequence
from isotherm.sequences.tsr import Tsr, TsrConfig

_PARTS = {
    "std14": ("pct", "ppt", "tsr"),
    "pct4": ("pct",),
    "ppt4": ("ppt",),
    "tsr6": ("tsr",),
    "frames16": ("frames16",),
    "frames25": ("frames25",),
}


@dataclass(frozen=True)
class FeaturesConfig:
    """Settings of `Features`."""

    preset: Literal["std14", "pct4", "ppt4", "tsr6", "frames16", "frames25"] = setting(
        "std14",
        "which maps: 4 principal components, 4 phases, 6 derivatives of TSR, or all 14; or 16 or 25 frames, even in "
        "log time",
    )
    clip: float = setting(30.0, "values farther from the usual than so many robust deviations are cut", low=1, high=1e6)

    def __post_init__(self) -> None:
        validate(self)


class Features:
    """Maps of several methods as robust z: less their median, over 1.4826 times their median absolute deviation.

    No single map shows defects at all depths, and the sign of their contrast turns with depth: together they do. The
    signs of the principal components are fixed by the skewness of their maps; phases and derivatives have theirs by
    physics. Pixels without a number stay NaN. ``std14`` is, in this order: pct_1 .. 4 (centred by frame), ppt_phase_1
    .. 4, tsr_d1_1 .. 3 and tsr_d2_1 .. 3 (order 7, at a quarter, half and three quarters of log time). ``frames16``
    and ``frames25`` are frame_1 .. 16 or 25 of `isotherm.sequences.log_frames`, for networks that see time themselves.
    """

    name = "features"
    config_type = FeaturesConfig
    wants: Wanted = "cooling"

    def maps(self, sequence: ThermalSequence, config: FeaturesConfig) -> MapStack:
        """Return the maps; see `MapMethod.maps`, and `Tsr` for what the sequence must be."""
        stacks = [_part(each, sequence) for each in _PARTS[config.preset]]
        values = np.concatenate([robust_z(stack.values, config.clip) for stack in stacks])
        names = tuple(name for stack in stacks for name in stack.names)
        notes = tuple(note for stack in stacks for note in stack.notes)
        return MapStack(values, names, ("1",) * len(names), self.name, {}, notes)


def _part(name: str, sequence: ThermalSequence) -> MapStack:
    if name.startswith("frames"):
        return log_frames(sequence, int(name.removeprefix("frames")))
    if name == "pct":
        return Pct().maps(sequence, PctConfig(components=4))
    if name == "ppt":
        return Ppt().maps(sequence, PptConfig(bins=4, amplitude=False))
    return Tsr().maps(sequence, TsrConfig(peak=False))


def robust_z(values: Float32[np.ndarray, "K H W"], clip: float = 30.0) -> Float32[np.ndarray, "K H W"]:
    """Return each map less its median, over 1.4826 times its median absolute deviation; NaN pixels do not count.

    Parameters
    ----------
    values
        Maps; one whose deviation is 0 is divided by its standard deviation, a constant one becomes 0.
    clip
        Values are cut at plus and minus this.
    """
    found = np.full_like(values, np.nan)
    for each, out in zip(values, found, strict=True):
        finite = np.isfinite(each)
        known = each[finite].astype(np.float64)
        if not known.size:
            continue
        known -= np.median(known)
        spread = 1.4826 * np.median(np.abs(known))
        out[finite] = np.clip(known / (spread or known.std() or 1.0), -clip, clip)
    return found


METHOD = Features()
