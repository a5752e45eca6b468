"""What the network gets to see, and what that does to the results: overlays, bits, span and channels.

    python benchmarks/thermal_input.py overlays DATA/transformers OUT [--method patchcore]
    python benchmarks/thermal_input.py bits DATA/substations OUT [--method padim]
    python benchmarks/thermal_input.py inputs DATA/substations OUT [--method padim]

``overlays`` judges every transformer by models that learnt from the others, once reading what is drawn into the
pictures and once ignoring it, and counts the pictures whose largest map value lies on something drawn. ``bits`` judges
the substations as 16-bit temperatures and as the same cut to 8 bits, by the range of each image (as cameras export it)
and by one range for the set. ``inputs`` judges the 16-bit temperatures in each span and with each choice of channels.
The last two split by groups of near-duplicates and can be repeated with other seeds (``--seeds``).
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from isotherm.anomaly.inputs import visible
from isotherm.formats import ReadHints
from isotherm.formats.overlays import find
from isotherm.formats.reading import read
from isotherm.workflows.evaluate import EvaluateSettings, LabelledSource, MethodToJudge, evaluate
from isotherm.workflows.evaluation_result import Evaluation, write_evaluation
from isotherm.workflows.judging import Judged
from isotherm.workflows.train import TrainSettings

CELSIUS_X10 = ReadHints(step=0.1, offset=-100.0, unit="c")
Convert = Callable[[np.ndarray], np.ndarray]


def overlays(data: Path, out: Path, method: str, _seeds: int) -> Iterator[str]:
    """Yield the lines of the comparison; the tables of each run are written below `out`."""
    source = LabelledSource(data / "images", masks=data / "masks")
    protocol = EvaluateSettings(layout="sites", protocol="leave-one-site-out")
    yield f"| {method} | site | AUROC | pixel AUROC | AUPRO | largest value on something drawn |"
    for choice in ("off", "on"):
        subject = MethodToJudge(method, training=TrainSettings(ignore_overlays=choice))
        found = evaluate(source, subject, settings=protocol)
        write_evaluation(found, out / f"overlays-{method}-{choice}")
        for site in [*found.metrics["sites"], "all"]:
            part = found.metrics["sites"].get(site, found.metrics["pooled"])
            judged = [each for each in found.judged if site in (each.sample.site, "all")]
            hits = sum(_on_overlay(each) for each in judged)
            values = (part["image"]["auroc"], part["pixel"]["pixel_auroc"], part["pixel"]["aupro"])
            cells = " | ".join(_cell(value) for value in values)
            what = "read" if choice == "off" else "ignored"
            yield f"| overlays {what} | {site} | {cells} | {hits} of {len(judged)} |"


def _on_overlay(judged: Judged) -> bool:
    drawn = find(visible(read(judged.sample.path)))
    assert judged.map is not None
    place = np.unravel_index(np.argmax(judged.map), judged.map.shape)
    rows, columns = (
        slice(int(at * whole / part), max(int((at + 1) * whole / part), int(at * whole / part) + 1))
        for at, whole, part in zip(place, drawn.shape, judged.map.shape, strict=True)
    )
    return bool(drawn[rows, columns].any())


def bits(data: Path, out: Path, method: str, seeds: int) -> Iterator[str]:
    """Yield the lines of the comparison."""
    planes = [np.asarray(Image.open(path)) for path in sorted((data / "celsius_x10_png16").glob("*.png"))[::10]]
    low, high = np.percentile(np.stack(planes), (0.1, 99.9))

    def own_range(plane: np.ndarray) -> np.ndarray:
        return _bytes(plane, plane.min(), plane.max())

    def one_range(plane: np.ndarray) -> np.ndarray:
        return _bytes(plane, low, high)

    conversions: dict[str, tuple[Convert, ReadHints]] = {
        "16 bits, degrees": (lambda plane: plane, CELSIUS_X10),
        "8 bits, one range": (one_range, ReadHints()),
        "8 bits, range of each image": (own_range, ReadHints()),
    }
    yield f"| {method} | seed | AUROC | AP | F1-max* |"
    for name, (convert, hints) in conversions.items():
        folder = out / name.replace(" ", "-").replace(",", "")
        lay_out(data, folder, convert)
        yield from _runs(name, folder, hints, method=method, seeds=seeds, training=TrainSettings(ignore_overlays="off"))


def inputs(data: Path, out: Path, method: str, seeds: int) -> Iterator[str]:
    """Yield the lines of the comparison."""
    folder = out / "16-bits-degrees"
    lay_out(data, folder, lambda plane: plane)
    yield f"| {method} | seed | AUROC | AP | F1-max* |"
    for span in ("training", "image"):
        for channels in ("grey", "local"):
            training = TrainSettings(span=span, channels=channels)
            name = f"span {span}, channels {channels}"
            yield from _runs(name, folder, CELSIUS_X10, method=method, seeds=seeds, training=training)


def _runs(
    name: str, folder: Path, hints: ReadHints, *, method: str, seeds: int, training: TrainSettings
) -> Iterator[str]:
    source = LabelledSource(folder, groups=folder / "groups.csv", hints=hints)
    for seed in range(seeds):
        subject = MethodToJudge(method, training=replace(training, seed=seed))
        found = evaluate(source, subject, settings=EvaluateSettings(protocol="kfold"), seed=seed)
        write_evaluation(found, folder.parent / f"{name.replace(' ', '-').replace(',', '')}-{method}-{seed}")
        for kind in ("pooled", *found.metrics["kinds"]):
            yield f"| {name}: {kind} | {seed} | {_row(found, kind)} |"


def _row(found: Evaluation, kind: str) -> str:
    image = (found.metrics["pooled"] if kind == "pooled" else found.metrics["kinds"][kind])["image"]
    return " | ".join(_cell(image[key]) for key in ("auroc", "average_precision", "f1_max"))


def _cell(measured: dict[str, float | None]) -> str:
    if measured["value"] is None:
        return "–"
    text = f"{measured['value']:.3f}"
    return text if measured.get("low") is None else f"{text} [{measured['low']:.3f}, {measured['high']:.3f}]"


def _bytes(plane: np.ndarray, low: float, high: float) -> np.ndarray:
    levels: np.ndarray = np.clip((plane - float(low)) * (255 / (high - low)), 0, 255)
    return np.rint(levels).astype(np.uint8)


def lay_out(data: Path, out: Path, convert: Convert) -> None:
    """Write the substations as ``normal/`` and ``faulty/<site>/`` with ``groups.csv``, pixels converted."""
    rows = [("file", "group")]
    for row in json.loads((data / "manifest.json").read_text(encoding="utf-8")):
        file = f"{'faulty/' + row['site'] if row['hotspot'] else 'normal'}/{row['name']}.png"
        plane = np.asarray(Image.open(data / "celsius_x10_png16" / f"{row['name']}.png"))
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(convert(plane)).save(out / file)
        rows.append((file, str(row["near_duplicate_group"])))
    with (out / "groups.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)


EXPERIMENTS = {"overlays": overlays, "bits": bits, "inputs": inputs}


def main() -> None:
    """Read the command line, run and print."""
    parser = argparse.ArgumentParser(description="what the network gets to see, and what that does to the results")
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--method", default="padim")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds (bits and inputs; default 1)")
    arguments = parser.parse_args()
    for line in EXPERIMENTS[arguments.experiment](arguments.data, arguments.out, arguments.method, arguments.seeds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
