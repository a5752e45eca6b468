"""Independent components: the principal components, turned so that each map is as little like noise as it can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from isotherm.core.config import setting, validate
from isotherm.sequences.maps import MapStack, Wanted
from isotherm.sequences.pct import Pct, PctConfig
from isotherm.sequences.signs import skew_signs, skewness
from isotherm.sequences.stack import ThermalSequence

_LEARN_PX = 50_000
_ROUNDS = 300
_STILL = 1e-7


@dataclass(frozen=True)
class IcaConfig:
    """Settings of `Ica`."""

    components: int = setting(4, "number of components, and of principal components they are made of", low=2, high=32)
    centre: Literal["frame", "pixel"] = setting(
        "frame", "what is taken off first: the mean of each frame, or of each pixel over time"
    )

    def __post_init__(self) -> None:
        validate(self)


class Ica:
    """Spatial independent components by FastICA [1]_ with log cosh, symmetric, from the maps of PCT.

    Sorted by the skewness of the map, largest first: maps of small defects are skewed. Nothing in it is random: it
    starts from the principal components. `details` has the curve of each component and its skewness.

    References
    ----------
    .. [1] A. Hyvärinen, Fast and robust fixed-point algorithms for independent component analysis, IEEE Trans. Neural
       Networks 10(3), 1999.
    """

    name = "ica"
    config_type = IcaConfig
    wants: Wanted = "cooling"

    def maps(self, sequence: ThermalSequence, config: IcaConfig) -> MapStack:
        """Return the components, of mean 0 and mean square 1; see `MapMethod.maps`.

        Raises
        ------
        DataError
            More components than frames or pixels.
        """
        principal = Pct().maps(sequence, PctConfig(components=config.components, centre=config.centre))
        flat = principal.values.reshape(config.components, -1)
        finite = np.isfinite(flat[0])
        white, turned = whitened(flat[:, finite].astype(np.float64))
        rotation = fast_ica(white[:, :: max(1, white.shape[1] // _LEARN_PX)])
        unmixing = rotation @ turned
        found = np.full(flat.shape, np.nan, np.float32)
        found[:, finite] = rotation @ white
        curves = np.linalg.pinv(unmixing).T @ (
            principal.details["curves"] * principal.details["singular_value"][:, None] / np.sqrt(white.shape[1])
        )
        skewed = np.array([abs(skewness(each)) for each in found])
        order = np.argsort(-skewed, kind="stable")
        maps, curves = found[order].reshape(principal.values.shape), curves[order]
        signs = skew_signs(maps, curves)
        maps *= signs.astype(np.float32)[:, None, None]
        names = tuple(f"ica_{number}" for number in range(1, len(maps) + 1))
        details = {"curves": curves * signs[:, None], "skewness": skewed[order]}
        return MapStack(maps, names, ("1",) * len(maps), self.name, details)


def whitened(values: Float64[np.ndarray, "K P"]) -> tuple[Float64[np.ndarray, "K P"], Float64[np.ndarray, "K K"]]:
    """Return rows of mean 0 with the unit matrix as covariance, and the matrix that makes them (after centring)."""
    centred = values - values.mean(axis=1, keepdims=True)
    spread, axes = np.linalg.eigh(centred @ centred.T / centred.shape[1])
    turned = (axes / np.sqrt(np.maximum(spread, 1e-12 * spread[-1]))) @ axes.T
    return turned @ centred, turned


def fast_ica(white: Float64[np.ndarray, "K P"]) -> Float64[np.ndarray, "K K"]:
    """Return the rotation that makes the rows of whitened values as independent as log cosh can tell.

    Parameters
    ----------
    white
        (K P), rows of mean 0 with the unit matrix as covariance.
    """
    rotation = np.eye(len(white))
    for _ in range(_ROUNDS):
        found = np.tanh(rotation @ white)
        slopes = 1 - np.square(found).mean(axis=1)
        turned = _orthogonal(found @ white.T / white.shape[1] - slopes[:, None] * rotation)
        change = float(np.abs(np.abs((turned * rotation).sum(axis=1)) - 1).max())
        rotation = turned
        if change < _STILL:
            break
    return rotation


def _orthogonal(matrix: Float64[np.ndarray, "K K"]) -> Float64[np.ndarray, "K K"]:
    left, _, right = np.linalg.svd(matrix)
    return np.asarray(left @ right)


METHOD = Ica()
