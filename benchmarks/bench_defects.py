"""Unsupervised defect finding on random simulated plates: what is found, what is called falsely, which depths are told.

python benchmarks/bench_defects.py [--plates 24] [--empty 12] [--seed 7001] [--depths-of mahalanobis]

Plates are drawn anew from the seed (0.7 processor seconds each); defaults of the library were chosen with the seeds
4101 to 4104, so any other is unseen. Depths are those of the regions of one method, for the plate's true diffusivity,
and judged for holes, delaminations and inclusions apart, by diameter over depth.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isotherm.core.regions import label
from isotherm.datasets.plate_dataset import DefectRow, PlateRow, write_plates
from isotherm.datasets.plate_random import RandomPlates
from isotherm.evaluation.defects import PlateTruth, judge_plate, judge_plates
from isotherm.evaluation.summary import Measured
from isotherm.sequences.defects import DefectRules, sound_ring, told_by_fit
from isotherm.sequences.features import Features, FeaturesConfig
from isotherm.sequences.region_depths import RegionDepths
from isotherm.sequences.segment import SEGMENT_METHODS
from isotherm.sequences.stack import ThermalSequence

COLUMNS = ("iou", "average_precision", "auroc", "pod_below_3", "pod_3_to_6", "pod_from_6", "false_calls")
RULES = DefectRules(pixel_mm=0.5, diffusivity_percent=0.0)


@dataclass(frozen=True, eq=False)
class Plate:
    """One recording, its maps and its truth."""

    row: PlateRow
    defects: list[DefectRow]
    labels: np.ndarray
    cooling: ThermalSequence
    maps: np.ndarray

    @property
    def truth(self) -> PlateTruth:
        """What is true of it."""
        sizes = [[getattr(each, name) for each in self.defects] for name in ("diameter_mm", "depth_mm")]
        return PlateTruth(self.labels, *(np.array(size, np.float64) for size in sizes))


def drawn(folder: Path, spec: RandomPlates, count: int, seed: int) -> Iterator[Plate]:
    """Simulate plates and open them as a user does."""
    plates, defects = write_plates(folder, spec, count=count, seed=seed)
    for row in plates:
        cooling = ThermalSequence.open(folder / row.file).checked().cold().cooling()
        own = [each for each in defects if each.file == row.file]
        with np.load(folder / row.file) as stored:
            labels = stored["labels"]
        yield Plate(row, own, labels, cooling, Features().maps(cooling, FeaturesConfig()).values)


def found(plates: list[Plate], name: str) -> dict[str, Measured]:
    """Return the metrics of a method at its defaults."""
    method = SEGMENT_METHODS.get(name)
    judged = []
    for plate in plates:
        result = method.segment(plate.maps, method.config_type())
        judged.append(judge_plate(plate.truth, result.mask, result.score))
    return judge_plates(judged)


def depths(plate: Plate, name: str) -> Iterator[tuple[DefectRow, float, float, str]]:
    """Yield each defect that a region lies on, with the depth told, its uncertainty [mm] (NaN: none) and doubt."""
    method = SEGMENT_METHODS.get(name)
    numbers, count = label(method.segment(plate.maps, method.config_type()).mask)
    told = RegionDepths(plate.cooling, plate.row.diffusivity_m2_s)
    for number in range(1, count + 1):
        inside = numbers == number
        shares = np.bincount(plate.labels[inside], minlength=len(plate.defects) + 1)[1:]
        if not shares.any():
            continue
        ring = sound_ring(inside, numbers > 0, guard_px=RULES.guard_px, ring_px=RULES.ring_px)
        width_mm = RULES.pixel_mm * np.sqrt(4 * inside.sum() / np.pi) if RULES.pixel_mm else None
        depth = told_by_fit(told.fit(inside, ring), width_mm, RULES)
        numbers_mm = (np.nan if each is None else each for each in (depth.depth_mm, depth.sigma_mm))
        yield plate.defects[int(shares.argmax())], *numbers_mm, depth.doubt


def show_methods(plates: list[Plate], empty: list[Plate]) -> None:
    """Print the table of methods."""
    print("method," + ",".join(COLUMNS) + ",false_calls_of_empty_plates")
    for name in SEGMENT_METHODS.names():
        table, none = found(plates, name), found(empty, name)
        numbers = [table[column] for column in COLUMNS] + [none["false_calls"]]
        print(",".join([name, *(_written(each) for each in numbers)]), flush=True)


def _written(measured: Measured) -> str:
    if not isinstance(measured.value, float):
        return "-"
    low, high = (getattr(measured.interval, name, np.nan) for name in ("low", "high"))
    return f"{measured.value:.3f} [{low:.2f} {high:.2f}]"


def show_depths(plates: list[Plate], name: str) -> None:
    """Print how many depths are told, and how wrong they are."""
    rows = [row for plate in plates for row in depths(plate, name)]
    every = [row for plate in plates for row in plate.defects]
    print(f"\ndepths of the regions of {name}: D/d, kind, defects, found, told, median error, bias, worst, rms of z")
    for low, high in ((6.0, np.inf), (3.0, 6.0), (0.0, 3.0)):
        for kind in ("hole", "delamination", "inclusion"):
            defects = [each for each in every if each.kind == kind and low <= each.ratio < high]
            own = [row for row in rows if row[0].kind == kind and low <= row[0].ratio < high]
            _show(f"{low:g}+", kind, len(defects), own)
            if kind == "inclusion":
                _show(f"{low:g}+", "inclusion, no doubt said", len(defects), [row for row in own if not row[3]])


def _show(ratio: str, kind: str, count: int, rows: list[tuple[DefectRow, float, float, str]]) -> None:
    told = [(depth / row.depth_mm - 1, sigma / row.depth_mm) for row, depth, sigma, _ in rows if np.isfinite(depth)]
    line = f"{ratio}, {kind}, {count}, {len(rows)}, {len(told)}"
    if told:
        error, sigma = np.transpose(told)
        numbers = (np.median(np.abs(error)), np.median(error), np.abs(error).max())
        line += ", " + ", ".join(f"{100 * each:.1f} %" for each in numbers)
        line += f", {np.sqrt(np.mean((error / sigma) ** 2)):.2f}"
    print(line)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("--plates", 24), ("--empty", 12), ("--seed", 7001)):
        parser.add_argument(name, type=int, default=value)
    parser.add_argument("--depths-of", default="mahalanobis", choices=SEGMENT_METHODS.names())
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plates = list(drawn(Path(folder) / "plates", RandomPlates(), args.plates, args.seed))
        empty = list(drawn(Path(folder) / "empty", RandomPlates(empty_share=1.0), args.empty, args.seed + 1))
        show_methods(plates, empty)
        show_depths(plates, args.depths_of)


if __name__ == "__main__":
    main()
