"""How the front of a heated plate warms and cools: depth and plane in turn, each step of each exact.

A step is half a step in the plane, a whole one through the depth, and half a step in the plane (Strang's splitting
[1]); two halves that follow each other are one. In a sound plate the two commute and the result is exact in time; at
defects the error goes with the square of the step. Only the first two layers need the last half for the camera's frame.

References
----------
.. [1] G. Strang, On the construction and comparison of difference schemes, SIAM J. Numer. Anal. 5 (1968) 506-517.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from jaxtyping import Float32, Float64, Int64

from isotherm.core.errors import ConfigError
from isotherm.core.progress import Progress, silent
from isotherm.datasets.plate_depth import Column, column, columns_of, depth_grid, surface_of
from isotherm.datasets.plate_heating import Heating
from isotherm.datasets.plate_planes import SMALL, Each, PlaneStep, State
from isotherm.datasets.plates import Plate

Profile = Float32[np.ndarray, "H W"]
Rise = Float32[np.ndarray, "T H W"]
_NOTHING = 1e-12
_SHARES, _FOR_TWO = 4, 200_000
MAX_STEPS = 32
"""Steps for each frame that are taken without being asked for."""
MAX_CELLS = 200_000_000
"""Cells of a plate (two float32 states of 0.8 GB)."""


@dataclass(frozen=True)
class Steps:
    """How finely the plate is cut up in space and time.

    Parameters
    ----------
    cells
        Layers of cells through the depth, about.
    per_frame
        Steps for each frame; None for as many as the plate's defects and the conductivity in its plane ask for.
    threads
        Threads that share the work; they change nothing in the result. None for two, where there are two processors
        and the plate is large enough to gain.
    """

    cells: int = 30
    per_frame: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if not 4 <= self.cells <= 500:
            raise ConfigError(f"steps: 4 to 500 cells through the depth, not {self.cells}")
        if self.per_frame is not None and self.per_frame < 1:
            raise ConfigError(f"steps: at least 1 per frame, not {self.per_frame}")
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"steps: at least 1 thread, not {self.threads}")


@dataclass(frozen=True)
class Clock:
    """When frames are taken, in seconds after the heating's start.

    Parameters
    ----------
    frames
        How many there are.
    frame_s
        Time between them [s].
    first_s
        Time of the first, at most `frame_s`.
    """

    frames: int
    frame_s: float
    first_s: float

    def __post_init__(self) -> None:
        if self.frames < 1 or not 0 < self.first_s <= self.frame_s * (1 + 1e-9):
            told = f"{self.frames} frames, {self.frame_s:g} s apart, the first at {self.first_s:g} s"
            raise ConfigError(f"at least 1 frame, the first after 0 s and within one interval, not {told}")


def surface_rise(
    plate: Plate,
    heating: Heating,
    profile: Profile,
    clock: Clock,
    *,
    steps: Steps | None = None,
    progress: Progress = silent,
) -> Rise:
    """Return the rise of the front's temperature over the surroundings [K], frame by frame (T H W).

    Parameters
    ----------
    profile
        (H W) the heating's relative strength at each pixel.

    Raises
    ------
    ConfigError
        The profile has another size than the plate, or there is too much to compute.
    """
    steps = steps or Steps()
    parts = steps.per_frame or steps_per_frame(plate, clock.frame_s)
    if profile.shape != plate.size_px:
        raise ConfigError(
            f"heating profile of {profile.shape} pixels on a plate of {plate.size_px}; they must be equal"
        )
    step_s = clock.frame_s / parts
    before_first = math.ceil(clock.first_s / step_s - 1e-6)
    first_s = clock.first_s - (before_first - 1) * step_s
    heated = HeatedPlate(plate, heating, profile, (first_s, step_s), steps.cells)
    result = np.empty((clock.frames, *plate.size_px), np.float32)
    small = math.prod(plate.size_px) * steps.cells < _FOR_TWO
    with _threads(steps.threads or (1 if small else min(2, os.cpu_count() or 1))) as each:
        for frame in range(clock.frames):
            for part in reversed(range(parts if frame else before_first)):
                heated.advance(None if part else result[frame], each)
            progress(frame + 1, clock.frames, "heat flow")
    return result


@contextmanager
def _threads(count: int) -> Iterator[Each]:
    """Provide the `map` of some threads, or the plain one."""
    if count == 1:
        yield map
        return
    with ThreadPoolExecutor(count) as pool:
        yield pool.map


def steps_per_frame(plate: Plate, frame_s: float) -> int:
    """Return how many steps a frame needs for errors of about a hundredth of a defect's contrast.

    A step is at most a quarter of the time that heat takes down to the nearest defect, and no longer than heat takes to
    the next pixel. A sound plate needs but one. There are at most `MAX_STEPS`: metals on small pixels at a low frame
    rate would need more.
    """
    if not plate.defects:
        return 1
    in_plane = max(max(layer.x_w_mk, layer.y_w_mk) / layer.material.capacity_j_m3k for layer in plate.layers)
    down = max(layer.material.diffusivity_m2_s for layer in plate.layers)
    nearest_m = min(defect.depth_mm for defect in plate.defects) * 1e-3
    longest_s = min((plate.pixel_mm * 1e-3) ** 2 / in_plane, nearest_m**2 / down / 4)
    return min(max(1, math.ceil(frame_s / longest_s - 1e-9)), MAX_STEPS)


class HeatedPlate:
    """The temperatures of all cells of a plate, which is cold at first, and what takes them one step further.

    Parameters
    ----------
    profile
        (H W) the heating's relative strength at each pixel.
    steps_s
        Length of the first step and of all others [s].
    cells
        Layers of cells through the depth, about.
    """

    def __init__(
        self, plate: Plate, heating: Heating, profile: Profile, steps_s: tuple[float, float], cells: int
    ) -> None:
        self._first_s, self._step_s = steps_s
        grid = depth_grid(plate, cells)
        size = (len(grid.layers), *plate.size_px)
        if np.prod(size, dtype=np.int64) > MAX_CELLS:
            raise ConfigError(
                f"plate of {size[0]} layers of {size[1]} x {size[2]} cells: at most {MAX_CELLS} are computed"
            )
        sets, which = columns_of(plate)
        columns = [column(plate, grid, defects) for defects in sets]
        pixel_m = plate.pixel_mm * 1e-3

        @cache
        def plane(step_s: float, layers: int | None = None) -> PlaneStep:
            return PlaneStep(grid, sets, which, step_s=step_s, pixel_m=pixel_m, layers=layers)

        self._depth = _DepthStep(columns, which, self._step_s)
        # The half of the first step that is still to do, and the half of the second; later two like halves.
        self._second_plane, self._plane = plane((self._first_s + self._step_s) / 2), plane(self._step_s)
        self._first_half, self._half = plane(self._first_s / 2, 2), plane(self._step_s / 2, 2)
        self._profile_plane = partial(plane, layers=1)
        self._surface = surface_of(columns[0])
        self._columns, self._which, self._pixel_m = columns, which, pixel_m
        self._heating, self._profile, self._count = heating, profile, 0
        self._state, self._spare = np.zeros(size, np.float32), np.zeros(size, np.float32)

    def advance(self, frame: Float32[np.ndarray, "H W"] | None, each: Each = map) -> None:
        """Go one step further; write the temperature of the front at its end into `frame` where one is wanted."""
        end_s = self._first_s + self._count * self._step_s
        step_s = self._step_s if self._count else self._first_s
        if self._count:
            plane = self._plane if self._count > 1 else self._second_plane
            plane(self._state, self._spare, x_first=self._count % 2 == 1, each=each)
            self._depth(self._state, self._spare, each)
            self._state, self._spare = self._spare, self._state
        if end_s - step_s <= self._heating.ends_s:
            step = end_s - step_s, step_s
            self._depth.heat(self._state, self._spread(step), self._heating, step)
        self._count += 1
        if frame is not None:
            self._look(frame, end_s)

    def _spread(self, step: tuple[float, float]) -> Profile:
        """Return the profile of the heat of a step as far as it has spread half a step before the step's end.

        The plane has half a step to come, which is right for heat that comes evenly; that of a flash is older.
        """
        rates = np.array([0.0, 1e-5 / step[1]])
        whole, faded = self._heating.felt(rates, *step)
        older_s = (1 - faded / whole) / rates[1] - step[1] / 2 if whole > 0 else 0.0
        if older_s < 0.01 * step[1] or np.ptp(self._profile) == 0:
            return self._profile
        sheet = self._profile[None].copy()
        self._profile_plane(older_s)(sheet, np.empty_like(sheet), x_first=True)
        return np.asarray(sheet[0])

    def heat_j(self) -> float:
        """Return the heat that is in the plate above its surroundings [J]."""
        total = 0.0
        for number, found in enumerate(self._columns):
            here = self._state[:, self._which == number].sum(axis=1, dtype=np.float64)
            total += float(found.capacity_j_m2k @ here)
        return total * self._pixel_m**2

    def _look(self, frame: Float32[np.ndarray, "H W"], time_s: float) -> None:
        top = self._state[:2].copy()
        half = self._half if self._count > 1 else self._first_half
        half(top, np.empty_like(top), x_first=True)
        np.multiply(top[0], np.float32(self._surface.first), out=frame)
        frame += np.float32(self._surface.second) * top[1]
        power = self._heating.power_at(time_s)
        if power:
            frame += np.float32(self._surface.heated * power) * self._profile


class _DepthStep:
    """The flow of heat through the depth during one step: one product for all pixels, then the defects' anew."""

    def __init__(self, columns: list[Column], which: Int64[np.ndarray, "H W"], step_s: float) -> None:
        self._columns = columns
        self._sound, *others = (_rounded(found.step(step_s), found.capacity_j_m2k) for found in columns)
        self._pixels = [np.flatnonzero(which == number) for number in range(1, len(columns))]
        self._at_once = max(1, SMALL // self._sound.size)
        self._defects = [
            (matrix, pixels[start : start + self._at_once])
            for matrix, pixels in zip(others, self._pixels, strict=True)
            for start in range(0, pixels.size, self._at_once)
        ]

    def __call__(self, old: State, new: State, each: Each) -> None:
        """Write the temperatures at the end of a step without heating into `new`."""
        flat_old, flat_new = old.reshape(old.shape[0], -1), new.reshape(old.shape[0], -1)
        share = self._at_once * math.ceil(flat_old.shape[1] / self._at_once / _SHARES)

        def step(first: int) -> None:
            for start in range(first, min(first + share, flat_old.shape[1]), self._at_once):
                part = np.s_[:, start : min(start + self._at_once, first + share)]
                np.matmul(self._sound, flat_old[part], out=flat_new[part])

        deque(each(step, range(0, flat_old.shape[1], share)), 0)

        def anew(part: tuple[Float32[np.ndarray, "L L"], Int64[np.ndarray, " P"]]) -> None:
            matrix, pixels = part
            flat_new[:, pixels] = matrix @ flat_old[:, pixels]

        deque(each(anew, self._defects), 0)

    def heat(self, state: State, profile: Profile, heating: Heating, step: tuple[float, float]) -> None:
        """Add what the heating has left at the end of a step, given by its start and its length [s]."""
        flat, even = state.reshape(state.shape[0], -1), profile.ravel()
        rises = [found.heated(heating, *step) for found in self._columns]
        _add(flat, rises[0], even)
        for rise, pixels in zip(rises[1:], self._pixels, strict=True):
            flat[:, pixels] += (rise - rises[0]).astype(np.float32)[:, None] * even[pixels]


def _rounded(matrix: Float64[np.ndarray, "L L"], capacity: Float64[np.ndarray, " L"]) -> Float32[np.ndarray, "L L"]:
    """Return a matrix in single precision that keeps as much heat as before.

    Else the error of rounding, the same in all pixels and steps, would add up. What is missing goes to small numbers,
    which hold it exactly enough.
    """
    rounded, columns = matrix.astype(np.float32), np.arange(len(matrix))
    missing = capacity @ (matrix - rounded)
    rows = np.abs(np.log(np.maximum(np.abs(matrix), 1e-30)) - np.log(1e-3)).argmin(axis=0)
    rounded[rows, columns] += (missing / capacity[rows]).astype(np.float32)
    return rounded


def _add(flat: Float32[np.ndarray, "L P"], rise: Float64[np.ndarray, " L"], even: Float32[np.ndarray, " P"]) -> None:
    """Add `rise` times the profile, layer by layer down to where it is nothing."""
    for layer in np.flatnonzero(rise > _NOTHING * rise.max()):
        flat[layer] += np.float32(rise[layer]) * even
