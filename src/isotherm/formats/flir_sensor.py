"""The sensor behind an array of pixels: some cameras enlarge the picture before they store it.

An array says nothing of the sensor. It is known for models whose data sheet gives it; for others, enlargement by
interpolation is found by its own trace: the second differences of interpolated pixels are smaller than those of pixels
that were measured, again and again with the period of the enlargement (A. C. Gallagher, *Detection of linear and cubic
interpolation in JPEG compressed images*, CRV 2005).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, UInt16

# Height and width [px] as the data sheets give them, landscape; only models whose sensor is beyond doubt.
_SENSORS = {
    "flir c2": (60, 80),
    "flir c3": (60, 80),
    "flir c3-x": (96, 128),
    "flir c5": (120, 160),
    "flir ax8": (60, 80),
    "flir e40": (120, 160),
    "flir e50": (180, 240),
    "flir e60": (240, 320),
    "flir sc660": (480, 640),
    "flir t640": (480, 640),
}
# Of real sensors' pixels no peak was above 6 times the median (14 files); enlarged ones have 11 and more.
_LEAST_PEAK = 8.0
_FREQUENCIES = (0.15, 0.5)
_LEAST_SIDE, _LINES = 96, 96


def sensor_size(model: str, counts: UInt16[np.ndarray, "H W"], *, look: bool) -> tuple[tuple[int, int] | None, str]:
    """Return height and width of the sensor where the array is larger than it, and a note that says so.

    Parameters
    ----------
    model
        The camera's name for itself.
    counts
        The pixels as stored (H W).
    look
        Whether pixels of unknown models are searched for the trace of interpolation (about 1 ms).

    Returns
    -------
    tuple
        None and an empty note where the array is no larger than the sensor, as far as is known.
    """
    height, width = counts.shape
    known = _SENSORS.get(" ".join(model.lower().split()))
    if known is not None:
        known = known if width >= height else known[::-1]
        if height <= known[0] and width <= known[1]:
            return None, ""
        return known, f"the camera's sensor has {known[1]} x {known[0]} pixels: {width} x {height} are enlarged from it"
    period = enlargement(counts) if look else None
    if period is None:
        return None, ""
    size = round(height / period), round(width / period)
    return size, (
        f"the pixels look enlarged by the camera (a trace of interpolation every {period:.2f} px): "
        f"its sensor has about {size[1]} x {size[0]} pixels, or fewer"
    )


def enlargement(counts: UInt16[np.ndarray, "H W"]) -> float | None:
    """Return by how much an array was enlarged, at least [px a sensor pixel]; None where nothing shows it.

    A period p and p / (p - 1) leave the same trace, of which the smaller is returned. Exact doubling leaves none.
    """
    height, width = counts.shape
    if min(height, width) < _LEAST_SIDE:
        return None
    down, across = _peak(counts), _peak(counts.T)
    # Both axes must tell the same story, to one step of the shorter spectrum.
    if min(down[1], across[1]) < _LEAST_PEAK or abs(down[0] - across[0]) > 1.5 / min(height, width):
        return None
    return 1 / (1 - (down[0] + across[0]) / 2)


def _peak(counts: UInt16[np.ndarray, "H W"]) -> tuple[float, float]:
    """Return the strongest frequency [1/px] in how rough the rows are, and its height over the median."""
    step = max(1, counts.shape[1] // _LINES)
    rows = counts[:, ::step].astype(np.int32)
    roughness = np.log(np.abs(rows[2:] - 2 * rows[1:-1] + rows[:-2]).mean(axis=1) + 0.5)
    spectrum = np.abs(np.fft.rfft((roughness - roughness.mean()) * np.hanning(len(roughness))))
    return _strongest(spectrum / max(len(roughness), 1), len(roughness))


def _strongest(spectrum: Float64[np.ndarray, " F"], length: int) -> tuple[float, float]:
    first = int(_FREQUENCIES[0] * length)
    searched = spectrum[first:]
    place = int(searched.argmax())
    return (first + place) / length, float(searched[place] / max(float(np.median(searched)), 1e-12))
