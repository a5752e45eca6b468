"""From the colours of a picture back to places along its colour scale.

Each colour is compared with all colours of the scale in luma and weakened chroma, because JPEG stores chroma coarsely;
the nearest one gives the place, its distance says how far the pixel is from the palette, and how fast the palette
changes there says how much the place is worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int32

from isotherm.formats.colour_scale import Colours, ColourScale, Ramp

Places = Float32[np.ndarray, "H W"]

STEPS = 512
"""Places at which the palette is compared; between them the nearest one counts (0.1 % of the span)."""
BITS = 7
"""Colours are looked up with so many bits a channel: a table of 2 million entries instead of a search a pixel."""
CHROMA = 0.5
"""Weight of chroma beside luma: JPEG subsamples and quantises it, so that its errors are about twice as large."""
BLOCK = 8192
"""Colours compared at a time, which bounds memory to about 50 MB."""
APART = 0.12
"""Two places of a palette so far apart that look alike are ambiguous (share of the scale)."""


@dataclass(frozen=True, eq=False)
class Palette:
    """The colours of a scale at `STEPS` equal steps from low (0) to high (1), in weighted luma and chroma.

    Parameters
    ----------
    colours
        (K 3) float32.
    speed
        (K) float32: how much the colour changes over the whole scale at this rate [grey levels].
    """

    colours: Ramp
    speed: Float32[np.ndarray, " K"]


@dataclass(frozen=True, eq=False)
class Inverted:
    """Where the pixels of a picture lie along its scale.

    Parameters
    ----------
    place
        (H W) float32, 0 at the low end and 1 at the high one.
    residual
        (H W) float32: the distance of the colour from the palette [grey levels].
    ambiguous
        (H W) bool: a far place of the palette looks the same.
    """

    place: Places
    residual: Places
    ambiguous: Bool[np.ndarray, "H W"]


def weighted(colours: Float32[np.ndarray, "*N 3"]) -> Float32[np.ndarray, "*N 3"]:
    """Return luma and weakened chroma (ITU-R BT.601, as in JPEG) of RGB colours [grey levels]."""
    red, green, blue = colours[..., 0], colours[..., 1], colours[..., 2]
    luma = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    weight = np.float32(CHROMA)
    return np.stack(
        [luma, weight * np.float32(1 / 1.772) * (blue - luma) * 2, weight * 2 * (red - luma) / np.float32(1.402)],
        axis=-1,
    )


def palette_of(scale: ColourScale) -> Palette:
    """Return the palette of a scale, smoothed over about a hundredth of its length."""
    ramp = weighted(scale.colours)
    length = ramp.shape[0]
    window = max(1, round(length / 100)) | 1
    padded = np.pad(ramp, ((window // 2, window // 2), (0, 0)), "edge")
    sums = np.cumsum(np.concatenate([np.zeros((1, 3)), padded], axis=0), axis=0)
    smooth = (sums[window:] - sums[:-window]) / window
    smooth[0], smooth[-1] = ramp[0], ramp[-1]
    places, own = np.linspace(0, 1, STEPS), np.linspace(0, 1, length)
    colours = np.stack([np.interp(places, own, smooth[:, channel]) for channel in range(3)], axis=1)
    # Over a twentieth of the scale: single rows would give the noise's speed.
    reach = STEPS // 40
    after, before = np.minimum(np.arange(STEPS) + reach, STEPS - 1), np.maximum(np.arange(STEPS) - reach, 0)
    speed = np.linalg.norm(colours[after] - colours[before], axis=1) / (places[after] - places[before])
    return Palette(colours.astype(np.float32), speed.astype(np.float32))


def invert(picture: Colours, palette: Palette) -> Inverted:
    """Return the place of every pixel along the palette."""
    index = _packed(picture)
    present = np.zeros(1 << 3 * BITS, dtype=np.bool_)
    present[index] = True
    found = np.flatnonzero(present)
    number = np.zeros(1 << 3 * BITS, dtype=np.int32)
    number[found] = np.arange(found.size, dtype=np.int32)
    tables = _nearest(_unpacked(found), palette)
    place, residual, ambiguous = (table[number[index]] for table in tables)
    return Inverted(place, residual, ambiguous)


def _packed(picture: Colours) -> Int32[np.ndarray, "H W"]:
    shifted = (picture >> (8 - BITS)).astype(np.int32)
    packed: Int32[np.ndarray, "H W"] = shifted[..., 0] << 2 * BITS | shifted[..., 1] << BITS | shifted[..., 2]
    return packed


def _unpacked(codes: np.ndarray) -> Ramp:
    """Return the middle colour of each code."""
    mask, step = (1 << BITS) - 1, 1 << (8 - BITS)
    channels = [(codes >> 2 * BITS) & mask, (codes >> BITS) & mask, codes & mask]
    return np.stack(channels, axis=1).astype(np.float32) * step + np.float32((step - 1) / 2)


def _nearest(
    colours: Ramp, palette: Palette
) -> tuple[Float32[np.ndarray, " K"], Float32[np.ndarray, " K"], Bool[np.ndarray, " K"]]:
    """Return the nearest place, its distance, and whether a far place is about as near."""
    places = np.linspace(0, 1, palette.colours.shape[0], dtype=np.float32)
    found, distance = np.empty(colours.shape[0], np.float32), np.empty(colours.shape[0], np.float32)
    ambiguous = np.empty(colours.shape[0], np.bool_)
    squares = (palette.colours**2).sum(axis=1)
    for start in range(0, colours.shape[0], BLOCK):
        block = weighted(colours[start : start + BLOCK])
        apart = squares - 2 * block @ palette.colours.T
        best = apart.argmin(axis=1)
        rows = np.arange(best.size)
        own = (block**2).sum(axis=1)
        nearest = apart[rows, best]
        distance[start : start + BLOCK] = np.sqrt(np.maximum(nearest + own, 0))
        found[start : start + BLOCK] = places[best]
        apart[np.abs(places - places[best, None]) < APART] = np.inf
        second = np.sqrt(np.maximum(apart.min(axis=1) + own, 0))
        ambiguous[start : start + BLOCK] = second < distance[start : start + BLOCK] + 6
    return found, distance, ambiguous
