"""Whole simulated recordings: times, truth, files, random plates and data sets of them."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import ConfigError, OutputError, UnknownNameError
from isotherm.datasets.plate_camera import PlateCamera
from isotherm.datasets.plate_dataset import DEFECTS, PLATES, write_plates
from isotherm.datasets.plate_heat import Clock, Steps, surface_rise
from isotherm.datasets.plate_heating import LockIn, Pulse
from isotherm.datasets.plate_materials import PLATE_MATERIALS, gap_resistance_m2k_w, plate_material
from isotherm.datasets.plate_random import RandomPlates, draw_plate
from isotherm.datasets.plate_sequence import (
    Experiment,
    Recording,
    SimulatedSequence,
    heating_profile,
    simulate_plate,
    write_sequence,
)
from isotherm.datasets.plates import Delamination, Hole, Inclusion, Layer, Patch, Plate
from isotherm.sequences.stack import ThermalSequence

DEEP = Hole(Patch.circle(8.0, 10.0, 8.0), 1.0)
SHALLOW = Delamination(Patch.circle(10.0, 10.0, 6.0), 0.5, gap_resistance_m2k_w(0.08))
PLATE = Plate((Layer(plate_material("cfrp"), 2.0),), (DEEP, SHALLOW), (40, 48), 0.5)
SMALL = RandomPlates(height_px=40, width_px=48, high_diameter_mm=8.0, low_defects=2, high_defects=4, frames=6)


def made(**changes: object) -> SimulatedSequence:
    recording = Recording(frames=20, frame_rate_hz=10.0, cold_frames=5, lag=0.4)
    return simulate_plate(PLATE, replace(Experiment(recording=recording), **changes), seed=3)


# --- truth ------------------------------------------------------------------------------------------------------------


def test_truth_names_the_defect_nearest_to_the_front() -> None:
    truth = PLATE.truth()
    deep, shallow = (defect.patch.mask(PLATE.size_px, 0.5) for defect in PLATE.defects)
    np.testing.assert_array_equal(truth.mask, deep | shallow)
    np.testing.assert_array_equal(truth.labels == 2, shallow)
    np.testing.assert_array_equal(truth.labels == 1, deep & ~shallow)
    assert set(np.unique(truth.depth_mm[truth.mask])) == {np.float32(0.5), np.float32(1.0)}
    assert np.isnan(truth.depth_mm[~truth.mask]).all()


@settings(deadline=None, max_examples=30)
@given(st.floats(3, 20), st.floats(3, 20), st.sampled_from(["ellipse", "box"]))
def test_a_mask_has_the_area_of_its_patch(width_mm: float, height_mm: float, shape: str) -> None:
    patch = Patch(15.0, 15.0, width_mm, height_mm, shape)
    area = patch.mask((300, 300), 0.1).sum() * 0.01
    assert area == pytest.approx(np.pi / 4 * patch.diameter_mm**2, rel=0.07)


# --- recordings -------------------------------------------------------------------------------------------------------


def test_the_heating_starts_between_cold_and_warm_frames() -> None:
    shown = made()
    assert shown.counts.shape == (25, 40, 48)
    assert shown.times_s[5] - shown.heating_start_s == pytest.approx(0.04)
    mean = shown.kelvin().mean(axis=(1, 2))
    np.testing.assert_allclose(mean[:5], mean[0], atol=0.01)
    assert mean[5] > mean[0] + 5
    assert (np.diff(mean[5:]) < 0).all()
    assert shown.lit.nonzero()[0].tolist() == [5]
    assert shown.kelvin()[:5].mean() == pytest.approx(293.15, abs=0.3)


def test_a_defect_is_seen_where_it_lies() -> None:
    rise = made(camera=PlateCamera(netd_mk=0.0)).kelvin()
    rise = rise[10:].mean(axis=0) - rise[:5].mean(axis=0)
    labels = PLATE.truth().labels
    assert np.median(rise[labels == 2]) > np.median(rise[labels == 1]) > np.median(rise[labels == 0]) + 0.1


def test_lock_in_swings_with_its_frequency_and_a_lamp_off_centre_heats_unevenly() -> None:
    recording = Recording(frames=80, frame_rate_hz=10.0, cold_frames=0, lag=1.0)
    shown = made(heating=LockIn(3000.0, 0.5), recording=recording, edge=0.5, centre=(0.25, 0.5))
    assert shown.lit.all()
    mean = shown.kelvin().mean(axis=(1, 2))
    line = np.polynomial.Polynomial.fit(shown.times_s, mean, 2)(shown.times_s)
    assert np.abs(np.fft.rfft(mean - line))[1:].argmax() + 1 == 4
    last = shown.kelvin()[-1]
    assert last[30:, 6:18].mean() > last[30:, 36:].mean() + 1


@settings(deadline=None, max_examples=20)
@given(st.floats(0.05, 1), st.floats(0, 1), st.floats(0, 1))
def test_the_heating_is_strongest_at_the_lamps_centre(edge: float, x: float, y: float) -> None:
    profile = heating_profile((31, 41), edge=edge, centre=(x, y))
    assert profile[min(30, int(y * 31)), min(40, int(x * 41))] == profile.max() <= 1
    assert profile.min() > 0
    assert heating_profile((300, 400), edge=edge)[0, 0] == pytest.approx(edge, rel=0.03)


def test_the_same_seed_is_the_same_recording() -> None:
    np.testing.assert_array_equal(made().counts, made().counts)
    other = simulate_plate(PLATE, Experiment(recording=Recording(20, 10.0, 5, 0.4)), seed=4)
    assert (other.counts != made().counts).mean() > 0.5


def test_progress_is_told_frame_by_frame() -> None:
    told: list[tuple[int, int, str]] = []
    simulate_plate(PLATE, Experiment(recording=Recording(frames=3)), progress=lambda *step: told.append(step))
    assert told == [(1, 3, "heat flow"), (2, 3, "heat flow"), (3, 3, "heat flow")]


def test_a_file_holds_recording_and_truth_and_is_read_as_a_sequence(tmp_path: Path) -> None:
    shown, path = made(), tmp_path / "plate.npz"
    write_sequence(path, shown)
    with np.load(path, allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["mask"], shown.truth.mask * 255)
        np.testing.assert_array_equal(stored["labels"], shown.truth.labels)
        np.testing.assert_array_equal(stored["depth_mm"], shown.truth.depth_mm)
        about = json.loads(str(stored["about"]))
    assert about["simulated"] is True
    assert about["heating_start_s"] == shown.heating_start_s
    assert [defect["depth_mm"] for defect in about["plate"]["defects"]] == [1.0, 0.5]
    sequence = ThermalSequence.open(path)
    assert (sequence.shape, sequence.unit) == (shown.counts.shape, "K")
    np.testing.assert_allclose(sequence.times_s, shown.times_s)
    assert sequence.heated_s == pytest.approx((0.46, 0.465))
    np.testing.assert_allclose(sequence.frames(4, 7), shown.kelvin()[4:7], rtol=1e-6)


def test_impossible_recordings_are_refused() -> None:
    with pytest.raises(ConfigError, match="seed must be 0 or more, not -1"):
        simulate_plate(PLATE, seed=-1)
    with pytest.raises(ConfigError, match="must be above 0 and at most 1"):
        heating_profile((4, 4), edge=1.5)
    with pytest.raises(ConfigError, match="frames must be at least 1"):
        Recording(frames=0)
    with pytest.raises(UnknownNameError, match="did you mean 'steel'"):
        plate_material("stel")


def test_every_material_names_its_source_and_diffuses_as_such_materials_do() -> None:
    assert {"cfrp", "gfrp", "steel", "aluminium", "pvc"} <= set(PLATE_MATERIALS)
    for name, material in PLATE_MATERIALS.items():
        assert material.name == name
        assert len(material.source) > 20
        assert 5e-8 < material.diffusivity_m2_s < 1.2e-4
    # The README of the example data says 4.469e-7 m²/s for these constants.
    assert plate_material("cfrp").diffusivity_m2_s == pytest.approx(4.469e-7, rel=1e-3)
    assert gap_resistance_m2k_w(0.08) == pytest.approx(3e-3, rel=0.03)


# --- random plates ----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32))
def test_random_plates_keep_to_what_was_asked(seed: int) -> None:
    spec = RandomPlates()
    plate, experiment = draw_plate(spec, np.random.default_rng(seed))
    assert spec.low_thickness_mm <= plate.thickness_mm <= spec.high_thickness_mm
    assert len(plate.defects) <= spec.high_defects
    taken = np.zeros(plate.size_px, bool)
    for defect in plate.defects:
        assert spec.low_depth_mm <= defect.depth_mm <= spec.high_depth_mm
        assert (
            spec.low_diameter_mm * 0.99 <= defect.patch.diameter_mm <= spec.high_diameter_mm * np.sqrt(4 / np.pi) * 1.01
        )
        inside = defect.patch.mask(plate.size_px, plate.pixel_mm)
        assert not (inside & taken).any()
        assert not inside[0].any()
        taken |= inside
    assert 0.8 <= plate.layers[0].material.depth_w_mk / 0.53 <= 1.2
    assert 0.4 <= experiment.edge <= 0.9


def test_kinds_come_in_the_shares_that_were_asked_for() -> None:
    spec = RandomPlates(hole_share=0.3, inclusion_share=0.2, empty_share=0.25, low_defects=3, high_defects=3)
    plates = [draw_plate(spec, np.random.default_rng(seed))[0] for seed in range(200)]
    kinds = [defect.kind for plate in plates for defect in plate.defects]
    assert np.mean([not plate.defects for plate in plates]) == pytest.approx(0.25, abs=0.08)
    assert kinds.count("hole") / len(kinds) == pytest.approx(0.3, abs=0.08)
    assert kinds.count("inclusion") / len(kinds) == pytest.approx(0.2, abs=0.08)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"low_defects": 9, "high_defects": 3}, "low_defects 9 is above high_defects 3"),
        ({"hole_share": 0.7, "inclusion_share": 0.7}, "together are above 1"),
        ({"low_depth_mm": 2.2, "low_thickness_mm": 2.5}, "more than 85 % of the thinnest plate"),
        ({"material": "wood"}, "unknown material 'wood'"),
    ],
)
def test_impossible_random_plates_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=said):
        RandomPlates(**changes)


# --- data sets --------------------------------------------------------------------------------------------------------


def test_a_data_set_is_the_same_however_many_processes_make_it(tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    alone, together = tmp_path / "alone", tmp_path / "together"
    plates, defects = write_plates(alone, SMALL, count=3, seed=5, progress=lambda *step: told.append(step))
    before = dict(os.environ)
    assert write_plates(together, SMALL, count=3, seed=5, workers=2) == (plates, defects)
    assert dict(os.environ) == before
    names = sorted(path.name for path in alone.iterdir())
    assert names == [DEFECTS, "plate_0001.npz", "plate_0002.npz", "plate_0003.npz", PLATES]
    for name in names:
        assert (alone / name).read_bytes() == (together / name).read_bytes()
    assert told == [(1, 3, "plate_0001.npz"), (2, 3, "plate_0002.npz"), (3, 3, "plate_0003.npz")]
    with (alone / DEFECTS).open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(defects) == sum(plate.defects for plate in plates)
    with np.load(alone / rows[0]["file"]) as stored:
        assert (stored["labels"] == int(rows[0]["number"])).sum() == int(rows[0]["pixels"])
    # A larger data set of the same seed begins with the same plates.
    assert write_plates(tmp_path / "more", SMALL, count=1, seed=5)[0] == plates[:1]


def test_a_data_set_needs_sensible_numbers_and_a_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="count must be 1 or more, not 0"):
        write_plates(tmp_path, SMALL, count=0)
    with pytest.raises(ConfigError, match="workers must be 1 or more"):
        write_plates(tmp_path, SMALL, count=1, workers=0)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot create the folder"):
        write_plates(tmp_path / "file" / "below", SMALL, count=1)


# --- another simulation -----------------------------------------------------------------------------------------------


@pytest.mark.real_data
def test_a_finite_element_model_shows_the_defect_alike(data: Path) -> None:
    """Only the pattern: the contrast of that simulation is above what its own parameters allow."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(data / "sequences" / "pythermondt" / "example-data0.hdf5") as file:
        table, times = file["MetaData/LookUpTable"][:], file["MetaData/DomainValues"][:]
        expected = table[file["Data/Tdata"][:, :, 216]] - table[file["Data/Tdata"][:, :, 0]]
        mask = file["GroundTruth/DefectMask"][:] > 0

    class Drawn(Patch):
        def mask(self, size_px: tuple[int, int], pixel_mm: float) -> np.ndarray:
            return mask

    flaw = replace(
        plate_material("ptfe"), depth_w_mk=0.22, x_w_mk=0.22, y_w_mk=0.22, density_kg_m3=908, heat_j_kgk=1800
    )
    defect = Inclusion(Drawn(10.0, 10.0, 10.0, 10.0), 0.8684, 0.09, flaw)
    plate = Plate((Layer(plate_material("cfrp"), 1.3),), (defect,), (100, 100), 0.2, 0.0, 0.0)
    clock = Clock(216, float(times[1]), float(times[1]))
    found = surface_rise(plate, Pulse(1e4, 0.02), np.ones((100, 100), np.float32), clock, steps=Steps(30, 1))[-1]
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99
