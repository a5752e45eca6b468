"""How well each hotspot method finds the boxes that people drew in pictures of substations and lines.

    ISOTHERM_DATA=DATA python benchmarks/hotspot_methods.py --choose
    ISOTHERM_DATA=DATA python benchmarks/hotspot_methods.py
    python benchmarks/hotspot_methods.py --cabinet

The groups of near-duplicates are halved (as in ``accuracy.py``). ``--choose`` tries the settings of `GRIDS` on the
development half and prints, for each method, those with the best F1 of boxes found against false regions; they stand in
`CHOSEN`. Without it, every method is judged with its defaults and with the chosen settings, on both halves, with the
clean-up that ``isotherm hotspots`` does by default.

A region *finds* a box when its hottest pixel and at least half of its pixels lie in the box, or when their boxes have
an intersection over union (IoU) of at least 0.3. A region that finds no box is false, also where it covers a box among
many other things (the tower with the joint on it). Mean IoU is over the boxes that were found, best region each. People
labelled these pictures (no licence stated) without saying what is *not* a hotspot: some false regions are true.

``--cabinet`` asks simulated electrical cabinets instead, whose truth is exact: is the hottest place of the fault hot,
and how many other regions are found, in faulty and in healthy ones.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from accuracy import HINTS, development_groups, substations

from isotherm.core.config import from_mapping
from isotherm.core.findings import Finding
from isotherm.core.scene import assumed_scene
from isotherm.core.shapes import Box
from isotherm.core.thermogram import Thermogram
from isotherm.datasets.cabinet import simulate_cabinet
from isotherm.formats import read
from isotherm.hotspots import HOTSPOT_METHODS, HotspotMethod
from isotherm.hotspots.measure import HotspotSettings, hot_regions
from isotherm.radiometry.linear import stored_temperatures

Values: TypeAlias = Mapping[str, Any]

GRIDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "otsu": {"min_separation_c": (1.0, 5.0, 10.0, 20.0, 30.0, 40.0, 60.0)},
    "percentile": {"percentile": (99.0, 99.5, 99.8, 99.9, 99.95, 99.98)},
    "absolute": {"threshold_c": (0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 70.0)},
    "delta_t": {"min_delta_t_c": (5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0)},
    "local_contrast": {
        "min_contrast_c": (4.0, 6.0, 8.0),
        "neighbour_percentile": (90.0, 95.0),
        "neighbourhood_percent": (60.0, 100.0, 150.0),
    },
    "adaptive": {
        "deviations": (1.0, 2.0, 3.0),
        "min_rise_c": (8.0, 10.0, 12.0),
        "window_percent": (30.0, 60.0, 100.0),
    },
    "region_growing": {
        "seed_rise_c": (4.0, 6.0, 8.0),
        "seed_percentile": (95.0, 98.0, 99.0),
        "grow_percent": (30.0, 40.0, 50.0),
    },
    "kmeans": {"clusters": (6, 8, 12), "cluster_rise_c": (6.0, 8.0, 10.0), "cluster_percentile": (95.0, 98.0)},
    "kmeans with position": {
        "clusters": (8, 12),
        "cluster_rise_c": (6.0, 8.0, 10.0),
        "cluster_percentile": (95.0, 98.0),
        "position_c": (5.0, 10.0),
    },
}
"""What is tried for each row of the table; a row is a method, or a method with a word on its settings."""
DEFAULTS: dict[str, Values] = {"kmeans with position": {"position_c": 5.0}}
CHOSEN: dict[str, Values] = {
    "otsu": {"min_separation_c": 40.0},
    "percentile": {"percentile": 99.98},
    "absolute": {"threshold_c": 30.0},
    "delta_t": {"min_delta_t_c": 50.0},
    "local_contrast": {"min_contrast_c": 6.0, "neighbour_percentile": 95.0, "neighbourhood_percent": 150.0},
    "adaptive": {"deviations": 3.0, "min_rise_c": 8.0, "window_percent": 100.0},
    "region_growing": {"seed_rise_c": 6.0, "seed_percentile": 98.0, "grow_percent": 40.0},
    "kmeans": {"clusters": 8, "cluster_rise_c": 6.0, "cluster_percentile": 98.0},
    "kmeans with position": {
        "clusters": 8,
        "cluster_rise_c": 8.0,
        "cluster_percentile": 95.0,
        "position_c": 5.0,
    },
}
"""The best of `GRIDS` on the development half."""


class Timed:
    """A method that knows how long it took the last time."""

    def __init__(self, method: HotspotMethod) -> None:
        self.name, self.config_type, self.method = method.name, method.config_type, method
        self.seconds = 0.0

    def find(self, values: np.ndarray, config: Any) -> np.ndarray:
        """Return what the method finds."""
        started = time.thread_time()
        hot = self.method.find(values, config)
        self.seconds = time.thread_time() - started
        return hot


@dataclass(frozen=True, eq=False)
class Labelled:
    """One picture, the boxes that people drew, and which half it belongs to."""

    picture: Thermogram
    site: str
    boxes: tuple[Box, ...]
    development: bool


@dataclass(frozen=True)
class Tally:
    """What was found in some pictures."""

    pictures: int = 0
    boxes: int = 0
    found: int = 0
    pointed: int = 0
    false: int = 0
    iou: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    @property
    def f1(self) -> float:
        """Harmonic mean of the share of boxes found and the share of regions that find one."""
        return 2 * self.found / max(1, self.boxes + self.found + self.false)

    def row(self) -> str:
        """Return the cells of a table."""
        found, pointed = self.found / max(1, self.boxes), self.pointed / max(1, self.boxes)
        false, overlap = self.false / max(1, self.pictures), self.iou / max(1, self.found)
        return f"{self.found}/{self.boxes} = {found:.2f} | {pointed:.2f} | {false:.2f} | {overlap:.2f} | {self.f1:.2f}"


def labelled(data: Path) -> list[Labelled]:
    """Read the pictures."""
    folder = data / "substations"
    development = development_groups("substations", substations(data))
    found = []
    for row in json.loads((folder / "manifest.json").read_text(encoding="utf-8")):
        picture = read(folder / "celsius_x10_png16" / f"{row['name']}.png", HINTS["substations"])
        boxes = tuple(Box(*box) for box in row["boxes_xywh"])
        found.append(Labelled(picture, row["site"], boxes, str(row["near_duplicate_group"]) in development))
    return found


def iou(one: Box, other: Box) -> float:
    """Return the intersection of two boxes over their union."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(0, width) * max(0, height)
    return shared / (one.width * one.height + other.width * other.height - shared)


def holds(box: Box, x: float, y: float) -> bool:
    """Say whether a pixel lies in a box."""
    return box.x <= x < box.x + box.width and box.y <= y < box.y + box.height


def tally(item: Labelled, findings: Iterable[Finding], hot: np.ndarray, seconds: float) -> Tally:
    """Compare what was found in one picture with its boxes."""
    pointed, best, false = set[int](), dict[int, float](), 0
    for finding in findings:
        region, matched = finding.region, False
        for number, box in enumerate(item.boxes):
            overlap, inside = iou(region.box, box), holds(box, *region.peak)
            if inside:
                pointed.add(number)
            if overlap >= 0.3 or (inside and share_inside(region.box, box, hot) >= 0.5):
                best[number], matched = max(best.get(number, 0.0), overlap), True
        false += not matched
    return Tally(1, len(item.boxes), len(best), len(pointed), false, sum(best.values()), seconds)


def share_inside(region: Box, box: Box, hot: np.ndarray) -> float:
    """Return the share of the hot pixels in a region's box that lie in another box.

    Other regions in the same box count too; they are rare and small.
    """
    window = np.zeros_like(hot)
    window[region.y : region.y + region.height, region.x : region.x + region.width] = True
    window &= hot
    return float(window[box.y : box.y + box.height, box.x : box.x + box.width].sum() / max(1, window.sum()))


def judged(items: Iterable[Labelled], name: str, values: Values) -> Iterator[tuple[Labelled, Tally]]:
    """Yield what a method finds in each picture."""
    method = Timed(HOTSPOT_METHODS.get(name.split(maxsplit=1)[0]))
    config, settings = from_mapping(method.config_type, values), HotspotSettings()
    for item in items:
        findings, hot = hot_regions(item.picture, method, config=config, settings=settings)
        yield item, tally(item, findings, hot, method.seconds)


def total(items: Iterable[Labelled], name: str, values: Values) -> Tally:
    """Return the sum over pictures."""
    return sum((found for _, found in judged(items, name, values)), Tally())


def choose(items: list[Labelled], names: list[str]) -> None:
    """Try the settings of the grids on the development half, and print the best."""
    half = [item for item in items if item.development]
    for name in names:
        grid = GRIDS.get(name, {})
        tries = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
        results = [(total(half, name, values), values) for values in tries]
        for found, values in sorted(results, key=lambda pair: -pair[0].f1)[:5]:
            print(f"{name} {values}: {found.row()}", flush=True)


def parts(items: list[Labelled]) -> Iterator[tuple[str, list[Labelled]]]:
    """Yield the halves of substations and of lines."""
    for site, development in itertools.product(("substation", "line"), (False, True)):
        half = "development" if development else "judged"
        yield f"{site}, {half}", [item for item in items if item.site == site and item.development == development]


def table(items: list[Labelled], names: list[str]) -> None:
    """Print a table for each site and half."""
    sums: dict[str, list[str]] = {}
    for name in names:
        for label, values in {"default": DEFAULTS.get(name, {}), "chosen": CHOSEN.get(name, {})}.items():
            found = {id(item): tallied for item, tallied in judged(items, name, values)}
            for part, members in parts(items):
                row = sum((found[id(item)] for item in members), Tally())
                sums.setdefault(part, []).append(f"| {name} | {label} | {row.row()} |")
            everything = sum(found.values(), Tally())
            milliseconds = 1000 * everything.seconds / everything.pictures
            sums.setdefault("time", []).append(f"| {name} | {label} | {milliseconds:.1f} |")
    for part, rows in sums.items():
        print(f"\n{part}\n")
        print("| method | settings | ms at 384x288 |\n|---|---|---|" if part == "time" else HEAD)
        print("\n".join(rows))


HEAD = (
    "| method | settings | boxes found | hottest pixel in box | false regions a picture | IoU | F1 |\n"
    + 7 * "|---"
    + "|"
)


def cabinets(names: list[str], seeds: int) -> None:
    """Print what each method, with its defaults, finds in simulated cabinets."""
    kinds = ("loose_joint", "overload", "imbalance", None)
    shots = [
        simulate_cabinet(seed, kind, severity=0.7 if kind else None, load=0.8)
        for kind, seed in itertools.product(kinds, range(seeds))
    ]
    print("| method | faults found | other regions, faulty cabinets | regions, healthy cabinets |\n" + 4 * "|---" + "|")
    for name in names:
        method = HOTSPOT_METHODS.get(name.split(maxsplit=1)[0])
        config = from_mapping(method.config_type, DEFAULTS.get(name, {}))
        found, others, healthy = 0, 0, 0
        for shot in shots:
            picture = Thermogram(shot.celsius, stored_temperatures("c"), assumed_scene(), "simulated")
            findings, hot = hot_regions(picture, method, config=config, settings=HotspotSettings())
            if shot.peak is None:
                healthy += len(findings)
                continue
            hit = bool(hot[shot.peak[1], shot.peak[0]])
            found, others = found + hit, others + len(findings) - hit
        faulty = 3 * seeds
        print(f"| {name} | {found}/{faulty} | {others / faulty:.1f} | {healthy / seeds:.1f} |", flush=True)


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(description="recall of boxes and false regions of each hotspot method")
    parser.add_argument("--choose", action="store_true", help="try the grids on the development half")
    parser.add_argument("--method", action="append", help="only this method (may be given again)")
    parser.add_argument("--cabinet", type=int, nargs="?", const=10, metavar="SEEDS", help="simulated cabinets instead")
    options = parser.parse_args()
    if options.cabinet:
        cabinets(options.method or list(GRIDS), options.cabinet)
        return
    items = labelled(Path(os.environ["ISOTHERM_DATA"]))
    (choose if options.choose else table)(items, options.method or list(GRIDS))


if __name__ == "__main__":
    main()
