"""How well a defect shows in a map: contrast to noise, signal to noise, and how well a mask fits."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Int

from isotherm.core.errors import DataError
from isotherm.core.regions import dilate, label
from isotherm.sequences.maps import MapStack

Mask = Bool[np.ndarray, "_ _"]
Values = Float32[np.ndarray, "_ _"]


def cnr(values: Values, defect: Mask, sound: Mask) -> float:
    """Return the contrast-to-noise ratio abs(mu_d - mu_s) / sigma_s.

    Parameters
    ----------
    values
        A map; NaN pixels do not count.
    defect, sound
        Pixels of one defect, and of the sound material that it is compared with.

    Returns
    -------
    float
        NaN where either has no pixel with a number, infinite where the sound material has no spread.

    Raises
    ------
    DataError
        The masks are of another size than the map.
    """
    for mask in (defect, sound):
        if mask.shape != values.shape:
            raise DataError(f"a mask of {_size(mask)} for a map of {_size(values)} pixels")
    inside, outside = _known(values, defect), _known(values, sound)
    if not (inside.size and outside.size):
        return float("nan")
    difference, spread = abs(inside.mean() - outside.mean()), outside.std()
    if spread == 0:
        return float("inf") if difference else 0.0
    return float(difference / spread)


def snr_db(values: Values, defect: Mask, sound: Mask) -> float:
    """Return 20 log10 of the contrast-to-noise ratio [dB]; see `cnr`."""
    with np.errstate(divide="ignore"):
        return float(20 * np.log10(cnr(values, defect, sound)))


def cnr_table(stack: MapStack, defects: Mask | Int[np.ndarray, "_ _"], *, guard_px: int = 3) -> dict[str, list[float]]:
    """Return the contrast-to-noise ratio of each defect in each map; never pooled over defects.

    Parameters
    ----------
    stack
        Maps of one sequence.
    defects
        A mask, whose separate parts (8-neighbours) are the defects, or numbers of the defects from 1, 0 elsewhere.
    guard_px
        Sound is what lies farther than this from any defect.
    """
    numbers = label(defects)[0] if defects.dtype == np.bool_ else defects
    sound = ~dilate(numbers > 0, guard_px)
    each = [numbers == number for number in np.unique(numbers[numbers > 0])]
    return {
        name: [cnr(values, defect, sound) for defect in each]
        for name, values in zip(stack.names, stack.values, strict=True)
    }


def tanimoto(found: Mask, wanted: Mask) -> float:
    """Return (N_hit - N_false) / (N_wanted + N_false): 1 for an equal mask, below 0 where more is false than right.

    NaN where both are empty.
    """
    if found.shape != wanted.shape:
        raise DataError(f"a mask of {_size(found)} against one of {_size(wanted)} pixels")
    hits, false = np.count_nonzero(found & wanted), np.count_nonzero(found & ~wanted)
    total = np.count_nonzero(wanted) + false
    return (hits - false) / total if total else float("nan")


def _known(values: Values, mask: Mask) -> np.ndarray:
    inside = values[mask]
    return np.asarray(inside[np.isfinite(inside)], np.float64)


def _size(values: np.ndarray) -> str:
    return f"{values.shape[1]} x {values.shape[0]}"
