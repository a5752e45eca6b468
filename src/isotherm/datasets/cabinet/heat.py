"""Steady heat flow on a pixel grid: sheets that conduct, surfaces that convect and radiate, sources that heat.

In each pixel the conducted, convected, radiated and generated power [W] balance::

    sum over neighbours g (T_n - T) - c sign(u) |u|^(5/4) - r (T^4 - Tair^4) + q (1 + alpha (T - 20 °C)) = 0

with u = T - Tair. The equation is solved by Newton's method; each linear step by conjugate gradients with one multigrid
V-cycle as preconditioner [1].

References
----------
.. [1] O. Tatebe, The multigrid preconditioned conjugate gradient method, 6th Copper Mountain Conference on Multigrid
   Methods (1993), NASA CP-3224.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

Grid = Float[np.ndarray, "H W"]
Flat = Float[np.ndarray, " P"]
Edges = tuple[tuple[Flat, int], tuple[Flat, int]]
"""Conductances and the distance of the neighbours that they lead to, of a flattened grid."""
Pyramid = list[tuple[Float[np.ndarray, "_ _"], Float[np.ndarray, "_ _"]]]

ZERO_CELSIUS_K = np.float32(273.15)
STEFAN_BOLTZMANN = 5.670374e-8
"""[W/(m² K⁴)], CODATA 2018."""
COPPER_PER_KELVIN = np.float32(0.00393)
"""Temperature coefficient of the resistance of annealed copper at 20 °C [1/K] (IEC 60028)."""

_MAX_NEWTON, _MAX_GRADIENTS = 12, 60
_SMOOTHING = np.float32(0.9)


@dataclass(frozen=True, eq=False)
class Sheets:
    """What conducts and what cools, per pixel.

    Parameters
    ----------
    east, south
        (H W) conductance to the right and to the lower neighbour [W/K]; 0 in the last column, the last row.
    convection
        (H W) wetted area times the factor of the natural-convection formula [W/K^(5/4)].
    radiation
        (H W) radiating area times emissivity times the Stefan-Boltzmann constant [W/K⁴].
    """

    east: Grid
    south: Grid
    convection: Grid
    radiation: Grid

    @cached_property
    def pyramid(self) -> Pyramid:
        """The conductances on this grid and on each coarser one, down to about ten cells a side."""
        levels: Pyramid = [(self.east, self.south)]
        while min(levels[-1][0].shape) > 12 and all(side % 2 == 0 for side in levels[-1][0].shape):
            east, south = levels[-1]
            levels.append((_coarser(east), np.ascontiguousarray(_coarser(south.T).T)))
        return levels

    def loss(self, celsius: Grid, air_c: Grid) -> Grid:
        """Return the power that each pixel gives to air and surroundings of `air_c` [W]."""
        return self._loss_and_slope(celsius, air_c)[0]

    def _loss_and_slope(self, celsius: Grid, air_c: Grid) -> tuple[Grid, Grid]:
        rise = celsius - air_c
        film = self.convection * np.sqrt(np.sqrt(np.abs(rise)))
        kelvin, air = celsius + ZERO_CELSIUS_K, air_c + ZERO_CELSIUS_K
        cube = kelvin * kelvin * kelvin
        loss = film * rise + self.radiation * (cube * kelvin - air**4)
        return loss, np.float32(1.25) * film + 4 * self.radiation * cube


def solve(sheets: Sheets, source_w: Grid, air_c: Grid, start_c: Grid, *, tolerance_k: float = 0.05) -> Grid:
    """Return the steady temperatures [°C].

    Parameters
    ----------
    source_w
        (H W) Joule heat of each pixel, as if its conductor were at 20 °C [W].
    air_c
        (H W) temperature of the air before each pixel, and of what it radiates to [°C].
    start_c
        (H W) a guess; a near one saves time and changes the result by less than the tolerance.
    tolerance_k
        Largest last Newton step [K]; each step leaves about a thirtieth of the error, so the result is nearer than
        this by that much (0.05: within 3 mK).
    """
    celsius = start_c.astype(np.float32)
    for _ in range(_MAX_NEWTON):
        loss, slope = sheets._loss_and_slope(celsius, air_c)
        heating = source_w * (1 + COPPER_PER_KELVIN * (celsius - 20))
        residual = heating - loss + _inflow(*sheets.pyramid[0], celsius)
        diagonal = slope - COPPER_PER_KELVIN * source_w
        step = _conjugate_gradients(sheets.pyramid, diagonal, residual)
        celsius += step
        if float(np.abs(step).max()) < tolerance_k:
            break
    return celsius


def _inflow(east: Grid, south: Grid, values: Grid) -> Grid:
    """Return the power conducted into each pixel from its neighbours."""
    result = np.zeros_like(values)
    edges = ((east.ravel(), 1), (south.ravel(), values.shape[1]))
    _add_inflow(edges, values.ravel(), np.empty(values.size, np.float32), result.reshape(-1))
    return result


def _add_inflow(edges: Edges, values: Flat, flow: Flat, result: Flat) -> None:
    """Add the power conducted into each pixel of a flattened grid to `result`; `flow` is scratch memory."""
    # Both neighbours lie at a fixed distance; conductances across the rim are 0.
    for conductance, distance in edges:
        part = flow[distance:]
        np.subtract(values[distance:], values[:-distance], out=part)
        part *= conductance[:-distance]
        result[:-distance] += part
        result[distance:] -= part


def _conjugate_gradients(pyramid: Pyramid, diagonal: Grid, residual: Grid) -> Grid:
    """Solve (diagonal - conduction) step = residual to a hundredth of the first residual."""
    cycle = _Cycle(pyramid, diagonal)
    system = cycle.finest
    step, nothing = np.zeros_like(residual), np.zeros_like(residual)
    direction = preconditioned = cycle(residual)
    energy = target = float(np.vdot(residual, preconditioned))
    for _ in range(_MAX_GRADIENTS):
        image = system.rest(direction, nothing)
        length = np.float32(energy / max(-float(np.vdot(direction, image)), 1e-30))
        step += length * direction
        image *= length
        residual = residual + image
        preconditioned = cycle(residual)
        before, energy = energy, float(np.vdot(residual, preconditioned))
        if energy <= 1e-3 * target:
            break
        direction = preconditioned + np.float32(energy / before) * direction
    return step


class _Cycle:
    """One multigrid V-cycle: a symmetric approximate inverse of (diagonal - conduction)."""

    def __init__(self, pyramid: Pyramid, diagonal: Grid) -> None:
        self._levels = []
        for east, south in pyramid:
            self._levels.append(_Level(east, south, diagonal))
            diagonal = _sum_of_four(diagonal) if len(self._levels) < len(pyramid) else diagonal
        self._coarsest_inverse = np.linalg.inv(_dense(*pyramid[-1], diagonal)).astype(np.float32)

    @property
    def finest(self) -> _Level:
        """The grid itself."""
        return self._levels[0]

    def __call__(self, right: Grid, level: int = 0) -> Grid:
        if level == len(self._levels) - 1:
            coarsest: Grid = (self._coarsest_inverse @ right.ravel()).reshape(right.shape)
            return coarsest
        here = self._levels[level]
        values: Grid = here.smoother * right
        coarse = self(_sum_of_four(here.rest(values, right)), level + 1)
        # The transpose of summing four; it keeps the cycle symmetric, as conjugate gradients demand.
        rows, columns = coarse.shape
        values.reshape(rows, 2, columns, 2)[...] += coarse[:, None, :, None]
        rest = here.rest(values, right)
        rest *= here.smoother
        values += rest
        return values


class _Level:
    """(diagonal - conduction) on one grid, with memory for its products: fresh memory would cost more than they."""

    def __init__(self, east: Grid, south: Grid, diagonal: Grid) -> None:
        self._edges = ((east.ravel(), 1), (south.ravel(), east.shape[1]))
        self._diagonal = diagonal
        self.smoother = _SMOOTHING / (diagonal + _total(east, south))
        self._flow, self._rest = np.empty(diagonal.size, np.float32), np.empty_like(diagonal)

    def rest(self, values: Grid, right: Grid) -> Grid:
        """Return right - (diagonal - conduction) values; the next call overwrites it."""
        np.multiply(self._diagonal, values, out=self._rest)
        np.subtract(right, self._rest, out=self._rest)
        _add_inflow(self._edges, values.ravel(), self._flow, self._rest.reshape(-1))
        return self._rest


def _sum_of_four(values: Grid) -> Float[np.ndarray, "h w"]:
    rows = values[0::2] + values[1::2]
    return np.asarray(rows[:, 0::2] + rows[:, 1::2])


def _total(east: Grid, south: Grid) -> Grid:
    """Return the sum of the conductances of each pixel's four edges."""
    total: Grid = east + south
    total[:, 1:] += east[:, :-1]
    total[1:] += south[:-1]
    return total


def _coarser(east: Grid) -> Float[np.ndarray, "h w"]:
    """Return the conductance to the right between blocks of four pixels: two rows in parallel, twice as long."""
    coarse = np.zeros((east.shape[0] // 2, east.shape[1] // 2), np.float32)
    across = east[:, 1:-1:2]
    coarse[:, :-1] = 0.5 * (across[0::2] + across[1::2])
    return coarse


def _dense(east: Grid, south: Grid, diagonal: Grid) -> Float[np.ndarray, "P P"]:
    rows, columns = diagonal.shape
    index = np.arange(diagonal.size).reshape(rows, columns)
    matrix = np.diag((diagonal + _total(east, south)).ravel().astype(np.float64))
    for left, right, edge in (
        (index[:, :-1], index[:, 1:], east[:, :-1]),
        (index[:-1], index[1:], south[:-1]),
    ):
        matrix[left, right] -= edge
        matrix[right, left] -= edge
    return matrix
