"""``isotherm evaluate``: measure a method or a model on labelled images."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.cli.flags import add_flags, chosen, from_flags
from isotherm.cli.progress import bar
from isotherm.core.errors import UsageError
from isotherm.core.files import make_folder
from isotherm.core.scene import SceneEdit
from isotherm.formats import ReadHints
from isotherm.workflows.evaluate import EvaluateSettings, MethodToJudge, ModelToJudge, evaluate
from isotherm.workflows.evaluation_result import FIGURE, METRICS, SCORES, write_evaluation
from isotherm.workflows.judging import LabelledSource
from isotherm.workflows.train import TrainSettings

METHOD = "patchcore"
IMAGE_COLUMNS = {"auroc": "AUROC", "average_precision": "AP", "f1": "F1", "f1_max": "F1-max*"}
PIXEL_COLUMNS = {"pixel_auroc": "px AUROC", "aupro": "AUPRO", "pixel_f1": "px F1", "iou": "IoU"}


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the command's arguments, and the flags of training where no finished model is judged."""
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of labelled images")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the results")
    names = ", ".join(ANOMALY_METHODS.names())
    parser.add_argument("--method", metavar="NAME", help=f"train one of {names} in each fold (default {METHOD})")
    parser.add_argument("--model", type=Path, metavar="MODEL_DIR", help="judge a trained model instead")
    parser.add_argument("--masks", type=Path, metavar="DIR", help="folder of defect masks, by path or by file name")
    parser.add_argument("--groups", type=Path, metavar="CSV", help="table (file, group) of images that share a fold")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="threads that decode images (default 2)")
    add_flags(parser, EvaluateSettings, "evaluation")
    if chosen(list(argv), "--model", ""):
        parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the intervals (default 0)")
    else:
        method = ANOMALY_METHODS.get(chosen(list(argv), "--method", METHOD))
        add_flags(parser, TrainSettings, "training")
        add_flags(parser, method.config_type, f"method {method.name}")
    add_flags(parser, SceneEdit, "scene (in place of what the files say)")
    add_flags(parser, ReadHints, "files that do not say their scale or unit")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, write the files and print the table."""
    source = LabelledSource(
        root=arguments.data,
        masks=arguments.masks,
        groups=arguments.groups,
        edit=from_flags(SceneEdit, arguments),
        hints=from_flags(ReadHints, arguments),
        jobs=arguments.jobs,
    )
    subject = _subject(arguments)
    # Where nothing can be written it is better to know before the work than after it.
    make_folder(arguments.output)
    with bar() as progress:
        evaluation = evaluate(
            source,
            subject,
            settings=from_flags(EvaluateSettings, arguments),
            seed=arguments.seed or 0,
            progress=progress,
        )
    write_evaluation(evaluation, arguments.output)
    print("\n".join(table(evaluation.metrics)))
    for lost in evaluation.unjudged:
        print(f"failed: {lost.sample.name}: {lost.error}")
    print(f"{arguments.output}: {METRICS}, {SCORES}, {FIGURE}")
    return 3 if evaluation.unjudged else 0


def _subject(arguments: argparse.Namespace) -> MethodToJudge | ModelToJudge:
    if arguments.model is None:
        name = arguments.method or METHOD
        config: object = from_flags(ANOMALY_METHODS.get(name).config_type, arguments)
        return MethodToJudge(name, config, from_flags(TrainSettings, arguments))
    if arguments.method is not None:
        raise UsageError("give --method (train in each fold) or --model (judge this one), not both")
    return ModelToJudge(arguments.model)


def table(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the printed summary: each site, then all together, then the kinds, then the notes."""
    sites = metrics["sites"]
    rows = sites if len(sites) == 1 else {**sites, "all": metrics["pooled"]}
    with_masks = any(part["counts"]["masks"] for part in rows.values())
    yield from _columns([["site", "normal", "anomalous", *_heads(with_masks)], *_rows(rows, with_masks)])
    if len(metrics["kinds"]) > 1:
        yield ""
        yield "each kind against all normal images:"
        yield from _columns([["kind", "normal", "anomalous", *_heads(False)], *_rows(metrics["kinds"], False)])
    yield ""
    yield "[95 % bootstrap interval]   * fitted on these labels, an upper bound   - not defined, see metrics.json"
    yield from (f"note: {note}" for note in metrics["notes"])
    timings = metrics["timings"]
    yield (
        f"train {timings['train_s']:.1f} s ({timings['train_cpu_s']:.1f} s CPU), predict {timings['predict_s']:.1f} s "
        f"({timings['images_per_s']:.1f} images/s)"
    )


def _heads(with_masks: bool) -> list[str]:
    return [*IMAGE_COLUMNS.values(), *(PIXEL_COLUMNS.values() if with_masks else ())]


def _rows(parts: Mapping[str, Any], with_masks: bool) -> Iterator[list[str]]:
    for name, part in parts.items():
        counts = part["counts"]
        cells = [_cell(part["image"][key]) for key in IMAGE_COLUMNS]
        if with_masks:
            cells += [_cell(part["pixel"][key]) for key in PIXEL_COLUMNS]
        yield [name, str(counts["normal"]), str(counts["anomalous"]), *cells]


def _cell(measured: Mapping[str, Any]) -> str:
    if measured["value"] is None:
        return "-"
    text = f"{measured['value']:.3f}"
    return text if measured.get("low") is None else f"{text} [{measured['low']:.3f} {measured['high']:.3f}]"


def _columns(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
