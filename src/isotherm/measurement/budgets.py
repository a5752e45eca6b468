"""The uncertainty of regions and of differences between them.

Each statistic of a region (minimum, maximum, mean, median) is computed anew with each parameter moved by its standard
uncertainty, so the budget is that of the statistic itself, not of one pixel. What two regions share (the air, the
reflection, the camera's offset) cancels in their difference as far as it is the same in both; emissivities do not,
unless the surfaces are declared the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float64, Shaped

from isotherm.core.scene import ZERO_CELSIUS_K, Scene
from isotherm.measurement.readings import (
    STATISTICS,
    Area,
    Pictures,
    Reading,
    Statistic,
    read_area,
    statistics_k,
)
from isotherm.measurement.reference import finite_median
from isotherm.radiometry.uncertainty import (
    ROOT3,
    Contribution,
    KnowsItsSigma,
    MonteCarlo,
    Shift,
    Uncertainty,
    UncertaintySettings,
    amplification,
    budget,
    can_draw,
    draw_scenes,
    shifts,
    spread_of,
    summary,
)

FINAL = "emissivity, reflection and air are not included: the temperatures of this file are final"
COLOURS = "estimated from colours; how well the camera and its operator measured is not included"
_MEAN_SAMPLE, _DRAWN_AT_ONCE = 64, 32
_MEDIAN_NOISE = 1.2533  # root of pi/2: the noise of a median over that of a mean


@dataclass(frozen=True)
class Effect:
    """What one standard uncertainty of a parameter does to each statistic of a region [K], in their order."""

    shift: Shift
    kelvin: Float64[np.ndarray, " 4"] = field(repr=False)


@dataclass(frozen=True)
class Measured:
    """A region with its reading, the effects of the parameters on it, and how the camera's errors grow in it.

    The effects and ``factors`` are those of each statistic, in their order; a small signal makes errors grow most.
    """

    area: Area
    reading: Reading
    effects: tuple[Effect, ...]
    factors: Float64[np.ndarray, " 4"] = field(repr=False)
    colours_k: Float64[np.ndarray, " 4"] | None = field(default=None, repr=False)
    draws: dict[Statistic, MonteCarlo | None] = field(default_factory=dict)

    def effect_k(self, name: str, statistic: Statistic) -> float:
        """Return the signed effect of a parameter on a statistic [K]; 0 where it has none."""
        place = STATISTICS.index(statistic)
        return next((float(item.kelvin[place]) for item in self.effects if item.shift.name == name), 0.0)

    def factor(self, statistic: Statistic) -> float:
        """Return by how much an error of the camera grows on the way to a statistic."""
        return float(self.factors[STATISTICS.index(statistic)])

    def noise_k(self, statistic: Statistic, settings: UncertaintySettings) -> float:
        """Return the noise of a statistic [K]: one pixel's for an extreme, averaged down in a mean."""
        pixels = max(1, self.reading.area_px - self.reading.missing_px)
        share = {"mean": 1 / math.sqrt(pixels), "median": _MEDIAN_NOISE / math.sqrt(pixels)}.get(statistic, 1.0)
        return settings.noise_k * self.factor(statistic) * min(share, 1.0)


@dataclass(frozen=True)
class Term:
    """A statistic of a measured region in a sum, with its weight."""

    measured: Measured
    statistic: Statistic
    weight: float = 1.0


def measure_areas(
    pictures: Pictures, areas: Sequence[Area], settings: UncertaintySettings, *, seed: int = 0
) -> dict[str, Measured]:
    """Read every region and find what each parameter does to it; by label.

    The regions of one scene share the work: two pictures for each parameter, whatever the number of regions.
    """
    groups: dict[Scene, list[Area]] = {}
    for area in areas:
        groups.setdefault(area.scene(pictures.thermogram.scene), []).append(area)
    found: dict[str, Measured] = {}
    for scene, members in groups.items():
        found |= _measure_group(pictures, members, scene)
    if settings.draws and can_draw(pictures.calibration) and not isinstance(pictures.calibration, KnowsItsSigma):
        for scene, members in groups.items():
            for start in range(0, len(members), _DRAWN_AT_ONCE):
                some = [found[area.label] for area in members[start : start + _DRAWN_AT_ONCE]]
                found |= _drawn(pictures, some, scene, settings, seed)
    return {area.label: found[area.label] for area in areas}


def _measure_group(pictures: Pictures, areas: Sequence[Area], scene: Scene) -> dict[str, Measured]:
    readings = [read_area(pictures, area) for area in areas]
    effects: list[list[Effect]] = [[] for _ in areas]
    for shift in () if isinstance(pictures.calibration, KnowsItsSigma) else shifts(pictures.calibration, scene):
        low, high = (pictures.moved(each, scene) for each in (shift.low, shift.high))
        for area, own in zip(areas, effects, strict=True):
            change = statistics_k(high[area.mask]) - statistics_k(low[area.mask])
            own.append(Effect(shift, np.nan_to_num(change * shift.share)))
    return {
        area.label: Measured(
            area=area,
            reading=reading,
            effects=tuple(own),
            factors=_factors(pictures, area, reading),
            colours_k=_colours_k(pictures, area, reading),
        )
        for area, reading, own in zip(areas, readings, effects, strict=True)
    }


def _factors(pictures: Pictures, area: Area, reading: Reading) -> Float64[np.ndarray, " 4"]:
    """Return the growth of the camera's errors at the coldest and hottest pixel, and for mean and median in the middle.

    One kelvin before the lens is more at the object where the signal is small, so a region's ends differ.
    """
    counts = pictures.thermogram.counts
    middle = finite_median(counts[area.mask].astype(np.float64)) or 0.0
    ends = _at_ends(counts, reading, missing=middle)
    return np.array([amplification(pictures.calibration, reading.scene, count) for count in (*ends, middle, middle)])


def _at_ends(picture: Shaped[np.ndarray, "H W"], reading: Reading, *, missing: float) -> list[float]:
    """Return what a picture (H W) holds where a region is coldest and hottest; `missing` where it has no such place."""
    return [missing if at is None else float(picture[at[1], at[0]]) for at in (reading.min_at, reading.max_at)]


def _colours_k(pictures: Pictures, area: Area, reading: Reading) -> Float64[np.ndarray, " 4"] | None:
    """Return the standard uncertainty of each statistic where the temperatures are read from colours; else None.

    The errors of neighbouring pixels go together (the same scale, the same ends), so a mean is no better than a pixel.
    """
    calibration = pictures.calibration
    if not isinstance(calibration, KnowsItsSigma):
        return None
    sigmas = calibration.sigma_k(pictures.thermogram.counts)
    inside = sigmas[area.mask].astype(np.float64)
    # Not known stays NaN: no uncertainty at all would be a claim.
    mean = float(np.nanmean(inside)) if np.isfinite(inside).any() else math.nan
    return np.array([*_at_ends(sigmas, reading, missing=mean), mean, mean])


def uncertainty_of(measured: Measured, statistic: Statistic, settings: UncertaintySettings) -> Uncertainty:
    """Return the budget of one statistic of a region."""
    found = combined([Term(measured, statistic)], settings)
    return replace(found, monte_carlo=measured.draws.get(statistic))


def combined(terms: Sequence[Term], settings: UncertaintySettings, *, air: float = 0.0) -> Uncertainty:
    """Return the budget of a weighted sum of statistics and, with the weight `air`, of the temperature of the air.

    A sum whose weights cancel is a difference within the picture: the camera's offset cancels as far as it acts alike
    on both, and its share of the reading counts for the difference alone.
    """
    if any(term.measured.colours_k is not None for term in terms):
        return _of_colours(terms, settings)
    parts = [*_of_parameters(terms, settings, air=air), *_of_camera(terms, settings)]
    final = not any(term.measured.effects for term in terms)
    return budget(parts, settings.coverage, caveat=FINAL if final else "")


def _of_colours(terms: Sequence[Term], settings: UncertaintySettings) -> Uncertainty:
    parts = []
    for term in terms:
        sigmas = term.measured.colours_k
        if sigmas is not None:
            sigma = float(sigmas[STATISTICS.index(term.statistic)])
            name = f"colours of {term.measured.area.label}"
            parts.append(Contribution(name, sigma, "K", term.weight * sigma, "colour noise, JPEG, ends of the scale"))
    return budget(parts, settings.coverage, caveat=COLOURS)


def _of_parameters(terms: Sequence[Term], settings: UncertaintySettings, *, air: float) -> Iterable[Contribution]:
    known = {item.shift.name: item.shift for term in terms for item in term.measured.effects}
    for name, shift in known.items():
        shared, own = _effects_of(name, terms, settings)
        if name == "atmosphere_k":
            shared += air * shift.sigma
        yield _contribution(shift, name, shared)
        for label, effect in own.items():
            yield _contribution(_shift_of(terms, label, name), f"{name} of {label}", effect)
    if air and "atmosphere_k" not in known:
        spread = spread_of("atmosphere_k", terms[0].measured.reading.scene.atmosphere_k)
        yield Contribution("atmosphere_k", spread.sigma, "K", air * spread.sigma, spread.reason)


def _effects_of(name: str, terms: Sequence[Term], settings: UncertaintySettings) -> tuple[float, dict[str, float]]:
    """Return the effect of a parameter as far as all regions share it, and of each region's own one by label [K]."""
    shared, own = 0.0, dict[str, float]()
    for term in terms:
        effect = term.weight * term.measured.effect_k(name, term.statistic)
        if len(terms) > 1 and _is_own(name, term.measured, settings):
            label = term.measured.area.label
            own[label] = own.get(label, 0.0) + effect
        else:
            shared += effect
    return shared, own


def _is_own(name: str, measured: Measured, settings: UncertaintySettings) -> bool:
    """Say whether a region's value of a parameter is another quantity than the picture's."""
    return name in measured.area.overridden or (name == "emissivity" and not settings.same_surface)


def _shift_of(terms: Sequence[Term], label: str, name: str) -> Shift:
    effects = (item for term in terms if term.measured.area.label == label for item in term.measured.effects)
    return next(item.shift for item in effects if item.shift.name == name)


def _contribution(shift: Shift, name: str, effect_k: float) -> Contribution:
    return Contribution(name, shift.sigma, shift.unit, effect_k, shift.reason)


def _of_camera(terms: Sequence[Term], settings: UncertaintySettings) -> Iterable[Contribution]:
    sheet = f"type B, assumed: {settings.accuracy_k:g} K or {settings.accuracy_percent:g} %, rectangular"
    # A region without any temperature has no value to take a share of.
    sums = float(np.nan_to_num(sum(term.weight * term.measured.reading.celsius(term.statistic) for term in terms)))
    if abs(sum(term.weight for term in terms)) < 1e-9:
        common = sum(term.weight * term.measured.factor(term.statistic) for term in terms) * settings.offset_k
        yield Contribution("camera, offset", settings.offset_k, "K", common, f"{sheet}; common to both regions")
        yield Contribution("camera, share of the difference", settings.gain, "1", settings.gain * sums, sheet)
    else:
        camera = settings.camera_k(sums)
        factor = max(term.measured.factor(term.statistic) for term in terms)
        yield Contribution("camera", camera, "K", camera * factor, sheet)
    noise = math.hypot(*(term.weight * term.measured.noise_k(term.statistic, settings) for term in terms))
    yield Contribution("noise", settings.noise_k, "K", noise, "NETD, assumed")


def _drawn(
    pictures: Pictures, group: Sequence[Measured], scene: Scene, settings: UncertaintySettings, seed: int
) -> dict[str, Measured]:
    """Return the regions of one scene with a Monte Carlo check of their extremes and means."""
    rng = np.random.default_rng(seed)
    samples = [_sampled_counts(pictures, item) for item in group]
    counts = np.concatenate(samples)[None, :]
    scenes = draw_scenes(pictures.calibration, scene, settings.draws, rng)
    kelvin = np.stack([pictures.calibration.kelvin(counts, each)[0] for each in scenes]).astype(np.float64)
    celsius = kelvin - ZERO_CELSIUS_K
    camera = rng.uniform(-ROOT3, ROOT3, settings.draws)
    ends = np.cumsum([sample.size for sample in samples])
    found = {}
    for item, end, sample in zip(group, ends, samples, strict=True):
        own = celsius[:, end - sample.size : end]
        values = {"min": own[:, 0], "max": own[:, 1], "mean": own[:, 2:].mean(axis=1)}
        checks: dict[Statistic, MonteCarlo | None] = {}
        statistic: Statistic
        for statistic in ("min", "max", "mean"):
            error = camera * settings.camera_k(item.reading.celsius(statistic)) * item.factor(statistic)
            error += rng.normal(0, item.noise_k(statistic, settings), settings.draws)
            checks[statistic] = summary(values[statistic] + error)
        found[item.area.label] = replace(item, draws=checks)
    return found


def _sampled_counts(pictures: Pictures, item: Measured) -> Float64[np.ndarray, " K"]:
    """Return the counts at a region's minimum and maximum, and some evenly through its sorted counts."""
    counts, reading = pictures.thermogram.counts, item.reading
    inside = np.sort(counts[item.area.mask].astype(np.float64))
    inside = inside[np.isfinite(inside)]
    if reading.min_at is None or reading.max_at is None or not inside.size:
        return np.full(3, np.nan)
    if inside.size > _MEAN_SAMPLE:
        inside = inside[((np.arange(_MEAN_SAMPLE) + 0.5) * inside.size / _MEAN_SAMPLE).astype(np.int64)]
    return np.array([*_at_ends(counts, reading, missing=math.nan), *inside.tolist()])
