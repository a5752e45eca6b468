"""Cameras that equalise their colours: what they do, whether a picture shows it, and how well the uncertainty holds.

python benchmarks/equalised_colours.py DATA

1. A FLIR B300 (resistive_circuit) and others: places along the scale against the true signal. The two constants of the
   mapping, and the factor of the uncertainty, are chosen on every other state of the circuit and judged on the others.
2. Does the distribution of places tell? Temperatures of substations and lines, shown linearly and equalised.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from colour_scale import AUTO, _reduced, flir_files
from PIL import Image

from isotherm.formats import ReadHints, equalisation
from isotherm.formats.flir import READER as FLIR
from isotherm.formats.picture import READER as PICTURE

LABELS = Path(__file__).resolve().parents[1] / "tests/printed_labels.csv"
SHARES, PLATEAUS = (0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5), (1.0, 2.0, 4.0, 8.0, 16.0, 1e9)
FACTORS = (0.0, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)


@dataclass(frozen=True, eq=False)
class Shown:
    """The pixels of one file within its scale: place in the picture, true signal (0 .. 1), and all known places."""

    name: str
    part: str
    place: np.ndarray
    signal: np.ndarray
    sigma: np.ndarray
    known: np.ndarray

    def covered(self, factor: float) -> np.ndarray:
        """Return which pixels lie within two standard uncertainties when the shift counts `factor` times."""
        shift = equalisation.shift_sigma(self.known) * factor / equalisation.SIGMAS
        sigma = np.hypot(self.sigma, _at(shift, self.place))
        return np.abs(self.place - self.signal) <= 2 * sigma


def _at(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.interp(places, np.linspace(0, 1, values.size), values)


def shown(file: Path, part: str) -> Shown:
    """Read the picture of a FLIR file, and the counts beside it as signal between the stored ends of its scale."""
    data = file.read_bytes()
    truth, picture = FLIR.decode(data, ReadHints()), PICTURE.decode(data, AUTO)
    kelvin, counts = truth.kelvin().astype(float), truth.counts.astype(float)
    middle = kelvin.mean()
    law = np.polyfit((kelvin - middle).ravel(), counts.ravel(), 2)
    low, high = (np.polyval(law, end + 273.15 - middle) for end in truth.display_span_c())
    signal, place = (counts - low) / (high - low), _reduced(picture.counts, kelvin.shape)
    inside = np.isfinite(place) & (signal > 0) & (signal < 1)
    own = picture.calibration.place_sigma
    known = picture.counts[np.isfinite(picture.counts)]
    # Without the part for equalisation, which is put in anew for each factor.
    added = _at(equalisation.shift_sigma(known), np.linspace(0, 1, own.size))
    own = np.sqrt(np.maximum(own**2 - added**2, 0))
    return Shown(file.name, part, place[inside], signal[inside], _at(own, place[inside]), known)


def print_mapping(root: Path) -> list[Shown]:
    """Print how the constants were chosen, and the coverage of each file; return the files."""
    with LABELS.open(encoding="utf-8") as rows:
        states = {row["file"]: row["state"] for row in csv.DictReader(rows)}
    on = [state for state in dict.fromkeys(states.values()) if state != "none"]
    parts = {state: ("judged", "chosen on")[number % 2 == 0] for number, state in enumerate(on)}
    files = [shown(file, parts.get(states.get(file.name, ""), "others")) for file in flir_files(root)]
    print(f"chosen on the states {', '.join(on[::2])}; judged on {', '.join(on[1::2])}\n")
    errors = defaultdict(list)
    for file in (file for file in files if file.part == "chosen on"):
        density = equalisation.density_of(file.known)
        for share in SHARES:
            for plateau in PLATEAUS:
                signal = _at(equalisation.signals(density, share=share, plateau=plateau), file.place)
                errors[share, plateau].append(np.mean((signal - file.signal) ** 2))
    print("share, plateau -> rms of the signal from the picture's places alone, states chosen on [% of span]")
    for key, values in sorted(errors.items(), key=lambda item: np.mean(item[1]))[:5]:
        print(f"  {key[0]:g}, {key[1]:g}: {100 * np.sqrt(np.mean(values)):.1f}")
    print("\n| factor | chosen on | judged | others |\n|---|---|---|---|")
    for factor in FACTORS:
        means = [
            f"{np.mean([file.covered(factor).mean() for file in files if file.part == part]):.1%}"
            for part in ("chosen on", "judged", "others")
        ]
        print(f"| {factor:g} | {' | '.join(means)} |")
    print(
        "\n| file | part | place minus signal, rms [% of span] | undone | within 2 sigma | stated [% of span] |\n"
        "|---|---|---|---|---|---|"
    )
    for file in files:
        error = file.place - file.signal
        undone = _at(equalisation.signals(equalisation.density_of(file.known)), file.place) - file.signal
        stated = np.hypot(file.sigma, _at(equalisation.shift_sigma(file.known), file.place))
        print(
            f"| {file.name} | {file.part} | {_rms(error):.1f} | {_rms(undone):.1f} | "
            f"{file.covered(equalisation.SIGMAS).mean():.0%} | {100 * np.median(stated):.1f} |"
        )
    return files


def _rms(shares: np.ndarray) -> float:
    return 100 * float(np.sqrt(np.mean(shares**2)))


def equalised(signal: np.ndarray) -> np.ndarray:
    """Return the places of signals (0 .. 1) on a display like that of the B300."""
    counts = np.histogram(signal, bins=equalisation.BINS, range=(0, 1))[0]
    peaks = np.minimum(counts / counts.mean(), equalisation.PLATEAU)
    given = np.concatenate([[0.0], np.cumsum(peaks)]) / peaks.sum()
    along = np.linspace(0, 1, given.size)
    return _at((1 - equalisation.SHARE) * along + equalisation.SHARE * given, signal)


def features(places: np.ndarray) -> tuple[float, ...]:
    """Return three measures of how evenly places are spread, and the shift that equalisation would have made."""
    share = np.histogram(places, bins=64, range=(0, 1))[0] / places.size
    used = share[share > 0]
    shift = np.linspace(0, 1, equalisation.BINS + 1) - equalisation.signals(equalisation.density_of(places))
    return -share.max(), -float((used * np.log(used)).sum()), -float(np.sort(share)[-6:].sum()), _rms(shift)


def print_detection(root: Path, real: list[np.ndarray]) -> None:
    """Print how often an equalised display of one scene looks more even than a linear display of another.

    `real` are the places of pictures that were equalised by their camera.
    """
    rng = np.random.default_rng(0)
    linear, spread = [], []
    for file in sorted((root / "substations/celsius_x10_png16").glob("*.png"))[::3]:
        values = np.asarray(Image.open(file)).astype(float).ravel()
        signal = (values - values.min()) / np.ptp(values)
        noise = rng.normal(0, 0.01, signal.shape)
        linear.append(features(np.clip(signal + noise, 0, 1)))
        spread.append(features(np.clip(equalised(signal) + noise, 0, 1)))
    true = [features(places) for places in real]
    print(
        f"\nlinear or equalised, from the places of {len(linear)} scenes: area under the ROC curve (in brackets: "
        f"{len(real)} pictures of the B300 against the linear ones)"
    )
    names = ("highest peak", "entropy", "six highest of 64 places", "shift that equalisation would have made")
    for name, *values in zip(names, *(np.transpose(part) for part in (linear, spread, true)), strict=True):
        one, other, third = values
        print(f"  {name}: {np.mean(one[:, None] < other):.2f} ({np.mean(one[:, None] < third):.2f})")
    peaks = [f"{-64 * np.median(part, axis=0)[0]:.1f}" for part in (linear, true)]
    print(f"  highest peak over the mean, median: {peaks[0]} in linear scenes, {peaks[1]} in pictures of the B300")


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    files = print_mapping(arguments.data)
    print_detection(arguments.data, [file.known for file in files if file.part != "others"])


if __name__ == "__main__":
    main()
