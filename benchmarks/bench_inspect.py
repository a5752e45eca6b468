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
    """Write coloured pictures of a rack of warm components with noise; where `hot`, one component is far too hot."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    folder.mkdir()
    for number in range(count):
        level = 60 + 0.02 * x + 0.03 * y + rng.normal(0, 2, (HEIGHT, WIDTH))
        for place in range(12):
            left, top = 60 + 140 * (place % 4), 50 + 140 * (place // 4)
            warmth = rng.uniform(8, 20) + (110 if hot and place == number % 12 else 0)
            edge = np.maximum(np.abs(x - left - 40), np.abs(y - top - 50)) - 40
            level += warmth / (1 + np.exp(np.minimum(edge / 3, 50)))
        level = level.clip(0, 255)
        picture = np.stack([level, 255 * (level / 255) ** 2, 255 - level], axis=-1).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"IR_{number:04}.jpg", quality=90)


def measure(images: Path, model: TrainedModel | None, settings: InspectSettings) -> str:
    """Return images per second of one run, and the processor time of one image, which neighbours disturb less."""
    with tempfile.TemporaryDirectory() as out:
        start, busy = time.perf_counter(), time.process_time()
        count = len(inspect(images, Path(out) / "run", model=model, settings=settings).results)
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
    return f"{count / seconds:7.1f} images/s, {1000 * busy / count:5.1f} ms of processor time an image"


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
            print(f"  {name:32} {measure(root / 'test', chosen, settings)}")


if __name__ == "__main__":
    main()
