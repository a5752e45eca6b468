"""Thermographic signal reconstruction: a polynomial in the logarithm of time for each pixel, and its derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from isotherm.core.config import setting, validate
from isotherm.core.errors import DataError
from isotherm.sequences.kernels import held
from isotherm.sequences.maps import MapStack, Wanted, required_times
from isotherm.sequences.stack import ThermalSequence
from isotherm.sequences.tsr_fit import LogCurves, fitted
from isotherm.sequences.tsr_peak import peak_times


@dataclass(frozen=True)
class TsrConfig:
    """Settings of `Tsr`."""

    order: int = setting(7, "order of the polynomial", low=3, high=15)
    bins: int = setting(100, "mean frames in so many bins of log time first; 0: fit every frame", low=0, high=10000)
    at: int = setting(3, "give both derivatives at so many times, evenly spaced in log time", low=0, high=100)
    coefficients: bool = setting(False, "give the coefficients too: ln dT = sum of a_k (ln t)^k")
    peak: bool = setting(True, "give the time of the first prominent peak of the second derivative")
    diffusivity_m2_s: float | None = setting(
        None, "through the thickness; with it the depth is given [m2/s]", low=1e-9, high=1e-2
    )

    def __post_init__(self) -> None:
        validate(self)


class Tsr:
    """Thermographic signal reconstruction [1]_: ln dT = sum over k of a_k (ln t)^k, for each pixel.

    Needs a sequence less its cold frame whose times count from the flash: ``sequence.cold().cooling()``. A thick sound
    part cools with the slope -1/2 (first derivative); heat that meets a defect at the depth d makes the second one
    peak at t* = d^2 / (pi alpha) [2]_, so that d = sqrt(pi alpha t*). The first prominent peak counts, since later
    ones are the back wall, or wiggles of the polynomial.

    Differences that are not above 0 are noise around 0, and have no logarithm: they are left out of the fit of their
    pixel, as are those below the noise in frames that are nearly as cold; frames at the end whose usual difference is
    below twice the noise are left out for all.

    References
    ----------
    .. [1] S. Shepard, J. Lhota, B. Rubadeux, D. Wang, T. Ahmed, Reconstruction and enhancement of active thermographic
       image sequences, Optical Engineering 42(5), 2003.
    .. [2] D. Balageas, J.-M. Roche, F.-H. Leroy, W.-M. Liu, A. Gorbach, The thermographic signal reconstruction
       method, Biocybernetics and Biomedical Engineering 35(1), 2015.
    """

    name = "tsr"
    config_type = TsrConfig
    wants: Wanted = "cooling"

    def maps(self, sequence: ThermalSequence, config: TsrConfig) -> MapStack:
        """Return derivatives, peak times and depths; see `MapMethod.maps`.

        Raises
        ------
        DataError
            The times do not count from a flash, no cold frame was subtracted, or the frames are too few for the order.
        """
        curves, notes = fit(sequence, order=config.order, bins=config.bins)
        times = curves.spread_times(config.at)
        parts = [("tsr_d1", "1", curves.d1(times)), ("tsr_d2", "1", curves.d2(times))]
        if config.coefficients:
            parts.append(("tsr_a", "1", curves.powers()))
        names = [f"{name}_{number}" for name, _, values in parts for number in _numbers(name, len(values))]
        units = [unit for _, unit, values in parts for _ in values]
        pictures = [values for _, _, values in parts]
        if config.peak or config.diffusivity_m2_s is not None:
            peaks = peak_times(curves)
            pictures.append(peaks[None])
            names, units = [*names, "tsr_peak"], [*units, "s"]
            if config.diffusivity_m2_s is not None:
                pictures.append(1000 * depth_m(peaks, config.diffusivity_m2_s)[None])
                names, units = [*names, "tsr_depth"], [*units, "mm"]
        return MapStack(np.concatenate(pictures), tuple(names), tuple(units), self.name, {"time_s": times}, notes)


def _numbers(name: str, count: int) -> range:
    """Return 0, 1 ... for coefficients (the power that they belong to), 1, 2 ... for times."""
    return range(count) if name == "tsr_a" else range(1, count + 1)


def fit(sequence: ThermalSequence, *, order: int = 7, bins: int = 100) -> tuple[LogCurves, tuple[str, ...]]:
    """Return the polynomial of each pixel, and notes on what was left out.

    Parameters
    ----------
    sequence
        Less its cold frame, with times that count from the flash.
    order
        Of the polynomial.
    bins
        Frames are averaged in so many bins of log time first, which weighs all of log time alike; 0: every frame
        counts alike.

    Raises
    ------
    DataError
        See `Tsr.maps`.
    """
    required_rise(sequence, "tsr")
    binned = held(sequence.log_bins(bins)) if 0 < bins < sequence.shape[0] else sequence
    if binned.shape[0] <= order + 1:
        raise DataError(
            f"{sequence.name}: {binned.shape[0]} {'frames' if binned is sequence else 'bins of log time with frames'} "
            f"for a polynomial of order {order}; {order + 2} are needed, or a lower order"
        )
    return fitted(binned, order)


def required_rise(sequence: ThermalSequence, method: str) -> None:
    """Raise DataError where frames are not rises above the cold state with times that count from the flash."""
    required_times(sequence, method)
    if sequence.times_s[0] <= 0:
        raise DataError(
            f"{sequence.name}: {method} needs times that count from the flash; its first frame is at "
            f"{sequence.times_s[0]:g} s: take the sequence behind the flash (cooling)"
        )
    if not sequence.subtracted and sequence.unit != "au":
        raise DataError(
            f"{sequence.name}: {method} takes the logarithm of the rise above the cold state, not of temperatures; "
            "subtract a cold frame first (--cold)"
        )


def depth_m(peak_s: Float32[np.ndarray, "H W"], diffusivity_m2_s: float) -> Float32[np.ndarray, "H W"]:
    """Return the depth that belongs to a peak of the second derivative, d = sqrt(pi alpha t*) [m]."""
    return np.asarray(np.sqrt(np.float32(np.pi * diffusivity_m2_s) * peak_s))


def calibrated_diffusivity_m2_s(peak_s: float, thickness_m: float) -> float:
    """Return the diffusivity at which the back wall's peak gives the known thickness, L^2 / (pi t*) [m2/s]."""
    return thickness_m**2 / (np.pi * peak_s)


def slope(curves: LogCurves, time_s: float) -> Float64[np.ndarray, "H W"]:
    """Return the first derivative d ln dT / d ln t at one time; -0.5 in a thick sound part."""
    return np.asarray(curves.d1(np.array([time_s]))[0], np.float64)


METHOD = Tsr()
