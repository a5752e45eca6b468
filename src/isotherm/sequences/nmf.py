"""Non-negative factors: a few rising and falling curves, each with the picture of where it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from isotherm.core.config import setting, validate
from isotherm.core.errors import DataError
from isotherm.sequences.kernels import COPY_BYTES, block_bytes, sampled
from isotherm.sequences.maps import MapStack, Wanted
from isotherm.sequences.pct import most_components
from isotherm.sequences.stack import ThermalSequence

_LEARN_PX = 16384
_TINY = 1e-12


@dataclass(frozen=True)
class NmfConfig:
    """Settings of `Nmf`."""

    components: int = setting(4, "number of factors", low=1, high=32)
    bins: int = setting(64, "mean frames in so many bins of log time first", low=4, high=1000)
    rounds: int = setting(200, "how often all factors are improved in turn", low=1, high=10000)

    def __post_init__(self) -> None:
        validate(self)


class Nmf:
    """Non-negative matrix factorisation X = W H by alternating least squares of one factor at a time (HALS) [1]_.

    Needs differences from the cold state; those below 0 are noise and count as 0. The curves W are learnt from 16384
    spread pixels, starting from the pixels that differ most (successive projection [2]_), then H is found for all.
    Curves have the length 1, so that the maps are in the sequence's unit; sorted by their share of the sum of squares.

    References
    ----------
    .. [1] A. Cichocki, A.-H. Phan, Fast local algorithms for large scale nonnegative matrix and tensor factorizations,
       IEICE Trans. Fundamentals E92-A(3), 2009.
    .. [2] N. Gillis, S. Vavasis, Fast and robust recursive algorithms for separable nonnegative matrix factorization,
       IEEE Trans. Pattern Analysis and Machine Intelligence 36(4), 2014.
    """

    name = "nmf"
    config_type = NmfConfig
    wants: Wanted = "cooling"

    @np.errstate(invalid="ignore")
    def maps(self, sequence: ThermalSequence, config: NmfConfig) -> MapStack:
        """Return where each factor is, and how strong; see `MapMethod.maps`.

        Raises
        ------
        DataError
            Nothing is above 0, or more factors than frames or pixels.
        """
        binned = sequence if sequence.shape[0] <= config.bins else sequence.log_bins(config.bins)
        if config.components > (most := most_components(binned)):
            frames, height, width = binned.shape
            raise DataError(
                f"{sequence.name}: {config.components} factors of {frames} frames (means in {config.bins} bins of log "
                f"time at most) of {height} x {width} pixels; ask for {most} at most"
            )
        sample = np.maximum(sampled(binned, _LEARN_PX), 0).astype(np.float64)
        if not sample.size or not sample.max() > 0:
            raise DataError(f"{sequence.name}: nothing rises above the cold state; is the cold frame right?")
        curves = learnt_curves(sample, config.components, config.rounds)
        found = _weights(binned, curves, config.rounds)
        power = np.square(found[:, np.isfinite(found[0])], dtype=np.float64).sum(axis=1)
        order = np.argsort(-power, kind="stable")
        names = tuple(f"nmf_{number}" for number in range(1, len(found) + 1))
        details = {"curves": curves.T[order], "time_s": binned.times_s}
        maps = found[order].reshape(-1, *sequence.shape[1:])
        return MapStack(maps, names, (sequence.unit,) * len(names), self.name, details)


def learnt_curves(frames: Float64[np.ndarray, "T P"], count: int, rounds: int) -> Float64[np.ndarray, "T K"]:
    """Return the non-negative curves, of length 1, whose non-negative sums come nearest to some pixels."""
    curves = _extreme(frames, count)
    weights = np.maximum(np.linalg.lstsq(curves, frames, rcond=None)[0], 0)
    products = None
    for _ in range(rounds):
        weights = improved(weights, curves.T @ curves, curves.T @ frames)
        products = weights @ weights.T
        curves = improved(curves.T, products, weights @ frames.T).T
        lengths = np.maximum(np.linalg.norm(curves, axis=0), _TINY)
        curves, weights = curves / lengths, weights * lengths[:, None]
    return curves


def improved(
    rows: Float64[np.ndarray, "K P"], products: Float64[np.ndarray, "K K"], targets: Float64[np.ndarray, "K P"]
) -> Float64[np.ndarray, "K P"]:
    """Return non-negative rows with a smaller squared error: each in turn takes its best values, the others fixed."""
    rows = rows.copy()
    for each in range(len(rows)):
        step = targets[each] - products[each] @ rows
        rows[each] = np.maximum(rows[each] + step / max(products[each, each], _TINY), 0)
    return rows


def _extreme(frames: Float64[np.ndarray, "T P"], count: int) -> Float64[np.ndarray, "T K"]:
    """Return the curves of the pixels that are farthest from what the ones before can make up."""
    rest, chosen = frames.copy(), []
    for _ in range(count):
        lengths = np.einsum("tp,tp->p", rest, rest)
        best = int(lengths.argmax())
        chosen.append(frames[:, best])
        unit = rest[:, best] / max(np.sqrt(lengths[best]), _TINY)
        rest -= np.outer(unit, unit @ rest)
    curves = np.stack(chosen, axis=1)
    return np.asarray(curves / np.maximum(np.linalg.norm(curves, axis=0), _TINY))


def _weights(sequence: ThermalSequence, curves: Float64[np.ndarray, "T K"], rounds: int) -> Float32[np.ndarray, "K P"]:
    """Return how much of each curve is in each pixel; NaN where one has no number in some frame."""
    products, inverse = curves.T @ curves, np.linalg.pinv(curves)
    found = np.empty((curves.shape[1], sequence.shape[1] * sequence.shape[2]), np.float32)
    for pixels, block in sequence.blocks(block_bytes(sequence, COPY_BYTES // 4)):
        frames = np.maximum(block, np.float32(0)).astype(np.float64)
        finite = np.isfinite(frames).all(axis=0)
        frames[:, ~finite] = 0
        rows, targets = np.maximum(inverse @ frames, 0), curves.T @ frames
        for _ in range(min(rounds, 50)):
            rows = improved(rows, products, targets)
        rows[:, ~finite] = np.nan
        found[:, pixels] = rows
    return found


METHOD = Nmf()
