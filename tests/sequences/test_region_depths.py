"""Depths of regions: the theory of a gap against exact curves and the simulator, and fits of simulated plates."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.core.errors import DataError
from isotherm.core.regions import dilate
from isotherm.datasets.plate_camera import PlateCamera
from isotherm.datasets.plate_heat import Clock, Steps, surface_rise
from isotherm.datasets.plate_heating import Pulse
from isotherm.datasets.plate_materials import plate_material
from isotherm.datasets.plate_sequence import Experiment, Recording, simulate_plate
from isotherm.datasets.plates import Defect, Delamination, Hole, Layer, Patch, Plate
from isotherm.sequences.defects import DefectRules, find_defects
from isotherm.sequences.gap import gap_excess
from isotherm.sequences.region_depths import RegionDepths, fitted_gap, middle
from isotherm.sequences.stack import ThermalSequence
from isotherm.sequences.tsr_peak import slab_curve

CFRP = plate_material("cfrp")
ALPHA = CFRP.diffusivity_m2_s


def theory(times: np.ndarray, depth_m: float, resistance: float) -> np.ndarray:
    fourier = (ALPHA * times / depth_m**2)[None, None]
    return gap_excess(fourier, np.full((1, 1, 1), resistance))[0, 0]


def test_a_gap_that_lets_nothing_through_is_a_slab_and_none_at_all_is_no_excess() -> None:
    fourier = np.geomspace(0.2, 20, 40)
    hole = gap_excess(fourier[None, None], np.full((1, 1, 1), np.inf))[0, 0]
    assert np.allclose(hole, slab_curve(np.pi * fourier) * np.sqrt(np.pi * fourier) - 1, rtol=2e-3)
    assert np.abs(gap_excess(fourier[None, None], np.zeros((1, 1, 1)))).max() < 1e-6


@pytest.mark.parametrize("resistance_m2k_w", [3e-4, 3e-3])
def test_the_theory_is_what_the_simulator_finds_in_one_dimension(resistance_m2k_w: float) -> None:
    clock, even = Clock(60, 0.05, 0.05), np.ones((4, 4), np.float32)
    everywhere = Delamination(Patch(1, 1, 40, 40, "box"), 1.0, resistance_m2k_w)
    rises = []
    for some in ((everywhere,), ()):
        thick = Plate((Layer(CFRP, 20.0),), some, (4, 4), 0.5, 0.0, 0.0)
        rises.append(surface_rise(thick, Pulse(1e4, 0.0), even, clock, steps=Steps(50, 4)))
    found = rises[0][:, 1, 1] / rises[1][:, 1, 1] - 1
    wanted = theory(0.05 * np.arange(1, 61), 1e-3, resistance_m2k_w * CFRP.depth_w_mk / 1e-3)
    assert np.abs(found - wanted).max() < 0.01 * wanted.max()


@pytest.mark.parametrize("resistance", [0.2, 1.0, np.inf])
def test_depths_come_back_through_noise_within_their_uncertainty(resistance: float) -> None:
    times = np.geomspace(0.03, 5, 60)
    rng = np.random.default_rng(0)
    for depth in (0.4e-3, 1e-3, 1.9e-3):
        curve = np.log1p(theory(times, depth, resistance)) + 0.05 + 1e-3 * rng.standard_normal(times.size)
        fit = fitted_gap(curve, times, ALPHA)
        assert fit is not None
        assert fit.depth_m == pytest.approx(depth, rel=0.06)
        assert abs(fit.depth_m - depth) < 2 * fit.sigma_m
        assert fit.sigma_m >= 0.04 * fit.depth_m


def test_what_holds_no_depth_gives_none() -> None:
    times = 0.03 + 0.05 * np.arange(96)
    noise = 1e-3 * np.random.default_rng(0).standard_normal(times.size)
    assert fitted_gap(noise, times, ALPHA) is None
    assert fitted_gap(-0.1 * times, times, ALPHA) is None
    assert fitted_gap(np.zeros(times.size), times, ALPHA) is None
    assert fitted_gap(np.log1p(theory(times, 9e-3, np.inf)) + noise, times, ALPHA) is None


def test_the_middle_is_a_part_of_the_region_however_narrow_that_is() -> None:
    y, x = np.mgrid[:40, :50]
    disc = np.hypot(x - 20, y - 20) <= 12
    inner = middle(disc)
    assert (inner <= disc).all()
    assert 0.2 * disc.sum() <= inner.sum() < 0.45 * disc.sum()
    line = y == 7
    assert np.array_equal(middle(line), line)
    assert middle(x < 9).any()


def recorded(*defects: Defect) -> tuple[ThermalSequence, np.ndarray]:
    plate = Plate((Layer(CFRP, 4.0),), defects, (60, 90), 0.5, 10.0, 10.0)
    how = Experiment(Pulse(1e4), Recording(frames=100), PlateCamera(netd_mk=25.0), edge=0.7)
    made = simulate_plate(plate, how, seed=3)
    times = made.times_s
    sequence = ThermalSequence.open(made.kelvin(), times_s=times, unit="K").heated(10)
    return sequence.cold().cooling(made.heating_start_s + 0.005), made.truth.labels


def test_depths_of_simulated_defects_are_told_with_their_doubts() -> None:
    wide, weak = Hole(Patch.circle(12, 15, 9), 0.9), Delamination(Patch.circle(33, 15, 9), 1.2, 5e-4)
    sequence, labels = recorded(wide, weak)
    depths = RegionDepths(sequence, ALPHA)
    rules = DefectRules(pixel_mm=0.5)
    left, right = sorted(find_defects(labels > 0, rules, depths=depths), key=lambda one: one.region.box.x)
    assert left.depth_mm == pytest.approx(0.9, rel=0.07)
    assert right.depth_mm == pytest.approx(1.2, rel=0.1)
    assert left.depth_sigma_mm == pytest.approx(left.depth_mm * np.hypot(0.05, 0.045), rel=0.1)
    assert left.depth_doubt == ""
    assert "holds heat up little" in right.depth_doubt
    # Sound material has no depth, and without sound material round it nothing has.
    elsewhere = np.zeros(labels.shape, np.bool_)
    elsewhere[25:35, 42:47] = True
    assert find_defects(elsewhere, rules, depths=depths)[0].depth_mm is None
    assert depths.fit(labels == 1, np.zeros_like(elsewhere)) is None


def test_a_defect_with_dead_pixels_keeps_its_depth() -> None:
    sequence, labels = recorded(Hole(Patch.circle(22, 15, 10), 1.0))
    frames = sequence.frames().copy()
    frames[4, 30, 44] = np.nan
    frames[:, 31, 45] = np.nan
    holed = ThermalSequence.open(frames, times_s=sequence.times_s, order="THW")
    sound = dilate(labels > 0, 9) & ~dilate(labels > 0, 3)
    one, other = (RegionDepths(each, ALPHA).fit(labels > 0, sound) for each in (sequence, holed))
    assert one is not None
    assert other is not None
    assert other.depth_m == pytest.approx(one.depth_m, rel=0.02)


def test_times_are_needed() -> None:
    with pytest.raises(DataError, match="time of each frame"):
        RegionDepths(ThermalSequence.open(np.ones((40, 3, 4), np.float32)), ALPHA)
