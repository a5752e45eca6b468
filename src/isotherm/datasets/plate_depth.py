"""Heat flow through the depth of a plate: layers of cells under a pixel, and their exact step in time.

Of each cell (conductivity k, heat capacity C for each m², node at z, borders at e) the balance is::

    d/dt (C_i T_i - W_i-1 (T_i - T_i-1) - W_i (T_i - T_i+1))
        = G_i-1 (T_i-1 - T_i) + G_i (T_i+1 - T_i) - loss_i T_i + [i = 0] absorbed(t)
    1 / G_i = (e_i+1 - z_i) / k_i + R_i + (z_i+1 - e_i+1) / k_i+1

with T the rise above the surroundings and R the contact resistance between two cells. W is a twelfth of the heat
capacity between two nodes of one material: the mean of what linear elements and finite volumes take, whose errors
cancel [1]. Nodes lie so that borders are half-way between them, also where cells grow. The heat of a column is the sum
of C T. The system is similar to a symmetric one, so its exponential comes from one decomposition into eigenvalues, for
steps of any length.

References
----------
.. [1] I. Fried, K. Leong, Superaccurate finite element eigenvalues via a Rayleigh quotient correction, J. Sound Vib.
   (2005): between the lumped and the consistent matrix lies one that is more accurate than both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from jaxtyping import Float64, Int64

from isotherm.datasets.plate_heating import Heating
from isotherm.datasets.plates import Defect, Delamination, Hole, Inclusion, Layer, Material, Plate

SPREAD = 17.0
"""How much thicker the cells at the back are than those at the front."""
_BEFORE_DEFECTS = 3
"""Cells before the nearest defect, at the least: the first two give the temperature of the surface."""
_SAME_MM = 1e-6


@dataclass(frozen=True, eq=False)
class DepthGrid:
    """The cells of a sound column, front first.

    Parameters
    ----------
    edges_m
        Depths between which the cells lie [m]; every border between layers and every end of a defect is one of them.
    layers
        The plate's layer that each cell belongs to.
    """

    edges_m: Float64[np.ndarray, " E"]
    layers: tuple[Layer, ...]

    @property
    def thickness_m(self) -> Float64[np.ndarray, " L"]:
        """Thickness of each cell [m]."""
        return np.diff(self.edges_m)

    def edge(self, depth_mm: float) -> int:
        """Return the number of cells before a depth that is one of the edges."""
        return int(np.abs(self.edges_m - depth_mm * 1e-3).argmin())


def depth_grid(plate: Plate, cells: int = 30) -> DepthGrid:
    """Return about `cells` cells that grow with depth, with an edge at each depth where something changes.

    Between two such depths the cells follow one geometric row, stretched a little so that it ends on both.
    """
    total_m = plate.thickness_mm * 1e-3
    # A cell at depth z is as thick as those of a geometric row whose sum to there is z.
    at = cells * np.log1p(_changes_m(plate) / total_m * (SPREAD - 1)) / np.log(SPREAD)
    edges = [np.zeros(1)]
    for left, right in pairwise(at):
        count = max(_BEFORE_DEFECTS if left == 0 else 1, round(float(right - left)))
        edges.append(np.linspace(left, right, count + 1)[1:])
    edges_m = total_m * np.expm1(np.concatenate(edges) * np.log(SPREAD) / cells) / (SPREAD - 1)
    ends_m = np.cumsum([layer.thickness_mm * 1e-3 for layer in plate.layers])
    middles = (edges_m[1:] + edges_m[:-1]) / 2
    numbers = np.minimum(np.searchsorted(ends_m, middles), len(plate.layers) - 1)
    return DepthGrid(edges_m, tuple(plate.layers[number] for number in numbers))


def _changes_m(plate: Plate) -> Float64[np.ndarray, " K"]:
    depths = [0.0, *np.cumsum([layer.thickness_mm for layer in plate.layers])]
    for defect in plate.defects:
        depths.append(defect.depth_mm)
        if isinstance(defect, Inclusion):
            depths.append(defect.depth_mm + defect.thickness_mm)
    ordered = sorted(float(depth) for depth in depths)
    kept = [depth for i, depth in enumerate(ordered) if i == 0 or depth - ordered[i - 1] > _SAME_MM]
    return np.array(kept) * 1e-3


@dataclass(frozen=True, eq=False)
class Column:
    """The cells below one pixel.

    Parameters
    ----------
    thickness_m, conductivity_w_mk, capacity_j_m2k
        Of each cell; the capacity of its whole thickness.
    resistance_m2k_w
        Contact resistance behind each cell but the last.
    cells
        How many cells there are before the back, or before the bottom of a hole; the rest is air and stays at 0.
    front_w_m2k, back_w_m2k
        Heat loss of the two ends.
    """

    thickness_m: Float64[np.ndarray, " L"]
    conductivity_w_mk: Float64[np.ndarray, " L"]
    capacity_j_m2k: Float64[np.ndarray, " L"]
    resistance_m2k_w: Float64[np.ndarray, " I"]
    cells: int
    front_w_m2k: float
    back_w_m2k: float

    def step(self, step_s: float) -> Float64[np.ndarray, "L L"]:
        """Return the matrix that takes the temperatures `step_s` further, without heating."""
        values, left, right = self._modes
        whole = np.zeros((self.thickness_m.size,) * 2)
        whole[: self.cells, : self.cells] = (left * np.exp(-values * step_s)) @ right
        return whole

    def heated(self, heating: Heating, start_s: float, step_s: float) -> Float64[np.ndarray, " L"]:
        """Return the rise at the end of a step from the heat of that step alone, where the profile is 1 [K]."""
        values, left, _ = self._modes
        whole = np.zeros(self.thickness_m.size)
        whole[: self.cells] = left @ (heating.felt(values, start_s, step_s) * left[0] * self._absorbed_share)
        return whole

    @cached_property
    def _halves_m2k_w(self) -> tuple[Float64[np.ndarray, " M"], Float64[np.ndarray, " M"]]:
        """Return the resistance of each cell before and behind its node."""
        thickness = self.thickness_m[: self.cells]
        growth = np.gradient(thickness) if self.cells > 1 else np.zeros(1)
        shift = np.clip(growth, -thickness, thickness) / 4
        conductivity = self.conductivity_w_mk[: self.cells]
        return (thickness / 2 - shift) / conductivity, (thickness / 2 + shift) / conductivity

    @property
    def _absorbed_share(self) -> float:
        # Absorbed at the very surface: a little of it is lost before it passes the front half of the first cell.
        return float(1 / (1 + self.front_w_m2k * self._halves_m2k_w[0][0]))

    @cached_property
    def _modes(self) -> tuple[Float64[np.ndarray, " M"], Float64[np.ndarray, "M M"], Float64[np.ndarray, "M M"]]:
        """Return eigenvalues [1/s] and what turns modes into temperatures and temperatures into modes."""
        before, behind = self._halves_m2k_w
        flow = _couplings(1 / (behind[:-1] + before[1:] + self.resistance_m2k_w[: self.cells - 1]))
        flow[0, 0] += _in_series(self.front_w_m2k, before[0])
        flow[-1, -1] += _in_series(self.back_w_m2k, behind[-1])
        heat = np.diag(self.capacity_j_m2k[: self.cells]) - _couplings(self._shared_j_m2k)
        to_even = np.linalg.inv(np.linalg.cholesky(heat))
        values, vectors = np.linalg.eigh(to_even @ flow @ to_even.T)
        left = to_even.T @ vectors
        return np.maximum(values, 0.0), left, left.T @ heat

    @property
    def _shared_j_m2k(self) -> Float64[np.ndarray, " I"]:
        """The W of the balance; none between two materials or at a gap."""
        thickness, capacity = self.thickness_m[: self.cells], self.capacity_j_m2k[: self.cells]
        conductivity, density = self.conductivity_w_mk[: self.cells], capacity / thickness
        before, behind = self._halves_m2k_w
        between = (behind[:-1] + before[1:]) * conductivity[1:] * density[1:] / 12
        # No more than the thinner cell can give, or its own heat would turn negative.
        between = np.minimum(between, np.minimum(capacity[1:], capacity[:-1]) / 5)
        alike = (conductivity[1:] == conductivity[:-1]) & np.isclose(density[1:], density[:-1], rtol=1e-9)
        return np.where(alike & (self.resistance_m2k_w[: self.cells - 1] == 0), between, 0.0)


def _couplings(between: Float64[np.ndarray, " I"]) -> Float64[np.ndarray, "M M"]:
    """Return the matrix of flows out of each cell through couplings with its neighbours."""
    matrix = -np.diag(between, 1) - np.diag(between, -1)
    return np.asarray(matrix - np.diag(matrix.sum(axis=1)))


def _in_series(loss_w_m2k: float, half_m2k_w: float) -> float:
    return loss_w_m2k / (1 + loss_w_m2k * half_m2k_w)


def solids(grid: DepthGrid, defects: tuple[Defect, ...]) -> list[Material | None]:
    """Return what each cell consists of where `defects` lie over each other; None is the air in a hole."""
    stack: list[Material | None] = [layer.material for layer in grid.layers]
    for defect in defects:
        if isinstance(defect, Inclusion):
            start, end = grid.edge(defect.depth_mm), grid.edge(defect.depth_mm + defect.thickness_mm)
            stack[start:end] = [defect.material] * (end - start)
    for defect in defects:
        if isinstance(defect, Hole):
            start = grid.edge(defect.depth_mm)
            stack[start:] = [None] * (len(stack) - start)
    return stack


def column(plate: Plate, grid: DepthGrid, defects: tuple[Defect, ...] = ()) -> Column:
    """Return the column below a pixel that lies in all of `defects`."""
    stack = solids(grid, defects)
    cells = stack.index(None) if None in stack else len(stack)
    filled = [solid or layer.material for solid, layer in zip(stack, grid.layers, strict=True)]
    resistance = np.zeros(len(stack) - 1)
    for defect in defects:
        if isinstance(defect, Delamination):
            resistance[grid.edge(defect.depth_mm) - 1] += defect.resistance_m2k_w
    capacity = np.array([solid.capacity_j_m3k for solid in filled]) * grid.thickness_m
    conductivity = np.array([solid.depth_w_mk for solid in filled])
    losses = plate.front_loss_w_m2k, plate.back_loss_w_m2k
    return Column(grid.thickness_m, conductivity, capacity, resistance, cells, *losses)


@dataclass(frozen=True)
class Surface:
    """The temperature of the front: a parabola with the means of the first two cells and the slope of the heat flow.

    ``surface = first T_0 + second T_1 + heated p(t) q``, with p(t) q the power absorbed there [W/m²].
    """

    first: float
    second: float
    heated: float


def surface_of(found: Column) -> Surface:
    """Return how the first two cells of a column give the temperature of its front."""
    if found.cells == 1:
        return Surface(1.0, 0.0, 0.0)
    edges = np.concatenate([[0.0], np.cumsum(found.thickness_m[:2])])
    mean, square = (np.diff(edges**power) / np.diff(edges) / power for power in (2, 3))
    # T = a + s z + b z²; s = (loss a - p q) / k.
    bend = square[0] / (square[1] - square[0])
    slope = bend * (mean[1] - mean[0]) - mean[0]
    scale = 1 - slope * found.front_w_m2k / found.conductivity_w_mk[0]
    factors = np.array([1 + bend, -bend, -slope / found.conductivity_w_mk[0]]) / scale
    return Surface(*(float(factor) for factor in factors))


def columns_of(plate: Plate) -> tuple[list[tuple[Defect, ...]], Int64[np.ndarray, "H W"]]:
    """Return the sets of defects that pixels lie in, none first, and (H W) which of these sets each pixel lies in."""
    code = np.zeros(plate.size_px, np.uint64)
    for number, defect in enumerate(plate.defects):
        code |= defect.patch.mask(plate.size_px, plate.pixel_mm).astype(np.uint64) << np.uint64(number)
    present, which = np.unique(np.append(code.ravel(), np.uint64(0)), return_inverse=True)
    sets = [tuple(d for i, d in enumerate(plate.defects) if int(bits) >> i & 1) for bits in present]
    return sets, which[:-1].reshape(plate.size_px)
