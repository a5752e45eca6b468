"""Solar modules: categories by features and logistic regression, and by networks, on splits that keep copies apart.

    ISOTHERM_DATA=DATA python benchmarks/solar_modules.py SCRATCH [--methods logistic,small_cnn] [--tasks 12,2]

The crops of InfraredSolarModules (MIT; ``solar_modules/modules.npz`` of the shared data) are laid out as PNG files with
a table of labels; byte-identical copies are left out first. The split ``block`` tests with the last fifth of each class
by its numbers, ``random`` with a random fifth: neighbouring numbers look alike, so that the latter flatters. The task
``12`` has all classes (11 are present), ``2`` is anomalous or not. Everything is chosen on the training part alone.

Prints one row a run: accuracy and balanced accuracy with 95 % intervals, and the calibration error.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from isotherm.classification import CLASSIFIERS
from isotherm.core.config import from_mapping
from isotherm.workflows.classify import ClassifySettings, train_classifier
from isotherm.workflows.classify_data import labelled_folder

NORMAL = "No-Anomaly"
TESTED = 5
"""One in so many is tested."""


def load(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return crops (N 40 24), class names and numbers; one of each set of copies, none of contradicting ones."""
    with np.load(data / "solar_modules" / "modules.npz", allow_pickle=False) as archive:
        images, labels, names, ids = (archive[name] for name in ("images", "labels", "names", "ids"))
    same: dict[bytes, list[int]] = {}
    for place, image in enumerate(images):
        same.setdefault(image.tobytes(), []).append(place)
    kept = np.array(sorted(places[0] for places in same.values() if len(set(labels[places].tolist())) == 1))
    return images[kept], names[labels[kept]], ids[kept]


def tested(names: np.ndarray, ids: np.ndarray, split: str) -> np.ndarray:
    """Return which crops are tested: a fifth of each class."""
    test = np.zeros(len(names), np.bool_)
    rng = np.random.default_rng(0)
    for name in np.unique(names):
        members = np.flatnonzero(names == name)
        order = np.argsort(ids[members], kind="stable") if split == "block" else rng.permutation(len(members))
        test[members[order[len(members) - len(members) // TESTED :]]] = True
    return test


def lay_out(data: Path, folder: Path, *, task: str, split: str) -> None:
    """Write the crops once, and the table of this task and split."""
    images, names, ids = load(data)
    test = tested(names, ids, split)
    labels = names if task == "12" else np.where(names == NORMAL, "normal", "anomalous")
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for image, label, number, held in zip(images, labels.tolist(), ids.tolist(), test.tolist(), strict=True):
        path = folder / f"{number}.png"
        if not path.exists():
            Image.fromarray(image).save(path)
        rows.append((path.name, label, "test" if held else "train"))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("file", "label", "part"), *rows])


def measured(folder: Path, out: Path, method: str, config: dict[str, Any], seed: int) -> dict[str, Any]:
    """Teach a classifier and return what it makes of the test part."""
    kind = CLASSIFIERS.get(method)
    start = time.process_time()
    model = train_classifier(
        labelled_folder(folder).pictures,
        out,
        method=method,
        config=from_mapping(kind.config_type, config),
        settings=ClassifySettings(seed=seed),
    )
    found: dict[str, Any] = model.manifest["metrics"]["test"]
    return {**found, "cpu_s": time.process_time() - start, "fit": model.manifest["fit"]}


def row(found: dict[str, Any]) -> str:
    """Return the numbers of a run as text."""
    cells = [
        f"{100 * found[name]['value']:.1f} [{100 * found[name]['low']:.1f} {100 * found[name]['high']:.1f}]"
        for name in ("accuracy", "balanced_accuracy")
    ]
    error = found["expected_calibration_error"]["value"]
    answered, rejected = found["accuracy_of_answers"], found["rejected"]
    return (
        f"accuracy {cells[0]}, balanced {cells[1]}, ECE {error:.3f}, no category for "
        f"{100 * rejected['value']:.1f} %, then {100 * answered['value']:.1f} % right, {found['cpu_s']:.0f} CPU-s"
    )


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="categories of solar modules")
    parser.add_argument("scratch", type=Path, help="folder for crops and models")
    parser.add_argument("--methods", default="logistic")
    parser.add_argument("--tasks", default="12,2")
    parser.add_argument("--splits", default="block,random")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--config", default="{}", help="settings of the method as JSON")
    arguments = parser.parse_args()
    data = Path(os.environ["ISOTHERM_DATA"])
    for split in arguments.splits.split(","):
        for task in arguments.tasks.split(","):
            folder = arguments.scratch / "crops"
            lay_out(data, folder, task=task, split=split)
            for method in arguments.methods.split(","):
                for seed in map(int, arguments.seeds.split(",")):
                    out = arguments.scratch / f"{method}-{task}-{split}-{seed}"
                    found = measured(folder, out, method, json.loads(arguments.config), seed)
                    print(f"{split} {task} {method} seed {seed}: {row(found)}", flush=True)


if __name__ == "__main__":
    main()
