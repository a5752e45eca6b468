"""Images per second of `isotherm inspect`, from JPEG files of 640 x 480 to results, with a PatchCore model.

python benchmarks/bench_inspect.py [--images 200] [--normals 40]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from isotherm.workflows.inspect import InspectSettings, inspect
from isotherm.workflows.models import TrainedModel
from isotherm.workflows.train import train

WIDTH, HEIGHT = 640, 480


def write_jpegs(folder: Path, count: int, *, hot: bool, seed: int) -> None:
    """Write coloured pictures of a warm scene with noise, as a camera without radiometry would."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    folder.mkdir()
    for number in range(count):
        values = 90 + 40 * np.sin(x / 90 + rng.uniform(0, 0.2)) * np.cos(y / 70) + rng.normal(0, 3, (HEIGHT, WIDTH))
        if hot:
            at_x, at_y = rng.uniform(80, WIDTH - 80), rng.uniform(80, HEIGHT - 80)
            values += 130 * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * 18**2))
        level = values.clip(0, 255)
        picture = np.stack([level, 255 * (level / 255) ** 2, 255 - level], axis=-1).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"IR_{number:04}.jpg", quality=90)


def measure(images: Path, model: TrainedModel | None, settings: InspectSettings) -> float:
    """Return images per second of one run."""
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        results = inspect(images, Path(out) / "run", model=model, settings=settings).results
        return len(results) / (time.perf_counter() - start)


def main() -> None:
    """Train, inspect, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--normals", type=int, default=40)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        write_jpegs(root / "normal", arguments.normals, hot=False, seed=1)
        write_jpegs(root / "test", arguments.images, hot=True, seed=2)
        model = train(root / "normal", root / "model")
        bank = sum(array.nbytes for array in model.detector.arrays().values()) / 1e6
        print(
            f"PatchCore from {arguments.normals} images ({bank:.1f} MB), {arguments.images} JPEGs of {WIDTH}x{HEIGHT}"
        )
        tables = ("csv",)
        for name, chosen, settings in (
            ("model, no panels, results.csv", model, InspectSettings(panels=False, reports=tables)),
            ("model, panels, csv and html", model, InspectSettings()),
            ("hotspots only, no panels", None, InspectSettings(panels=False, reports=tables)),
            ("hotspots only, panels", None, InspectSettings()),
        ):
            measure(root / "test", chosen, settings)  # warm: the graph is compiled, the files are cached
            print(f"  {name:32} {measure(root / 'test', chosen, settings):7.1f} images/s")


if __name__ == "__main__":
    main()
