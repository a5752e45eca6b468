"""The frozen benchmark of defect segmentation: simulated plates that no method has seen, three seeds each.

python benchmarks/defect_networks.py FOLDER [--rows NAME,NAME] [--seeds 0,1,2] [--workers 2]

FOLDER gets the plates (made where they are missing; `isotherm sequence dataset` makes the same ones), their maps, and
``results.jsonl``, one line for each row and seed; rows that are there already are not computed again. Printed is a
Markdown table: mean over the seeds, with the lowest and highest for IoU.

Protocol: CFRP 128 x 160 px of 0.5 mm, 2.5 to 5 mm thick, 4 to 9 defects a plate at 0.3 to 2.2 mm, 30 % flat-bottom
holes, 70 % delaminations of 2.5e-4 to 4e-3 m2K/W, 20 to 40 mK, 20 frames a second for 5 s. 240 plates to learn from
(the rows "60 plates": the first 60 of them), 24 to choose the state and the threshold, 48 to judge. No inclusions: PTFE
in CFRP hardly reflects heat (the effusivities differ by 7 %), so that they would only lower all rows alike. A plate is
one specimen. Settings were chosen on plates of seed 3; the judged ones (seed 2026) were computed with them afterwards.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from isotherm.core.progress import silent
from isotherm.datasets.plate_dataset import write_plates
from isotherm.datasets.plate_random import RandomPlates
from isotherm.evaluation.defects import PlateTruth, judge_plate, judge_plates
from isotherm.sequences.features import Features, FeaturesConfig
from isotherm.sequences.segment import SEGMENT_METHODS, Segmentation, cleaned
from isotherm.sequences.stack import ThermalSequence

SPEC = RandomPlates(inclusion_share=0.0)
SIDES = {"train": (1, 240), "validation": (2, 24), "judged": (2026, 48)}
"""Seed and number of plates of each side."""
MIN_AREA_PX = 12
COLUMNS = ("average_precision", "auroc", "iou", "dice", "pod_below_3", "pod_3_to_6", "pod_from_6", "false_calls")


@dataclass(frozen=True)
class Contender:
    """A row of the table: a network or a method, what it is given, and how it differs from the defaults."""

    method: str
    features: str = "std14"
    network: bool = True
    plates: int = 240
    net: dict[str, Any] = field(default_factory=dict)
    fit: dict[str, Any] = field(default_factory=dict)


_PIXELS = {"steps": 300, "crop_px": 48, "checks": 3}
_VOLUMES = {"steps": 700, "crop_px": 96, "batch_size": 2}
ROWS = {
    "Mahalanobis": Contender("mahalanobis", network=False),
    "Otsu": Contender("otsu", network=False),
    "k-means": Contender("kmeans", network=False),
    "region growing": Contender("grow", network=False),
    "LSTM 3 x 16 over 25 frames (published form)": Contender("lstm", "frames25", fit=_PIXELS),
    "1-D CNN over 25 frames": Contender("cnn1d", "frames25", fit=_PIXELS),
    "U-Net++ 3-D with components inside over 16 frames (published form)": Contender("seqpca", "frames16", fit=_VOLUMES),
    "U-Net over 4 components (published input)": Contender("unet", "pct4"),
    "U-Net with components inside over 16 frames": Contender("pca_unet", "frames16", fit={"crop_px": 112}),
    "U-Net over 25 frames": Contender("unet", "frames25"),
    "U-Net over 14 maps": Contender("unet"),
    "U-Net over 14 maps, 60 plates": Contender("unet", plates=60),
    "U-Net++ over 14 maps": Contender("unet++"),
    "Attention U-Net over 14 maps": Contender("attunet"),
    "U-Net with scSE over 14 maps": Contender("unet", net={"attention": "scse"}),
}
"""Networks over pixels and volumes cost more a step, and get fewer and smaller ones; the others have the defaults."""


def main() -> None:
    """Compute what is missing and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", default=",".join(ROWS), help="names, with , between")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    names = [name for name in ROWS if name in _listed(arguments.rows)]
    wanted = [
        (name, seed)
        for name in names
        for seed in map(int, arguments.seeds.split(","))
        if ROWS[name].network or not seed
    ]
    there = {(line["row"], line["seed"]) for line in results(arguments.folder)}
    missing = [each for each in wanted if each not in there]
    os.environ["OMP_NUM_THREADS"] = "1"
    for side in SIDES:
        made(arguments.folder, side)
    for preset in {ROWS[name].features for name, _ in missing}:
        for side in SIDES:
            maps_of(arguments.folder, side, preset)
    for line in _computed(arguments.folder, missing, arguments.workers):
        with (arguments.folder / "results.jsonl").open("a") as stream:
            stream.write(json.dumps(line) + "\n")
        print(line["row"], line["seed"], {name: round(line[name], 3) for name in COLUMNS if line[name]}, flush=True)
    print(table([line for line in results(arguments.folder) if line["row"] in names]))


def _computed(folder: Path, missing: list[tuple[str, int]], workers: int) -> Iterator[dict[str, Any]]:
    if workers == 1:
        yield from (judged(folder, row, seed) for row, seed in missing)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(judged, [folder] * len(missing), *zip(*missing, strict=True)) if missing else ()


def _listed(text: str) -> list[str]:
    """Return the names in a list; names hold commas themselves, so that the longest are taken first."""
    found = []
    for name in sorted(ROWS, key=len, reverse=True):
        if name in text:
            found.append(name)
            text = text.replace(name, "")
    return found


def made(folder: Path, side: str) -> Path:
    """Make the plates of a side where they are missing; returns their folder."""
    seed, count = SIDES[side]
    if not (folder / side / "defects.csv").exists():
        write_plates(folder / side, SPEC, count=count, seed=seed, workers=2)
    return folder / side


def maps_of(folder: Path, side: str, preset: str) -> dict[str, np.ndarray]:
    """Return the maps (N C H W), labels (N H W) and names of a side, computed where they are missing."""
    path = folder / f"{side}_{preset}.npz"
    if not path.exists():
        maps, labels, names = [], [], ()
        for plate in sorted((folder / side).glob("plate_*.npz")):
            sequence = ThermalSequence.open(plate).checked().cold("before_flash").cooling()
            stack = Features().maps(sequence, FeaturesConfig(preset=preset))
            maps.append(stack.values)
            labels.append(np.load(plate)["labels"])
            names = stack.names
        np.savez(path, maps=np.stack(maps), labels=np.stack(labels), names=np.array(names))
    return dict(np.load(path))


def judged(folder: Path, row: str, seed: int) -> dict[str, Any]:
    """Teach where there is something to teach, find, and judge; returns the line of the results."""
    contender = ROWS[row]
    start = time.process_time()
    segment, about = _taught(folder, contender, seed) if contender.network else (_method(contender), {})
    about |= {"teaching_cpu_s": time.process_time() - start}
    test = maps_of(folder, "judged", contender.features)
    start = time.process_time()
    found = [segment(maps) for maps in test["maps"]]
    about |= {"cpu_s_a_plate": (time.process_time() - start) / len(found)}
    plates = [judge_plate(truth, each.mask, each.score) for truth, each in zip(truths(folder), found, strict=True)]
    metrics = judge_plates(plates, resamples=200)
    values = {name: measured.value if isinstance(measured.value, float) else None for name, measured in metrics.items()}
    return {"row": row, "seed": seed, **about, **values}


def _method(contender: Contender) -> Any:
    method = SEGMENT_METHODS.get(contender.method)
    return lambda maps: method.segment(maps, method.config_type())


def _taught(folder: Path, contender: Contender, seed: int) -> tuple[Any, dict[str, Any]]:
    from isotherm.runtime.onnx_network import OnnxNetwork
    from isotherm.segmentation import NETWORKS
    from isotherm.segmentation.export import onnx_of
    from isotherm.segmentation.fitting import fit_segmenter
    from isotherm.segmentation.network import NetConfig
    from isotherm.segmentation.plan import Example, Examples, FitConfig

    sides = {side: maps_of(folder, side, contender.features) for side in ("train", "validation")}
    examples = {
        side: [Example(maps, labels > 0) for maps, labels in zip(each["maps"], each["labels"], strict=True)]
        for side, each in sides.items()
    }
    names = tuple(sides["train"]["names"].tolist())
    given = Examples(examples["train"][: contender.plates], examples["validation"], names)
    network = NETWORKS.get(contender.method)
    net, fit = NetConfig(**contender.net), FitConfig(**contender.fit)
    taught = fit_segmenter(network, given, net, fit, seed=seed, progress=silent)
    runs = OnnxNetwork(onnx_of(taught.module, len(names)), channels=len(names), multiple=network.multiple)

    def segment(maps: np.ndarray) -> Segmentation:
        probability = runs.run(np.nan_to_num(maps))
        mask = cleaned(probability >= taught.threshold, min_area_px=MIN_AREA_PX, border_px=0)
        return Segmentation(mask, probability)

    numbers = sum(each.numel() for each in taught.module.parameters())
    return segment, {"parameters": numbers, "validation_dice": taught.dice, "threshold": taught.threshold}


def truths(folder: Path) -> Iterator[PlateTruth]:
    """Yield what is true of each judged plate."""
    with (folder / "judged" / "defects.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    for plate in sorted((folder / "judged").glob("plate_*.npz")):
        rows = [row for row in table if row["file"] == plate.name]
        sizes = (np.array([float(row[name]) for row in rows]) for name in ("diameter_mm", "depth_mm"))
        yield PlateTruth(np.load(plate)["labels"], *sizes)


def results(folder: Path) -> list[dict[str, Any]]:
    """Return the lines that are there."""
    path = folder / "results.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(lines: list[dict[str, Any]]) -> str:
    """Return a Markdown table: the mean over the seeds."""
    titles = "", "weights", "AP", "AUROC", "IoU (lowest, highest)", "Dice", "POD D/d <3 / 3-6 / >=6"
    head = f"| {' | '.join(titles)} | false calls a plate | teaching CPU s |"
    shown = [head, "|---" * 9 + "|"]
    for name in ROWS:
        some = [line for line in lines if line["row"] == name]
        if not some:
            continue
        mean = {key: float(np.mean([line[key] for line in some])) for key in (*COLUMNS, "teaching_cpu_s")}
        iou = [line["iou"] for line in some]
        spread = f" ({min(iou):.3f}, {max(iou):.3f})" if len(iou) > 1 else ""
        pod = " / ".join(f"{mean[key]:.2f}" for key in ("pod_below_3", "pod_3_to_6", "pod_from_6"))
        shown.append(
            f"| {name} | {some[0].get('parameters', '')} | {mean['average_precision']:.3f} | {mean['auroc']:.3f} | "
            f"{mean['iou']:.3f}{spread} | {mean['dice']:.3f} | {pod} | {mean['false_calls']:.2f} | "
            f"{mean['teaching_cpu_s']:.0f} |"
        )
    return "\n".join(shown)


if __name__ == "__main__":
    main()
