"""How long ``/api/predict`` takes with a warm model: one picture, and a list of 32.

python benchmarks/compat_predict.py [--network small_cnn|logistic] [--size 240x320 | --pictures DIR] [--repeat 100]

The server is a process of its own on this machine; the clock runs in the client, from the request to the whole answer.
Targets: p50 of one picture at most 40 ms, a list of 32 at most 15 times as long.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from compat_served import served, told
from PIL import Image

from isotherm.client.compat import CompatClient
from isotherm.workflows.compat.config import CompatSettings

LIST = 32
TARGET_ONE_MS, TARGET_RATIO = 40.0, 15.0


def picture(level: float, seed: int, size: tuple[int, int]) -> bytes:
    """Return a grey PNG (H W) of a scene that is warmer below, with a spot that is hotter by `level`, and noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]] / max(size)
    place = rng.uniform(0.2, 0.5, 2)
    values = 40 + 80 * rows + 20 * columns + rng.normal(0, 2, size)
    values += level * np.exp(-((rows - place[0]) ** 2 + (columns - place[1]) ** 2) / 0.01)
    stream = io.BytesIO()
    Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def teach(client: CompatClient, pictures: list[bytes], kind: str) -> None:
    """Make the model of one temple with two categories, every second picture of each."""
    for number, data in enumerate(pictures):
        body = {"temple_id": "bench", "train_test": "train", "category": f"c{number % 2}", "image_name": str(number)}
        image = {"image": base64.b64encode(data).decode(), "image_type": kind}
        client._transport.send("POST", "/api/save_data", json=body | image)
    client.make_model("bench")


def request(pictures: list[bytes], kind: str) -> bytes:
    """Return the body of a request: scalar for one picture, lists for more."""
    images = [base64.b64encode(data).decode() for data in pictures]
    names = [str(number) for number in range(len(images))]
    whole = {"image": images, "image_name": names} if len(images) > 1 else {"image": images[0], "image_name": "0"}
    return json.dumps({"temple_id": "bench", "image_type": kind} | whole).encode()


def times_ms(ask: Callable[[], object], repeat: int) -> np.ndarray:
    """Return how long each of some requests took [ms]; two before them warm up."""
    found = []
    for _ in range(repeat + 2):
        start = time.perf_counter()
        ask()
        found.append(1e3 * (time.perf_counter() - start))
    return np.array(found[2:])


def chosen(arguments: argparse.Namespace) -> tuple[str, list[bytes]]:
    """Return the type of the pictures, and at least 20 of them."""
    if arguments.pictures is None:
        height, width = (int(side) for side in arguments.size.split("x"))
        return "png", [picture(90.0 * (number % 2), number, (height, width)) for number in range(LIST)]
    paths = sorted(path for path in arguments.pictures.iterdir() if path.is_file())
    suffixes = {path.suffix.lower().removeprefix(".") for path in paths}
    if len(paths) < 20 or len(suffixes) != 1:
        raise SystemExit(f"{arguments.pictures} must hold at least 20 files of one type")
    return suffixes.pop(), [path.read_bytes() for path in paths]


def main() -> None:
    """Teach, ask, print a table and whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=("small_cnn", "logistic"), default="small_cnn")
    parser.add_argument("--size", default="240x320", help="H x W of the pictures (default 240x320)")
    parser.add_argument("--pictures", type=Path, help="files of one type in place of drawn ones")
    parser.add_argument("--repeat", type=int, default=100)
    arguments = parser.parse_args()
    settings = CompatSettings(network=arguments.network)
    kind, pictures = chosen(arguments)
    with served(settings) as client:
        teach(client, pictures[:20], kind)
        asked = (pictures * LIST)[:LIST]
        bodies = request(asked[:1], kind), request(asked, kind)
        send = client._transport.send
        nothing = times_ms(lambda: send("GET", "/v2/health/live"), arguments.repeat)
        one = times_ms(lambda: send("POST", "/api/predict", content=bodies[0]), arguments.repeat)
        many = times_ms(lambda: send("POST", "/api/predict", content=bodies[1]), max(5, arguments.repeat // 10))
    what = arguments.pictures or f"{arguments.size} PNG"
    print(f"{told(settings)}, {what}\n\n| request | p50 ms | p95 ms | p99 ms |\n|---|---|---|---|")
    # The first row says how busy the machine is with other things.
    for name, values in (("no work (/v2/health/live)", nothing), ("one picture", one), (f"list of {LIST}", many)):
        print(f"| {name} | {' | '.join(f'{np.percentile(values, share):.1f}' for share in (50, 95, 99))} |")
    ratio = np.median(many) / np.median(one)
    print(f"\nlist of {LIST} / one: {ratio:.1f} (target at most {TARGET_RATIO:g})")
    met = np.median(one) <= TARGET_ONE_MS and ratio <= TARGET_RATIO
    print(f"targets {'met' if met else 'MISSED'}: p50 of one {np.median(one):.1f} ms (target {TARGET_ONE_MS:g})")


if __name__ == "__main__":
    main()
