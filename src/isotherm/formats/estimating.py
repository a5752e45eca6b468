"""Estimated temperatures for a picture that holds none, from the colour scale that is drawn into it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, UInt8

from isotherm.core.errors import FormatError, MissingExtraError
from isotherm.core.regions import dilate, drop_small, label
from isotherm.core.scene import ZERO_CELSIUS_K
from isotherm.core.thermogram import Thermogram
from isotherm.formats import overlays
from isotherm.formats.colour_inversion import Inverted, Palette, invert, palette_of
from isotherm.formats.colour_scale import Bar, Colours, ColourScale, find_colour_scale
from isotherm.formats.equalisation import shift_sigma
from isotherm.formats.reader import ReadHints
from isotherm.formats.scale_ends import Ends, typed_ends
from isotherm.radiometry.estimated import EstimatedCalibration
from isotherm.radiometry.linear import TO_KELVIN

MOST_PIXELS = 16_000_000
"""Larger pictures are no screens; looking up each of their pixels would need more than 1 GB."""
LEAST_NOISE = 1.0
"""Least noise of a colour [grey levels]: rounding of the picture, of the look-up and of the scale's own colours."""
MOST_NOISE = 20.0
"""Colours farther from the palette say nothing about its noise [grey levels]: black beyond a dark blue end."""
RAYLEIGH_MEDIAN = 1.1774
"""Median distance of a point from a line in space, over the standard deviation of its coordinates."""
OFF_SIGMAS, LEAST_OFF, MOST_OFF = 5.0, 12.0, 40.0
"""A colour so far from the palette, in standard deviations and grey levels, is not of the scale."""
FRINGE_PX, LEAST_MARK_PX = 2, 6
"""What is drawn tints its rim by so many pixels; single noisy pixels are no drawing."""
LEAST_SHARE = 0.05
"""Fewer pixels with a place on the scale are chance."""
SYSTEMATIC = 0.015
"""How well a bar shows the palette of its picture, as a share of the scale: what remained between estimate and truth
for six FLIR pictures that hold both (benchmarks/colour_scale.py; narrow bars, chroma, semi-transparent frames). A fit:
no other files were there to check it."""
MOST_SIGMA = 1 / math.sqrt(12)
"""Uncertainty of a place that could be anywhere on the scale."""


def estimate(picture: Thermogram, hints: ReadHints) -> Thermogram:
    """Return a picture with estimated temperatures, or the picture with a note that says why there are none.

    Parameters
    ----------
    picture
        A qualitative thermogram, grey or coloured, at its stored size.
    hints
        With ``scale``: the typed ends, or ``auto`` to read them by OCR.

    Raises
    ------
    FormatError
        OCR is asked for and not installed.
    """
    if picture.counts.size > MOST_PIXELS:
        return _without(picture, f"{picture.counts.size} pixels; at most {MOST_PIXELS} are estimated")
    colours = _colours(picture)
    scale = find_colour_scale(colours)
    if scale is None:
        return _without(picture, "no colour scale was found in this picture")
    ends = typed_ends(hints) or _read(colours, scale, hints)
    if ends is None:
        return _without(picture, "the numbers of the colour scale could not be read; type them as low,high")
    palette = palette_of(scale)
    inverted = invert(colours, palette)
    drawn = _drawn(colours, scale.bar)
    noise = _noise(inverted, drawn)
    off = _off_palette(inverted, noise)
    places = np.where(drawn | off, np.float32(np.nan), inverted.place)
    known = np.isfinite(places)
    if known.mean() < LEAST_SHARE:
        return _without(picture, "hardly any colour of this picture is on its colour scale")
    unevenness = shift_sigma(places[known])
    calibration = _calibration(ends, np.hypot(_place_sigma(scale, palette, noise), _along(unevenness, palette)))
    return replace(
        picture,
        counts=places,
        calibration=calibration,
        display_span=(0.0, 1.0),
        notes=(*picture.notes, *_notes(places, calibration, scale, ends), _unevenness_note(unevenness, calibration)),
    )


def _without(picture: Thermogram, reason: str) -> Thermogram:
    return replace(picture, notes=(*picture.notes, f"no temperatures estimated: {reason}"))


def _colours(picture: Thermogram) -> Colours:
    if picture.colour is not None:
        return picture.colour
    grey: UInt8[np.ndarray, "H W"] = picture.counts.astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(grey[..., None], (*grey.shape, 3)))


# --- ends -------------------------------------------------------------------------------------------------------------


def _read(colours: Colours, scale: ColourScale, hints: ReadHints) -> Ends | None:
    # Who types the ends needs no OCR engine.
    from isotherm.formats.scale_reading import read_ends

    try:
        return read_ends(colours, scale, hints.unit)
    except MissingExtraError as error:
        raise FormatError(str(error)) from error


# --- pixels without an estimate ---------------------------------------------------------------------------------------


def _drawn(colours: Colours, bar: Bar) -> Bool[np.ndarray, "H W"]:
    """Mark the scale itself and whatever else is drawn into the picture."""
    drawn = overlays.find(colours)
    rim = max(3, round(0.006 * max(colours.shape[:2])))
    drawn[max(0, bar.top - rim) : bar.bottom + rim, max(0, bar.left - rim) : bar.right + rim] = True
    return drawn


def _noise(inverted: Inverted, drawn: Bool[np.ndarray, "H W"]) -> float:
    """Return the standard deviation of a colour from the palette [grey levels], robust against what is off it."""
    residual = inverted.residual[~drawn & (inverted.residual < MOST_NOISE)]
    middle = float(np.median(residual)) if residual.size else 0.0
    return max(LEAST_NOISE, middle / RAYLEIGH_MEDIAN)


def _off_palette(inverted: Inverted, noise: float) -> Bool[np.ndarray, "H W"]:
    """Mark colours that are not of the scale, or of two places of it, and the rims of what is drawn in such colours."""
    limit = min(max(OFF_SIGMAS * noise, LEAST_OFF), MOST_OFF)
    off = inverted.residual > limit
    marks, _ = drop_small(*label(off), LEAST_MARK_PX)
    mask: Bool[np.ndarray, "H W"] = off | inverted.ambiguous | dilate(marks > 0, FRINGE_PX)
    return mask


# --- temperatures -----------------------------------------------------------------------------------------------------


def _calibration(ends: Ends, place_sigma: Float[np.ndarray, " K"]) -> EstimatedCalibration:
    slope, zero = TO_KELVIN[ends.unit]
    return EstimatedCalibration(
        low_k=ends.low * slope + zero,
        high_k=ends.high * slope + zero,
        end_sigma_k=ends.sigma * slope,
        place_sigma=np.minimum(place_sigma, MOST_SIGMA),
        law=ends.law,
        ends=ends.source,
    )


def _place_sigma(scale: ColourScale, palette: Palette, noise: float) -> Float[np.ndarray, " K"]:
    """Return the standard uncertainty of a place along the palette: its noise, the bar's ends, and its colours."""
    places = np.linspace(0, 1, palette.speed.size)
    from_noise = noise / np.maximum(palette.speed.astype(np.float64), 1e-3)
    from_ends = scale.end_sigma() * np.hypot(places, 1 - places)
    sigma: Float[np.ndarray, " K"] = np.sqrt(from_noise**2 + from_ends**2 + SYSTEMATIC**2)
    return sigma


def _along(sigma: Float[np.ndarray, " N"], palette: Palette) -> Float[np.ndarray, " K"]:
    """Return an uncertainty that is known at equal steps of the scale, at the steps of the palette."""
    steps = np.linspace(0, 1, palette.speed.size)
    along: Float[np.ndarray, " K"] = np.interp(steps, np.linspace(0, 1, sigma.size), sigma)
    return along


def _notes(
    places: Float[np.ndarray, "H W"], calibration: EstimatedCalibration, scale: ColourScale, ends: Ends
) -> list[str]:
    known = places[np.isfinite(places)]
    low, high = calibration.low_k - ZERO_CELSIUS_K, calibration.high_k - ZERO_CELSIUS_K
    bar = scale.bar
    notes = [
        f"temperatures are estimated from colours, not measured: standard uncertainty about "
        f"{calibration.typical_sigma_k:.2g} K",
        f"colour scale {low:.4g} to {high:.4g} °C ({ends.source}) in rows {bar.top} to {bar.bottom - 1}, "
        f"columns {bar.left} to {bar.right - 1}",
        *ends.notes,
    ]
    missing = 1 - known.size / places.size
    if missing > 0:
        notes.append(f"{missing:.1%} of the pixels have no estimate: drawn over, or of a colour that the scale lacks")
    at_ends = float(np.mean((known <= 0.004) | (known >= 0.996)))
    if at_ends > 0.001:
        notes.append(f"{at_ends:.1%} of the estimates are at an end of the scale: colder or hotter is possible")
    return notes


def _unevenness_note(unevenness: Float[np.ndarray, " K"], calibration: EstimatedCalibration) -> str:
    span_k = calibration.high_k - calibration.low_k
    return (
        "no picture shows whether its camera equalised the colours; if so, what lies between the ends is wrong: "
        f"up to {unevenness.max() * span_k:.2g} K of the uncertainty are for that (compare a printed spot value)"
    )
