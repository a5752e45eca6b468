"""What catches pictures of a category that was never learnt: confidence, or the distance to what was?

    ISOTHERM_DATA=DATA python benchmarks/classify_unknown.py SCRATCH [--c 0.01]

Solar modules (MIT), split ``block`` of `benchmarks/solar_modules.py`, features and logistic regression. Each category
is left out of the training in turn; the model then judges the test pictures of all others and all pictures of the one
that it has never seen. Besides, pictures of something else altogether (simulated cabinets, stripes, noise, flat grey)
are given to a model of all categories. For each rule: how many known test pictures it rejects, how many unknown ones,
and the area under the ROC curve of its score (0.5: chance). The confidence limit is 0.5; limits of distances are the
99th percentile of held-out training pictures; nothing is chosen on the test.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from solar_modules import lay_out

from isotherm.classification.folds import grouped_folds
from isotherm.classification.logistic import LogisticConfig
from isotherm.classification.openset import Kind, OpenSet, fit_open_set
from isotherm.core.progress import silent
from isotherm.datasets.cabinet.inspection import write_inspection
from isotherm.evaluation.metrics import auroc
from isotherm.formats.reading import read
from isotherm.workflows.classify import ClassifySettings, TrainedClassifier, train_classifier
from isotherm.workflows.classify_data import LabelledPicture, labelled_folder
from isotherm.workflows.classify_features import extract_features, read_features
from isotherm.workflows.classify_rows import Fixed, LabelledRows, Reading

LIMIT = 0.5
KINDS: tuple[Kind, ...] = ("mahalanobis", "knn")
"""Tests by distance."""


def features_of(data: Path, scratch: Path) -> LabelledRows:
    """Return the features of the crops, computed once."""
    path = scratch / "solar_block.h5"
    if not path.exists():
        lay_out(data, scratch / "crops", task="12", split="block")
        extract_features(labelled_folder(scratch / "crops"), path)
    return read_features(path)


def part(rows: LabelledRows, kept: np.ndarray) -> LabelledRows:
    """Return some of the rows."""
    places = np.flatnonzero(kept)
    return replace(rows, values=rows.values[places], rows=tuple(rows.rows[place] for place in places))


def taught(rows: LabelledRows, scratch: Path, c: float) -> tuple[TrainedClassifier, dict[str, OpenSet]]:
    """Teach a model on the training rows, and the tests by distance."""
    train = part(rows, np.array([row.part == "train" for row in rows.rows]))
    settings = ClassifySettings(open_set="off")
    model = train_classifier(train, scratch / "unknown-model", config=LogisticConfig(c=c), settings=settings)
    labels = np.unique([row.label for row in train.rows], return_inverse=True)[1].astype(np.int64)
    folds = grouped_folds(labels, np.arange(len(labels)), folds=5, seed=0)
    tests = {kind: fit_open_set(kind, train.values, labels, folds, percentile=99, seed=0) for kind in KINDS}
    return model, {kind: test for kind, test in tests.items() if test is not None}


def judged(
    model: TrainedClassifier, tests: dict[str, OpenSet], known: np.ndarray, strange: np.ndarray
) -> Iterator[str]:
    """Yield for each rule the rejected shares and the area."""
    both = np.concatenate([known, strange])
    unknown = np.arange(len(both)) >= len(known)
    doubt = 1 - model.probabilities(both)[0].max(axis=1)
    distances = {kind: test.distances(both) for kind, test in tests.items()}
    rules = {"confidence": doubt > 1 - LIMIT, **{kind: distances[kind] > 1 for kind in KINDS}}
    rules["confidence or mahalanobis"] = rules["confidence"] | rules["mahalanobis"]
    scores = {"confidence": doubt, **distances}
    for name, called in rules.items():
        area = f", AUROC {auroc(unknown, scores[name]):.3f}" if name in scores else ""
        yield f"{name} {100 * called[~unknown].mean():.1f} / {100 * called[unknown].mean():.1f} %{area}"


def foreign(scratch: Path) -> dict[str, list[LabelledPicture]]:
    """Write pictures of other things; by what they show."""
    rng, folder = np.random.default_rng(0), scratch / "foreign"
    folder.mkdir(exist_ok=True)
    found: dict[str, list[np.ndarray]] = {"cabinets": cabinets(scratch)}
    rows, columns = np.mgrid[:40, :24]
    found["stripes"] = [127 + 120 * np.sin((rows * np.sin(t) + columns * np.cos(t)) / 2) for t in rng.random(100) * 3]
    found["noise"] = list(rng.uniform(0, 255, (100, 40, 24)))
    found["flat grey"] = [np.full((40, 24), level) for level in np.linspace(0, 255, 100)]
    written: dict[str, list[LabelledPicture]] = {}
    for name, pictures in found.items():
        for number, picture in enumerate(pictures):
            path = folder / f"{name} {number}.png"
            Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(path)
            written.setdefault(name, []).append(LabelledPicture(path, name))
    return written


def cabinets(scratch: Path) -> list[np.ndarray]:
    """Return cut-outs of simulated cabinets as grey pictures (40 24)."""
    folder = scratch / "cabinets"
    if not folder.exists():
        write_inspection(folder, seed=0, normals=50, faulty=25, healthy=25)
    found = []
    for path in sorted(folder.rglob("*.tiff")):
        celsius = read(path).values()
        low, high = float(np.nanmin(celsius)), float(np.nanmax(celsius))
        grey = Image.fromarray(((celsius - low) * (255 / max(high - low, 1e-3))).astype(np.uint8))
        found.append(np.asarray(grey.resize((24, 40))).astype(np.float64))
    return found[:100]


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="what catches the unknown")
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--c", type=float, default=0.01, help="as chosen by cross-validation with all categories")
    arguments = parser.parse_args()
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    rows = features_of(Path(os.environ["ISOTHERM_DATA"]), arguments.scratch)
    labels = np.array([row.label for row in rows.rows])
    test = np.array([row.part == "test" for row in rows.rows])
    print("rejected: known / unknown")
    taught_all = taught(rows, arguments.scratch, arguments.c)
    for name, pictures in foreign(arguments.scratch).items():
        fixed = Fixed(rows.inputs, rows.features, rows.as_pictures)
        strange = fixed.rows(pictures, Reading(), arguments.scratch, silent)
        for line in judged(*taught_all, rows.values[test], strange.values):
            print(f"{name} ({len(pictures)}): {line}", flush=True)
    for left_out in sorted(set(labels.tolist())):
        known = labels != left_out
        for line in judged(
            *taught(part(rows, known), arguments.scratch, arguments.c), rows.values[test & known], rows.values[~known]
        ):
            print(f"{left_out} ({int((~known).sum())}): {line}", flush=True)


if __name__ == "__main__":
    main()
