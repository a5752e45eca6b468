"""Solar modules with the statistics of `isotherm.anomaly.picture_statistics`: one class, few labels, all labels.

    ISOTHERM_DATA=DATA python benchmarks/accuracy_solar.py [--part development]

The statistics of a crop do not depend on what is learnt, so they are computed once; then each judged crop is scored by
a Gaussian of the normal crops of other blocks of ids (the method ``statistics``), by heads (`isotherm head`) that have
learnt from ten normal crops for each labelled faulty one and from ten (or all) faulty crops of each class of other
blocks, and by the largest less the median grey level. Halves and folds are those of `benchmarks/accuracy.py`. One line
for each seed and class: AUROC against all judged normal crops.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from accuracy import BLOCKS, DEVELOPMENT_BLOCKS, NORMAL_CLASS, measured
from PIL import Image

from isotherm.anomaly.head import fit_head
from isotherm.anomaly.method import Inputs
from isotherm.anomaly.picture_statistics import compressed, describe
from isotherm.anomaly.statistics import Gaussian, StatisticsConfig
from isotherm.anomaly.tiles import fitting_size
from isotherm.workflows.labelled_head import HeadSettings

FEW = 10
NORMALS_FOR_EACH_FAULT = 10
FOLDS = 5


def load(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return crops (N 40 24), class names and blocks; copies and contradicting copies left out."""
    with np.load(data / "solar_modules" / "modules.npz", allow_pickle=False) as archive:
        images, labels, names = (archive[name] for name in ("images", "labels", "names"))
    same: dict[bytes, list[int]] = {}
    for place, image in enumerate(images):
        same.setdefault(image.tobytes(), []).append(place)
    kept = np.array(sorted(places[0] for places in same.values() if len(set(labels[places].tolist())) == 1))
    block = np.empty(len(images), np.int64)
    for label in np.unique(labels):
        for number, part in enumerate(np.array_split(np.flatnonzero(labels == label), BLOCKS)):
            block[part] = number
    return images[kept], names[labels[kept]], block[kept]


def statistics_of(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the statistics (N D) of crops at the network's size, in the span 0..255."""
    rows = []
    for image in images:
        picture = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR)
        grey = np.asarray(picture, np.float32) / 255
        rows.append(describe(Inputs(np.repeat(grey[None, None], 3, axis=1)))[0].statistics)
    return np.stack(rows)


def judge(features: np.ndarray, faulty: np.ndarray, kinds: np.ndarray, fold: np.ndarray, seed: int) -> np.ndarray:
    """Return the scores (3 N): one class, few labels, all labels; each by what has not seen the crop's fold."""
    rng = np.random.default_rng(seed)
    scores = np.empty((3, len(features)))
    for number in range(FOLDS):
        rest, test = np.flatnonzero(fold != number), fold == number
        normal = rng.permutation(rest[~faulty[rest]])
        learnt, labelled = np.array_split(normal, 2)
        gaussian = Gaussian.fit(features[learnt], StatisticsConfig())
        own = compressed(gaussian.distances(features)[:, None])
        joined = np.concatenate([features, own], axis=1)
        few = np.concatenate([rng.permutation(rest[kinds[rest] == kind])[:FEW] for kind in np.unique(kinds[faulty])])
        scores[0, test] = Gaussian.fit(features[normal], StatisticsConfig()).distances(features[test])
        for place, chosen in enumerate((few, rest[faulty[rest]]), start=1):
            used = np.concatenate([labelled[: NORMALS_FOR_EACH_FAULT * len(chosen)], chosen])
            head = fit_head(joined[used], faulty[used], HeadSettings().penalty)
            scores[place, test] = head.log_odds(joined[test])
    return scores


def main() -> None:
    """Read the command line and print a table."""
    parser = argparse.ArgumentParser(description="image AUROC on the solar modules")
    parser.add_argument("--part", choices=("development", "judged"), default="judged")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    images, kinds, block = load(Path(os.environ["ISOTHERM_DATA"]))
    development = np.isin(block.astype(str), DEVELOPMENT_BLOCKS)
    if options.part == "development":
        images, kinds, block = images[development], kinds[development], block[development]
    asked = ~development if options.part == "judged" else np.ones(len(images), np.bool_)
    features, faulty = statistics_of(images, fitting_size(options.image_size, 40 / 24)), kinds != NORMAL_CLASS
    grey = images.reshape(len(images), -1).astype(np.float64)
    plain = grey.max(axis=1) - np.median(grey, axis=1)
    print("| seed, class | faulty | max - median | statistics, one class | head, few labels | head, all labels |")
    for seed in range(options.seeds):
        order = np.random.default_rng(seed).permutation(BLOCKS)
        fold = np.argsort(order)[block] % FOLDS
        scores = np.concatenate([plain[None], judge(features, faulty, kinds, fold, seed)])
        for kind in ("all", *np.unique(kinds[faulty]).tolist()):
            part = asked & (~faulty | (kind == "all") | (kinds == kind))
            cells = " | ".join(measured(faulty[part], row[part]) for row in scores)
            print(f"| {seed}, {kind} | {int(faulty[part].sum())} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
