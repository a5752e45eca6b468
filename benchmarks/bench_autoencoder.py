"""Training the autoencoder: the fit loop against the same network in plain float32.

    python benchmarks/bench_autoencoder.py [--loss] [--threads N]

Both take the same steps on the same pictures of 256 px, in batches of 8, with the same augmentation: the plain form
eagerly in float32 with torch's usual layout and Adam, the fit loop as it is (`isotherm.nn.fitting`: channels last,
bfloat16 where the processor has it, fused Adam). The two take turns, so that a busy machine slows both; medians are
compared, of the wall clock and of the processor's seconds. With ``--loss`` both also learn a set of pictures from the
same start, and the best validation losses are compared.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch

from isotherm.anomaly.method import Inputs
from isotherm.core.processes import cores
from isotherm.core.progress import silent
from isotherm.nn.augment import augmented
from isotherm.nn.autoencoder import AUTOENCODER
from isotherm.nn.fitting import Course, FitPlan, fit_lessons, has_bfloat16
from isotherm.nn.lessons import Lesson, Lessons
from isotherm.nn.losses import squared_error
from isotherm.nn.together import Team
from isotherm.testing.anomaly import BatchImages

SIZE, BATCH, ROUNDS = 256, 8, 15
PICTURES, EPOCHS = 64, 40
PLAN = FitPlan(EPOCHS, EPOCHS, BATCH, 1e-3, 0.25, bfloat16=True, device="cpu")
TARGET, SAME = 3.0, 0.02


def main() -> int:
    parser = argparse.ArgumentParser(description="training the autoencoder against plain float32")
    parser.add_argument("--loss", action="store_true", help="compare validation losses too (some minutes)")
    parser.add_argument("--threads", type=int, default=cores(), help="threads of torch (default: all cores)")
    arguments = parser.parse_args()
    compare = arguments.loss
    torch.set_num_threads(arguments.threads)
    has = "with" if has_bfloat16(torch.device("cpu")) else "without"
    print(f"pictures of {SIZE} px, batches of {BATCH}, {arguments.threads} threads, {has} bfloat16, {ROUNDS} steps")
    ratio = measure({"plain float32": plain(), "fit loop": fitted()})
    print(f"fit loop {ratio:.2f} x plain float32; wanted {TARGET:g} x")
    return int(ratio < TARGET) | (int(not same_loss()) if compare else 0)


def scenes(count: int) -> np.ndarray:
    """Warm bars and spots of any place and strength, as thermal pictures have them."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE
    grey = np.empty((count, SIZE, SIZE), np.float32)
    for number in range(count):
        place, height = rng.uniform(0.3, 0.7, (2, 3)), rng.uniform(0.1, 0.3, 3)
        grey[number] = 0.2 + 0.2 * np.exp(-(((columns - place[0, 0]) / 0.2) ** 2))
        for index in range(3):
            distance = (rows - place[0, index]) ** 2 + (columns - place[1, index]) ** 2
            grey[number] += height[index] * np.exp(-distance / 0.005)
    grey += rng.normal(0, 0.01, grey.shape).astype(np.float32)
    return np.repeat(grey[:, None], 3, axis=1)


def lesson(pictures: np.ndarray) -> Lesson:
    shown = torch.from_numpy(pictures)
    return Lesson(shown, shown, torch.ones_like(shown[:, :1]))


def plain() -> Callable[[], object]:
    network, pictures = AUTOENCODER.build(), lesson(scenes(BATCH))
    optimiser = torch.optim.Adam(network.parameters(), lr=PLAN.learning_rate)
    generator = torch.Generator().manual_seed(0)
    return lambda: plain_step(network, optimiser, pictures, generator)


def plain_step(
    network: torch.nn.Module, optimiser: torch.optim.Optimizer, pictures: Lesson, generator: torch.Generator
) -> None:
    turned = augmented(pictures, generator).wanted.contiguous()
    loss = squared_error(network(turned), turned, pictures.keep)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    loss.item()


def fitted() -> Callable[[], object]:
    network = AUTOENCODER.build().to(memory_format=torch.channels_last)
    network.train()
    course, pictures = Course(network, AUTOENCODER, PLAN, seed=0, team=Team(0, 1)), lesson(scenes(BATCH))
    return lambda: course.step(pictures)


def measure(forms: dict[str, Callable[[], object]]) -> float:
    """Print the images a second of each form; return the ratio of the last to the first by the wall clock."""
    walls: dict[str, list[float]] = {name: [] for name in forms}
    works: dict[str, list[float]] = {name: [] for name in forms}
    for turn in range(ROUNDS + 2):
        for name, run in forms.items():
            wall, work = time.perf_counter(), time.process_time()
            run()
            if turn > 1:  # The first turns warm up.
                walls[name].append(time.perf_counter() - wall)
                works[name].append(time.process_time() - work)
    for name in forms:
        rate, cost = BATCH / median(walls[name]), 1000 * median(works[name]) / BATCH
        print(f"  {name:16s}{rate:8.1f} images/s {cost:8.1f} CPU-ms an image")
    first, *_, last = walls
    return median(walls[first]) / median(walls[last])


def same_loss() -> bool:
    """Learn in both forms from the same start; say whether the best validation losses are the same within `SAME`."""
    images = BatchImages(Inputs(scenes(PICTURES)))
    exact = FitPlan(EPOCHS, EPOCHS, BATCH, 1e-3, 0.25, bfloat16=False, device="cpu")
    losses = {}
    for name, plan in (("float32", exact), ("fit loop", PLAN)):
        found = [
            fit_lessons(Lessons(images, 0.25, seed), AUTOENCODER, plan, seed=seed, progress=silent).loss
            for seed in range(3)
        ]
        losses[name] = float(np.mean(found))
        print(f"  {name:16s} best validation loss {losses[name]:.6f} (seeds: {', '.join(f'{x:.6f}' for x in found)})")
    difference = losses["fit loop"] / losses["float32"] - 1
    print(f"validation loss {100 * difference:+.1f} %; wanted at most {100 * SAME:+.0f} %")
    return difference <= SAME


if __name__ == "__main__":
    sys.exit(main())
