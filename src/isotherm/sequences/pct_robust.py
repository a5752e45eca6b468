"""Variants of principal component thermography for few, small defects: the sparse part alone, and sparse maps.

Both need all frames at once, in memory, and so take the mean of the frames in bins of log time first.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64

from isotherm.core.errors import DataError
from isotherm.sequences.maps import MapStack
from isotherm.sequences.pct_passes import Centre, Passes
from isotherm.sequences.pct_stack import check_components, component_maps
from isotherm.sequences.stack import ThermalSequence

Frames = Float32[np.ndarray, "T P"]
_GROWTH = 1.2
_CLOSE = 1e-5
_MOST_ROUNDS = 200
_SPARSE_ROUNDS = 40


def robust(sequence: ThermalSequence, *, components: int, centre: Centre, bins: int) -> MapStack:
    """Return the components of the sparse part S of X = L + S, where L has low rank [1]_.

    L takes what varies smoothly over the picture with few curves (uneven heating, cooling); defects are left in S.

    Parameters
    ----------
    sequence
        Behind the flash where it has more frames than `bins`.
    components, centre, bins
        See `isotherm.sequences.pct.PctConfig`.

    References
    ----------
    .. [1] E. Candès, X. Li, Y. Ma, J. Wright, Robust principal component analysis?, J. ACM 58(3), 2011; solved by the
       inexact augmented Lagrange method of Z. Lin, M. Chen, Y. Ma, arXiv 1009.5055, algorithm 5.
    """
    frames, finite, passes = _gathered(sequence, components, centre, bins)
    sparse = sparse_part(frames)
    total = float(np.square(sparse, dtype=np.float64).sum())
    if not total > 0:
        raise DataError(f"{sequence.name}: nothing is left beside the low-rank part; there are no robust components")
    curves = np.linalg.eigh((sparse @ sparse.T).astype(np.float64))[1][:, ::-1][:, :components].T
    return component_maps(_spread(curves.astype(np.float32) @ sparse, finite, passes), curves, total)


def sparse_part(frames: Frames, weight: float | None = None) -> Frames:
    """Return S of the split X = L + S that makes the nuclear norm of L plus `weight` times the sum of abs(S) smallest.

    Parameters
    ----------
    frames
        X (T P), finite.
    weight
        None: 1 / sqrt of the longer side.
    """
    weight = weight if weight is not None else 1 / np.sqrt(max(frames.shape))
    norm = float(np.sqrt(np.linalg.eigvalsh((frames @ frames.T).astype(np.float64))[-1]))
    length = float(np.sqrt(np.square(frames, dtype=np.float64).sum()))
    if norm == 0:
        return np.zeros_like(frames)
    dual = frames / np.float32(max(norm, float(np.abs(frames).max()) / weight))
    sparse, step = np.zeros_like(frames), 1.25 / norm
    for _ in range(_MOST_ROUNDS):
        low = _shrunk_rank(frames - sparse + dual / np.float32(step), 1 / step)
        sparse = shrunk(frames - low + dual / np.float32(step), weight / step)
        rest = frames - low - sparse
        dual += np.float32(step) * rest
        if np.sqrt(np.square(rest, dtype=np.float64).sum()) < _CLOSE * length:
            break
        step = min(step * _GROWTH, 1.25e7 / norm)
    return sparse


def _shrunk_rank(frames: Frames, by: float) -> Frames:
    """Return the matrix with its singular values less `by`, from the products of its frames."""
    values, curves = np.linalg.eigh((frames @ frames.T).astype(np.float64))
    spreads = np.sqrt(np.maximum(values, 0))
    kept = spreads > by
    shares = (1 - by / spreads[kept])[:, None] * curves[:, kept].T
    return np.asarray((curves[:, kept] @ shares).astype(np.float32) @ frames)


def shrunk(values: Float32[np.ndarray, "*any"], by: float) -> Float32[np.ndarray, "*any"]:
    """Return values nearer to 0 by `by`, those below it 0."""
    return np.asarray(values - np.clip(values, np.float32(-by), np.float32(by)))


def sparse(sequence: ThermalSequence, *, components: int, centre: Centre, bins: int) -> MapStack:
    """Return components whose maps are 0 where a pixel is not above what is usual [1]_.

    Each is found by alternating between curve and map; the map loses twice its own robust standard deviation (1.4826
    times the median of its absolute values) each time. The curves are orthogonal.

    References
    ----------
    .. [1] D. Witten, R. Tibshirani, T. Hastie, A penalized matrix decomposition, Biostatistics 10(3), 2009, alg. 3; as
       a variant of PCT: J.-Y. Wu, S. Sfarra, Y. Yao, Sparse principal component thermography, IEEE Trans. Ind. Inf.
       14(12), 2018.
    """
    frames, finite, passes = _gathered(sequence, components, centre, bins)
    total = float(np.square(frames, dtype=np.float64).sum())
    if not total > 0:
        raise DataError("all frames are alike after centring: there are no components")
    curves, maps = [], []
    for _ in range(components):
        curve = np.linalg.eigh((frames @ frames.T).astype(np.float64))[1][:, -1]
        curve, found = _sparse_pair(frames, curve)
        curves.append(curve)
        maps.append(found)
        small = curve.astype(np.float32)
        frames = frames - np.outer(small, small @ frames)
    return component_maps(_spread(np.stack(maps), finite, passes), np.stack(curves), total)


def _sparse_pair(
    frames: Frames, curve: Float64[np.ndarray, " T"]
) -> tuple[Float64[np.ndarray, " T"], Float32[np.ndarray, " P"]]:
    for _ in range(_SPARSE_ROUNDS):
        along = curve.astype(np.float32) @ frames
        found = shrunk(along, 2 * 1.4826 * float(np.median(np.abs(along))))
        turned = (frames @ found).astype(np.float64)
        length = np.linalg.norm(turned)
        if length == 0:
            return curve, found
        turned /= length
        if abs(turned @ curve) > 1 - 1e-9:
            return turned, found
        curve = turned
    return curve, found


def _gathered(
    sequence: ThermalSequence, components: int, centre: Centre, bins: int
) -> tuple[Frames, np.ndarray, ThermalSequence]:
    """Return the centred pixels that have a number in every frame, which those are, and the binned sequence.

    Raises
    ------
    DataError
        Bins or pixels are too few for so many components.
    """
    binned = sequence if sequence.shape[0] <= bins else sequence.log_bins(bins)
    passes = Passes(binned, centre, standardise=False)
    parts = [block for _, block in passes.blocks()]
    whole = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
    finite = np.isfinite(whole).all(axis=0)
    frames = whole[:, finite]
    check_components(sequence.name, components, *frames.shape, of="frames (means in bins of log time)")
    return (frames - frames.mean(axis=1, keepdims=True) if centre == "frame" else frames), finite, binned


def _spread(maps: Float32[np.ndarray, "K P"], finite: np.ndarray, sequence: ThermalSequence) -> np.ndarray:
    found = np.full((len(maps), finite.size), np.nan, np.float32)
    found[:, finite] = maps
    return found.reshape(-1, *sequence.shape[1:])
