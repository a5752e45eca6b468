"""How good are temperatures that are read back from colours? Three answers from pictures that know better.

python benchmarks/colour_scale.py DATA [--limit N]

1. FLIR files hold both a picture with a scale and the temperatures themselves: the picture alone is estimated (ends by
   OCR) and compared pixel by pixel. The ends that the file stores say whether OCR read them right.
2. Screen pictures with a ring marker (transformers/images/T1): the estimate in the ring against the printed spot.
3. Screen pictures of other programs: is the scale found, are its numbers read?
"""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isotherm.core.thermogram import Thermogram
from isotherm.formats import ReadHints
from isotherm.formats.colour_scale import find_colour_scale
from isotherm.formats.flir import READER as FLIR
from isotherm.formats.picture import READER as PICTURE
from isotherm.formats.scale_reading import texts_of

AUTO = ReadHints(scale="auto")
RING = [(21, 27), (28, 20), (20, 25), (22, 28)]
"""Half axes of the markers [px]; pictures were stretched to 640 x 640."""
LEAST_RING = 0.7


@dataclass(frozen=True)
class Compared:
    """Estimate minus truth of one file [K], with the stated standard uncertainty of each pixel."""

    name: str
    span_k: float
    error: np.ndarray
    sigma: np.ndarray
    missing: float


def compare(file: Path) -> Compared | None:
    """Estimate a FLIR file from its picture alone; None where its scale cannot be read."""
    data = file.read_bytes()
    truth, estimate = FLIR.decode(data, ReadHints()), PICTURE.decode(data, AUTO)
    span = truth.display_span_c()
    if not estimate.estimated or span is None:
        return None
    true_k = truth.kelvin()
    found, sigma = (_reduced(values, true_k.shape) for values in (estimate.kelvin(), _sigma(estimate)))
    inside = np.isfinite(found) & (true_k > span[0] + 273.15) & (true_k < span[1] + 273.15)
    return Compared(
        file.name, span[1] - span[0], (found - true_k)[inside], sigma[inside], 1 - np.isfinite(found).mean()
    )


def _sigma(estimate: Thermogram) -> np.ndarray:
    return estimate.calibration.sigma_k(estimate.counts)


def _reduced(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Average whole blocks down to the sensor's array; a block with a gap is a gap."""
    height, width = size
    step = values.shape[0] // height
    return values[: height * step, : width * step].reshape(height, step, width, step).mean(axis=(1, 3))


def flir_files(root: Path) -> list[Path]:
    """Return the FLIR files whose picture shows a scale beside the temperatures."""
    cameras = root / "camera_files"
    single = [cameras / "thermal_parser" / f"FLIR_{name}.jpg" for name in ("E40", "AX8")]
    return [*single, cameras / "thermimage/IR_2412.jpg", *sorted((root / "resistive_circuit").glob("*.jpg"))]


def print_truth(files: list[Path]) -> None:
    """Print the table of the FLIR files, and how many ends OCR read as the file stores them."""
    print("| file | span [K] | bias [K] | rms [K] | rms [% of span] | within 2 sigma | without estimate |")
    print("|---|---|---|---|---|---|---|")
    exact = read = 0
    for file in files:
        compared = compare(file)
        stored = FLIR.decode(file.read_bytes(), ReadHints()).display_span_c()
        estimate = PICTURE.decode(file.read_bytes(), AUTO)
        ends = estimate.display_span_c()
        if ends is not None and stored is not None:
            read += 1
            exact += all(
                abs(end - own) <= (0.1 if abs(end - round(end)) > 1e-3 else 0.6)
                for end, own in zip(ends, stored, strict=True)
            )
        if compared is None:
            print(f"| {file.name} | - | scale not read | | | | |")
            continue
        error, rms = compared.error, float(np.sqrt(np.mean(compared.error**2)))
        share = np.mean(np.abs(error) <= 2 * compared.sigma)
        print(
            f"| {compared.name} | {compared.span_k:.1f} | {error.mean():+.2f} | {rms:.2f} | "
            f"{100 * rms / compared.span_k:.1f} | {share:.0%} | {compared.missing:.0%} |"
        )
    print(
        f"\nends read by OCR: {read} of {len(files)} files, {exact} as the file stores them (to a step of the label)\n"
    )


def ring(picture: np.ndarray) -> tuple[int, int, float]:
    """Return column and row of the middle of the dark red ring marker, and the share of it that is seen."""
    red, green, blue = (picture[..., channel].astype(int) for channel in range(3))
    dark = (red > 60) & (red < 210) & (green < 75) & (blue < 80) & (red - np.maximum(green, blue) > 35)
    dark[:90, :160] = dark[:60, 500:] = False
    height, width = dark.shape
    padded = np.pad(dark, 48).astype(np.float32)
    around = np.linspace(0, 2 * np.pi, 72, endpoint=False)

    def shifted(across: float, along: float) -> np.ndarray:
        return padded[48 + round(along) :, 48 + round(across) :][:height, :width]

    best = (0, 0, 0.0)
    for half_width, half_height in RING:
        seen = np.zeros(dark.shape, np.float32)
        for number, angle in enumerate(around):
            x, y = np.cos(angle), np.sin(angle)
            near = [shifted(half_width * x + dx, half_height * y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
            seen += np.maximum.reduce(near)
            if number % 3 == 0:
                seen -= 2 * shifted((half_width - 8) * x, (half_height - 8) * y)
                seen -= shifted((half_width + 9) * x, (half_height + 9) * y)
        place = int(seen.argmax())
        if seen.flat[place] / 72 > best[2]:
            best = place % width, place // width, float(seen.flat[place] / 72)
    return best


def print_spots(files: list[Path]) -> None:
    """Print the estimates in ring markers against the printed spots."""
    errors, sigmas = [], []
    read = 0
    for file in files:
        estimate = PICTURE.decode(file.read_bytes(), AUTO)
        if not estimate.estimated or estimate.colour is None:
            continue
        read += 1
        printed = next(
            (
                float(found[0])
                for text in texts_of(estimate.colour)
                if (found := re.findall(r"^[^\d]*(\d+\.\d)\W*[℃°C]", text.text))
            ),
            None,
        )
        x, y, seen = ring(estimate.colour)
        low, high = estimate.display_span_c() or (0.0, 0.0)
        if printed is None or seen < LEAST_RING or not low < printed < high:
            continue
        part = np.s_[max(0, y - 5) : y + 6, max(0, x - 5) : x + 6]
        # The marker stands on the hottest place of a box, within a few pixels.
        value = np.nanpercentile(estimate.celsius()[part], 90) if np.isfinite(estimate.counts[part]).any() else np.nan
        if np.isfinite(value):
            errors.append(value - printed)
            sigmas.append(np.nanmedian(_sigma(estimate)[part]))
    error, sigma = np.array(errors), np.array(sigmas)
    print(f"scales read: {read} of {len(files)}; spots with a ring and a number within the scale: {error.size}")
    print(
        f"estimate minus printed spot: bias {error.mean():+.2f} K, rms {np.sqrt(np.mean(error**2)):.2f} K, median "
        f"{np.median(error):+.2f} K, within 1 K {np.mean(np.abs(error) <= 1):.0%}, within 2 sigma "
        f"{np.mean(np.abs(error) <= 2 * sigma):.0%}; stated standard uncertainty {np.median(sigma):.2f} K (median)\n"
    )


def print_scales(files: list[Path]) -> None:
    """Print for each transformer in how many pictures the scale is found and read, and what was read."""
    print("| pictures of | found | read | ends [°C] | ms to find |\n|---|---|---|---|---|")
    for name in sorted({file.parts[-3] for file in files}):
        own = [file for file in files if file.parts[-3] == name]
        found, spans, busy = 0, [], 0.0
        for file in own:
            colours = PICTURE.decode(file.read_bytes(), ReadHints()).colour
            start = time.process_time()
            found += colours is not None and find_colour_scale(colours) is not None
            busy += time.process_time() - start
            span = PICTURE.decode(file.read_bytes(), AUTO).display_span_c()
            spans += [] if span is None else [span]
        ends = "; ".join(sorted({f"{low:.1f} .. {high:.1f}" for low, high in spans}))
        print(f"| {name} ({len(own)}) | {found} | {len(spans)} | {ends} | {1000 * busy / len(own):.0f} |")


def main() -> None:
    """Print all three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--limit", type=int, default=1000, help="at most so many pictures of each part")
    arguments = parser.parse_args()
    pictures = sorted((arguments.data / "transformers/images").glob("*/*/*"))
    print_truth(flir_files(arguments.data)[: arguments.limit])
    print_spots([file for file in pictures if file.parts[-3] == "T1"][: arguments.limit])
    print_scales([file for file in pictures if file.parts[-3] != "T1"][: arguments.limit])


if __name__ == "__main__":
    main()
