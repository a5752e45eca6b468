"""Does a U-Net copy faults through its skip connections? The same network with and without noise in training.

    python benchmarks/bench_copying.py [--pictures 60] [--epochs 60]

It learns from healthy simulated cabinets (`isotherm.datasets.cabinet`). Then it redraws faulty ones and their healthy
twins, which differ by the fault alone. Of the warmth that the fault adds within its mask some is drawn (copied) and the
rest is left for the anomaly map; printed is the share that is left, the median over the faults. 0 is a copy, 1 is the
healthy twin.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import numpy as np
from PIL import Image

from isotherm.anomaly.method import Inputs
from isotherm.anomaly.unet_autoencoder import METHOD, UnetAutoencoderConfig
from isotherm.core.progress import silent
from isotherm.datasets.cabinet import FAULT_KINDS, simulate_cabinet
from isotherm.testing.anomaly import BatchImages

SIZE = (96, 128)
FAULTS = 24
WANTED = 0.5


def main() -> int:
    parser = argparse.ArgumentParser(description="what a U-Net leaves of a fault, with and without noise in training")
    parser.add_argument("--pictures", type=int, default=60, help="healthy pictures to learn from (default 60)")
    parser.add_argument("--epochs", type=int, default=60, help="passes over them (default 60)")
    arguments = parser.parse_args()
    learnt = np.stack([resized(simulate_cabinet(seed).celsius) for seed in range(arguments.pictures)])
    low, high = np.percentile(learnt, (0.1, 99.9))
    pairs = [twins(1000 + place, FAULT_KINDS[place % len(FAULT_KINDS)]) for place in range(FAULTS)]
    faulty, healthy = (inputs(np.stack(side), low, high) for side in zip(*pairs, strict=True))
    config = replace(UnetAutoencoderConfig(), epochs=arguments.epochs, patience=arguments.epochs)
    left = {}
    for noise in (config.noise, 0.0):
        images = BatchImages(inputs(learnt, low, high))
        detector = METHOD.fit(images, replace(config, noise=noise), 0, silent)
        bad, good = detector.predict(faulty), detector.predict(healthy)
        assert bad.references is not None
        assert good.references is not None
        left[noise] = share_left(faulty.pixels - healthy.pixels, bad.references - good.references)
        print(f"noise {noise:.1f}: {100 * left[noise]:3.0f} % of the fault's warmth is left to be seen")
    return int(left[config.noise] < max(WANTED, left[0.0]))


def twins(seed: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a faulty picture and the healthy one that differs by the fault alone [°C]."""
    return resized(simulate_cabinet(seed, kind).celsius), resized(simulate_cabinet(seed).celsius)


def resized(celsius: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(celsius.astype(np.float32))
    return np.asarray(picture.resize(SIZE[::-1], Image.Resampling.BILINEAR))


def inputs(celsius: np.ndarray, low: float, high: float) -> Inputs:
    """Place temperatures (N H W) in the span; the networks are shown what lies within it."""
    placed = ((celsius - low) / (high - low)).clip(0, 1).astype(np.float32)
    return Inputs(np.repeat(placed[:, None], 3, axis=1))


def share_left(added: np.ndarray, drawn: np.ndarray) -> float:
    """Return the median over pictures of the share of `added` (N 3 H W) that is not in `drawn`, where it is warmest."""
    shares = []
    for warmth, copied in zip(added[:, 0], drawn[:, 0], strict=True):
        where = warmth > warmth.max() / 2
        shares.append(1 - float(copied[where].mean() / warmth[where].mean()))
    return float(np.median(shares))


if __name__ == "__main__":
    sys.exit(main())
