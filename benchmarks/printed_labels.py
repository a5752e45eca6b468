"""Temperatures against what the camera printed: the ends of the colour scale of 30 pictures of a FLIR B300.

python benchmarks/printed_labels.py DATA [--figure docs/images/printed-labels.png]

The file stores the scale's ends as raw counts, and the camera printed the temperatures that it made of them into the
picture (read by eye: tests/printed_labels.csv). Nobody's formula but the camera's is in those labels. The same counts
are converted by both formulas that readers use; printed as Markdown.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import isotherm
from isotherm.formats import ReadHints

LABELS = Path(__file__).parents[1] / "tests" / "printed_labels.csv"
WHOLE_DEGREES_FROM_C = 127
FORMULAS = {"one path": ReadHints(), "two half paths": ReadHints(formula="thermimage")}
BANDS = {
    "below 30 °C": (0, 30),
    "35 to 45 °C": (35, 45),
    "80 to 85 °C": (80, 85),
    "all with a decimal": (0, WHOLE_DEGREES_FROM_C),
    "127 °C and more (whole degrees)": (WHOLE_DEGREES_FROM_C, 200),
}


@dataclass(frozen=True)
class End:
    """One printed end of a scale, and what each formula makes of its counts [°C]."""

    file: str
    printed_c: float
    text: str
    read_c: dict[str, float]

    def exact(self, formula: str) -> bool:
        """Say whether the formula's number, printed with as many decimals, is the label."""
        decimals = len(self.text.partition(".")[2])
        return round(self.read_c[formula], decimals) == self.printed_c


def ends(folder: Path) -> list[End]:
    """Return both ends of every picture's scale."""
    found = []
    with LABELS.open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            spans = {
                name: isotherm.read(folder / row["file"], hints).display_span_c() for name, hints in FORMULAS.items()
            }
            for side, text in enumerate((row["low_c"], row["high_c"])):
                found.append(End(row["file"], float(text), text, {name: span[side] for name, span in spans.items()}))
    return found


def summary(found: list[End]) -> str:
    """Return the table of bias, rms, worst and exact matches by band and formula."""
    lines = [
        "| labels | n | " + " | ".join(f"{name}: bias, rms, worst [mK], exact" for name in FORMULAS) + " |",
        "|---|---|" + "---|" * len(FORMULAS),
    ]
    for band, (low, high) in BANDS.items():
        inside = [end for end in found if low <= end.printed_c < high]
        cells = []
        for name in FORMULAS:
            errors = 1000 * np.array([end.read_c[name] - end.printed_c for end in inside])
            exact = sum(end.exact(name) for end in inside)
            cells.append(
                f"{errors.mean():+.0f}, {np.sqrt((errors**2).mean()):.0f}, {np.abs(errors).max():.0f}, {exact}"
            )
        lines.append(f"| {band} | {len(inside)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def every(found: list[End]) -> str:
    """Return the table of every label."""
    lines = ["| picture | printed °C | " + " | ".join(FORMULAS) + " |", "|---|---|" + "---|" * len(FORMULAS)]
    for end in found:
        cells = " | ".join(f"{end.read_c[name]:.3f}{' =' if end.exact(name) else ''}" for name in FORMULAS)
        lines.append(f"| {end.file} | {end.text} | {cells} |")
    return "\n".join(lines)


def draw(found: list[End], target: Path) -> None:
    """Draw read minus printed over the temperature, of the labels with a decimal."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots()
    shown = [end for end in found if end.printed_c < WHOLE_DEGREES_FROM_C]
    for (name, colour), marker in zip({"one path": "#b0413e", "two half paths": "#5b6b8c"}.items(), "o^", strict=True):
        errors = [1000 * (end.read_c[name] - end.printed_c) for end in shown]
        axes.scatter([end.printed_c for end in shown], errors, s=22, c=colour, marker=marker, label=name, alpha=0.8)
    axes.axhspan(-50, 50, color="0.9", zorder=0, label="rounding of the label (±50 mK)")
    axes.axhline(0, color="0.5", lw=0.8)
    axes.set(xlabel="printed by the camera [°C]", ylabel="read minus printed [mK]")
    axes.legend(loc="upper left", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, dpi=120, metadata={"Software": None})


def main() -> None:
    """Read, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder that holds resistive_circuit/")
    parser.add_argument("--figure", type=Path, help="also draw a figure here")
    arguments = parser.parse_args()
    found = ends(arguments.data / "resistive_circuit")
    print(summary(found), every(found), sep="\n\n")
    if arguments.figure:
        draw(found, arguments.figure)


if __name__ == "__main__":
    main()
