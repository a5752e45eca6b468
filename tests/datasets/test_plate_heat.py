"""The simulator's heat flow against the analytic slab, an own explicit solver in three dimensions, its own books."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import ConfigError
from isotherm.datasets.plate_heat import Clock, HeatedPlate, Steps, steps_per_frame, surface_rise
from isotherm.datasets.plate_heating import LockIn, Pulse
from isotherm.datasets.plates import Delamination, Hole, Inclusion, Layer, Material, Patch, Plate

LAMINATE = Material("laminate", 0.53, 8.66, 1.34, 1575, 753, "test")
PLASTIC = Material("plastic", 0.19, 0.19, 0.19, 1380, 1000, "test")


def even(plate: Plate) -> np.ndarray:
    return np.ones(plate.size_px, np.float32)


def slab(times_s: np.ndarray, thickness_m: float, joule_m2: float, material: Material) -> np.ndarray:
    """Carslaw and Jaeger, Conduction of Heat in Solids, 2nd ed., 14.3: a slab without losses after an instant pulse."""
    order = np.arange(1, 400)[:, None]
    rates = (order * np.pi / thickness_m) ** 2 * material.diffusivity_m2_s
    return joule_m2 / (material.capacity_j_m3k * thickness_m) * (1 + 2 * np.exp(-rates * times_s).sum(axis=0))


@pytest.mark.parametrize(("material", "thickness_mm"), [(LAMINATE, 1.0), (LAMINATE, 3.0), (PLASTIC, 2.0)])
def test_a_sound_plate_is_the_analytic_slab(material: Material, thickness_mm: float) -> None:
    plate = Plate((Layer(material, thickness_mm),), (), (3, 4), 0.5, 0.0, 0.0)
    rise = surface_rise(plate, Pulse(1e4, 0.0), even(plate), Clock(130, 0.03, 0.01))
    expected = slab(0.01 + 0.03 * np.arange(130), thickness_mm * 1e-3, 1e4, material)
    np.testing.assert_allclose(rise[:, 1, 2], expected, rtol=1e-3)


def test_twice_as_many_cells_make_a_quarter_of_the_error() -> None:
    plate = Plate((Layer(LAMINATE, 2.0),), (), (2, 2), 0.5, 0.0, 0.0)
    expected = slab(0.01 * np.arange(1, 101), 2e-3, 1e4, LAMINATE)
    errors = []
    for cells in (20, 40):
        rise = surface_rise(plate, Pulse(1e4, 0.0), even(plate), Clock(100, 0.01, 0.01), steps=Steps(cells))
        errors.append(np.abs(rise[:, 0, 0] / expected - 1).max())
    assert errors[1] < 0.3 * errors[0]


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


def front_of_a_slab(heating: Pulse | LockIn, times_s: np.ndarray, thickness_m: float) -> np.ndarray:
    """Sum up the analytic slab's answers to the power at each moment; u² = t - tau tames the answer's 1/sqrt(t)."""
    result = []
    for time in times_s:
        # 400 modes hold from a millisecond on; before, the slab is half-infinite.
        roots = np.linspace(np.sqrt(max(time - heating.ends_s, 0.0)), np.sqrt(time), 1501)
        roots = (roots[1:] + roots[:-1]) / 2
        effusivity = np.sqrt(LAMINATE.depth_w_mk * LAMINATE.capacity_j_m3k)
        answer = slab(np.maximum(roots**2, 1e-3), thickness_m, 1.0, LAMINATE)
        answer = np.where(roots**2 < 1e-3, 1 / effusivity / np.sqrt(np.pi) / roots, answer)
        power = np.array([heating.power_at(time - root**2) for root in roots])
        width = (np.sqrt(time) - np.sqrt(max(time - heating.ends_s, 0.0))) / 1500
        result.append((power * answer * 2 * roots).sum() * width)
    return np.array(result)


@pytest.mark.parametrize("heating", [Pulse(1e4, 0.3), LockIn(2000.0, 0.5)])
def test_heating_that_lasts_is_the_sum_of_its_moments(heating: Pulse | LockIn) -> None:
    plate = Plate((Layer(LAMINATE, 2.0),), (), (2, 3), 0.5, 0.0, 0.0)
    rise = surface_rise(plate, heating, even(plate), Clock(15, 0.22, 0.05))
    expected = front_of_a_slab(heating, 0.05 + 0.22 * np.arange(15), 2e-3)
    np.testing.assert_allclose(rise[:, 1, 1], expected, atol=2e-3 * expected.max())


@pytest.mark.parametrize("first_s", [0.006, 0.02])
def test_heat_of_an_uneven_pulse_spreads_along_the_plate_as_the_lattice_has_it(first_s: float) -> None:
    plate = Plate((Layer(LAMINATE, 2.0, turned=True),), (), (5, 60), 0.5, 0.0, 0.0)
    wave = np.cos(np.pi * (np.arange(60) + 0.5) / 60 * 4).astype(np.float32)
    profile = np.broadcast_to(1 + 0.5 * wave, plate.size_px).astype(np.float32)
    rise = surface_rise(plate, Pulse(1e4, 0.0), profile, Clock(50, 0.02, first_s))
    times = first_s + 0.02 * np.arange(50)
    # Fibres along y: the smaller conductivity lies along x.
    rate = 2 * (1 - np.cos(np.pi * 4 / 60)) * 1.34 / LAMINATE.capacity_j_m3k / 0.5e-3**2
    share = (rise[:, 2] @ wave) / (wave @ wave) / rise[:, 2].mean(axis=1)
    np.testing.assert_allclose(share, 0.5 * np.exp(-rate * times), rtol=2e-4)
    np.testing.assert_allclose(rise - rise[:, :1], 0, atol=1e-3)


@pytest.mark.parametrize(
    "nothing",
    [
        Inclusion(Patch.circle(6.0, 6.0, 6.0), 0.5, 0.5, LAMINATE),
        Delamination(Patch.circle(6.0, 6.0, 6.0), 0.5, 1e-12),
    ],
)
def test_a_defect_that_is_none_changes_nothing(nothing: Inclusion | Delamination) -> None:
    sound, marked = (Plate((Layer(LAMINATE, 2.0),), defects, (24, 24), 0.5) for defects in ((), (nothing,)))
    profile = np.linspace(0.5, 1, 24 * 24, dtype=np.float32).reshape(24, 24)
    clock, steps = Clock(20, 0.05, 0.05), Steps(30, 2)
    bare, found = (surface_rise(plate, Pulse(), profile, clock, steps=steps) for plate in (sound, marked))
    np.testing.assert_allclose(found, bare, rtol=2e-3)


def test_layers_of_one_material_are_one_plate() -> None:
    one = Plate((Layer(LAMINATE, 2.0),), (), (3, 3))
    three = Plate(tuple(Layer(LAMINATE, part) for part in (0.35, 0.65, 1.0)), (), (3, 3))
    clock = Clock(50, 0.04, 0.02)
    made = [surface_rise(plate, Pulse(), even(plate), clock) for plate in (one, three)]
    np.testing.assert_allclose(made[1], made[0], rtol=1e-3)


def test_unlike_layers_come_to_one_temperature() -> None:
    plate = Plate(
        (Layer(LAMINATE, 0.5), Layer(PLASTIC, 0.3), Layer(LAMINATE, 0.4, turned=True)), (), (3, 4), 0.5, 0.0, 0.0
    )
    rise = surface_rise(plate, Pulse(1e4, 0.0), even(plate), Clock(100, 0.5, 0.5))
    capacity = LAMINATE.capacity_j_m3k * 0.9e-3 + PLASTIC.capacity_j_m3k * 0.3e-3
    np.testing.assert_allclose(rise[-1], 1e4 / capacity, rtol=1e-5)


def test_what_a_plate_loses_is_the_loss_of_its_two_sides() -> None:
    """So warm through and through, the plate cools as one body: C dT/dt = -(h_front + h_back) T."""
    metal = Material("metal", 200.0, 200.0, 200.0, 2700, 900, "test")
    plate = Plate((Layer(metal, 1.0),), (), (3, 3), 0.5, 8.0, 12.0)
    rise = surface_rise(plate, Pulse(1e4, 0.0), even(plate), Clock(100, 1.0, 1.0))
    rate = 20.0 / (metal.capacity_j_m3k * 1e-3)
    times = np.arange(1, 101)
    np.testing.assert_allclose(rise[:, 1, 1], 1e4 / metal.capacity_j_m3k / 1e-3 * np.exp(-rate * times), rtol=1e-3)


@settings(deadline=None, max_examples=5)
@given(st.sampled_from(sorted(MADE)), st.integers(1, 3))
def test_a_picture_of_a_mirrored_plate_is_the_mirrored_picture(kind: str, parts: int) -> None:
    plates = [
        Plate((Layer(LAMINATE, 2.0),), (replace(MADE[kind], patch=patch),), (24, 24), 0.5)
        for patch in (Patch(4.0, 5.0, 5.0, 3.0), Patch(12.0 - 4.0, 12.0 - 5.0, 5.0, 3.0))
    ]
    clock = Clock(6, 0.1, 0.1)
    one, other = (surface_rise(plate, Pulse(), even(plate), clock, steps=Steps(20, parts)) for plate in plates)
    np.testing.assert_allclose(one, other[:, ::-1, ::-1], rtol=1e-4)


def test_finer_steps_change_little_where_their_number_is_left_to_the_simulator() -> None:
    plate = Plate((Layer(LAMINATE, 3.0),), (Hole(Patch.circle(8.0, 8.0, 6.0), 0.5),), (32, 32), 0.5)
    clock = Clock(20, 0.1, 0.1)
    assert steps_per_frame(plate, clock.frame_s) == 3
    assert steps_per_frame(replace(plate, defects=()), clock.frame_s) == 1
    found, fine = (surface_rise(plate, Pulse(), even(plate), clock, steps=Steps(30, parts)) for parts in (None, 12))
    contrast = float((fine[:, 16, 16] - fine[:, 0, 0]).max())
    assert contrast > 1
    assert np.abs(found - fine).max() < 0.015 * contrast


def test_a_plate_is_the_same_each_time() -> None:
    plate = Plate((Layer(LAMINATE, 2.0),), tuple(MADE.values()), (24, 24), 0.5)
    clock = Clock(5, 0.05, 0.05)
    once, again, shared = (
        surface_rise(plate, Pulse(), even(plate), clock, steps=Steps(threads=threads)) for threads in (1, 1, 3)
    )
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(once, shared)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"layers": ()}, "at least one layer"),
        ({"layers": (Layer(LAMINATE, 0.0),)}, "thickness of layer 1 must be above 0 mm"),
        ({"pixel_mm": -1.0}, "pixel must be above 0"),
        ({"front_loss_w_m2k": -1.0}, "heat loss must be 0"),
        ({"defects": (Hole(Patch.circle(6, 6, 6), 2.0),)}, r"defect 1 \(hole\): ends at 2 mm, but the plate is 2 mm"),
        ({"defects": (Hole(Patch.circle(600, 6, 6), 1.0),)}, "holds the centre of no pixel"),
        ({"defects": (Delamination(Patch.circle(6, 6, 6), 1.0, 0.0),)}, "contact resistance must be above 0"),
        ({"defects": (Inclusion(Patch.circle(6, 6, 6), 1.0, 1.5, PLASTIC),)}, r"\(inclusion\): ends at 2.5 mm"),
        ({"defects": (Hole(Patch.circle(6, 6, 6), -0.1),)}, "the depth must be above 0"),
        ({"defects": (Hole(Patch.circle(6, 6, 6), 1.0),) * 61}, "at most 60 defects"),
    ],
)
def test_impossible_plates_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        replace(Plate((Layer(LAMINATE, 2.0),), (), (24, 24)), **changes)


def test_impossible_experiments_are_refused() -> None:
    plate = Plate((Layer(LAMINATE, 2.0),), (), (24, 24))
    with pytest.raises(ConfigError, match=r"profile of \(2, 2\) pixels on a plate of \(24, 24\)"):
        surface_rise(plate, Pulse(), np.ones((2, 2), np.float32), Clock(2, 0.1, 0.1))
    with pytest.raises(ConfigError, match=r"not 3 frames, 0\.1 s apart, the first at 0\.2 s"):
        Clock(3, 0.1, 0.2)
    with pytest.raises(ConfigError, match="4 to 500 cells"):
        Steps(3)
    with pytest.raises(ConfigError, match="at least 1 per frame"):
        Steps(30, 0)
    with pytest.raises(ConfigError, match="at least 1 thread"):
        Steps(threads=0)
    with pytest.raises(ConfigError, match="at most 200000000 are computed"):
        surface_rise(
            replace(plate, size_px=(7000, 1000)), Pulse(), np.ones((7000, 1000), np.float32), Clock(2, 0.1, 0.1)
        )
    with pytest.raises(ConfigError, match="energy must be above 0"):
        Pulse(0.0)
    with pytest.raises(ConfigError, match="duration must be 0"):
        Pulse(1.0, -1.0)
    with pytest.raises(ConfigError, match="frequency must be above 0"):
        LockIn(1.0, 0.0)
