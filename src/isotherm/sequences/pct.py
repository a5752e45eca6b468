"""Principal component thermography: the few pictures that most of a sequence is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64

from isotherm.core.config import setting, validate
from isotherm.core.errors import DataError
from isotherm.sequences.maps import MapStack, Wanted
from isotherm.sequences.pct_passes import SAMPLE_PX, Passes, there_and_back
from isotherm.sequences.pct_robust import robust, sparse
from isotherm.sequences.pct_stack import check_components, component_maps
from isotherm.sequences.stack import ThermalSequence
from isotherm.sequences.tiles import multiply

_EXACT_WORK = 2e10
_SPARE, _POWERS, _FEW_PX = 8, 4, 2048


@dataclass(frozen=True)
class PctConfig:
    """Settings of `Pct`."""

    components: int = setting(4, "number of components", low=1, high=256)
    centre: Literal["frame", "pixel"] = setting(
        "frame", "what is taken off first: the mean of each frame, or of each pixel over time"
    )
    standardise: bool = setting(False, "divide by the standard deviation too (of the frame, or of the pixel over time)")
    solver: Literal["auto", "exact", "fast", "robust", "sparse"] = setting(
        "auto",
        "exact covariance; fast subspace iteration; robust: low-rank part apart from sparse; "
        "sparse: components that are 0 outside of defects; auto: exact where it is quick",
    )
    bins: int = setting(64, "robust and sparse: mean frames in so many bins of log time first", low=4, high=1000)
    rounds: int = setting(1, "fast: passes of subspace iteration", low=1, high=20)

    def __post_init__(self) -> None:
        validate(self)


class Pct:
    """Principal component thermography [1]_: X = U S V^T of frames x pixels, centred; the maps are the rows of V^T.

    Each map is scaled to mean square 1. Signs are fixed: small bright parts stand out as positive (third moment of the
    map). Centred by frame, what is common to a whole frame goes; centred by pixel, the mean of each pixel over time.
    `details` has the curves (U), the share of variance of each, and the singular values.

    The solver ``fast`` starts from the components of 8192 spread pixels and iterates over all, which comes to the same
    components as far as they stand out of noise. ``robust`` and ``sparse`` are in `isotherm.sequences.pct_robust`.

    References
    ----------
    .. [1] N. Rajic, Principal component thermography for flaw contrast enhancement and flaw depth characterisation in
       composite structures, Composite Structures 58, 2002.
    """

    name = "pct"
    config_type = PctConfig
    wants: Wanted = "cooling"

    @np.errstate(invalid="ignore", over="ignore")
    def maps(self, sequence: ThermalSequence, config: PctConfig) -> MapStack:
        """Return the first components; see `MapMethod.maps`.

        Raises
        ------
        DataError
            More components than frames or pixels, or nothing but noise-free constant frames.
        """
        check_components(sequence.name, config.components, sequence.shape[0], math.prod(sequence.shape[1:]))
        if config.solver in ("robust", "sparse"):
            solve = robust if config.solver == "robust" else sparse
            return solve(sequence, components=config.components, centre=config.centre, bins=config.bins)
        passes = Passes(sequence, config.centre, config.standardise)
        if _by_covariance(sequence, config):
            return _exact(passes, config.components)
        return _fast(passes, config)


def most_components(sequence: ThermalSequence) -> int:
    """Return how many components a sequence can have: one less than frames or pixels, for the mean."""
    count, height, width = sequence.shape
    return min(count, height * width) - 1


def _by_covariance(sequence: ThermalSequence, config: PctConfig) -> bool:
    count, height, width = sequence.shape
    if config.solver == "auto":
        few = height * width <= 2 * SAMPLE_PX or config.components + _SPARE >= count // 2
        return few or count * count * height * width <= _EXACT_WORK
    return config.solver == "exact"


def _exact(passes: Passes, count: int) -> MapStack:
    covariance = passes.covariance()
    passes.enough_for(count)
    _some_change(float(np.trace(covariance)))
    curves = np.linalg.eigh(covariance)[1][:, ::-1][:, :count].T
    maps, total = passes.along(curves)
    return component_maps(maps, curves, total)


def _fast(passes: Passes, config: PctConfig) -> MapStack:
    """Block power iteration from the components of a sample, then Rayleigh-Ritz in the space found."""
    wanted = min(config.components + _SPARE, passes.sequence.shape[0])
    space = _leading(passes.sample(), wanted)
    for _ in range(config.rounds):
        space = orthonormal(passes.multiplied(space))
    passes.enough_for(config.components)
    inside, total = passes.along(space.T)
    flat = inside.reshape(wanted, -1)
    finite = flat[:, np.isfinite(flat[0])]
    turned = np.linalg.eigh((finite @ finite.T).astype(np.float64))[1][:, ::-1][:, : config.components]
    maps = np.empty((config.components, *inside.shape[1:]), np.float32)
    multiply(turned.T.astype(np.float32), flat, maps.reshape(config.components, -1))
    return component_maps(maps, (space @ turned).T, total)


def _leading(frames: Float32[np.ndarray, "T S"], count: int) -> Float64[np.ndarray, "T K"]:
    """Return curves that hold the leading components of some pixels, by block power iteration."""
    _some_change(float(np.abs(frames).max()))
    few = np.ascontiguousarray(frames[:, :: max(1, frames.shape[1] // _FEW_PX)])
    space = np.random.default_rng(0).standard_normal((len(frames), count))
    for part in (*[few] * _POWERS, frames):
        rows = orthonormal(space).T.astype(np.float32, order="C")
        space = np.zeros_like(space)
        for back, _, _ in there_and_back(rows, part):
            space += back[:, :-1]
    return orthonormal(space)


def orthonormal(space: Float64[np.ndarray, "T K"]) -> Float64[np.ndarray, "T K"]:
    """Return columns of length 1 at right angles that span the same; what is nothing beside the others may become 0.

    By the products of the columns, and once more for what rounding left: NumPy's qr would wake all threads for it.
    """
    for _ in range(2):
        space = space / np.maximum(np.linalg.norm(space, axis=0), np.finfo(np.float64).tiny)
        values, turns = np.linalg.eigh(space.T @ space)
        space = space @ (turns / np.sqrt(np.maximum(values, 1e-14 * values[-1])))
    return np.asarray(space)


def _some_change(total: float) -> None:
    if not total > 0:
        raise DataError("all frames are alike after centring: there are no components")


METHOD = Pct()
