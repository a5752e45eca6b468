"""What is true of one recording: the labels beside it or in its file, and the size and depth of each defect.

Where labels are looked for, the first that is there counts (NAME is that of the recording, file or folder):

1. ``NAME.json`` (LabelMe or COCO), ``NAME_mask.png``
2. the same and ``NAME.png`` in ``masks``, ``labels``, ``labels/manual_mask`` or ``labels/automated_mask`` beside it
3. in its file (NPZ, MAT, HDF5): ``labels`` with ``depth_mm`` (isotherm's simulator: numbers of the defects), or a mask
   called ``manual_mask``, ``automated_mask`` (IRT-PVC), ``DefectMask`` (pythermondt), ``mask`` or ``labels``, above 0
   on a defect
4. ``NAME.png`` beside it, or ``labels.json`` beside it (COCO, for many recordings)

An empty mask says that the plate is sound; no mask says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int, Int32, Num

from isotherm.core.config import setting, validate
from isotherm.core.errors import ConfigError, DataError
from isotherm.core.regions import label
from isotherm.datasets.label_files import LabelRules, read_labels_of
from isotherm.datasets.label_masks import LabelledMask
from isotherm.datasets.plates import Material, Patch
from isotherm.evaluation.defects import PlateTruth
from isotherm.measurement.reference import parse_box
from isotherm.sequences.prepare import box_slices
from isotherm.sequences.stack import ThermalSequence
from isotherm.sequences.stored import about_in, parameters_in, pictures_in
from isotherm.workflows.sequence_opening import PrepareSettings

FOLDERS = ("masks", "labels", "labels/manual_mask", "labels/automated_mask")
NUMBERED, DEPTHS = "labels", "depth_mm"
MASKS = ("manual_mask", "automated_mask", "defectmask", "mask", NUMBERED)
Labels = Int32[np.ndarray, "H W"]


@dataclass(frozen=True)
class DataSettings:
    """What the files of a set of labelled recordings cannot say."""

    polarity: Literal["bright", "dark"] | None = setting(
        None, "which side of a grey mask is the defect; the rarer one where not given"
    )
    pixel_mm: float | None = setting(
        None, "side of a pixel on the parts, in place of what the data say [mm]", low=1e-6, high=1e6
    )
    diffusivity_m2_s: float | None = setting(
        None, "through the thickness, in place of what the data say [m2/s]", low=1e-9, high=1e-2
    )

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class DefectFacts:
    """What a table says of a defect; NaN and empty where it says nothing."""

    kind: str = ""
    diameter_mm: float = math.nan
    depth_mm: float = math.nan

    def completing(self, stated: DefectFacts) -> DefectFacts:
        """Return what is stated, and these facts where nothing is."""
        diameter = self.diameter_mm if math.isnan(stated.diameter_mm) else stated.diameter_mm
        depth = self.depth_mm if math.isnan(stated.depth_mm) else stated.depth_mm
        return DefectFacts(stated.kind or self.kind, diameter, depth)


@dataclass(frozen=True)
class PlateFacts:
    """What tables and files say of a plate; None where they say nothing. Defects are by their number in the labels."""

    pixel_mm: float | None = None
    diffusivity_m2_s: float | None = None
    defects: Mapping[int, DefectFacts] | None = None


@dataclass(frozen=True, eq=False)
class KnownTruth:
    """What is true of a recording, as it is after cropping."""

    truth: PlateTruth
    kinds: tuple[str, ...]
    pixel_mm: float | None
    diffusivity_m2_s: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Labels as they were found: numbers of defects from 1 on (H W), and where they say something."""

    numbers: Labels
    judged: Bool[np.ndarray, "H W"] | None = None
    depth_mm: Num[np.ndarray, "H W"] | None = None
    notes: tuple[str, ...] = ()


def truth_of(path: Path, facts: PlateFacts, settings: DataSettings, prepare: PrepareSettings) -> KnownTruth | None:
    """Return what is true of a recording; None where it has no labels.

    Parameters
    ----------
    path
        The recording: a file, or a folder of frames.
    facts
        What tables say of it.
    settings, prepare
        What else is said of the data, and how the recording is opened.

    Raises
    ------
    DataError, FormatError
        The recording or its labels cannot be read, or the labels are of another size than the recording.
    """
    sequence = ThermalSequence.open(
        path, order=prepare.order, variable=prepare.variable, frame_rate_hz=prepare.frame_rate_hz
    )
    size = sequence.shape[1], sequence.shape[2]
    drawn = _drawn(path, size, settings)
    if drawn is None:
        return None
    file = _facts_in(path)
    pixel_mm = settings.pixel_mm or facts.pixel_mm or file.pixel_mm
    diffusivity = settings.diffusivity_m2_s or facts.diffusivity_m2_s or file.diffusivity_m2_s
    tabled = facts.defects or {}
    known = {
        number: one.completing(tabled.get(number, DefectFacts()))
        for number, one in _measured(drawn, pixel_mm, file).items()
    }
    return _cropped(drawn, known, prepare, (pixel_mm, diffusivity))


def _drawn(path: Path, size: tuple[int, int], settings: DataSettings) -> _Drawn | None:
    """Return the first labels of the places that the head of this module lists."""
    for place in _beside(path):
        if place.is_file():
            return _read(place, path, size, settings)
    found = _in_file(path, size, settings)
    if found is not None:
        return found
    picture, shared = path.parent / f"{_stem(path)}.png", path.parent / "labels.json"
    if picture.is_file() and picture != path:
        return _read(picture, path, size, settings)
    return _read(shared, path, size, settings) if shared.is_file() else None


def _stem(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


def _beside(path: Path) -> Iterator[Path]:
    stem, folder = _stem(path), path.parent
    yield from (folder / f"{stem}.json", folder / f"{stem}_mask.png")
    for name in FOLDERS:
        yield from (folder / name / f"{stem}{end}" for end in (".json", "_mask.png", ".png"))


def _read(file: Path, path: Path, size: tuple[int, int], settings: DataSettings) -> _Drawn | None:
    """Return the labels of a recording in a file; None where that holds labels of others only."""
    found = read_labels_of(file, LabelRules(polarity=settings.polarity))
    named = {Path(name).stem: one for name, one in found.items()}
    one = named.get(_stem(path)) or (next(iter(found.values())) if len(found) == 1 else None)
    if one is None:
        return None
    return _of_mask(one.fitted(size, file.name), f"labels from {file.name}")


def _of_mask(one: LabelledMask, said: str) -> _Drawn:
    numbers, _ = label(one.mask)
    judged = None if one.judged.all() else one.judged
    return _Drawn(numbers, judged, None, (said, *one.notes))


def _in_file(path: Path, size: tuple[int, int], settings: DataSettings) -> _Drawn | None:
    found = pictures_in(path, (DEPTHS, *MASKS))
    if NUMBERED in found and DEPTHS in found:
        _check_size(found[NUMBERED], size, path, NUMBERED)
        _check_size(found[DEPTHS], size, path, DEPTHS)
        if found[NUMBERED].min() < 0:
            raise DataError(f"{path.name}: labels are 0 (sound) and 1, 2 ... (defects); there are negative ones")
        return _Drawn(found[NUMBERED].astype(np.int32), None, found[DEPTHS], ("labels by number, from the file",))
    name = next((name for name in MASKS if name in found), None)
    if name is None:
        return None
    _check_size(found[name], size, path, name)
    dark = settings.polarity == "dark"
    mask = np.asarray((found[name] > 0) != dark)
    side = "0" if dark else "above 0"
    return _of_mask(LabelledMask.of(mask), f"labels from {name} in the file: {side} is a defect")


def _check_size(values: np.ndarray, size: tuple[int, int], path: Path, name: str) -> None:
    LabelledMask(np.zeros(values.shape, np.uint8)).fitted(size, f"{path.name}, {name}")


def _facts_in(path: Path) -> PlateFacts:
    """Return what the file of a simulation says of the plate; a depth there is that of all its defects."""
    about = about_in(path)
    if isinstance(about.get("plate"), dict):
        return _of_simulator(about["plate"], about.get("kinds"))
    parameters = parameters_in(path)
    step_m, depth_m = parameters.get("ds_lat", 0.0), parameters.get("dp_def", 0.0)
    return PlateFacts(
        step_m * 1000 or None,
        parameters.get("alpha3_mat") or None,
        {0: DefectFacts(depth_mm=depth_m * 1000)} if depth_m > 0 else None,
    )


def _of_simulator(plate: Mapping[str, Any], kinds: object) -> PlateFacts:
    """Return the facts of isotherm's own simulator; see `isotherm.datasets.plate_sequence.write_sequence`."""
    try:
        material = Material(**plate["layers"][0]["material"])
        patches = [Patch(**defect["patch"]) for defect in plate["defects"]]
        pixel_mm = float(plate["pixel_mm"])
    except (KeyError, IndexError, TypeError, ValueError, ConfigError):
        return PlateFacts()
    names = kinds if isinstance(kinds, list) and len(kinds) == len(patches) else [""] * len(patches)
    pairs = zip(names, patches, strict=True)
    defects = {number: DefectFacts(str(name), patch.diameter_mm) for number, (name, patch) in enumerate(pairs, 1)}
    return PlateFacts(pixel_mm, material.diffusivity_m2_s, defects)


def _measured(drawn: _Drawn, pixel_mm: float | None, file: PlateFacts) -> dict[int, DefectFacts]:
    """Return size and depth of each defect by the labels and by what the file says."""
    said = dict(file.defects or {})
    found = {}
    for number in _present(drawn.numbers):
        inside = np.asarray(drawn.numbers == number)
        area_mm2 = np.count_nonzero(inside) * pixel_mm**2 if pixel_mm else math.nan
        one, every = said.get(number, DefectFacts()), said.get(0, DefectFacts())
        diameter = one.diameter_mm if math.isfinite(one.diameter_mm) else math.sqrt(4 * area_mm2 / math.pi)
        depth = every.depth_mm if drawn.depth_mm is None else _median(drawn.depth_mm[inside])
        found[number] = DefectFacts(one.kind, diameter, depth)
    return found


def _median(values: Num[np.ndarray, " P"]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else math.nan


def _present(numbers: Int[np.ndarray, "h w"]) -> list[int]:
    return [int(number) for number in np.unique(numbers) if number > 0]


def _cropped(
    drawn: _Drawn,
    known: Mapping[int, DefectFacts],
    prepare: PrepareSettings,
    plate: tuple[float | None, float | None],
) -> KnownTruth:
    """Cut labels as the recording is cut; a defect that is cut through is not judged, as its part has no known size."""
    numbers, judged, notes = drawn.numbers, drawn.judged, drawn.notes
    if prepare.crop is not None:
        rows, columns = box_slices(parse_box(prepare.crop), *numbers.shape)
        whole, numbers = np.bincount(numbers.ravel(), minlength=1), numbers[rows, columns].copy()
        inside = np.bincount(numbers.ravel(), minlength=whole.size)
        cut = np.flatnonzero((inside > 0) & (inside < whole))
        cut = cut[cut > 0]
        judged = np.ones(numbers.shape, np.bool_) if judged is None else judged[rows, columns].copy()
        judged[np.isin(numbers, cut)] = False
        numbers[np.isin(numbers, cut)] = 0
        notes = (*notes, f"{cut.size} defects cut through by --crop are not judged") if cut.size else notes
    present = _present(numbers)
    facts = [known.get(number, DefectFacts()) for number in present]
    renumbered = np.zeros(int(numbers.max(initial=0)) + 1, np.int32)
    renumbered[present] = np.arange(1, len(present) + 1)
    truth = PlateTruth(
        renumbered[numbers],
        _column([one.diameter_mm for one in facts]),
        _column([one.depth_mm for one in facts]),
        judged,
        plate[0],
    )
    return KnownTruth(truth, tuple(one.kind for one in facts), *plate, notes)


def _column(values: list[float]) -> Float64[np.ndarray, " D"]:
    return np.asarray(values, np.float64)
