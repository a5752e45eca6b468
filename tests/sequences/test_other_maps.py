"""Contrasts, moments, independent and non-negative components, quality and the stack of features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slabs import plate, slab

from isotherm.core.config import from_mapping, settings_of, to_mapping
from isotherm.core.errors import ConfigError, DataError
from isotherm.sequences import MAP_METHODS, MapMethod, MapStack
from isotherm.sequences.contrast import Contrast, ContrastConfig
from isotherm.sequences.features import Features, FeaturesConfig, robust_z
from isotherm.sequences.ica import Ica, IcaConfig, fast_ica, whitened
from isotherm.sequences.lockin import LockinConfig
from isotherm.sequences.moments import Moments, MomentsConfig
from isotherm.sequences.nmf import Nmf, NmfConfig
from isotherm.sequences.quality import cnr, cnr_table, snr_db, tanimoto
from isotherm.sequences.stack import ThermalSequence

ALPHA = 4.5e-7
TIMES = 0.05 + np.arange(300) / 20
DEPTHS = np.full((24, 30), 4e-3)
DEPTHS[4:9, 5:10] = 1e-3
DEPTHS[14:20, 18:24] = 1.8e-3
DEFECT = DEPTHS < 3e-3


def opened(numbers: np.ndarray, times: np.ndarray = TIMES) -> ThermalSequence:
    return ThermalSequence.open(numbers, times_s=times, order="THW")


def heated(noise_k: float = 0.01) -> ThermalSequence:
    return opened(plate(TIMES, DEPTHS, noise_k=noise_k))


def config_of(method: MapMethod) -> object:
    return LockinConfig(frequency_hz=0.2) if method.name == "lockin" else method.config_type()


@pytest.mark.parametrize("name", MAP_METHODS.names())
def test_each_method_keeps_the_promises_of_the_seam(name: str) -> None:
    method = MAP_METHODS.get(name)
    assert isinstance(method, MapMethod)
    assert method.name == name
    config = config_of(method)
    assert from_mapping(method.config_type, to_mapping(config)) == config
    assert all(item.text for item in settings_of(method.config_type))
    numbers = plate(TIMES, DEPTHS, noise_k=0.01)
    numbers[:, 0, 0] = np.nan
    numbers[4, 3, 2] = np.nan
    kept = numbers.copy()
    stack = method.maps(opened(numbers), config)
    assert np.array_equal(numbers, kept, equal_nan=True)
    assert stack.method == name
    assert stack.values.shape == (len(stack.names), *DEPTHS.shape)
    assert len(set(stack.names)) == len(stack.names) == len(stack.units)
    assert np.isnan(stack.values[:, 0, 0]).all()
    assert np.isnan(stack.values[:, 3, 2]).all()
    known = np.isfinite(stack.values[[each != "tsr_peak" for each in stack.names]])
    assert known.sum() == known.shape[0] * (DEPTHS.size - 2)
    again = method.maps(opened(numbers), config)
    assert np.array_equal(stack.values, again.values, equal_nan=True)


def few(frames: int, height: int = 6, width: int = 7) -> ThermalSequence:
    """Return a short recording of a small plate."""
    depths = np.full((height, width), 4e-3)
    depths[:2, :3] = 1e-3
    times = 0.05 + np.arange(frames) / 20
    return opened(plate(times, depths, noise_k=0.01), times)


def mostly_dead(frames: int) -> ThermalSequence:
    """Return one with three pixels that have a number in every frame."""
    numbers = few(frames).frames().copy()
    numbers[2].reshape(-1)[3:] = np.nan
    return opened(numbers, few(frames).times_s)


SOLVERS = ("auto", "exact", "fast", "robust", "sparse")
TOO_MUCH: dict[str, list[tuple[ThermalSequence, dict[str, object], str]]] = {
    "pct": [
        *((few(8), {"components": 8, "solver": each}, "8 components .* 8 frames; ask for 7") for each in SOLVERS),
        *((few(20, 2, 3), {"components": 6, "solver": each}, "6 pixels .*; ask for 5") for each in SOLVERS),
        *(
            (mostly_dead(20), {"components": 3, "solver": each}, "3 pixels with a number .*; ask for 2")
            for each in SOLVERS
        ),
        *(
            (few(40), {"components": 6, "solver": each, "bins": 4}, "4 frames .means in bins of log time.; ask for 3")
            for each in ("robust", "sparse")
        ),
        (few(20, 1, 1), {"components": 1}, "no components"),
    ],
    "ppt": [(few(8), {"bins": 5}, "5 frequencies .* 8 frames resolve up to 10 Hz")],
    "tsr": [
        (few(8), {"order": 7}, "8 frames for a polynomial of order 7; 9 are needed"),
        (few(8), {"order": 7, "bins": 0}, "9 are needed, or a lower order"),
        (few(60), {"order": 7, "bins": 8}, "bins of log time with frames for a polynomial of order 7"),
    ],
    "lockin": [(few(8), {"frequency_hz": 2.5, "harmonics": 8}, "cannot tell 8 frequencies")],
    "contrast": [(few(8), {"kind": "dac", "reference_s": 9.0}, "outside of the frames")],
    "hos": [],
    "ica": [
        (few(8), {"components": 8}, "8 components .* 8 frames; ask for 7"),
        (few(20, 2, 3), {"components": 6}, "6 pixels .*; ask for 5"),
    ],
    "nmf": [
        (few(8), {"components": 8}, "8 factors of 8 frames .* ask for 7"),
        (few(20, 2, 3), {"components": 6}, "2 x 3 pixels; ask for 5"),
        (few(60), {"components": 6, "bins": 4}, "4 bins"),
    ],
    "features": [
        (few(4), {}, "pct with 4 components needs more than 4 frames; ask for 3"),
        (few(8), {}, "order 7; 9 are needed"),
        (few(20, 2, 2), {}, "more than 4 pixels"),
    ],
}


@pytest.mark.parametrize("name", MAP_METHODS.names())
def test_more_than_frames_or_pixels_give_is_told_with_what_they_do_give(name: str) -> None:
    method = MAP_METHODS.get(name)
    for sequence, asked, said in TOO_MUCH[name]:
        with pytest.raises(DataError, match=said):
            method.maps(sequence, method.config_type(**asked))


@pytest.mark.parametrize("name", MAP_METHODS.names())
def test_a_region_gives_the_values_of_its_pixels(name: str) -> None:
    method = MAP_METHODS.get(name)
    mask = np.zeros(DEPTHS.shape, bool)
    mask[2:22, 3:28] = True
    sequence = heated().region(mask)
    stack = method.maps(sequence, config_of(method))
    assert stack.values.shape[1:] == (1, mask.sum())
    spread = sequence.spread(stack.values.reshape(len(stack.values), -1))
    assert np.isnan(spread[:, ~mask]).all()


def test_a_stack_finds_its_maps_by_name() -> None:
    stack = MapStack(np.arange(8, dtype=np.float32).reshape(2, 2, 2), ("a", "b"), ("K", "1"), "made up")
    assert stack["b"][0, 0] == 4
    with pytest.raises(DataError, match="there are a, b"):
        stack["c"]
    with pytest.raises(ValueError, match="2 maps, 1 names"):
        MapStack(stack.values, ("a",), ("K", "1"), "made up")


def test_absolute_contrast_is_the_difference_of_the_curves() -> None:
    stack = Contrast().maps(heated(0), ContrastConfig())
    wanted = slab(TIMES, 1e-3, heat=3) - slab(TIMES, 4e-3, heat=3)
    assert stack["contrast_absolute_largest"][6, 7] == pytest.approx(wanted.max(), rel=1e-4)
    assert stack["contrast_absolute_time"][6, 7] == pytest.approx(TIMES[wanted.argmax()])
    assert np.abs(stack["contrast_absolute_largest"][~DEFECT]).max() < 1e-5
    assert stack.units == ("au", "s", "au")


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("running", lambda d, s: (d - s) / s),
        ("normalised", lambda d, s: d / d[2] - s / s[2]),
        ("standard", lambda d, s: d / s),
    ],
)
def test_other_contrasts_follow_their_formulas(kind: str, rule: object) -> None:
    stack = Contrast().maps(heated(0), ContrastConfig(kind=kind, sound="0,20,6,4"))
    wanted = rule(slab(TIMES, 1e-3, heat=3), slab(TIMES, 4e-3, heat=3))
    neutral = 1 if kind == "standard" else 0
    at = np.abs(wanted - neutral).argmax()
    assert stack.values[0, 6, 7] == pytest.approx(wanted[at], rel=1e-3)
    assert stack.values[2, 6, 7] == pytest.approx(wanted.mean(), rel=1e-3)
    assert np.abs(stack.values[0][~DEFECT] - neutral).max() < 1e-3


def test_differential_absolute_contrast_needs_no_sound_region_and_knows_the_back_wall() -> None:
    thin = np.full((6, 8), 2e-3)
    sequence = opened(plate(TIMES, thin))
    half_space = Contrast().maps(sequence, ContrastConfig(kind="dac"))
    slabs = Contrast().maps(sequence, ContrastConfig(kind="dac", thickness_mm=2, diffusivity_m2_s=ALPHA))
    assert half_space.values[0].min() > 0.1
    assert np.abs(slabs.values[0]).max() < 2e-3
    with_defects = Contrast().maps(heated(0), ContrastConfig(kind="dac", thickness_mm=4, diffusivity_m2_s=ALPHA))
    assert with_defects.values[0][DEFECT].min() > 10 * np.abs(with_defects.values[0][~DEFECT]).max()


@pytest.mark.parametrize(
    ("config", "error", "said"),
    [
        (ContrastConfig(sound="1,2,3"), ConfigError, "x,y,width,height"),
        (ContrastConfig(sound="25,20,30,30"), DataError, "not inside"),
        (ContrastConfig(kind="dac", thickness_mm=2), ConfigError, "both"),
        (ContrastConfig(kind="dac", reference_s=99), DataError, "outside of the frames"),
    ],
)
def test_contrasts_say_what_is_wrong(config: ContrastConfig, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        Contrast().maps(heated(), config)


def test_a_part_that_does_not_warm_has_no_contrast() -> None:
    with pytest.raises(DataError, match="cold frame"):
        Contrast().maps(opened(-plate(TIMES, DEPTHS)), ContrastConfig())


@settings(deadline=None, max_examples=30)
@given(st.integers(3, 80), st.integers(0, 99), st.sampled_from([0.0, 300.0]))
def test_moments_are_those_of_the_definition(frames: int, seed: int, level: float) -> None:
    numbers = np.random.default_rng(seed).gamma(2, 1, (frames, 3, 4)) + level
    numbers[:, 1, 1] = 5
    numbers = numbers.astype(np.float32)
    stack = Moments().maps(opened(numbers, np.arange(1.0, frames + 1)), MomentsConfig(spread=True))
    exact = numbers.astype(np.float64)
    rest = exact - exact.mean(axis=0)
    deviation = exact.std(axis=0)
    assert np.allclose(stack["hos_mean"], exact.mean(axis=0), rtol=1e-5)
    assert np.allclose(stack["hos_deviation"], deviation, rtol=1e-3)
    for name, power in (("hos_skewness", 3), ("hos_kurtosis", 4), ("hos_fifth", 5)):
        with np.errstate(invalid="ignore"):
            wanted = (rest**power).mean(axis=0) / deviation**power
        wanted[1, 1] = 0
        assert np.allclose(stack[name], wanted, rtol=2e-3, atol=2e-3)


def test_independent_sources_are_told_apart_where_principal_ones_are_mixed() -> None:
    rng = np.random.default_rng(5)
    sources = np.stack([rng.exponential(size=4000), rng.laplace(size=4000), rng.uniform(size=4000)])
    mixed = rng.normal(size=(3, 3)) @ sources
    white, _ = whitened(mixed)
    assert np.allclose(white @ white.T / 4000, np.eye(3), atol=1e-9)
    found = fast_ica(white) @ white
    match = np.abs(np.corrcoef(np.concatenate([found, sources]))[:3, 3:])
    assert (match.max(axis=0) > 0.99).all()


def test_components_and_curves_make_up_the_frames_again() -> None:
    sequence = heated(0.001)
    stack = Ica().maps(sequence, IcaConfig(components=4))
    frames = sequence.frames()
    centred = frames - frames.mean(axis=(1, 2), keepdims=True)
    again = np.tensordot(stack.details["curves"].T, stack.values, axes=1)
    assert np.abs(again - centred).max() < 0.01
    assert (np.diff(stack.details["skewness"]) <= 0).all()
    assert np.allclose(np.square(stack.values).mean(axis=(1, 2)), 1, atol=1e-3)


def test_non_negative_factors_find_the_curves_that_were_mixed() -> None:
    curves = np.stack([np.exp(-TIMES), TIMES * np.exp(-TIMES / 3), 1 - np.exp(-TIMES / 5)])
    curves /= np.linalg.norm(curves, axis=1, keepdims=True)
    rng = np.random.default_rng(7)
    weights = rng.exponential(size=(3, 12, 14)) * (rng.random((3, 12, 14)) < 0.6)
    weights[:, 0, :3] = np.eye(3)
    sequence = opened(np.tensordot(curves.T, weights, axes=1).astype(np.float32))
    stack = Nmf().maps(sequence, NmfConfig(components=3, bins=1000))
    assert (stack.values >= 0).all()
    match = stack.details["curves"] @ curves.T
    assert (match.max(axis=1) > 0.999).all()
    found = stack.values[match.argmax(axis=0)].reshape(3, -1)
    assert (np.diag(np.corrcoef(found, weights.reshape(3, -1))[:3, 3:]) > 0.99).all()


def test_non_negative_factors_of_nothing_are_told() -> None:
    with pytest.raises(DataError, match="nothing rises"):
        Nmf().maps(opened(-plate(TIMES, DEPTHS)), NmfConfig())
    with pytest.raises(DataError, match="at most"):
        Nmf().maps(opened(plate(TIMES[:4], DEPTHS), TIMES[:4]), NmfConfig(components=4))


def test_contrast_to_noise_is_that_of_the_definition() -> None:
    values = np.random.default_rng(0).normal(0, 2, DEPTHS.shape).astype(np.float32)
    values[DEFECT] += 10
    inside, outside = values[DEFECT].astype(np.float64), values[~DEFECT].astype(np.float64)
    wanted = abs(inside.mean() - outside.mean()) / outside.std()
    assert cnr(values, DEFECT, ~DEFECT) == pytest.approx(wanted)
    assert snr_db(values, DEFECT, ~DEFECT) == pytest.approx(20 * np.log10(wanted))
    values[0, 0] = values[5, 6] = np.nan
    assert np.isfinite(cnr(values, DEFECT, ~DEFECT))
    nothing = np.zeros_like(DEFECT)
    assert np.isnan(cnr(values, nothing, ~DEFECT))
    assert cnr(np.zeros(DEPTHS.shape, np.float32), DEFECT, ~DEFECT) == 0
    assert cnr(DEFECT.astype(np.float32), DEFECT, ~DEFECT) == np.inf
    with pytest.raises(DataError, match="a mask of 30 x 24 for a map of 5 x 5"):
        cnr(np.zeros((5, 5), np.float32), DEFECT, DEFECT)


def test_each_defect_has_its_own_ratio() -> None:
    stack = Features().maps(heated(), FeaturesConfig())
    table = cnr_table(stack, DEFECT)
    assert set(table) == set(stack.names)
    assert all(len(row) == 2 for row in table.values())
    assert max(row[0] for row in table.values()) > 10
    numbered = np.where(DEFECT, 7, 0)
    assert all(len(row) == 1 for row in cnr_table(stack, numbered).values())


def test_the_overlap_of_masks_counts_false_pixels_twice() -> None:
    wanted = np.zeros((4, 5), bool)
    wanted[1:3, 1:4] = True
    assert tanimoto(wanted, wanted) == 1
    assert tanimoto(~wanted, wanted) == pytest.approx(-14 / 20)
    assert np.isnan(tanimoto(np.zeros_like(wanted), np.zeros_like(wanted)))
    with pytest.raises(DataError, match="5 x 4"):
        tanimoto(wanted, np.zeros((4, 4), bool))


def test_the_standard_stack_has_fourteen_channels_on_one_scale() -> None:
    stack = Features().maps(heated(), FeaturesConfig())
    assert stack.names == (
        "pct_1", "pct_2", "pct_3", "pct_4", "ppt_phase_1", "ppt_phase_2", "ppt_phase_3", "ppt_phase_4",
        "tsr_d1_1", "tsr_d1_2", "tsr_d1_3", "tsr_d2_1", "tsr_d2_2", "tsr_d2_3",
    )  # fmt: skip
    assert np.allclose(np.median(stack.values, axis=(1, 2)), 0, atol=1e-5)
    assert np.allclose(np.median(np.abs(stack.values), axis=(1, 2)) * 1.4826, 1, rtol=1e-3)
    for preset, count in (("pct4", 4), ("ppt4", 4), ("tsr6", 6)):
        assert len(Features().maps(heated(), FeaturesConfig(preset=preset)).names) == count


def test_features_do_not_depend_on_the_unit_or_strength_of_the_heating() -> None:
    numbers = plate(TIMES, DEPTHS, noise_k=0.01)
    once, thrice = (Features().maps(opened(each), FeaturesConfig()).values for each in (numbers, 3 * numbers))
    assert np.median(np.abs(once - thrice)) < 1e-3


def test_robust_scale_of_odd_maps() -> None:
    values = np.zeros((3, 4, 5), np.float32)
    values[1, 0, 0] = 7
    values[2] = np.nan
    found = robust_z(values)
    assert (found[0] == 0).all()
    assert found[1, 0, 0] > 3
    assert np.isnan(found[2]).all()
