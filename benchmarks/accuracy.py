"""How well a method tells faulty from normal pictures, without choosing anything on the pictures it is judged on.

    ISOTHERM_DATA=DATA python benchmarks/accuracy.py kolektor --method fusion --part development
    ISOTHERM_DATA=DATA python benchmarks/accuracy.py kolektor --method fusion

The groups of a set (items, blocks of ids, near-duplicates) are halved. What a method is and how it is set is chosen
with ``--part development``: only this half is read, in folds of its groups. The other half is judged once: folds of all
groups, so that each judged picture is scored by a model that has not learnt from its group, and AUROC over the judged
half alone. The raw scores of the folds' models are ranked together: all learnt from sets of one kind and size. One line
is printed for each seed of the split and the training, with the 95 % bootstrap interval over pictures, and one for each
kind of fault.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.core.config import from_mapping, settings_of
from isotherm.evaluation.bootstrap import Interval, intervals
from isotherm.evaluation.metrics import auroc
from isotherm.formats import ReadHints
from isotherm.workflows.evaluate import EvaluateSettings, MethodToJudge, evaluate
from isotherm.workflows.judging import Judged, LabelledSource
from isotherm.workflows.train import TrainSettings

Part = Literal["development", "judged", "all"]
NORMAL_CLASS = "No-Anomaly"
BLOCKS = 10
"""Blocks of consecutive ids in each class of the solar modules; the first ones are for development."""
DEVELOPMENT_BLOCKS = ("0", "1", "2", "3")
HALVES_SEED = {"kolektor": 123, "substations": 7}
"""Of the halves; fixed before anything was judged."""


@dataclass(frozen=True)
class Picture:
    """A picture to lay out: where it goes (normal/... or faulty/kind/...), its group, and where it comes from."""

    file: str
    group: str
    source: Path | np.ndarray
    mask: Path | None = None


def kolektor(data: Path) -> Iterator[Picture]:
    """Yield the commutators; the two items that are copies of others are left out."""
    for item in sorted((data / "kolektor_sdd").iterdir(), key=lambda path: path.name):
        for path in sorted(item.glob("Part*.jpg")) if item.name not in ("kos26", "kos34") else ():
            mask = path.with_name(f"{path.stem}_label.png")
            cracked = bool(np.asarray(Image.open(mask)).any())
            name = f"{item.name}_{path.name}"
            yield Picture(f"faulty/{name}" if cracked else f"normal/{name}", item.name, path, mask if cracked else None)


def solar(data: Path) -> Iterator[Picture]:
    """Yield the solar modules, each class cut into blocks of consecutive ids."""
    with np.load(data / "solar_modules" / "modules.npz", allow_pickle=False) as archive:
        images, labels, names, ids = (archive[name] for name in ("images", "labels", "names", "ids"))
    for label, name in enumerate(names.tolist()):
        members = np.flatnonzero(labels == label)
        for block, part in enumerate(np.array_split(members, BLOCKS)):
            for member in part.tolist():
                file = f"{ids[member]}.png"
                place = f"normal/{file}" if name == NORMAL_CLASS else f"faulty/{name}/{file}"
                yield Picture(place, f"{name} {block}", images[member])


def substations(data: Path) -> Iterator[Picture]:
    """Yield the substations and lines, 16-bit temperatures."""
    folder = data / "substations"
    for row in json.loads((folder / "manifest.json").read_text(encoding="utf-8")):
        place = f"faulty/{row['site']}" if row["hotspot"] else "normal"
        source = folder / "celsius_x10_png16" / f"{row['name']}.png"
        yield Picture(f"{place}/{row['name']}.png", str(row["near_duplicate_group"]), source)


SETS = {"kolektor": kolektor, "solar": solar, "substations": substations}
HINTS = {"substations": ReadHints(step=0.1, offset=-100.0, unit="c")}


def development_groups(name: str, pictures: Iterable[Picture]) -> set[str]:
    """Return the groups for choosing: every second of those with and of those without a fault, in random order."""
    groups: dict[str, bool] = {}
    for picture in pictures:
        groups[picture.group] = groups.get(picture.group, False) or picture.file.startswith("faulty")
    if name == "solar":
        return {group for group in groups if group.split()[-1] in DEVELOPMENT_BLOCKS}
    rng = np.random.default_rng(HALVES_SEED[name])
    chosen: set[str] = set()
    for faulty in (True, False):
        names = sorted(group for group, found in groups.items() if found is faulty)
        chosen.update(np.array(names)[rng.permutation(len(names))[::2]].tolist())
    return chosen


def lay_out(pictures: Iterable[Picture], out: Path) -> None:
    """Write (or link) the pictures and their masks, and the table of groups."""
    rows = []
    for picture in pictures:
        path = out / picture.file
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(picture.source, Path):
            path.symlink_to(picture.source)
        else:
            Image.fromarray(picture.source).save(path)
        if picture.mask is not None:
            (out / "masks").mkdir(exist_ok=True)
            (out / "masks" / f"{path.stem}.png").symlink_to(picture.mask)
        rows.append((picture.file, picture.group))
    with (out / "groups.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("file", "group"), *rows])


def line(name: str, judged: list[Judged]) -> str:
    """Return a row of the table: AUROC of these pictures with its interval."""
    labels = np.array([item.sample.anomalous for item in judged])
    scores = np.array([item.score for item in judged], np.float64)
    return f"| {name} | {int((~labels).sum())} | {int(labels.sum())} | {measured(labels, scores)} |"


def measured(labels: np.ndarray, scores: np.ndarray) -> str:
    """Return AUROC with its interval."""

    def statistics(drawn: np.ndarray, values: np.ndarray) -> dict[str, Any]:
        return {"auroc": auroc(drawn, values)}

    value, interval = auroc(labels, scores), intervals(statistics, labels, scores)["auroc"]
    bounds = f" [{interval.low:.3f}, {interval.high:.3f}]" if isinstance(interval, Interval) else ""
    return f"{value:.3f}{bounds}"


def parts_of(judged: list[Judged]) -> Iterator[tuple[str, list[Judged]]]:
    """Yield all pictures, and each kind of fault against all normal ones."""
    yield "all", judged
    kinds = sorted({item.sample.kind for item in judged if item.sample.anomalous})
    for kind in kinds if len(kinds) > 1 else ():
        yield kind, [item for item in judged if not item.sample.anomalous or item.sample.kind == kind]


def run(pictures: list[Picture], out: Path, options: argparse.Namespace) -> None:
    """Lay out, evaluate with each seed, and print."""
    chosen = development_groups(options.set, pictures)
    group_of = {picture.file: picture.group for picture in pictures}
    used = [each for each in pictures if options.part != "development" or each.group in chosen]
    lay_out(used, out)
    source = LabelledSource(out, groups=out / "groups.csv", hints=HINTS.get(options.set, ReadHints()))
    config = method_config(options.method, options.setting)
    for seed in range(options.seeds):
        training = TrainSettings(image_size=options.image_size, seed=seed)
        started = time.process_time()
        settings = EvaluateSettings(layout="folder", protocol="kfold", folds=options.folds, resamples=100)
        subject = MethodToJudge(options.method, config, training)
        found = evaluate(source, subject, settings=settings, seed=seed).judged
        judged = [each for each in found if options.part != "judged" or group_of[each.sample.name] not in chosen]
        for name, part in parts_of(judged):
            print(line(f"seed {seed}, {name}", part))
        if len(found) > len(judged):
            print(line(f"seed {seed}, both halves, for comparison", list(found)))
        print(f"  ({time.process_time() - started:.0f} s of CPU)", flush=True)


def method_config(name: str, given: list[str]) -> object:
    """Return a method's configuration from NAME=VALUE."""
    config_type = ANOMALY_METHODS.get(name).config_type
    kinds = {item.name: item.kind for item in settings_of(config_type)}
    values = dict(item.split("=", 1) for item in given)
    return from_mapping(config_type, {key: kinds[key](value) for key, value in values.items()})


def main() -> None:
    """Read the command line and print a table."""
    parser = argparse.ArgumentParser(description="image AUROC with a half of the groups kept for judging")
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--method", default="patchcore")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="of the method")
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--part", choices=("development", "judged", "all"), default="judged")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    pictures = list(SETS[options.set](Path(os.environ["ISOTHERM_DATA"])))
    with tempfile.TemporaryDirectory() as folder:
        run(pictures, Path(folder), options)


if __name__ == "__main__":
    main()
