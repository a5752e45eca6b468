"""How far a temperature may be off: a linear budget (GUM), and a Monte Carlo check of it.

Sources: *Guide to the Expression of Uncertainty in Measurement* (JCGM 100:2008), 5.1.2 (sum of squares), 5.1.3 note 2
(the effect of an input is half the change between input + u and input - u) and 6.2 (coverage factor); its Supplement 1
(JCGM 101:2008), propagation of distributions. What is not known from the user is a type-B judgement (4.3): each
standard uncertainty here carries its reason, and can be replaced (`Param.sigma`, `UncertaintySettings`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64

from isotherm.core.config import setting, validate
from isotherm.core.scene import ZERO_CELSIUS_K, Param, Scene, Source
from isotherm.core.thermogram import Calibration, Counts, Temperatures, Thermogram

ROOT3 = math.sqrt(3)


@dataclass(frozen=True)
class UncertaintySettings:
    """What is assumed about the camera, and how the result is stated."""

    accuracy_k: float = setting(
        2.0, "accuracy of the camera, as its data sheet says: at least this, rectangular [K]", low=0, high=100
    )
    accuracy_percent: float = setting(
        2.0, "accuracy of the camera: or this share of the reading in °C, the larger counts [%]", low=0, high=100
    )
    noise_k: float = setting(0.05, "noise of one pixel (NETD) [K]", low=0, high=100)
    coverage: float = setting(2.0, "coverage factor k of expanded uncertainties; 2 is about 95 %", low=0.1, high=10)
    draws: int = setting(1000, "draws of the Monte Carlo check; 0 leaves it out", low=0, high=1_000_000)
    same_surface: bool = setting(
        False, "the regions of a delta have one and the same emissivity (identical parts), so its error is common"
    )

    def __post_init__(self) -> None:
        validate(self)

    def camera_k(self, celsius: float) -> float:
        """Return the standard uncertainty [K] of a blackbody's reading: the data sheet's limit over the root of 3."""
        return max(self.accuracy_k, self.accuracy_percent / 100 * abs(celsius)) / ROOT3

    @property
    def offset_k(self) -> float:
        """The standard uncertainty [K] of what the camera adds to every reading alike."""
        return self.accuracy_k / ROOT3

    @property
    def gain(self) -> float:
        """The standard uncertainty of the camera's share of a reading, 0..1."""
        return self.accuracy_percent / 100 / ROOT3


@dataclass(frozen=True)
class Spread:
    """A standard uncertainty in the parameter's own unit, and why it is believed."""

    sigma: float
    reason: str


_GUESSED = (Source.CAMERA_DEFAULT, Source.ASSUMED)
# Parameter -> standard uncertainty where (the user, the file, nobody) said its value.
_SIGMAS: dict[str, tuple[float, float, float]] = {
    "emissivity": (0.02, 0.03, 0.05),
    "reflected_k": (2.0, 3.0, 5.0),
    "atmosphere_k": (1.0, 2.0, 5.0),
    "humidity": (0.05, 0.1, 0.2),
    "window_transmission": (0.02, 0.02, 0.05),
    "window_k": (2.0, 3.0, 5.0),
}
_DISTANCE_SHARES = (0.05, 0.1, 0.5)
_RANGEFINDER_SHARE = 0.01
_BOUNDS: dict[str, tuple[float, float]] = {
    "emissivity": (0.01, 1.0),
    "reflected_k": (1.0, math.inf),
    "atmosphere_k": (1.0, math.inf),
    "humidity": (0.0, 1.0),
    "distance_m": (0.0, math.inf),
    "window_transmission": (0.01, 1.0),
    "window_k": (1.0, math.inf),
}


def spread_of(name: str, param: Param) -> Spread:
    """Return the standard uncertainty of a scene's parameter: its own where known, else one for its source.

    A value typed by a person is taken as looked at and meant, one in the file as set with less care, and a default or
    an assumption as nearly unknown.
    """
    if param.sigma is not None:
        return Spread(param.sigma, "given")
    if name == "window_transmission" and param.value == 1.0:
        return Spread(0.0, "no window")
    group = _group(param.source)
    said = f"type B, value from {param.source.replace('-', ' ')}"
    if name != "distance_m":
        return Spread(_SIGMAS[name][group], said)
    share = _RANGEFINDER_SHARE if param.source == Source.RANGEFINDER else _DISTANCE_SHARES[group]
    return Spread(share * param.value, f"{said}: {share:.0%}")


def _group(source: Source) -> int:
    if source in _GUESSED:
        return 2
    return 1 if source == Source.FILE else 0


@dataclass(frozen=True)
class Shift:
    """A parameter moved down and up by its standard uncertainty, as far as its bounds allow.

    The change of a temperature between ``low`` and ``high`` times ``share`` is the effect of one standard uncertainty.
    """

    name: str
    sigma: float
    unit: str
    reason: str
    low: Scene
    high: Scene
    share: float


def shifts(calibration: Calibration, scene: Scene) -> Iterator[Shift]:
    """Yield a shift for each parameter that this calibration honours and that is not known exactly.

    Where each temperature costs a run of a vendor's program, the parameter is moved to one side only.
    """
    one_sided = not can_draw(calibration)
    for name, param in scene.params().items():
        spread = spread_of(name, param)
        if name not in calibration.supports or spread.sigma == 0:
            continue
        low, high = (_bounded(name, param.value + sign * spread.sigma) for sign in (-1, 1))
        if one_sided:
            low, high = (param.value, high) if high > param.value else (low, param.value)
        yield Shift(
            name=name,
            sigma=spread.sigma,
            unit=param.unit,
            reason=spread.reason,
            low=replace(scene, **{name: replace(param, value=low)}),
            high=replace(scene, **{name: replace(param, value=high)}),
            share=spread.sigma / (high - low) if high > low else 0.0,
        )


def _bounded(name: str, value: float) -> float:
    lowest, highest = _BOUNDS[name]
    return min(max(value, lowest), highest)


@dataclass(frozen=True)
class Contribution:
    """One line of a budget: an input's standard uncertainty (in its unit) and what it does to the temperature [K].

    ``effect_k`` keeps its sign: positive where a larger input gives a higher temperature.
    """

    name: str
    sigma: float
    unit: str
    effect_k: float
    reason: str


@dataclass(frozen=True)
class Uncertainty:
    """The budget of one temperature or difference, largest contribution first.

    ``monte_carlo`` is the check of the linear form, where it was made; ``caveat`` what the budget leaves out.
    """

    contributions: tuple[Contribution, ...]
    coverage: float
    monte_carlo: MonteCarlo | None = None
    caveat: str = ""

    @property
    def standard_k(self) -> float:
        """The combined standard uncertainty [K]: the root of the sum of squares of uncorrelated contributions."""
        return math.sqrt(sum(item.effect_k**2 for item in self.contributions))

    @property
    def expanded_k(self) -> float:
        """The expanded uncertainty [K]: ``coverage`` standard uncertainties."""
        return self.coverage * self.standard_k


@dataclass(frozen=True)
class MonteCarlo:
    """What came out when the inputs were drawn at random: mean, standard deviation, and the middle 95 % [°C].

    ``lost`` draws gave no temperature (the counts would lie below what the air and the reflection give).
    """

    draws: int
    mean_c: float
    std_k: float
    low_c: float
    high_c: float
    lost: int = 0


def budget(contributions: Iterable[Contribution], coverage: float, *, caveat: str = "") -> Uncertainty:
    """Return the budget of these contributions, the largest first; what has no effect is left out."""
    known = (item for item in contributions if item.effect_k != 0)
    ranked = sorted(known, key=lambda item: -abs(item.effect_k))
    return Uncertainty(tuple(ranked), coverage, caveat=caveat)


def amplification(calibration: Calibration, scene: Scene, count: float) -> float:
    """Return by how much an error of the camera grows on the way to the object's temperature (about 1 / emissivity).

    The camera's accuracy is stated for a blackbody before the lens. For counts with Planck constants this is the slope
    of the object's temperature over that of such a blackbody, at this count; where the counts cannot be varied
    (a vendor's program), 1 / emissivity; 1 where the file's temperatures are final.
    """
    return float(_amplifications(calibration, scene, np.array([count]))[0])


def _amplifications(
    calibration: Calibration, scene: Scene, counts: Float64[np.ndarray, " P"]
) -> Float64[np.ndarray, " P"]:
    """Return `amplification` at several counts."""
    usual = 1 / scene.emissivity.value
    if calibration.kind != "planck":
        return np.full(counts.shape, usual if "emissivity" in calibration.supports else 1.0)
    step = np.maximum(1.0, 1e-3 * np.abs(counts))
    ends = np.stack([counts - step, counts + step])
    objects, bodies = (np.diff(calibration.kelvin(ends, each), axis=0)[0] for each in (scene, _blackbody(scene)))
    factor = np.divide(objects, bodies, out=np.full(counts.shape, np.nan), where=bodies > 0)
    return np.where(np.isfinite(factor), factor, usual)


def _blackbody(scene: Scene) -> Scene:
    """Return the scene of a calibration: emissivity 1, no air, no window."""
    values = {"emissivity": 1.0, "distance_m": 0.0, "window_transmission": 1.0}
    return replace(scene, **{name: replace(scene.params()[name], value=value) for name, value in values.items()})


@runtime_checkable
class KnowsItsSigma(Protocol):
    """A calibration that says itself how far each pixel may be off, as one that reads colours does."""

    def sigma_k(self, counts: Counts) -> Temperatures:
        """Return the standard uncertainty [K] of each pixel (H W), everything included."""
        ...


@dataclass(frozen=True)
class PointBudget:
    """What makes the temperature of one pixel uncertain, without words: cheap enough for every finding of a run.

    Parameters
    ----------
    celsius
        What it reads.
    effects
        Parameter -> the signed effect of its standard uncertainty [K].
    factor
        By how much the camera's errors grow, see `amplification`.
    own_k
        The whole standard uncertainty [K] where the calibration knows it (`KnowsItsSigma`), else None.
    """

    celsius: float
    effects: dict[str, float]
    factor: float
    own_k: float | None = None

    def standard_k(self, settings: UncertaintySettings) -> float:
        """Return the standard uncertainty of the temperature [K]."""
        if self.own_k is not None:
            return self.own_k
        return math.hypot(*self._of_camera(settings), *self.effects.values())

    def difference_k(self, other: PointBudget, settings: UncertaintySettings) -> float:
        """Return the standard uncertainty [K] of the difference to another pixel of the picture.

        Reflection, air, distance and window are common to both and cancel as far as they act alike, and so does the
        camera's offset; the emissivities of two surfaces are not the same thing.
        """
        if self.own_k is not None and other.own_k is not None:
            return math.hypot(self.own_k, other.own_k)
        names = self.effects.keys() | other.effects.keys()
        pairs = [(name, self.effects.get(name, 0.0), other.effects.get(name, 0.0)) for name in names]
        parts = [math.hypot(a, b) if name == "emissivity" else a - b for name, a, b in pairs]
        offset = settings.offset_k * (self.factor - other.factor)
        gain = settings.gain * (self.celsius - other.celsius)
        noise = settings.noise_k * math.hypot(self.factor, other.factor)
        return math.hypot(offset, gain, noise, *parts)

    def over_air_k(self, air: Param, settings: UncertaintySettings) -> float:
        """Return the standard uncertainty [K] of the rise over the temperature of the air."""
        sigma = spread_of("atmosphere_k", air).sigma
        if self.own_k is not None:
            return math.hypot(self.own_k, sigma)
        effects = {"atmosphere_k": 0.0} | self.effects
        effects["atmosphere_k"] -= sigma
        return math.hypot(*self._of_camera(settings), *effects.values())

    def _of_camera(self, settings: UncertaintySettings) -> tuple[float, float]:
        return settings.camera_k(self.celsius) * self.factor, settings.noise_k * self.factor


def point_budget(thermogram: Thermogram, place: tuple[int, int]) -> PointBudget | None:
    """Return what makes the pixel at `place` (x, y) uncertain; see `point_budgets`."""
    return point_budgets(thermogram, [place])[0]


def point_budgets(thermogram: Thermogram, places: Sequence[tuple[int, int]]) -> list[PointBudget | None]:
    """Return what makes the pixels at `places` (x, y) uncertain, for about the price of one.

    None where there is nothing to state: no temperature there, or a vendor's program would have to run for each
    parameter (`states_points`).
    """
    calibration, scene = thermogram.calibration, thermogram.scene
    if calibration is None or not places or not states_points(thermogram):
        return [None] * len(places)
    columns, rows = np.array(places).T
    counts = thermogram.counts[rows, columns][None]
    celsius = calibration.kelvin(counts, scene)[0].astype(np.float64) - ZERO_CELSIUS_K
    if isinstance(calibration, KnowsItsSigma):
        own = calibration.sigma_k(counts)[0]
        found = [PointBudget(float(c), {}, 1.0, float(k)) for c, k in zip(celsius, own, strict=True)]
    else:
        effects = {
            shift.name: _change_k(calibration, counts, shift) * shift.share for shift in shifts(calibration, scene)
        }
        factors = _amplifications(calibration, scene, counts[0].astype(np.float64))
        found = [
            PointBudget(float(celsius[i]), {name: float(each[i]) for name, each in effects.items()}, float(factors[i]))
            for i in range(len(places))
        ]
    return [budget if math.isfinite(budget.celsius) else None for budget in found]


def _change_k(calibration: Calibration, counts: Counts, shift: Shift) -> Float64[np.ndarray, " P"]:
    low, high = (calibration.kelvin(counts, each)[0].astype(np.float64) for each in (shift.low, shift.high))
    change: Float64[np.ndarray, " P"] = high - low
    return change


def states_points(thermogram: Thermogram) -> bool:
    """Say whether the uncertainty of single pixels is cheap to state; a vendor's program would run for each of them."""
    calibration = thermogram.calibration
    return calibration is not None and (isinstance(calibration, KnowsItsSigma) or can_draw(calibration))


def standard_uncertainty_k(
    thermogram: Thermogram, place: tuple[int, int], settings: UncertaintySettings | None = None
) -> float | None:
    """Return the standard uncertainty [K] of one pixel, at `place` (x, y), in well under a millisecond.

    None where there is none to state: no temperature there, or a vendor's program would have to run for each parameter.
    `isotherm.measurement.budgets` gives the whole budget of regions and differences.
    """
    found = point_budget(thermogram, place)
    return None if found is None else finite(found.standard_k(settings or UncertaintySettings()))


def finite(value: float) -> float | None:
    """Return a number, None for NaN and infinity."""
    return value if math.isfinite(value) else None


def can_draw(calibration: Calibration) -> bool:
    """Say whether random scenes are cheap here; a vendor's program would have to run for each."""
    return calibration.kind in ("planck", "linear") or not calibration.supports


def draw_scenes(calibration: Calibration, scene: Scene, draws: int, rng: np.random.Generator) -> Iterator[Scene]:
    """Yield scenes with each honoured parameter drawn from a normal distribution, cut off at its bounds.

    A normal distribution is the one to take where an estimate and its standard uncertainty are all that is known
    (JCGM 101:2008, 6.4.7).
    """
    named = [(shift.name, shift.sigma) for shift in shifts(calibration, scene)]
    params = scene.params()
    normal = rng.standard_normal((draws, len(named)))
    for row in normal:
        drawn = {
            name: replace(params[name], value=_bounded(name, params[name].value + sigma * float(z)))
            for (name, sigma), z in zip(named, row, strict=True)
        }
        yield replace(scene, **drawn)


def summary(celsius: Float[np.ndarray, " draws"]) -> MonteCarlo | None:
    """Return the summary of drawn temperatures [°C]; None where none of them exists."""
    known = celsius[np.isfinite(celsius)]
    if not known.size:
        return None
    low, high = np.percentile(known, (2.5, 97.5))
    return MonteCarlo(
        draws=int(celsius.size),
        mean_c=float(known.mean()),
        std_k=float(known.std()),
        low_c=float(low),
        high_c=float(high),
        lost=int(celsius.size - known.size),
    )
