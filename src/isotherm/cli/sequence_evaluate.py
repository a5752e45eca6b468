"""``isotherm sequence evaluate``: judge how well defects of labelled recordings are found."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from isotherm.cli.flags import add_flags, chosen, from_flags
from isotherm.cli.progress import bar
from isotherm.evaluation.bootstrap import Interval
from isotherm.evaluation.defects import CallRules
from isotherm.evaluation.ranking import Metric, Undefined
from isotherm.evaluation.summary import Measured
from isotherm.sequences.defect_model import LearnedConfig, shipped_models
from isotherm.sequences.features import FeaturesConfig
from isotherm.sequences.segment import SEGMENT_METHODS
from isotherm.workflows.sequence_data import DataSettings, labelled_recordings
from isotherm.workflows.sequence_evaluate import (
    Contender,
    IntervalSettings,
    JudgingSettings,
    judge_contenders,
    method_contender,
    model_contender,
)
from isotherm.workflows.sequence_opening import PrepareSettings
from isotherm.workflows.sequence_results import (
    Findings,
    check_output,
    findings_of,
    notes_of,
    some_failed,
    write_findings,
)
from isotherm.workflows.sequence_segment import METHOD

_COLUMNS = {
    "iou": "IoU",
    "dice": "Dice",
    "average_precision": "AP",
    "auroc": "AUROC",
    "pod": "POD",
    "pod_below_3": "D/d <3",
    "pod_3_to_6": "3 to 6",
    "pod_from_6": ">=6",
    "false_calls": "false calls a plate",
    "false_calls_m2": "a m2",
    "depth_error": "depth error",
}
_SOME_FAILED = 3


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command, and the flags of the methods that `argv` names."""
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of labelled recordings")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the results")
    parser.add_argument(
        "--methods",
        "--method",
        metavar="NAME,NAME",
        help=f"of {', '.join(SEGMENT_METHODS.names())} (default {METHOD}, and none where models are given)",
    )
    known = ", ".join(shipped_models())
    parser.add_argument(
        "--models",
        "--model",
        metavar="MODEL,MODEL",
        help=f"folders of models{f', or names of those in the package: {known}' if known else ''}",
    )
    parser.add_argument("--baseline", metavar="NAME", help="the method or model that the others are compared with")
    parser.add_argument(
        "--leave-out-trained",
        action="store_true",
        help="leave recordings out that a model has learnt from; without it they are an error",
    )
    add_flags(parser, DataSettings, "labels and plates")
    add_flags(parser, PrepareSettings, "the recordings")
    add_flags(parser, FeaturesConfig, "maps that methods work on", prefix="maps")
    for name in dict.fromkeys(_listed(_asked(argv))):
        method = SEGMENT_METHODS.get(name)
        add_flags(parser, method.config_type, f"method {name}", prefix=name)
    add_flags(parser, LearnedConfig, "models")
    add_flags(parser, CallRules, "judging")
    add_flags(parser, IntervalSettings, "intervals")


def _asked(argv: Sequence[str]) -> str:
    """Return the methods that arguments name, under either name of the flag."""
    return chosen(list(argv), "--methods", "") or chosen(list(argv), "--method", METHOD)


def _listed(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def run(arguments: argparse.Namespace) -> int:
    """Judge, write, and print the table."""
    contenders = list(_contenders(arguments))
    settings = JudgingSettings(
        prepare=from_flags(PrepareSettings, arguments),
        rules=from_flags(CallRules, arguments),
        intervals=from_flags(IntervalSettings, arguments),
        baseline=arguments.baseline,
        leave_out_trained=arguments.leave_out_trained,
    )
    check_output(arguments.output, arguments.data)
    with bar() as progress:
        data = labelled_recordings(
            arguments.data, from_flags(DataSettings, arguments), prepare=settings.prepare, progress=progress
        )
        judged = judge_contenders(data, contenders, settings, progress=progress)
    findings = findings_of(judged)
    written = write_findings(judged, findings, arguments.output)
    print("\n".join(table(findings)))
    for line in notes_of(judged):
        print(f"note: {line}")
    print(f"written   {', '.join(map(str, written))}")
    return _SOME_FAILED if some_failed(judged) else 0


def _contenders(arguments: argparse.Namespace) -> Iterator[Contender]:
    """Yield what is judged: the methods, then the models."""
    models = _listed(arguments.models)
    features = from_flags(FeaturesConfig, arguments, prefix="maps")
    for name in _listed(arguments.methods) or ([] if models else [METHOD]):
        config_type = SEGMENT_METHODS.get(name).config_type
        yield method_contender(name, from_flags(config_type, arguments, prefix=name), features)
    for model in models:
        yield model_contender(model, from_flags(LearnedConfig, arguments))


def table(findings: Sequence[Findings]) -> Iterator[str]:
    """Yield the lines of the printed table: a row for each method, then how they differ from the baseline."""
    first = findings[0]
    counts = f"{len(first.verdicts.plates)} plates, {first.verdicts.joined('found').size} defects"
    rows = [["", *_COLUMNS.values(), "a90", "a90/95"]]
    rows += [[one.name, *(_cell(one.metrics[name]) for name in _COLUMNS), *_sizes(one)] for one in findings]
    yield from (counts, *_aligned(rows))
    compared = [one for one in findings if one.differences is not None]
    if compared:
        yield from ("", "difference to the baseline (paired over plates):")
        yield from _aligned(
            [["", *_COLUMNS.values()]]
            + [[one.name, *(_cell((one.differences or {})[name]) for name in _COLUMNS)] for one in compared]
        )
    yield "[95 % interval over plates]   - not defined, see results.json   a90 over diameter by depth"


def _sizes(one: Findings) -> list[str]:
    if isinstance(one.pod, Undefined):
        return ["-", "-"]
    return [_number(one.pod.a90), _number(one.pod.a90_95)]


def _number(value: Metric) -> str:
    return "-" if isinstance(value, Undefined) else f"{value:.2f}"


def _cell(measured: Measured) -> str:
    if isinstance(measured.interval, Interval) and not isinstance(measured.value, Undefined):
        return f"{measured.value:.2f} [{measured.interval.low:.2f} {measured.interval.high:.2f}]"
    return _number(measured.value)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the table turned on its side where it is: metrics down, methods across."""
    turned = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in zip(*turned, strict=True)]
    for row in turned:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
