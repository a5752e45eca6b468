"""Heat flow in the plane of a plate: exact steps along lines of pixels, as products with narrow bands of a matrix.

Along a line of even pixels, heat of one pixel spreads over its neighbours in the same way everywhere (a lattice's heat
kernel). What lies beyond the kernel's reach is left out, so the matrix of a step is a band; it is stored in blocks.
Where a line meets a hole or an inclusion, the blocks there are the exponential of that very line: conductances between
unlike neighbours in series, none into a hole. Such a step holds for any step length, and gives no heat away.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, Int64

from isotherm.core.products import most_multiplications
from isotherm.datasets.plate_depth import DepthGrid, solids
from isotherm.datasets.plates import Defect, Layer, Material

State = Float32[np.ndarray, "L A B"]
Which = Int[np.ndarray, "A B"]
Each: TypeAlias = Callable[[Callable[[Any], None], Iterable[Any]], Iterable[None]]
"""`map`, or that of a pool of threads."""
_LEFT_OUT = 1e-8
"""Share of the heat beyond the reach of the kernel."""
_BLOCK_PX = 16
"""Pixels of a block; more multiply with more zeros of the band (measured: 16 is fastest for reaches of 4 to 30)."""
_LAYERS_AT_ONCE = 8
_TAYLOR_NORM, _TAYLOR_ORDER = 2.0, 22  # 2^23/23! is 3e-16
SMALL = most_multiplications()
"""Multiplications of one product: with more, numpy's library would wake all its threads, which here costs time."""


@dataclass(frozen=True, eq=False)
class _Lines:
    """Lines that meet defects within one block, with a matrix each."""

    numbers: Int64[np.ndarray, " K"]
    matrices: Float32[np.ndarray, "K N M"]


@dataclass(frozen=True, eq=False)
class _Block:
    """Pixels `start` to `stop` of all lines come from pixels `first` to `last`, by one matrix."""

    start: int
    stop: int
    first: int
    last: int
    matrix: Float32[np.ndarray, "N M"]
    lines: _Lines | None


@dataclass(frozen=True, eq=False)
class _Sheet:
    """A run of layers of cells that are alike in the plane."""

    layers: slice
    along_y: tuple[_Block, ...]
    along_x: tuple[_Block, ...]


class PlaneStep:
    """The flow of heat in the plane during one step, in all layers or in the first few.

    Parameters
    ----------
    sets, which
        The sets of defects, and (H W) which of them each pixel lies in.
    step_s
        Length of the step [s].
    pixel_m
        Side of a pixel [m].
    layers
        How many layers to step; None for all.
    """

    def __init__(
        self,
        grid: DepthGrid,
        sets: list[tuple[Defect, ...]],
        which: Which,
        *,
        step_s: float,
        pixel_m: float,
        layers: int | None = None,
    ) -> None:
        stacks = list(zip(*(solids(grid, defects) for defects in sets), strict=True))[:layers]
        self._parts: list[tuple[_Sheet, slice]] = []

        @cache
        def blocks(axis: str, flows: tuple[tuple[float, float], ...]) -> tuple[_Block, ...]:
            return _blocks(list(flows), which if axis == "x" else which.T)

        for run in _runs(grid.layers, stacks):
            layer, kinds = grid.layers[run.start], stacks[run.start]
            scale = step_s / pixel_m**2
            y, x = (blocks(axis, tuple(_flow(kind, layer, axis, scale) for kind in kinds)) for axis in "yx")
            self._parts += _parts(_Sheet(run, along_y=y, along_x=x))
        # The largest first, so that no thread ends long after the others.
        self._parts.sort(key=lambda part: part[1].start - part[1].stop)

    def __call__(self, state: State, spare: State, *, x_first: bool, each: Each = map) -> None:
        """Step `state` in place; `spare` is memory of the same shape.

        Where there are holes the order of the two directions matters a little; alternate it from step to step.
        """

        def step(part: tuple[_Sheet, slice]) -> None:
            _step(part[0], state[part[1]], spare[part[1]], x_first=x_first)

        deque(each(step, self._parts), 0)


def _parts(sheet: _Sheet) -> Iterator[tuple[_Sheet, slice]]:
    """Cut a sheet into parts of a few layers, which threads may share."""
    for start in range(sheet.layers.start, sheet.layers.stop, _LAYERS_AT_ONCE):
        yield sheet, slice(start, min(start + _LAYERS_AT_ONCE, sheet.layers.stop))


def _step(sheet: _Sheet, old: State, new: State, *, x_first: bool) -> None:
    old_columns, new_columns = old.swapaxes(1, 2), new.swapaxes(1, 2)
    if x_first:
        _pass(old, new, sheet.along_x)
        _pass(new_columns, old_columns, sheet.along_y)
    else:
        _pass(old_columns, new_columns, sheet.along_y)
        _pass(new, old, sheet.along_x)


def _pass(old: State, new: State, blocks: tuple[_Block, ...]) -> None:
    for block in blocks:
        near = old[:, :, block.first : block.last]
        rows = max(1, SMALL // block.matrix.size)
        for row in range(0, near.shape[1], rows):
            part = np.s_[:, row : row + rows]
            np.matmul(near[part], block.matrix, out=new[:, row : row + rows, block.start : block.stop])
        if block.lines:
            numbers = block.lines.numbers
            changed = np.matmul(near[:, numbers].swapaxes(0, 1), block.lines.matrices)
            new[:, numbers, block.start : block.stop] = changed.swapaxes(0, 1)


def _runs(layers: tuple[Layer, ...], stacks: list[tuple[Material | None, ...]]) -> list[slice]:
    """Return the longest runs of cells of one layer type whose sets of defects are filled alike."""
    ends = [i for i in range(1, len(stacks)) if (layers[i], stacks[i]) != (layers[i - 1], stacks[i - 1])]
    return [slice(start, stop) for start, stop in zip([0, *ends], [*ends, len(stacks)], strict=True)]


def _flow(kind: Material | None, layer: Layer, axis: str, scale: float) -> tuple[float, float]:
    """Return conductivity times step over squared pixel, and heat capacity; of the air in a hole, nothing and 1."""
    if kind is None:
        return 0.0, 1.0
    here = layer if kind == layer.material else Layer(kind, layer.thickness_mm)
    conductivity = here.x_w_mk if axis == "x" else here.y_w_mk
    return conductivity * scale, kind.capacity_j_m3k


def _blocks(flows: list[tuple[float, float]], which: Which) -> tuple[_Block, ...]:
    """Return the blocks of a step along the second axis; `flows` belongs to the values of `which`, sound first."""
    length = which.shape[1]
    number = {flow: i for i, flow in enumerate(dict.fromkeys(flows))}
    kinds = np.array([number[flow] for flow in flows])[which]
    table = np.array(list(number))
    reach = max(_reach(conductance / capacity) for conductance, capacity in table)
    return tuple(
        _block(kinds, table, (start, min(start + _BLOCK_PX, length)), reach) for start in range(0, length, _BLOCK_PX)
    )


def _block(
    kinds: Int64[np.ndarray, "A B"], table: Float64[np.ndarray, "K 2"], pixels: tuple[int, int], reach: int
) -> _Block:
    start, stop = pixels
    length = kinds.shape[1]
    first, last = max(start - reach, 0), min(stop + reach, length)
    # Twice the reach: what happens at the ends of the piece that is exponentiated is not felt in the block.
    left, right = max(start - 2 * reach, 0), min(stop + 2 * reach, length)
    part = np.s_[:, first - left : last - left, start - left : stop - left]
    sound = _exponential(np.zeros((1, right - left), np.int64), table)[part][0]
    numbers = np.flatnonzero(kinds[:, left:right].any(axis=1))
    lines = None
    if numbers.size:
        patterns, back = np.unique(kinds[numbers, left:right], axis=0, return_inverse=True)
        matrices = _rounded(_exponential(patterns, table)[part], start - first)
        lines = _Lines(numbers, matrices[back.ravel()])
    return _Block(start, stop, first, last, _rounded(sound[None], start - first)[0], lines)


def _rounded(matrices: Float64[np.ndarray, "K N M"], offset: int) -> Float32[np.ndarray, "K N M"]:
    """Return matrices in single precision, each column of which still sums to 1; `offset` is the row of column 0.

    Else the error of rounding, the same everywhere and in each step, would add up. What is missing goes half to each
    side, to small numbers, which hold it exactly enough.
    """
    rounded = matrices.astype(np.float32)
    missing = 1 - rounded.sum(axis=1, dtype=np.float64)
    rows, columns = rounded.shape[1:]
    at = np.arange(columns)
    aside = max(1, (rows - columns) // 4)
    for row in (at + offset - aside, at + offset + aside):
        rounded[:, np.clip(row, 0, rows - 1), at] += (missing / 2).astype(np.float32)
    return rounded


def _exponential(kinds: Int64[np.ndarray, "K N"], table: Float64[np.ndarray, "F 2"]) -> Float64[np.ndarray, "K N N"]:
    """Return the matrices (old pixel, new pixel) of a step along lines of these kinds of pixels.

    A Taylor series of a part of the step, whose factors have three diagonals, then squared: a decomposition into
    eigenvalues would take longer, and wake all threads of numpy's library.
    """
    conductance, root = table[kinds, 0], np.sqrt(table[kinds, 1])
    left, right = conductance[:, :-1], conductance[:, 1:]
    between = 2 * left * right / np.maximum(left + right, 1e-300)
    diagonal = np.zeros_like(root)
    diagonal[:, :-1] -= between
    diagonal[:, 1:] -= between
    diagonal /= root**2
    aside = between / (root[:, :-1] * root[:, 1:])
    halvings = max(0, math.ceil(math.log2(max(-2 * float(diagonal.min()), 1e-9) / _TAYLOR_NORM)))
    diagonal, aside = diagonal / 2**halvings, aside / 2**halvings
    one = np.broadcast_to(np.eye(root.shape[1]), (*root.shape, root.shape[1]))
    result = one.copy()
    for order in range(_TAYLOR_ORDER, 0, -1):
        product = diagonal[:, :, None] * result
        product[:, :-1] += aside[:, :, None] * result[:, 1:]
        product[:, 1:] += aside[:, :, None] * result[:, :-1]
        result = one + product / order
    for _ in range(halvings):
        result = _squared(result)
    return np.asarray(result * root[:, :, None] / root[:, None, :])


def _squared(matrices: Float64[np.ndarray, "K N N"]) -> Float64[np.ndarray, "K N N"]:
    result = np.empty_like(matrices)
    rows = max(1, SMALL // matrices.shape[1] ** 2)
    for row in range(0, matrices.shape[1], rows):
        np.matmul(matrices[:, row : row + rows], matrices, out=result[:, row : row + rows])
    return result


def _reach(spread: float) -> int:
    """Return beyond how many pixels less than `_LEFT_OUT` of a pixel's heat arrives; `spread` is a t / pixel²."""
    half = 16
    while half < 12 * np.sqrt(2 * spread) + 16:
        half *= 2
    turns = 2 * np.pi * np.arange(2 * half) / (2 * half)
    kernel: Float[np.ndarray, " N"] = np.fft.ifft(np.exp(-2 * spread * (1 - np.cos(turns)))).real[:half]
    beyond = 2 * np.cumsum(kernel[::-1])[::-1]
    return max(1, int(np.argmax(np.append(beyond, 0.0) < _LEFT_OUT)) - 1)
