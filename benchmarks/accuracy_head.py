"""What a labelled head adds to a method (`isotherm head`), without choosing anything on the pictures it is judged on.

    ISOTHERM_DATA=DATA python benchmarks/accuracy_head.py substations --method statistics
    ISOTHERM_DATA=DATA python benchmarks/accuracy_head.py solar --method fusion --normals 100 --faulty 10

Groups are cut into folds and halved as in `benchmarks/accuracy.py`. In each fold the method learns from a share of the
normal pictures of the other folds; a head learns from the rest of them and from their faulty pictures (or from so many
drawn at random, for each kind of fault); the fold's pictures are judged by both. AUROC over the judged half.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from accuracy import HINTS, SETS, Picture, development_groups, lay_out, measured, method_config

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.core.progress import silent
from isotherm.datasets.layouts import Sample, load_layout
from isotherm.datasets.splits import distinct, kfold, with_groups
from isotherm.formats import ReadHints
from isotherm.workflows.judging import Judged, LabelledSource, judge
from isotherm.workflows.labelled_head import HeadSettings, learn_head
from isotherm.workflows.train import TrainSettings, fit_model

BASE_SHARE = 0.25
"""Share of the normal pictures that the method itself learns from."""


@dataclass(frozen=True)
class Scores:
    """What both said about one picture: the method's score, the head's, and where the map is highest."""

    sample: Sample
    group: str
    plain: float
    headed: float
    item: Judged


def fold_scores(
    source: LabelledSource, samples: Sequence[Sample], test: Sequence[Sample], *, options: argparse.Namespace, seed: int
) -> list[Scores]:
    """Learn from the samples that share no group with the test part, and judge that."""
    rng = np.random.default_rng(seed)
    tested = {sample.group for sample in test}
    rest = [sample for sample in samples if sample.group not in tested]
    normal = [rest[place] for place in rng.permutation(len(rest)) if not rest[place].anomalous]
    cut = round(BASE_SHARE * len(normal)) if options.normals is None else len(normal) - options.normals
    labelled = normal[cut:] + chosen_faults(rest, options.faulty, rng)
    training = TrainSettings(image_size=options.image_size, seed=seed)
    config = method_config(options.method, options.setting)
    model = fit_model(
        source.images(normal[:cut]), ANOMALY_METHODS.get(options.method), config=config, settings=training
    )
    headed = learn_head(model, source.images(labelled), settings=HeadSettings(penalty=options.penalty, seed=seed))
    images = source.images(test)
    found = [judge(each, images, fold="", with_maps=True, progress=silent).judged for each in (model, headed)]
    return [
        Scores(plain.sample, plain.sample.group, plain.score, head.score, plain)
        for plain, head in zip(*found, strict=True)
    ]


def chosen_faults(samples: Sequence[Sample], count: int | None, rng: np.random.Generator) -> list[Sample]:
    """Return all faulty samples, or `count` of each kind."""
    kinds: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.anomalous:
            kinds[sample.kind].append(sample)
    return [
        found[place]
        for found in kinds.values()
        for place in rng.permutation(len(found))[: len(found) if count is None else count]
    ]


def report(name: str, scores: Sequence[Scores]) -> None:
    """Print AUROC of the method and of the head over these pictures."""
    labels = np.array([each.sample.anomalous for each in scores])
    plain, headed = (np.array([getattr(each, which) for each in scores]) for which in ("plain", "headed"))
    print(
        f"| {name} | {int((~labels).sum())} | {int(labels.sum())} | {measured(labels, plain)} | "
        f"{measured(labels, headed)} |",
        flush=True,
    )


def boxes_hit(scores: Sequence[Scores], boxes: dict[str, list[list[int]]]) -> str:
    """Return how many labelled boxes the map finds with one false region a normal picture.

    A region is a local maximum of the map (no larger value within `REACH` cells); it hits a box that it lies in.
    """
    false = np.sort(
        np.concatenate([[value for value, _, _ in peaks(each)] for each in scores if not each.sample.anomalous])
    )
    limit = false[-min(len(false), sum(not each.sample.anomalous for each in scores))]
    hit = total = 0
    for each in scores:
        found = [(row, column) for value, row, column in peaks(each) if value > limit]
        for left, top, width, height in boxes.get(Path(each.sample.name).name, []) if each.sample.anomalous else ():
            total += 1
            hit += any(top <= row <= top + height and left <= column <= left + width for row, column in found)
    return f"{hit} of {total} boxes ({hit / max(total, 1):.0%})"


REACH = 2


def peaks(scores: Scores) -> list[tuple[float, float, float]]:
    """Return value, row and column [px] of the local maxima of the map."""
    values = scores.item.map
    assert values is not None
    padded = np.pad(values, REACH, constant_values=-np.inf)
    side = 2 * REACH + 1
    around = np.lib.stride_tricks.sliding_window_view(padded, (side, side)).max(axis=(2, 3))
    rows, columns = np.nonzero((values == around) & (values > values.min()))
    step = [length / cells for length, cells in zip(scores.item.size, values.shape, strict=True)]
    return [
        (float(values[row, column]), (row + 0.5) * step[0], (column + 0.5) * step[1])
        for row, column in zip(rows, columns, strict=True)
    ]


def run(pictures: list[Picture], out: Path, options: argparse.Namespace) -> None:
    """Lay out, learn and judge in folds with each seed, and print."""
    chosen = development_groups(options.set, pictures)
    lay_out([each for each in pictures if options.part != "development" or each.group in chosen], out)
    source = LabelledSource(out, groups=out / "groups.csv", hints=HINTS.get(options.set, ReadHints()))
    samples = distinct(with_groups(load_layout(out, "folder"), out / "groups.csv")).samples
    for seed in range(options.seeds):
        started = time.process_time()
        folds = kfold(samples, folds=options.folds, seed=seed)
        scores = [
            each
            for fold in folds
            for each in fold_scores(source, samples, fold.test, options=options, seed=seed)
            if options.part != "judged" or each.group not in chosen
        ]
        report(f"seed {seed}, all", scores)
        if options.set == "substations":
            substations_report(scores, seed)
        else:
            for kind in sorted({each.sample.kind for each in scores if each.sample.anomalous}):
                report(
                    f"seed {seed}, {kind}",
                    [each for each in scores if not each.sample.anomalous or each.sample.kind == kind],
                )
        print(f"  ({time.process_time() - started:.0f} s of CPU)", flush=True)


def substations_report(scores: Sequence[Scores], seed: int) -> None:
    """Print both sites, and how many boxes are found."""
    folder = Path(os.environ["ISOTHERM_DATA"]) / "substations"
    rows = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    site = {f"{row['name']}.png": row["site"] for row in rows}
    for name in ("substation", "line"):
        report(f"seed {seed}, {name}", [each for each in scores if site[Path(each.sample.name).name] == name])
    boxes = {f"{row['name']}.png": row["boxes_xywh"] for row in rows}
    print(f"  map at one false region a normal picture: {boxes_hit(scores, boxes)}")


def main() -> None:
    """Read the command line and print a table."""
    parser = argparse.ArgumentParser(description="image AUROC of a method and of a head on it")
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--method", default="statistics")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="of the method")
    parser.add_argument("--penalty", type=float, default=HeadSettings().penalty)
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--part", choices=("development", "judged", "all"), default="judged")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--normals", type=int, help="labelled normal pictures (default: three quarters)")
    parser.add_argument("--faulty", type=int, help="labelled pictures of each kind of fault (default: all)")
    options = parser.parse_args()
    pictures = list(SETS[options.set](Path(os.environ["ISOTHERM_DATA"])))
    with tempfile.TemporaryDirectory() as folder:
        run(pictures, Path(folder), options)


if __name__ == "__main__":
    main()
