"""Colour tables of 256 steps, most of them with evenly rising lightness, so that equal differences look equal.

Each is a smooth path through a few colours in OKLab (Ottosson, "A perceptual color space for image processing", 2020),
with the lightness replaced by an even ramp; even lightness also keeps the order readable in grey print and for
colour-blind eyes. ``rainbow`` alone keeps the lightness of its colours: people know it and ask for it, but it shows
edges where there are none, so it is never the default.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
from jaxtyping import Float, UInt8

from isotherm.core.errors import UnknownNameError

Table = UInt8[np.ndarray, "256 3"]

# Anchors as (place 0..1, hex colour): temperatures run from black through purple and orange to pale yellow as on
# cameras; anomaly maps run from dark blue to yellow-green, so that nobody takes one for the other.
_ANCHORS: dict[str, tuple[tuple[float, str], ...]] = {
    "iron": ((0, "02020f"), (0.2, "41107a"), (0.42, "a82a78"), (0.62, "e5573c"), (0.82, "fba62b"), (1, "fdf9c8")),
    "lava": ((0, "04070d"), (0.22, "173a52"), (0.4, "7a1f3a"), (0.58, "e0261a"), (0.8, "ff8a1f"), (1, "fff6dc")),
    "arctic": ((0, "071145"), (0.28, "1450a8"), (0.48, "4fa3c7"), (0.66, "b0a47c"), (0.84, "eeb24a"), (1, "fff5d6")),
    "amber": ((0, "080402"), (0.4, "6b3305"), (0.75, "d98b12"), (1, "ffefc2")),
    "night": ((0, "010604"), (0.4, "0c4a2b"), (0.75, "3fb168"), (1, "e6ffe9")),
    "clear": ((0, "00204d"), (0.35, "4a5578"), (0.6, "8a8878"), (0.8, "c3b15f"), (1, "ffea46")),
    "rainbow": (
        (0, "0a0a50"), (0.16, "1c3fd0"), (0.34, "12b2d6"), (0.5, "2fbf4a"), (0.66, "f2e22a"), (0.84, "ee4a22"),
        (1, "ffe9e4"),
    ),
    "sea": ((0, "0b1030"), (0.3, "234a92"), (0.55, "1f8f8c"), (0.8, "79cb55"), (1, "fbf07a")),
}  # fmt: skip
_UNEVEN = frozenset({"rainbow"})
FOR_TEMPERATURES = {
    "iron": "black, purple, orange, pale yellow, as on cameras",
    "lava": "dark blue, red, orange, white",
    "arctic": "deep blue, ice, gold",
    "rainbow": "blue, green, yellow, red: well known, but shows edges where there are none",
    "clear": "blue to yellow: the order is kept for colour-blind eyes",
    "amber": "one warm hue",
    "night": "one green hue",
    "grey": "white is hot",
    "black-hot": "black is hot",
}
"""The palettes that temperatures are shown in, each with what it looks like; ``sea`` is left to anomaly maps."""
INVALID = (120, 126, 134)
"""Colour of pixels that have no value."""

# Linear sRGB -> LMS and LMS^(1/3) -> OKLab (Ottosson 2020).
_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def names() -> list[str]:
    """Return the names of all palettes."""
    return [*FOR_TEMPERATURES, "sea"]


def check_for_temperatures(name: str, *, others: Iterable[str] = ()) -> None:
    """Raise UnknownNameError where a name is neither of `FOR_TEMPERATURES` nor of `others`."""
    known = [*FOR_TEMPERATURES, *others]
    if name not in known:
        raise UnknownNameError("palette", name, known)


@cache
def table(name: str) -> Table:
    """Return the palette called `name` as 256 sRGB colours, low to high.

    Raises
    ------
    UnknownNameError
        There is no such palette.
    """
    if name not in names():
        raise UnknownNameError("palette", name, names())
    colours = _path(name) if name in _ANCHORS else _grey(black_is_hot=name == "black-hot")
    colours.setflags(write=False)
    return colours


def _grey(*, black_is_hot: bool) -> Table:
    # Every grey once: a ramp of even lightness has no 8-bit grey for its darkest steps.
    levels = np.arange(256, dtype=np.uint8)
    return np.repeat((levels[::-1] if black_is_hot else levels)[:, None], 3, axis=1)


def _path(name: str) -> Table:
    places = np.array([place for place, _ in _ANCHORS[name]])
    anchors = oklab(np.array([list(bytes.fromhex(colour)) for _, colour in _ANCHORS[name]], dtype=np.uint8))
    steps = np.linspace(0, 1, 256)
    lightness, *hue = (_rounded(np.interp(steps, places, anchors[:, axis])) for axis in range(3))
    if name not in _UNEVEN:
        lightness = np.linspace(anchors[0, 0], anchors[-1, 0], 256)
    return _srgb(np.stack([lightness, *hue], axis=1))


def _rounded(line: Float[np.ndarray, " K"], width: int = 41) -> Float[np.ndarray, " K"]:
    # A corner in the path would be seen as a band in a smooth gradient.
    around = np.pad(line, width // 2, mode="reflect", reflect_type="odd")
    return np.convolve(around, np.full(width, 1 / width), mode="valid")


def oklab(colours: UInt8[np.ndarray, "K 3"]) -> Float[np.ndarray, "K 3"]:
    """Return sRGB colours as OKLab (lightness 0..1, a, b)."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    lab: Float[np.ndarray, "K 3"] = np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T
    return lab


def _srgb(lab: Float[np.ndarray, "K 3"]) -> UInt8[np.ndarray, "K 3"]:
    linear = (lab @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_LMS).T
    linear = linear.clip(0, 1)
    share = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(share * 255).astype(np.uint8)
