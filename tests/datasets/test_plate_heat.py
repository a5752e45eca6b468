"""The simulator's heat flow against the analytic slab, an own explicit solver in three dimensions, its own books."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.datasets.plate_heat import Clock, HeatedPlate, surface_rise
from isotherm.datasets.plate_heating import Pulse
from isotherm.datasets.plates import Delamination, Hole, Inclusion, Layer, Material, Patch, Plate

LAMINATE = Material("laminate", 0.53, 8.66, 1.34, 1575, 753, "test")
PLASTIC = Material("plastic", 0.19, 0.19, 0.19, 1380, 1000, "test")


def even(plate: Plate) -> np.ndarray:
    return np.ones(plate.size_px, np.float32)


def slab(times_s: np.ndarray, thickness_m: float, joule_m2: float, material: Material) -> np.ndarray:
    """Carslaw and Jaeger, Conduction of Heat in Solids, 2nd ed., 14.3: a slab without losses after an instant pulse."""
    order = np.arange(1, 3000)[:, None]
    rates = (order * np.pi / thickness_m) ** 2 * material.diffusivity_m2_s
    return joule_m2 / (material.capacity_j_m3k * thickness_m) * (1 + 2 * np.exp(-rates * times_s).sum(axis=0))


@pytest.mark.parametrize(("material", "thickness_mm"), [(LAMINATE, 1.0), (LAMINATE, 3.0), (PLASTIC, 2.0)])
def test_a_sound_plate_is_the_analytic_slab(material: Material, thickness_mm: float) -> None:
    plate = Plate((Layer(material, thickness_mm),), (), (3, 4), 0.5, 0.0, 0.0)
    rise = surface_rise(plate, Pulse(1e4, 0.0), even(plate), Clock(400, 0.01, 0.01))
    expected = slab(0.01 * np.arange(1, 401), thickness_mm * 1e-3, 1e4, material)
    np.testing.assert_allclose(rise[:, 1, 2], expected, rtol=1e-3)


def explicit(plate: Plate, cell_mm: float, step_s: float, steps: int, joule_m2: float) -> np.ndarray:
    """Solve the same plate with even cells and small explicit steps in double precision; returns the front (T H W)."""
    count = round(plate.thickness_mm / cell_mm)
    size = (count, *plate.size_px)
    depth, across, down, capacity = (np.empty(size) for _ in range(4))
    solid, contact = np.ones(size, bool), np.zeros((count - 1, *plate.size_px))
    material = plate.layers[0].material

    def fill(part: tuple[slice, np.ndarray] | slice, of: Material) -> None:
        values = (of.depth_w_mk, of.x_w_mk, of.y_w_mk, of.density_kg_m3 * of.heat_j_kgk)
        for array, value in zip((depth, across, down, capacity), values, strict=True):
            array[part] = value

    fill(np.s_[:], material)
    for defect in plate.defects:
        inside, start = defect.patch.mask(plate.size_px, plate.pixel_mm), round(defect.depth_mm / cell_mm)
        if isinstance(defect, Hole):
            solid[start:, inside] = False
        elif isinstance(defect, Delamination):
            contact[start - 1, inside] = defect.resistance_m2k_w
        else:
            fill(np.s_[start : start + round(defect.thickness_mm / cell_mm), inside], defect.material)
    cell, pixel = cell_mm * 1e-3, plate.pixel_mm * 1e-3

    def between(axis: int, conductivity: np.ndarray, length: float, extra: np.ndarray | float = 0.0) -> np.ndarray:
        first, second = (
            np.s_[tuple(slice(*cut) if i == axis else slice(None) for i in range(3))] for cut in ((-1,), (1, None))
        )
        resistance = length / 2 / conductivity[first] + length / 2 / conductivity[second] + extra
        return np.where(solid[first] & solid[second], step_s / length / resistance, 0.0)

    flows = between(0, depth, cell, contact), between(1, down, pixel), between(2, across, pixel)
    last = solid & ~np.concatenate([solid[1:], np.zeros((1, *plate.size_px), bool)])
    loss = np.zeros(size)
    loss[0] += step_s / cell / (1 / plate.front_loss_w_m2k + cell / 2 / depth[0])
    loss += np.where(last, step_s / cell / (1 / plate.back_loss_w_m2k + cell / 2 / depth), 0.0)
    rise = np.zeros(size)
    rise[0] = joule_m2 / cell / capacity[0]
    front = np.empty((steps, *plate.size_px))
    for step in range(steps):
        change = -loss * rise
        for axis, flow in enumerate(flows):
            moved = flow * np.diff(rise, axis=axis)
            inner = [slice(None)] * 3
            inner[axis] = slice(-1)
            change[tuple(inner)] += moved
            inner[axis] = slice(1, None)
            change[tuple(inner)] -= moved
        rise += change / capacity
        front[step] = rise[0] + (rise[0] - rise[1]) / 8
    return front


MADE = {
    "hole": Hole(Patch.circle(6.0, 6.0, 6.0), 0.8),
    "delamination": Delamination(Patch.circle(6.0, 6.0, 6.0), 0.6, 2e-3),
    "inclusion": Inclusion(Patch(6.0, 6.0, 6.0, 5.0, "box"), 0.6, 0.4, PLASTIC),
}


@pytest.mark.parametrize("kind", sorted(MADE))
def test_a_defect_is_as_an_explicit_solver_in_three_dimensions_has_it(kind: str) -> None:
    plate = Plate((Layer(LAMINATE, 2.0),), (MADE[kind],), (24, 26), 0.5)
    every, frames = 25, 30
    expected = explicit(plate, 0.04, 0.0016, every * frames, 1e4)[every - 1 :: every]
    rise = surface_rise(plate, Pulse(1e4, 0.0), even(plate), Clock(frames, 0.04, 0.04))
    late = slice(3, None)
    error = (rise - expected)[late]
    found, wanted = ((values[:, 12, 12] - values[:, 1, 1])[late] for values in (rise, expected))
    assert np.sqrt((error**2).mean() / (expected[late] ** 2).mean()) < 2.5e-3
    assert np.abs(found - wanted).max() < 0.02 * wanted.max()
    assert found.argmax() == wanted.argmax()


@pytest.mark.parametrize("pixel_mm", [0.2, 0.5])
def test_no_heat_is_lost_without_losses(pixel_mm: float) -> None:
    scale = pixel_mm / 0.5
    defects = (
        Hole(Patch.circle(6 * scale, 6 * scale, 6 * scale), 0.8),
        Delamination(Patch.circle(14 * scale, 6 * scale, 6 * scale), 0.6, 2e-3),
        Inclusion(Patch.circle(8 * scale, 13 * scale, 5 * scale), 0.5, 0.4, PLASTIC),
    )
    plate = Plate((Layer(LAMINATE, 2.0),), defects, (34, 40), pixel_mm, 0.0, 0.0)
    heated = HeatedPlate(plate, Pulse(1e4, 0.0), even(plate), (0.02, 0.02), 30)
    heats = []
    for _ in range(200):
        heated.advance(None)
        heats.append(heated.heat_j())
    assert heats[0] == pytest.approx(1e4 * 34 * 40 * (pixel_mm * 1e-3) ** 2, rel=1e-6)
    assert np.ptp(heats) / heats[0] < 1e-5
