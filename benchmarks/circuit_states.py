"""States of a circuit told apart by the difference of its two equal parts: 30 pictures of a FLIR B300.

python benchmarks/circuit_states.py DATA

Two boxes, the same in every picture, hold the left and the right resistor (the camera moved a little between the
states). A difference counts from 4 K on, where the NETA table for similar components begins to call for repair: left
and right differ by that, or one of them and the rest of the picture do. (A first rule, any
difference above its uncertainty, told 19 of the 30: equal parts under the same load differ by up to 1.2 K.)
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

import isotherm
from isotherm.core.shapes import Box, Marked
from isotherm.radiometry.uncertainty import UncertaintySettings
from isotherm.workflows.measure import Measurement, MeasureRequest, measure

LABELS = Path(__file__).parents[1] / "tests" / "printed_labels.csv"
BOXES = (Marked("left", Box(95, 40, 60, 160)), Marked("right", Box(155, 40, 60, 160)))
DIFFERENCES = ("left.max - right.max", "left.max - image.median", "right.max - image.median")
REPAIR_FROM_K = 4.0
IDENTICAL = UncertaintySettings(same_surface=True, draws=0)


def measured(path: Path) -> Measurement:
    """Return the differences of one picture."""
    thermogram = replace(isotherm.read(path), regions=BOXES)
    return measure(thermogram, MeasureRequest(deltas=DIFFERENCES, settings=IDENTICAL))


def state(found: Measurement) -> str:
    """Return which side is hot by the rule above."""
    sides, *over_median = (delta.value_k for delta in found.deltas)
    if abs(sides) >= REPAIR_FROM_K:
        return "left" if sides > 0 else "right"
    return "both" if max(over_median) >= REPAIR_FROM_K else "none"


def main() -> None:
    """Measure, decide, print a row for each state."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder that holds resistive_circuit/")
    folder = parser.parse_args().data / "resistive_circuit"
    groups: dict[str, list[tuple[Measurement, str]]] = defaultdict(list)
    with LABELS.open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            found = measured(folder / row["file"])
            groups[row["state"]].append((found, state(found)))
    print("| state | n | left - right [K], each | ± (k = 2) | hotter side over the median [K] | told as |")
    print("|---|---|---|---|---|---|")
    right = 0
    for name, pictures in groups.items():
        sides = [found.deltas[0] for found, _ in pictures]
        over = np.mean([max(delta.value_k for delta in found.deltas[1:]) for found, _ in pictures])
        told = [side for _, side in pictures]
        right += told.count(name.split()[0])
        values = ", ".join(f"{delta.value_k:+.1f}" for delta in sides)
        spread = np.mean([delta.uncertainty.expanded_k for delta in sides])
        print(f"| {name} | {len(pictures)} | {values} | {spread:.1f} | {over:.1f} | {', '.join(dict.fromkeys(told))} |")
    print(f"\n{right} of {sum(map(len, groups.values()))} pictures told right")


if __name__ == "__main__":
    main()
