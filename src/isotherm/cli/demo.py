"""``isotherm demo``: a simulated inspection, with the truth beside what was found."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from isotherm.cli.progress import bar
from isotherm.core.findings import Finding
from isotherm.reports.content import verdict_label
from isotherm.workflows.demo import IMAGES, INSPECTION, MODEL, Demo, Judged, run_demo

FOLDER = "isotherm-demo"
_TITLES = ("image", "truth", "true dT", "score", "percentile", "verdict", "", "hottest", "dT", "severity")
_EXPLAINED = (
    "true dT  largest rise over the same cabinet without the fault",
    "dT       hottest point of the anomaly over the median of its picture, with its severity ({table})",
)


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (the seam of commands)
    """Add the command's arguments."""
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(FOLDER), metavar="DIR", help=f"folder of the demo (default {FOLDER})"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of everything random (default 0)")


def run(arguments: argparse.Namespace) -> int:
    """Run the demo and print its table."""
    with bar() as progress:
        demo = run_demo(arguments.output, seed=arguments.seed, progress=progress)
    print("\n".join(_lines(demo)))
    return 0


def _lines(demo: Demo) -> list[str]:
    rows = [_TITLES, *(_row(judged) for judged in demo.judged)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    explained = [line.format(table=(demo.inspection.severity_table or {}).get("id", "")) for line in _EXPLAINED]
    return [_headline(demo), "", *table, "", *explained, "", *_counts(demo), "", *_places(demo)]


def _headline(demo: Demo) -> str:
    data = (demo.inspection.model or {})["data"]
    return (
        f"Simulated inspection of an electrical cabinet: {data['images']} healthy pictures to learn from, "
        f"{len(demo.judged)} to inspect"
    )


def _row(judged: Judged) -> tuple[str, ...]:
    truth, result = judged.truth, judged.result
    faulty = truth.kind != "good"
    told = (result.image, truth.kind.replace("_", " "), f"{truth.delta_t_c:.1f} K" if faulty else "")
    anomaly = result.anomaly
    if anomaly is None or result.temperatures is None:
        return (*told, "", "", result.error or result.status, "wrong", "", "", "")
    finding = next((found for found in result.findings if found.kind == "anomaly"), None)
    judged_anomaly = finding if anomaly.prediction == "Anomaly" else None
    return (
        *told,
        f"{anomaly.score:.3f}",
        f"{anomaly.percentile:.0f}",
        anomaly.prediction,
        "" if judged.right else "wrong",
        f"{result.temperatures.max_c:.1f} °C",
        *_severity(judged_anomaly),
    )


def _severity(finding: Finding | None) -> tuple[str, str]:
    if finding is None or finding.delta_t_c is None:
        return "", ""
    return f"{finding.delta_t_c:.1f} K", verdict_label(finding.severity) if finding.severity else ""


def _counts(demo: Demo) -> list[str]:
    faulty = [judged for judged in demo.judged if judged.truth.kind != "good"]
    healthy = [judged for judged in demo.judged if judged.truth.kind == "good"]
    found, passed = (sum(judged.right for judged in part) for part in (faulty, healthy))
    missed = [judged.truth.delta_t_c for judged in faulty if not judged.right]
    smallest = f" (missed: {', '.join(f'{kelvin:.1f} K' for kelvin in missed)})" if missed else ""
    threshold = (demo.inspection.model or {})["calibration"]
    return [
        f"{found} of {len(faulty)} faults found{smallest}, {len(healthy) - passed} of {len(healthy)} healthy ones "
        f"called anomalies: {found + passed} right, {len(demo.judged) - found - passed} wrong",
        f"threshold {threshold['threshold']:.4g}, from {threshold['scores']} healthy pictures that the model has not "
        "learnt from",
        ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in demo.seconds.items()),
    ]


def _places(demo: Demo) -> list[str]:
    return [
        f"report    {demo.folder / INSPECTION / 'report.html'}",
        f"panels    {demo.folder / INSPECTION / 'panels'}",
        f"results   {demo.folder / INSPECTION / 'results.csv'}",
        f"model     {demo.folder / MODEL}",
        f"pictures  {demo.folder / IMAGES} (truth.csv, ground_truth)",
    ]
