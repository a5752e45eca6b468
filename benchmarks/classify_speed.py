"""How long a warm classifier takes for one picture and for a list of 32, and what takes the time.

    python benchmarks/classify_speed.py [--method logistic] [--backbone efficientnet_lite0] [--size 240x320]

Pictures are made up and in memory: reading files is not counted (`bench_reading.py`). Median of runs that take turns.
Targets of the service: one picture in 40 ms at most, a list of 32 in 15 times that of one at most.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from isotherm.classification.features import FeatureConfig
from isotherm.formats.reading import read_bytes
from isotherm.workflows.classify import LabelledPicture, train_classifier
from isotherm.workflows.classify_rows import Reading

LIST = 32
ROUNDS = 15


def pictures(size: tuple[int, int], count: int) -> list[bytes]:
    """Return PNG files with a bar or a spot in noise."""
    rng, found = np.random.default_rng(0), []
    for number in range(count):
        values = rng.normal(90, 10, size)
        row, column = rng.integers(10, size[0] - 30), rng.integers(10, size[1] - 30)
        values[row : row + 20, (slice(None) if number % 2 else slice(column, column + 20))] += 90
        stream = io.BytesIO()
        Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(stream, "PNG")
        found.append(stream.getvalue())
    return found


def medians_ms(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median wall time of each call [ms]; the calls take turns, after one round to warm up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(each[1:])) for name, each in times.items()}


def main() -> None:
    """Teach a classifier, and time it."""
    parser = argparse.ArgumentParser(description="time of a warm classifier")
    parser.add_argument("--method", default="logistic")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--size", default="240x320", help="height x width of the pictures")
    arguments = parser.parse_args()
    height, width = (int(side) for side in arguments.size.split("x"))
    files = pictures((height, width), LIST)
    with TemporaryDirectory() as folder:
        labelled = []
        for number, data in enumerate(files):
            path = Path(folder) / f"{number}.png"
            path.write_bytes(data)
            labelled.append(LabelledPicture(path, "bar" if number % 2 else "spot"))
        reading = Reading(features=FeatureConfig(arguments.backbone))
        model = train_classifier(labelled, Path(folder) / "model", method=arguments.method, reading=reading)
    thermograms = [read_bytes(data) for data in files]
    pixels = [model.pixels(each) for each in thermograms]
    values = model.values(pixels)
    found = medians_ms(
        {
            "one": lambda: model.classify(thermograms[:1]),
            "list": lambda: model.classify(thermograms),
            "one: pixels": lambda: model.pixels(thermograms[0]),
            "one: network": lambda: model.values(pixels[:1]),
            "list: network": lambda: model.values(pixels),
            "list: answers": lambda: model.judge(values),
        }
    )
    for name, value in found.items():
        print(f"{name}: {value:.2f} ms")
    print(f"a list of {LIST} takes {found['list'] / found['one']:.1f} times one")


if __name__ == "__main__":
    main()
