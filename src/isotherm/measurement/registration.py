"""Where the pixels of one picture lie in another of the same view: found, judged, and refused where it is not sure.

Successive inspections are taken by hand: the camera stands a little elsewhere, is turned a little, and hot spots come
and go. A search over a few turns and sizes by phase correlation [1]_ gives the places to start from. The enhanced
correlation coefficient [2]_, which does not mind that everything has become warmer, is climbed from there to a part of
a pixel.

References
----------
.. [1] Kuglin and Hines, The phase correlation image alignment method, Proc. Int. Conf. Cybernetics and Society, 1975.
.. [2] Evangelidis and Psarakis, Parametric image alignment using enhanced correlation coefficient maximization, IEEE
   TPAMI 30(10), 2008.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

LEAST_CORRELATION = 0.6
LEAST_BENT_CORRELATION = 0.7
"""Where a shift alone does not do: by six numbers 6 of 453 simulated pictures of other things came to 0.61 to 0.65."""
LEAST_OVERLAP = 0.5
_COARSE_PX, _FINE_PX = 96, 192
_TURNS_DEG, _SIZES = (-8.0, -4.0, 0.0, 4.0, 8.0), (0.85, 1.0, 1.18)
_TRIED = 3
_ROUNDS, _SETTLED = 40, 1e-4
_SMALLEST_PX = 16
_BETTER = 0.01
# What a second picture of a view may be turned and enlarged by; beyond that the climb has run away.
_MOST_TURN_DEG, _MOST_SIZE = 20.0, 1.5

Matrix = Float64[np.ndarray, "2 3"]
# Of two sizes in one call, so that the letters H W would mean two things.
Plane = Float32[np.ndarray, "_ _"]
Picture = Float[np.ndarray, "_ _"]


@dataclass(frozen=True, eq=False)
class Registration:
    """Where a picture lies in a reference picture, and how sure that is.

    Parameters
    ----------
    matrix
        (2 3): a pixel (x, y, 1) of the reference, times this, is the pixel (x, y) of the picture.
    kind
        ``translation`` or ``affine``.
    correlation
        Of the structure of the two pictures where they overlap, -1 to 1.
    overlap
        The share of the reference that the picture shows, 0 to 1.
    reason
        Why the two are not taken as the same view; empty where they are.
    """

    matrix: Matrix
    kind: str
    correlation: float
    overlap: float
    reason: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the two pictures are taken as the same view."""
        return not self.reason

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return where a pixel (x, y) of the reference lies in the picture."""
        right, down = self.matrix @ (x, y, 1.0)
        return float(right), float(down)


@dataclass(frozen=True, eq=False)
class View:
    """What of a picture tells where it lies in another: a few per cent of its numbers.

    Parameters
    ----------
    size
        (height, width) of the picture.
    coarse, fine
        The picture reduced; None where it cannot be compared.
    fault
        Why it cannot be compared; empty where it can.
    """

    size: tuple[int, int]
    coarse: Plane | None = None
    fine: Plane | None = None
    fault: str = ""


def view_of(picture: Picture) -> View:
    """Return what `register` needs of a picture (H W), in °C or grey levels; NaN where there is no value."""
    size = (picture.shape[0], picture.shape[1])
    if min(size) < _SMALLEST_PX:
        return View(size, fault=f"has fewer than {_SMALLEST_PX} pixels a side")
    known = picture[np.isfinite(picture)]
    if known.size < picture.size / 2 or known.std() == 0:
        return View(size, fault="shows no structure")
    return View(size, _reduced(picture, _COARSE_PX), _reduced(picture, _FINE_PX))


def register(reference: Picture | View, picture: Picture | View) -> Registration:
    """Find where a picture lies in a reference picture.

    Parameters
    ----------
    reference, picture
        (H W) each, as for `view_of`, or what that gave. Their sizes may differ, their forms may not.

    Returns
    -------
    Registration
        ``accepted`` only where the structure agrees by at least `LEAST_CORRELATION` (`LEAST_BENT_CORRELATION` where a
        shift alone does not do) over at least `LEAST_OVERLAP` of the reference.
    """
    first, second = (one if isinstance(one, View) else view_of(one) for one in (reference, picture))
    if first.coarse is None or first.fine is None or second.coarse is None or second.fine is None:
        return _refused(first, second, f"the reference {first.fault}" if first.fault else f"the picture {second.fault}")
    forms = [size[1] / size[0] for size in (first.size, second.size)]
    if abs(np.log(forms[0] / forms[1])) > 0.05:
        return _refused(first, second, "the pictures have different forms (width to height)")
    fine = first.fine, second.fine
    matrix, correlation, overlap = _climbed((first.coarse, second.coarse), fine)
    plain = np.allclose(matrix[:, :2], _scaling(fine[0].shape, fine[1].shape)[:, :2])
    kind = "translation" if plain else "affine"
    whole = _between(matrix, fine, (first.size, second.size))
    needed = LEAST_CORRELATION if plain else LEAST_BENT_CORRELATION
    return Registration(whole, kind, correlation, overlap, _doubt(matrix, correlation, overlap, needed))


def _refused(reference: View, picture: View, reason: str) -> Registration:
    return Registration(_scaling(reference.size, picture.size), "translation", 0.0, 0.0, reason)


def moved(picture: Picture, registration: Registration, size: tuple[int, int]) -> Picture:
    """Return a picture as the reference sees it, of the reference's `size` (height, width); NaN beyond its border."""
    return _warped(np.asarray(picture, np.float32), registration.matrix, size)


def _doubt(matrix: Matrix, correlation: float, overlap: float, needed: float) -> str:
    """Return why a found place is not believed; empty where it is."""
    sizes = np.linalg.svd(matrix[:, :2], compute_uv=False)
    turn_deg = abs(np.degrees(np.arctan2(matrix[1, 0] - matrix[0, 1], matrix[0, 0] + matrix[1, 1])))
    if overlap < LEAST_OVERLAP:
        return f"only {overlap:.0%} of the view is in both pictures ({LEAST_OVERLAP:.0%} are needed)"
    if turn_deg > _MOST_TURN_DEG or sizes[0] > _MOST_SIZE or sizes[1] < 1 / _MOST_SIZE:
        return "the pictures would have to be turned or enlarged too much to fit"
    if correlation < needed:
        return f"the structure agrees by {correlation:.2f} only ({needed} are needed)"
    return ""


def _reduced(values: Picture, longest: int) -> Plane:
    """Return a picture of at most `longest` pixels a side: gaps filled, slow changes taken out, of spread 1."""
    known = np.isfinite(values)
    filled = np.where(known, values, np.median(values[known])).astype(np.float32)
    low, high = np.percentile(filled, (1, 99.5)).astype(np.float32)
    # One very hot spot must not be all that counts.
    step = max(1, -(-max(filled.shape) // longest))
    small = _means(np.clip(filled, low, high), step)
    flat = small - _blurred(small, max(small.shape) / 8)
    spread = float(flat.std())
    reduced: Plane = flat / np.float32(spread or 1.0)
    return reduced


def _means(values: Plane, step: int) -> Plane:
    height, width = (length // step * step for length in values.shape)
    cut = values[:height, :width].reshape(height // step, step, width // step, step)
    means: Plane = cut.mean(axis=(1, 3), dtype=np.float32)
    return means


def _blurred(values: Plane, sigma_px: float) -> Plane:
    """Return a picture blurred by a Gaussian of periodic, mirrored continuation."""
    mirrored = np.pad(values, [(0, length) for length in values.shape], mode="symmetric")
    down, across = np.fft.fftfreq(mirrored.shape[0])[:, None], np.fft.rfftfreq(mirrored.shape[1])[None]
    weight = np.exp(-2 * (np.pi * sigma_px) ** 2 * (down**2 + across**2))
    blurred = np.fft.irfft2(np.fft.rfft2(mirrored) * weight, s=mirrored.shape)
    return blurred[: values.shape[0], : values.shape[1]].astype(np.float32)


def _scaling(reference: tuple[int, ...], picture: tuple[int, ...]) -> Matrix:
    """Return the matrix that lays one picture over another of another size (height, width); pixel centres are whole."""
    across, down = picture[1] / reference[1], picture[0] / reference[0]
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2]])


def _between(matrix: Matrix, small: tuple[Plane, Plane], sizes: tuple[tuple[int, ...], tuple[int, ...]]) -> Matrix:
    """Return a matrix of two small pictures as that of the whole ones."""
    to_small = _square(_scaling(sizes[0], small[0].shape))
    to_whole = _square(_scaling(small[1].shape, sizes[1]))
    found: Matrix = (to_whole @ _square(matrix) @ to_small)[:2]
    return found


def _square(matrix: Matrix) -> Float64[np.ndarray, "3 3"]:
    return np.vstack([matrix, [0.0, 0.0, 1.0]])


def _starts(reference: Plane, picture: Plane) -> list[Matrix]:
    """Return the most promising places by phase correlation, over a few turns and sizes."""
    taper = np.outer(np.hanning(reference.shape[0]), np.hanning(reference.shape[1])).astype(np.float32)
    held = np.fft.rfft2(reference * taper).conj()
    found = []
    for turn_deg, size in product(_TURNS_DEG, _SIZES):
        turned = _turning(reference.shape, picture.shape, turn_deg, size)
        shown = np.nan_to_num(_warped(picture, turned, reference.shape))
        peak, down, right = _peak(held * np.fft.rfft2(shown * taper), reference.shape)
        shift = np.array([[1.0, 0.0, right], [0.0, 1.0, down]])
        found.append((peak, (_square(turned) @ _square(shift))[:2]))
    found.sort(key=lambda item: -item[0])
    return [_scaling(reference.shape, picture.shape), *(matrix for _, matrix in found[:_TRIED])]


def _turning(reference: tuple[int, ...], picture: tuple[int, ...], turn_deg: float, size: float) -> Matrix:
    """Return the matrix of a turn and a change of size round the middle."""
    angle = np.radians(turn_deg)
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([(reference[1] - 1) / 2, (reference[0] - 1) / 2])
    matrix = np.column_stack([turn, middle - turn @ middle])
    turned: Matrix = (_square(_scaling(reference, picture)) @ _square(matrix))[:2]
    return turned


def _peak(cross: np.ndarray, size: tuple[int, ...]) -> tuple[float, int, int]:
    """Return the height of the peak of a phase correlation, and how far down and right it lies [px]."""
    strength = np.abs(cross)
    surface = np.fft.irfft2(cross / np.maximum(strength, 1e-6 * strength.max()) ** 0.75, s=size)
    down, right = (int(place) for place in np.unravel_index(int(surface.argmax()), surface.shape))
    height, width = size
    signed = down - height if down > height // 2 else down, right - width if right > width // 2 else right
    return float(surface.max() / (surface.std() or 1.0)), *signed


def _climbed(small: tuple[Plane, Plane], fine: tuple[Plane, Plane]) -> tuple[Matrix, float, float]:
    """Return where the climb ends: matrix of the fine pictures, correlation, overlap.

    The small pictures decide between the starts. All six numbers must be better than a shift of a start to be kept.
    """
    sizes = fine[0].shape, fine[1].shape
    begun = [_climb(*small, start, shift_only=True)[0] for start in _starts(*small)]
    shift = max((_climb(*small, start, rounds=0) for start in begun), key=lambda result: result[1])[0]
    bend = max((_climb(*small, start) for start in begun), key=lambda result: result[1])[0]
    shifted = _climb(*fine, _between(shift, small, sizes), shift_only=True)
    bent = _climb(*fine, _between(bend, small, sizes))
    return bent if bent[1] > shifted[1] + _BETTER else shifted


def _climb(
    reference: Plane, picture: Plane, start: Matrix, *, shift_only: bool = False, rounds: int = _ROUNDS
) -> tuple[Matrix, float, float]:
    """Raise the correlation from a start (forward additive algorithm of [2]_); returns the best matrix seen."""
    y, x = np.mgrid[: reference.shape[0], : reference.shape[1]].astype(np.float32)
    # Of about 1, so that the steps of all six numbers are of one kind.
    x, y = x / reference.shape[1], y / reference.shape[0]
    slopes = np.gradient(picture)
    matrix, best = start, (start, *_agreement(reference, _warped(picture, start, reference.shape)))
    for _ in range(rounds):
        shown = _warped(picture, matrix, reference.shape)
        seen = np.isfinite(shown)
        correlation, overlap = _agreement(reference, shown)
        if overlap >= LEAST_OVERLAP / 2 and correlation > best[1]:
            best = matrix, correlation, overlap
        down, across = (_warped(slope.astype(np.float32), matrix, reference.shape)[seen] for slope in slopes)
        columns = [across, down]
        if not shift_only:
            columns = [across * x[seen], across * y[seen], across, down * x[seen], down * y[seen], down]
        step = _step(np.stack(columns, axis=1).astype(np.float64), reference[seen], shown[seen])
        if step is None:
            break
        change = np.array([[0, 0, step[0]], [0, 0, step[1]]]) if shift_only else step.reshape(2, 3)
        matrix = matrix + change / ([1, 1, 1] if shift_only else [reference.shape[1], reference.shape[0], 1])
        if np.abs(change).max() < _SETTLED:
            break
    return best


def _agreement(reference: Plane, shown: Plane) -> tuple[float, float]:
    """Return the correlation of two pictures where both show something, and the share where they do."""
    seen = np.isfinite(shown)
    overlap = float(seen.mean())
    if overlap < 0.05:
        return -1.0, overlap
    held, here = reference[seen] - reference[seen].mean(), shown[seen] - shown[seen].mean()
    size = float(np.sqrt((held @ held) * (here @ here)))
    return (float(held @ here) / size if size else -1.0), overlap


def _step(
    slopes: Float64[np.ndarray, "P K"], held: Float32[np.ndarray, " P"], here: Float32[np.ndarray, " P"]
) -> Float64[np.ndarray, " K"] | None:
    """Return the change of the numbers that raises the correlation most; None where there is none."""
    if held.size < 4 * slopes.shape[1]:
        return None
    template, image = (held - held.mean()).astype(np.float64), (here - here.mean()).astype(np.float64)
    slopes = slopes - slopes.mean(axis=0)
    try:
        inverse = np.linalg.inv(slopes.T @ slopes)
    except np.linalg.LinAlgError:
        return None
    of_image, of_template = slopes.T @ image, slopes.T @ template
    below = template @ image - of_template @ inverse @ of_image
    if below <= 0:
        return None
    gain = (image @ image - of_image @ inverse @ of_image) / below
    step: Float64[np.ndarray, " K"] = inverse @ (slopes.T @ (gain * template - image))
    return step if np.isfinite(step).all() and np.abs(step).max() < max(1.0, float(held.size)) else None


def _warped(picture: Plane, matrix: Matrix, size: tuple[int, ...]) -> Picture:
    """Return the picture at the places that a matrix gives to each pixel of a plane of `size`."""
    across, down = np.arange(size[1], dtype=np.float32)[None], np.arange(size[0], dtype=np.float32)[:, None]
    numbers = matrix.astype(np.float32)
    x = numbers[0, 0] * across + numbers[0, 1] * down + numbers[0, 2]
    y = numbers[1, 0] * across + numbers[1, 1] * down + numbers[1, 2]
    inside = _within(x, picture.shape[1]) & _within(y, picture.shape[0])
    left = np.clip(x, 0, picture.shape[1] - 2).astype(np.int32)
    top = np.clip(y, 0, picture.shape[0] - 2).astype(np.int32)
    right_part, low_part = (np.clip(part, 0, 1).astype(np.float32) for part in (x - left, y - top))
    place = top * picture.shape[1] + left
    flat = picture.ravel()
    upper = flat[place] * (1 - right_part) + flat[place + 1] * right_part
    place = place + picture.shape[1]
    lower = flat[place] * (1 - right_part) + flat[place + 1] * right_part
    return np.where(inside, upper * (1 - low_part) + lower * low_part, np.float32(np.nan))


def _within(places: Plane, length: int) -> Bool[np.ndarray, "_ _"]:
    """Return which places lie in a picture; a hair beyond its outermost pixel centres counts."""
    found: Bool[np.ndarray, "_ _"] = (places > -0.01) & (places < length - 0.99)
    return found
