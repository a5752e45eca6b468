"""``isotherm evaluate``: measure a method or a model on labelled images."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.cli.flags import add_device, add_flags, chosen, from_flags
from isotherm.cli.progress import bar
from isotherm.cli.train import add_labelled, labelled_choice
from isotherm.core.errors import UsageError
from isotherm.core.files import make_folder
from isotherm.core.scene import SceneEdit
from isotherm.evaluation.cost import Costs
from isotherm.formats import ReadHints
from isotherm.workflows.comparison import COMPARISON, compare, read_scores, write_comparison
from isotherm.workflows.evaluate import EvaluateSettings, MethodToJudge, ModelToJudge, evaluate
from isotherm.workflows.evaluation_result import DECISIONS, FIGURE, METRICS, SCORES, write_evaluation
from isotherm.workflows.judging import LabelledSource
from isotherm.workflows.train import TrainSettings

METHOD = "patchcore"
FLAGS_BY_METHOD = ANOMALY_METHODS
IMAGE_COLUMNS = {"auroc": "AUROC", "average_precision": "AP", "f1": "F1", "f1_max": "F1-max*"}
PIXEL_COLUMNS = {"pixel_auroc": "px AUROC", "aupro": "AUPRO", "aupimo": "AUPIMO", "pixel_f1": "px F1", "iou": "IoU"}


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the command's arguments, and the flags of training where no finished model is judged."""
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of labelled images")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the results")
    names = ", ".join(ANOMALY_METHODS.names())
    parser.add_argument("--method", metavar="NAME", help=f"train one of {names} in each fold (default {METHOD})")
    parser.add_argument("--model", type=Path, metavar="MODEL_DIR", help="judge a trained model instead")
    parser.add_argument("--masks", type=Path, metavar="DIR", help="folder of defect masks, by path or by file name")
    parser.add_argument(
        "--groups", type=Path, metavar="CSV", help="table (file, group, perhaps order) of images that share a fold"
    )
    text = "output folder of an earlier evaluation, to compare with on the same images"
    parser.add_argument("--compare", type=Path, metavar="OTHER_OUT", help=text)
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="threads that decode images (default 2)")
    add_device(parser)
    add_flags(parser, EvaluateSettings, "evaluation")
    if chosen(list(argv), "--model", ""):
        parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the intervals (default 0)")
        add_flags(parser, Costs, "costs, for the cost of the decisions")
    else:
        method = ANOMALY_METHODS.get(chosen(list(argv), "--method", METHOD))
        add_flags(parser, TrainSettings, "training")
        add_labelled(parser)
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
    subject, settings = _subject(arguments), from_flags(EvaluateSettings, arguments)
    # Where nothing can be written, or read, it is better to know before the work than after it.
    other = read_scores(arguments.compare) if arguments.compare else None
    make_folder(arguments.output)
    with bar() as progress:
        evaluation = evaluate(
            source,
            subject,
            settings=settings,
            costs=from_flags(Costs, arguments),
            seed=arguments.seed or 0,
            progress=progress,
        )
    write_evaluation(evaluation, arguments.output)
    print("\n".join(table(evaluation.metrics)))
    written = [METRICS, SCORES, FIGURE, DECISIONS]
    if other is not None:
        found = compare(evaluation, other, resamples=settings.resamples, seed=arguments.seed or 0)
        write_comparison(found, arguments.output)
        print("\n".join(["", *comparison_lines(found)]))
        written.append(COMPARISON)
    for lost in evaluation.unjudged:
        print(f"failed: {lost.sample.name}: {lost.error}")
    print(f"{arguments.output}: {', '.join(written)}")
    return 3 if evaluation.unjudged else 0


def _subject(arguments: argparse.Namespace) -> MethodToJudge | ModelToJudge:
    if arguments.model is None:
        name = arguments.method or METHOD
        config: object = from_flags(ANOMALY_METHODS.get(name).config_type, arguments)
        return MethodToJudge(name, config, from_flags(TrainSettings, arguments), labelled_choice(arguments))
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
    yield from _decisions(metrics["decisions"])
    yield ""
    yield "[95 % bootstrap interval]   * fitted on these labels, an upper bound   - not defined, see metrics.json"
    yield from (f"note: {note}" for note in metrics["notes"])
    timings = metrics["timings"]
    yield (
        f"train {timings['train_s']:.1f} s ({timings['train_cpu_s']:.1f} s CPU), predict {timings['predict_s']:.1f} s "
        f"({timings['images_per_s']:.1f} images/s)"
    )


def _decisions(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line each for false alarms, probability of a fault, cost and delay."""
    alarms, fault = found["false_alarm_calibration"], found["fault_probability"]["expected_calibration_error"]
    chance = f", {alarms['error_by_chance']:.3f} by chance alone" if "error_by_chance" in alarms else ""
    yield f"expected against observed false alarms: mean distance {_cell(alarms['error'])}{chance}"
    yield f"probability of a fault: {_said(fault, 'expected calibration error ')}"
    yield from _cost(found["cost"])
    delay = found["delay"]
    if "assets" in delay:
        yield (
            f"detection delay: median {_said(delay['median'], '')} images over {delay['assets']} assets, "
            f"{delay['never_found']} never found, {delay['alarmed_early']} alarmed before their first fault"
        )
    else:
        yield f"detection delay: {_said(delay['median'], '')}"


def _cost(found: Mapping[str, Any]) -> Iterator[str]:
    costs = found["costs"]
    yield (
        f"cost an image (a miss {costs['cost_miss']:g}, a false alarm {costs['cost_false_alarm']:g}, "
        f"{found['share_of_faulty']:.1%} faulty): {_said(found['without_a_model'], '')} without a model"
    )
    for name, text in (
        ("at_the_models_threshold", "at the model's threshold"),
        ("at_the_chosen_threshold", "at the threshold chosen on the validation part"),
    ):
        part = found[name]
        if "cost" not in part:
            yield f"  {text}: {_said(part, '')}"
            continue
        yield (
            f"  {text}{_scores_of(part)}: {_said(part['cost'], '')}, F1 {_cell(part['f1'])}, "
            f"{part['misses']} misses, {part['false_alarms']} false alarms"
        )


def _scores_of(part: Mapping[str, Any]) -> str:
    thresholds = sorted(part.get("threshold_of_fold", {}).values())
    if not thresholds:
        return ""
    if len(thresholds) == 1:
        return f" (score {thresholds[0]:.4g})"
    return f" (scores {thresholds[0]:.4g} to {thresholds[-1]:.4g} in the folds)"


def _said(measured: Mapping[str, Any], name: str) -> str:
    return f"not defined: {measured['reason']}" if measured["value"] is None else name + _cell(measured)


def comparison_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that say how this evaluation and another differ."""
    images = found["images"]
    yield f"compared with {found['other']} on {images['normal']} normal and {images['anomalous']} anomalous images:"
    if found["only_here"] or found["only_there"]:
        yield f"  not compared: {found['only_here']} images judged only here, {found['only_there']} only there"
    rows = [["", "this", "other", "difference (95 % paired bootstrap)"]]
    for name, part in found["metrics"].items():
        rows.append([f"  {IMAGE_COLUMNS[name]}", *(_cell(part[key]) for key in ("this", "other", "difference"))])
    yield from _columns(rows)
    test = found["delong"]
    yield "  DeLong test of the AUROCs: " + (f"p = {test['p']:.3g}" if "reason" not in test else test["reason"])
    yield from (f"  McNemar test of the decisions, {name}: {_tested(part)}" for name, part in found["mcnemar"].items())


def _tested(part: Mapping[str, Any]) -> str:
    if "reason" in part:
        return str(part["reason"])
    return f"{part['only_this_right']} right only here, {part['only_other_right']} only there, p = {part['p']:.3g}"


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
    # Adding 0 makes -0 plain.
    value, low, high = (round(measured[name], 3) + 0.0 if measured.get(name) is not None else None for name in _PARTS)
    return f"{value:.3f}" if low is None else f"{value:.3f} [{low:.3f} {high:.3f}]"


_PARTS = ("value", "low", "high")


def _columns(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
