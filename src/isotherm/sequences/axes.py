"""Which axis of an array counts frames, what their times are, and what is no sequence."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float64, Shaped

from isotherm.core.errors import DataError, UsageError

Order = Literal["THW", "HWT"]
Unit = Literal["K", "°C", "counts", "au"]
"""Kelvin, °C, counts of a camera, or arbitrary units (grey levels and what nobody named)."""
_AXES = {"THW": "frames x height x width", "HWT": "height x width x frames"}
# No camera's picture is as long as this; a picture that is no longer than that may be one.
_LONG, _USUAL = 4.0, 2.5
_MUCH, _LITTLE, _JUMP, _ROUGHER = 0.5, 0.2, 0.15, 0.2
_PAIRS = 4
_COLOURS = (3, 4)
_NO_COLOURS = (
    "pictures in colours hold no temperatures: take the numbers that they were made from, or one grey channel, with "
    "three axes"
)
ASKED_SLICES = 256
"""So many slices at the begin of an axis are looked at to tell the order of the axes."""


def without_single(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without axes of length 1 as long as more than three are left: (H W 1 T) is (H W T)."""
    kept = list(shape)
    while len(kept) > 3 and 1 in kept:
        kept.remove(1)
    return tuple(kept)


def in_colours(shape: tuple[int, ...]) -> str:
    """Return what to say of an array of pictures in colours (four axes, one of them 3 or 4 long); empty for others."""
    return _NO_COLOURS if len(shape) == 4 and any(side in _COLOURS for side in shape) else ""


def checked_numbers(numbers: np.ndarray, name: str) -> np.ndarray:
    """Return an array that may be a sequence; raises DataError where it has not three axes of plain numbers."""
    if numbers.ndim != 3:
        what = "a single picture" if numbers.ndim == 2 else f"of {numbers.ndim} axes"
        colours = in_colours(numbers.shape)
        right = "a sequence has three axes (frames, rows, columns)"
        raise DataError(f"{name} of shape {numbers.shape} is {what}; {right}{f'; {colours}' if colours else ''}")
    if numbers.dtype.kind not in "fiu":
        raise DataError(f"{name} holds {numbers.dtype}; a sequence holds plain numbers")
    return numbers


def in_order(
    numbers: np.ndarray, order: Order | None, name: str
) -> tuple[Shaped[np.ndarray, "T H W"], tuple[str, ...]]:
    """Return a view (T H W) of an array of frames, and a note where it looks like another order.

    Parameters
    ----------
    numbers
        (T H W), or (H W T) with order ``HWT``.
    order
        What the user says; None: frames first, unless the numbers look otherwise, which is an error.
    name
        Of the array, for messages.

    Raises
    ------
    DataError
        No sequence, or most likely in another order than is taken without being told.
    UsageError
        An unknown order.
    """
    check_order(order)
    numbers = checked_numbers(numbers.reshape(without_single(numbers.shape)), name)
    taken: Order = order or "THW"
    turned = np.moveaxis(numbers, 2, 0) if taken == "HWT" else numbers
    check_frames(turned.shape, name)
    notes = order_notes(
        numbers.shape, taken, likely_order(numbers.shape, lines_of(numbers)), name, told=order is not None
    )
    return turned, notes


def check_order(order: str | None) -> None:
    """Raise UsageError for an unknown order."""
    if order is not None and order not in get_args(Order):
        raise UsageError(f"unknown order {order!r}; known: {', '.join(get_args(Order))}")


def check_frames(shape: tuple[int, ...], name: str) -> None:
    """Raise DataError where a shape (T H W) has fewer than two frames, or no pixels."""
    if shape[0] < 2 or 0 in shape:
        raise DataError(f"{name}: {_AXES['THW']} of {shape}; at least two frames with pixels are needed")


def order_notes(
    shape: tuple[int, ...], taken: Order, likely: Order | None, name: str, *, told: bool
) -> tuple[str, ...]:
    """Return a note where an array looks like another order than the user told; DataError where nobody told it."""
    if likely is None or likely == taken:
        return ()
    doubt = f"{name} of shape {shape} looks like {_AXES[likely]} (order {likely}), not {_AXES[taken]}"
    if not told:
        raise DataError(f"{doubt}; give the order: {likely}, or {taken} if it is as it stands")
    return (f"{doubt}; it is read as {taken}, as it was asked for",)


def likely_order(shape: tuple[int, ...], lines: Float64[np.ndarray, "a b c"] | None) -> Order | None:
    """Return the order that an array most likely has; None where nothing tells.

    Two things tell. Frames much longer than any camera's in one order and not in the other. Or a common rise or decay
    of whole frames along one axis that is most of all change, while the other axis has hardly any, and either a jump
    that no profile of heating has (a flash), or equal roughness of the two axes that then are rows and columns, unlike
    that of the third. Both are asked of the first and the last axis only.

    Parameters
    ----------
    shape
        Of the array as it is stored.
    lines
        Pairs of neighbouring lines of its middle axis (`lines_of`); None: its shape alone is asked.
    """
    by_shape = _by_shape(shape)
    return by_shape if by_shape is not None or lines is None else _by_numbers(lines)


def lines_of(numbers: Shaped[np.ndarray, "A B C"]) -> Float64[np.ndarray, "a b c"] | None:
    """Return pairs of neighbouring lines of the middle axis, with the begin of the others; None where it has one."""
    places = pair_places(numbers.shape[1])
    if not places:
        return None
    some = numbers[:ASKED_SLICES, :, :ASKED_SLICES]
    return np.concatenate([np.asarray(some[:, at : at + 2], np.float64) for at in places], axis=1)


def pair_places(side: int) -> list[int]:
    """Return where pairs of neighbouring lines begin that are asked of an axis; none where it is too short."""
    step = max(2, side // _PAIRS)
    return list(range(max(0, step // 2 - 1), side - 1, step))


def _by_shape(shape: tuple[int, ...]) -> Order | None:
    frames_first, frames_last = _length(shape[1:]), _length(shape[:2])
    if frames_first >= _LONG and frames_last <= _USUAL:
        return "HWT"
    return "THW" if frames_last >= _LONG and frames_first <= _USUAL else None


def _length(sides: tuple[int, ...]) -> float:
    return max(sides) / max(1, min(sides))


def _by_numbers(sample: Float64[np.ndarray, "a b c"]) -> Order | None:
    # Numbers that no camera gives would overflow below.
    if min(sample.shape[0], sample.shape[2]) < 4 or not (np.abs(sample) < 1e30).all():
        return None
    change = float(sample.var())
    if change == 0:
        return None
    first, last = sample.mean(axis=(1, 2)), sample.mean(axis=(0, 1))
    rough_first, rough_middle, rough_last = _roughness(sample)
    if _is_time(first, last, change) and (_jumps(first) or _alike(rough_middle, rough_last, rough_first)):
        return "THW"
    if _is_time(last, first, change) and (_jumps(last) or _alike(rough_first, rough_middle, rough_last)):
        return "HWT"
    return None


def _is_time(curve: Float64[np.ndarray, " n"], other: Float64[np.ndarray, " m"], change: float) -> bool:
    return bool(curve.var() > _MUCH * change and other.var() < _LITTLE * change)


def _jumps(curve: Float64[np.ndarray, " n"]) -> bool:
    return bool(np.abs(np.diff(curve)).max() > _JUMP * np.ptp(curve))


def _roughness(sample: Float64[np.ndarray, "a b c"]) -> tuple[float, float, float]:
    """Return the standard deviation of differences between neighbours along each axis, common steps left out."""

    def rough(steps: Float64[np.ndarray, "n p q"]) -> float:
        return float((steps - steps.mean(axis=(1, 2), keepdims=True)).std())

    pairs = np.moveaxis(sample[:, 1::2] - sample[:, ::2], 1, 0)
    return rough(np.diff(sample, axis=0)), rough(pairs), rough(np.moveaxis(np.diff(sample, axis=2), 2, 0))


def _alike(one: float, two: float, third: float) -> bool:
    """Say whether two axes are about equally rough, and the third at least three times as far from them."""
    if min(one, two, third) <= 0:
        return False
    return abs(math.log(third**2 / (one * two))) / 2 > max(_ROUGHER, 3 * abs(math.log(one / two)))


def times_of(
    count: int, times_s: Float64[np.ndarray, " t"] | None, frame_rate_hz: float | None
) -> tuple[Float64[np.ndarray, " T"], bool]:
    """Return the time of each frame and whether it is known; frame numbers where nothing is said.

    Raises
    ------
    DataError
        Another number of times than frames, or times that do not rise.
    UsageError
        The frame rate is not above 0.
    """
    if times_s is not None:
        if times_s.size != count:
            raise DataError(f"{times_s.size} times for {count} frames")
        if not rising(times_s):
            raise DataError("the times of the frames do not rise from frame to frame")
        return times_s, True
    if frame_rate_hz is not None:
        if not (np.isfinite(frame_rate_hz) and frame_rate_hz > 0):
            raise UsageError(f"a frame rate of {frame_rate_hz:g} Hz; it must be above 0")
        return np.arange(count) / frame_rate_hz, True
    return np.arange(count, dtype=np.float64), False


def rising(times_s: Float64[np.ndarray, " t"]) -> bool:
    """Say whether times are finite and rise from frame to frame."""
    return bool(np.isfinite(times_s).all() and (np.diff(times_s) > 0).all())
