"""Higher-order statistics: how each pixel's values are spread over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from isotherm.core.config import setting, validate
from isotherm.sequences.kernels import ALL_BYTES, block_bytes
from isotherm.sequences.maps import MapStack, Wanted
from isotherm.sequences.stack import ThermalSequence

_CACHE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class MomentsConfig:
    """Settings of `Moments`."""

    fifth: bool = setting(True, "give the fifth standardised moment too")
    spread: bool = setting(False, "give mean and standard deviation too")

    def __post_init__(self) -> None:
        validate(self)


class Moments:
    """Higher-order statistics thermography [1]_: standardised central moments of each pixel's values over time.

    Skewness mean((x - mean)^3) / s^3, kurtosis (3 for a normal distribution, not less 3) and the fifth moment, with the
    biased standard deviation s. Order in time does not count, so neither times nor a cold frame are needed. They show
    shallow defects best. A constant pixel has moments 0.

    References
    ----------
    .. [1] F. Madruga, C. Ibarra-Castanedo, O. Conde, J. López-Higuera, X. Maldague, Infrared thermography processing
       based on higher-order statistics, NDT&E International 43(8), 2010.
    """

    name = "hos"
    config_type = MomentsConfig
    wants: Wanted = "cooling"

    @np.errstate(invalid="ignore", over="ignore")
    def maps(self, sequence: ThermalSequence, config: MomentsConfig) -> MapStack:
        """Return the moments; see `MapMethod.maps`."""
        count, height, width = sequence.shape
        found = np.empty((5, height * width), np.float32)
        step = max(1, _CACHE_BYTES // (4 * count))
        for pixels, curves in sequence.blocks(block_bytes(sequence, ALL_BYTES)):
            part = found[:, pixels]
            for first in range(0, curves.shape[1], step):
                part[:, first : first + step] = moments(curves[:, first : first + step])
        wanted = [*([0, 1] if config.spread else []), 2, 3, *([4] if config.fifth else [])]
        names = ("hos_mean", "hos_deviation", "hos_skewness", "hos_kurtosis", "hos_fifth")
        units = (sequence.unit, sequence.unit, "1", "1", "1")
        return MapStack(
            found[wanted].reshape(-1, height, width),
            tuple(names[each] for each in wanted),
            tuple(units[each] for each in wanted),
            self.name,
        )


def moments(curves: Float32[np.ndarray, "T P"]) -> Float32[np.ndarray, "5 P"]:
    """Return mean, standard deviation, skewness, kurtosis and fifth standardised moment of each pixel.

    Parameters
    ----------
    curves
        (T P); NaN comes out for pixels that are not finite everywhere.
    """
    count = np.float32(len(curves))
    level = curves[0]
    rest = curves - level
    shift = rest.mean(axis=0)
    rest -= shift
    square = rest * rest
    deviation = np.sqrt(square.mean(axis=0))
    fourth = np.einsum("tp,tp->p", square, square) / count
    rest *= square
    third = rest.mean(axis=0)
    fifth = np.einsum("tp,tp->p", rest, square) / count
    scale = np.where(deviation == 0, np.float32(1), deviation)
    found = np.stack([level + shift, deviation, third / scale**3, fourth / scale**4, fifth / scale**5])
    found[:, ~np.isfinite(found[4])] = np.nan
    return found


METHOD = Moments()
