"""The simulator of heated plates: how long a recording takes, and how exact it is.

python benchmarks/bench_plates.py

Wanted on two free cores: 240 x 320 pixels with six defects, 30 layers of cells, 200 frames in at most 2 s; at most 1e-3
from the analytic slab; at most 1e-5 of the heat gained or lost in 200 steps.
"""

from __future__ import annotations

import time

import numpy as np

from isotherm.datasets.plate_heat import Clock, HeatedPlate, Steps, surface_rise
from isotherm.datasets.plate_heating import Pulse
from isotherm.datasets.plate_materials import plate_material
from isotherm.datasets.plates import Defect, Delamination, Hole, Layer, Patch, Plate

SIZE, FRAMES, FRAME_S, THICKNESS_MM = (240, 320), 200, 0.02, 3.0
WANTED_S, WANTED_ERROR, WANTED_DRIFT = 2.0, 1e-3, 1e-5


def plate(defects: tuple[Defect, ...], loss_w_m2k: float) -> Plate:
    """Return a plate of CFRP."""
    layers = (Layer(plate_material("cfrp"), THICKNESS_MM),)
    return Plate(layers, defects, SIZE, 0.5, loss_w_m2k, loss_w_m2k)


def defects() -> tuple[Defect, ...]:
    """Return three holes and three delaminations."""
    made: list[Defect] = []
    for number in range(3):
        made.append(Hole(Patch.circle(30 + 40 * number, 30, 10), 0.5 + 0.4 * number))
        made.append(Delamination(Patch.circle(30 + 40 * number, 80, 10), 0.5 + 0.4 * number, 2e-3))
    return tuple(made)


def slab(times_s: np.ndarray, joule_m2: float) -> np.ndarray:
    """Return the analytic front of a slab without losses (Carslaw and Jaeger, 2nd ed., 14.3)."""
    material = plate_material("cfrp")
    rates = (np.arange(1, 400)[:, None] * np.pi / THICKNESS_MM * 1e3) ** 2 * material.diffusivity_m2_s
    return joule_m2 / material.capacity_j_m3k / THICKNESS_MM * 1e3 * (1 + 2 * np.exp(-rates * times_s).sum(axis=0))


def timed() -> tuple[float, float]:
    """Return wall and processor seconds of the best of three runs."""
    made, profile = plate(defects(), 10.0), np.ones(SIZE, np.float32)
    best = (np.inf, np.inf)
    for _ in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        surface_rise(made, Pulse(), profile, Clock(FRAMES, FRAME_S, FRAME_S), steps=Steps(30, 1))
        best = min(best, (time.perf_counter() - wall, time.process_time() - cpu))
    return best


def plain_s(frames: int = 5) -> float:
    """Return what 200 frames take in the plain way: one large product and explicit differences, no defects at all."""
    material, step = plate_material("cfrp"), np.eye(30, dtype=np.float32)
    shares = [side * FRAME_S / 2 / material.capacity_j_m3k / 0.5e-3**2 for side in (material.x_w_mk, material.y_w_mk)]
    state = np.ones((30, *SIZE), np.float32)
    start = time.perf_counter()
    for _ in range(frames):
        state = (step @ state.reshape(30, -1)).reshape(state.shape)
        for _ in range(2):  # more would be needed to be exact, fewer are not stable
            change = np.zeros_like(state)
            for axis, share in ((2, shares[0]), (1, shares[1])):
                flow = np.float32(share) * np.diff(state, axis=axis)
                first, second = (np.s_[:, :, :-1], np.s_[:, :, 1:]) if axis == 2 else (np.s_[:, :-1], np.s_[:, 1:])
                change[first] += flow
                change[second] -= flow
            state += change
    return (time.perf_counter() - start) / frames * FRAMES


def slab_error() -> float:
    """Return the largest relative difference from the analytic slab, from 10 ms on."""
    sound = Plate((Layer(plate_material("cfrp"), THICKNESS_MM),), (), (4, 4), 0.5, 0.0, 0.0)
    rise = surface_rise(sound, Pulse(1e4, 0.0), np.ones((4, 4), np.float32), Clock(400, 0.01, 0.01))[:, 1, 1]
    return float(np.abs(rise / slab(0.01 * np.arange(1, 401), 1e4) - 1).max())


def drift() -> float:
    """Return which share of the heat of a plate without losses is gained or lost in 200 steps."""
    heated = HeatedPlate(plate(defects(), 0.0), Pulse(1e4, 0.0), np.ones(SIZE, np.float32), (FRAME_S, FRAME_S), 30)
    heats = []
    for _ in range(FRAMES):
        heated.advance(None)
        heats.append(heated.heat_j())
    return float(np.ptp(heats) / heats[0])


def main() -> None:
    """Print the figures."""
    wall, cpu = timed()
    print(f"{SIZE[0]} x {SIZE[1]} x 30, {FRAMES} frames: {wall:.2f} s, {cpu:.2f} CPU-s (wanted {WANTED_S:g} s)")
    print(f"the plain way, less exact, without defects: {plain_s() / wall:.1f} times as long")
    print(f"analytic slab: {slab_error():.1e} (wanted {WANTED_ERROR:g})")
    print(f"heat gained or lost: {drift():.1e} (wanted {WANTED_DRIFT:g})")


if __name__ == "__main__":
    main()
