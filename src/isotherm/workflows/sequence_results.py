"""What a judgement of defect methods says: metrics, tables, pictures, and the files that hold them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from isotherm import __version__
from isotherm.core.errors import OutputError
from isotherm.core.files import csv_of, make_folder, write_whole
from isotherm.evaluation.calibration import Reliability
from isotherm.evaluation.defects import DEFINITIONS, RATIOS, judge_plates, plate_differences
from isotherm.evaluation.pixel_calibration import DEFINITION, pixel_reliability
from isotherm.evaluation.pod import PodCurve, PodRow, exact_interval, fit_pod, pod_table
from isotherm.evaluation.ranking import Metric, Undefined
from isotherm.evaluation.summary import Measured
from isotherm.reports import figures_defects as figures
from isotherm.reports.plain import dumps
from isotherm.workflows.sequence_evaluate import JudgedFolder, JudgedPlate, Verdicts
from isotherm.workflows.versions import installed

RESULTS, METRICS, DEFECTS, PLATES, DEPTHS = "results.json", "metrics.csv", "defects.csv", "plates.csv", "by_depth.csv"
DEPTH_ROWS = 6
_NO_RATIO = "diameter and depth are not known together for any defect"


@dataclass(frozen=True, eq=False)
class DepthRow:
    """Defects of a range of true depths [mm], low included: how many, how many found, and how wrong their depths are.

    ``depth_error`` is the median of |told - true| over true, ``depth_bias`` that of (told - true) over true.
    """

    low_mm: float
    high_mm: float
    count: int
    hits: int
    depth_error: Metric
    depth_bias: Metric


@dataclass(frozen=True, eq=False)
class Findings:
    """The metrics of one method or model.

    Parameters
    ----------
    metrics
        By the names of `isotherm.evaluation.defects.judge_plates`.
    pod, pod_rows
        Probability of detection over diameter by depth.
    by_depth
        By true depth.
    calibration
        Of the probabilities; undefined where the score is none.
    differences
        To the baseline; None where there is none or it is this one.
    """

    verdicts: Verdicts
    metrics: Mapping[str, Measured]
    pod: PodCurve | Undefined
    pod_rows: tuple[PodRow, ...]
    by_depth: tuple[DepthRow, ...]
    calibration: Reliability | Undefined
    differences: Mapping[str, Measured] | None = None

    @property
    def name(self) -> str:
        """Of the method or model."""
        return self.verdicts.contender.name

    @property
    def depths_told(self) -> int:
        """Of how many found defects a depth was told."""
        return int(np.isfinite(self.verdicts.joined("depth_told_mm")[self.verdicts.joined("found") > 0]).sum())


def findings_of(judged: JudgedFolder) -> list[Findings]:
    """Compute the metrics of each contender, and its differences to the baseline on the plates that both have."""
    base = next((one for one in judged.verdicts if one.contender.name == judged.settings.baseline), None)
    return [_findings(one, base if base is not one else None, judged) for one in judged.verdicts]


def _findings(verdicts: Verdicts, base: Verdicts | None, judged: JudgedFolder) -> Findings:
    how = judged.settings.intervals
    plates = [plate.judgement for plate in verdicts.plates]
    specimens = [plate.recording.specimen for plate in verdicts.plates]
    draws: dict[str, Any] = {"resamples": how.resamples, "seed": how.seed}
    metrics = judge_plates(plates, specimens=specimens, **draws)
    is_model = verdicts.contender.kind == "model"
    calibration = pixel_reliability(plates, **draws) if is_model else Undefined("the score is no probability")
    ratios, hits = verdicts.joined("ratio"), verdicts.joined("found") > 0
    known = np.isfinite(ratios)
    pod = fit_pod(ratios[known], hits[known]) if known.any() else Undefined(_NO_RATIO)
    rows = tuple(pod_table(ratios[known], hits[known], RATIOS))
    by_depth = tuple(_by_depth(verdicts.joined("depth_mm"), hits, verdicts.joined("depth_told_mm")))
    return Findings(verdicts, metrics, pod, rows, by_depth, calibration, _differences(verdicts, base, draws))


def _differences(verdicts: Verdicts, base: Verdicts | None, draws: Mapping[str, Any]) -> Mapping[str, Measured] | None:
    if base is None:
        return None
    others = {plate.recording.name: plate for plate in base.plates}
    shared = [plate for plate in verdicts.plates if plate.recording.name in others]
    return plate_differences(
        [plate.judgement for plate in shared],
        [others[plate.recording.name].judgement for plate in shared],
        specimens=[plate.recording.specimen for plate in shared],
        **draws,
    )


def _by_depth(
    depth: Float64[np.ndarray, " D"], found: Bool[np.ndarray, " D"], told: Float64[np.ndarray, " D"]
) -> Iterator[DepthRow]:
    known = np.isfinite(depth)
    if not known.any():
        return
    step = nice_step(float(depth[known].max()) / DEPTH_ROWS)
    for low in np.arange(0, float(depth[known].max()) + 1e-9, step).tolist():
        inside = known & (depth >= low) & (depth < low + step)
        errors = told[inside & found] / depth[inside & found] - 1
        errors = errors[np.isfinite(errors)]
        none = Undefined("no depth was told of a defect that was found")
        yield DepthRow(
            low,
            low + step,
            int(inside.sum()),
            int((inside & found).sum()),
            float(np.median(np.abs(errors))) if errors.size else none,
            float(np.median(errors)) if errors.size else none,
        )


def nice_step(least: float) -> float:
    """Return the smallest of 1, 2, 2.5 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= least * (1 - 1e-9))


# --- files ------------------------------------------------------------------------------------------------------------


def check_output(folder: Path, data: Path) -> None:
    """Make the folder of the results, so that long work is not begun in vain.

    Raises
    ------
    OutputError
        It cannot be made, or it is that of the data, whose tables have the same names.
    """
    if folder.resolve() == data.resolve():
        raise OutputError(
            f"{folder} holds the data: the results have a {PLATES} and a {DEFECTS} too; name another folder"
        )
    make_folder(folder)


def write_findings(judged: JudgedFolder, findings: Sequence[Findings], folder: Path) -> list[Path]:
    """Write tables and pictures; returns their paths.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    make_folder(folder)
    files = {
        RESULTS: (dumps(plain(judged, findings), indent=1) + "\n").encode(),
        METRICS: _csv(_metric_rows(findings)),
        DEFECTS: _csv(row for one in findings for row in _defect_rows(one)),
        PLATES: _csv(row for one in findings for row in _plate_rows(one)),
        DEPTHS: _csv(row for one in findings for row in _depth_rows(one)),
        **_pictures(findings),
    }
    for name, data in files.items():
        write_whole(folder / name, data)
    return [folder / name for name in files]


def _csv(rows: Iterator[dict[str, Any]]) -> bytes:
    every = list(rows)
    names = list(dict.fromkeys(name for row in every for name in row))
    return csv_of(names, ({name: _cell(value) for name, value in row.items()} for row in every))


def _cell(value: Any) -> Any:
    if isinstance(value, Undefined):
        return ""
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return value


def _parts(name: str, measured: Measured) -> dict[str, Any]:
    told = measured.to_mapping()
    return {name: told["value"], f"{name}_low": told.get("low"), f"{name}_high": told.get("high")}


def _metric_rows(findings: Sequence[Findings]) -> Iterator[dict[str, Any]]:
    for one in findings:
        row: dict[str, Any] = {
            "method": one.name,
            "kind": one.verdicts.contender.kind,
            "plates": len(one.verdicts.plates),
            "specimens": len({plate.recording.specimen for plate in one.verdicts.plates}),
            "defects": int(one.verdicts.joined("found").size),
            "found": int(one.verdicts.joined("found").sum()),
            "depths_told": one.depths_told,
        }
        for name, measured in one.metrics.items():
            row |= _parts(name, measured)
        row |= {name: value for name, (value, _) in _sizes(one.pod).items()}
        row |= {} if isinstance(one.calibration, Undefined) else {"calibration_error": one.calibration.error}
        for name, measured in (one.differences or {}).items():
            row |= _parts(f"{name}_difference", measured)
        yield row | {"undefined": "; ".join(_reasons(one))}


def _sizes(pod: PodCurve | Undefined) -> dict[str, tuple[Metric, str]]:
    """Return a90 and a90/95 over diameter by depth, each with the reason where there is none."""
    values = (pod, pod) if isinstance(pod, Undefined) else (pod.a90, pod.a90_95)
    return {
        name: (value, value.reason if isinstance(value, Undefined) else "")
        for name, value in zip(("a90", "a90_95"), values, strict=True)
    }


def _reasons(one: Findings) -> Iterator[str]:
    for name, measured in one.metrics.items():
        if isinstance(measured.value, Undefined):
            yield f"{name}: {measured.value.reason}"
    yield from (f"{name}: {reason}" for name, (_, reason) in _sizes(one.pod).items() if reason)


def _defect_rows(one: Findings) -> Iterator[dict[str, Any]]:
    for plate in one.verdicts.plates:
        judgement, recording = plate.judgement, plate.recording
        kinds = recording.kinds or ("",) * len(plate.told)
        for place, (told, kind) in enumerate(zip(plate.told, kinds, strict=True)):
            inside = np.argwhere(judgement.truth.labels == place + 1)
            true_mm, told_mm = float(judgement.truth.depth_mm[place]), float(judgement.depth_told_mm[place])
            yield {
                "method": one.name,
                "file": recording.name,
                "specimen": recording.specimen,
                "number": place + 1,
                "kind": kind,
                "x_px": float(inside[:, 1].mean()),
                "y_px": float(inside[:, 0].mean()),
                "area_px": len(inside),
                "diameter_mm": float(judgement.truth.diameter_mm[place]),
                "depth_mm": true_mm,
                "ratio": float(judgement.ratio[place]),
                "found": int(judgement.found[place]),
                "covered": float(judgement.covered[place]),
                "cnr": told.cnr,
                "cnr_map": told.cnr_map,
                "depth_told_mm": told_mm,
                "depth_sigma_mm": told.depth_sigma_mm,
                "depth_error": told_mm / true_mm - 1,
                "depth_doubt": told.depth_doubt,
                "diameter_told_mm": told.diameter_mm,
            }


def _plate_rows(one: Findings) -> Iterator[dict[str, Any]]:
    for plate in one.verdicts.plates:
        judgement = plate.judgement
        union = judgement.hits + judgement.false_alarms + judgement.misses
        yield {
            "method": one.name,
            "file": plate.recording.name,
            "specimen": plate.recording.specimen,
            "defects": judgement.found.size,
            "found": int(judgement.found.sum()),
            "iou": plate.iou,
            "dice": 2 * judgement.hits / (union + judgement.hits) if union else math.nan,
            "hits_px": judgement.hits,
            "false_alarms_px": judgement.false_alarms,
            "misses_px": judgement.misses,
            "false_calls": judgement.false_calls,
            "area_m2": judgement.truth.area_m2,
            "sha256": plate.digest,
            "error": "",
        }
    for lost in one.verdicts.failed:
        yield {"method": one.name, "file": lost.name, "error": lost.reason}


def _depth_rows(one: Findings) -> Iterator[dict[str, Any]]:
    for row in one.by_depth:
        interval = exact_interval(row.hits, row.count)
        yield {
            "method": one.name,
            "from_mm": row.low_mm,
            "to_mm": row.high_mm,
            "defects": row.count,
            "found": row.hits,
            "pod": row.hits / row.count if row.count else math.nan,
            "pod_low": interval.low,
            "pod_high": interval.high,
            "depth_error": row.depth_error,
            "depth_bias": row.depth_bias,
        }


# --- as JSON ----------------------------------------------------------------------------------------------------------


def plain(judged: JudgedFolder, findings: Sequence[Findings]) -> dict[str, Any]:
    """Return everything but the rows of the tables as plain values."""
    return {
        "isotherm": __version__,
        "versions": installed("numpy", "openvino"),
        "data": {
            "sha256": judged.digest,
            "skipped": [{"file": lost.name, "reason": lost.reason} for lost in judged.skipped],
            "notes": list(judged.notes),
            "labels": _label_notes(findings),
        },
        "settings": judged.settings.described(),
        "methods": [_plain(one) for one in findings],
        "definitions": {
            **DEFINITIONS,
            "a90, a90_95": (
                "diameter over depth that is found in 90 % of cases, and the one of which that can be said with 95 % "
                "confidence, by a logistic curve in its logarithm (MIL-HDBK-1823A); defects count as independent"
            ),
            "cnr": "contrast to noise of a true defect in its best map, against the sound material round it",
            "told": "by the called region that covers most of the defect",
            "calibration": DEFINITION,
        },
    }


def _label_notes(findings: Sequence[Findings]) -> list[str]:
    """Return how the labels were read, each way once."""
    plates = [plate for one in findings for plate in one.verdicts.plates]
    return list(dict.fromkeys(note for plate in plates for note in plate.recording.notes))


def _plain(one: Findings) -> dict[str, Any]:
    contender = one.verdicts.contender
    return {
        "name": contender.name,
        "kind": contender.kind,
        "settings": dict(contender.settings),
        "plates": len(one.verdicts.plates),
        "defects": int(one.verdicts.joined("found").size),
        "found": int(one.verdicts.joined("found").sum()),
        "depths_told": one.depths_told,
        "notes": list(one.verdicts.notes),
        "failed": [{"file": lost.name, "reason": lost.reason} for lost in one.verdicts.failed],
        "metrics": {name: measured.to_mapping() for name, measured in one.metrics.items()},
        "pod": _plain_pod(one.pod, one.pod_rows),
        "by_depth": [{name: _plain_value(value) for name, value in row.items()} for row in _depth_rows(one)],
        "calibration": _plain_calibration(one.calibration),
        "differences": None
        if one.differences is None
        else {name: measured.to_mapping() for name, measured in one.differences.items()},
    }


def _plain_value(value: Any) -> Any:
    if isinstance(value, Undefined) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value


def _plain_pod(pod: PodCurve | Undefined, rows: Sequence[PodRow]) -> dict[str, Any]:
    sizes = {
        name: {"value": _plain_value(value)} | ({"reason": reason} if reason else {})
        for name, (value, reason) in _sizes(pod).items()
    }
    table = [
        {
            "from_ratio": row.low,
            "to_ratio": _plain_value(row.high),
            "defects": row.count,
            "found": row.hits,
            "low": row.interval.low,
            "high": row.interval.high,
        }
        for row in rows
    ]
    curve = {} if isinstance(pod, Undefined) else {"intercept": pod.intercept, "slope": pod.slope}
    return {**sizes, **curve, "table": table}


def _plain_calibration(found: Reliability | Undefined) -> dict[str, Any]:
    if isinstance(found, Undefined):
        return {"reason": found.reason}
    error = Measured(found.error, found.interval).to_mapping()
    columns = {name: getattr(found, name).tolist() for name in ("stated", "observed", "low", "high", "counts")}
    return {"error": error, "brier": found.brier, "bins": columns}


# --- pictures ---------------------------------------------------------------------------------------------------------


def _pictures(findings: Sequence[Findings]) -> dict[str, bytes]:
    """Return the pictures that these findings can give, by the names of their files."""
    able = [one for one in findings if one.verdicts.plates]
    files: dict[str, bytes] = {}
    if any(np.isfinite(one.verdicts.joined("ratio")).any() for one in able):
        files["pod.png"] = figures.pod_figure([_pod_panel(one) for one in able])
    if any(plate.judgement.found.size for one in able for plate in one.verdicts.plates):
        files["iou.png"] = figures.iou_figure({one.name: _by_plate(one.verdicts.plates) for one in able})
    told = [_depth_panel(one) for one in able]
    if any(np.isfinite(panel.told_mm).any() for panel in told):
        files["depth.png"] = figures.depth_figure(told)
    if any(one.by_depth for one in able):
        files["by_depth.png"] = figures.by_depth_figure({one.name: _depth_bars(one) for one in able})
    for one in able:
        files[f"plates-{_safe(one.name)}.png"] = figures.plates_sheet(one.name, _worst_first(one.verdicts.plates))
    stated = {one.name: one.calibration for one in able if isinstance(one.calibration, Reliability)}
    return files | ({"calibration.png": figures.reliability_figure(stated)} if stated else {})


def _safe(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)


def _pod_panel(one: Findings) -> figures.PodPanel:
    ratios, found = one.verdicts.joined("ratio"), one.verdicts.joined("found") > 0
    return figures.PodPanel(one.name, ratios, found, one.pod, one.pod_rows)


def _depth_panel(one: Findings) -> figures.DepthPanel:
    found = one.verdicts.joined("found") > 0
    true_mm, told_mm = one.verdicts.joined("depth_mm")[found], one.verdicts.joined("depth_told_mm")[found]
    return figures.DepthPanel(one.name, true_mm, told_mm)


def _by_plate(plates: Sequence[JudgedPlate]) -> dict[str, float]:
    """Return the overlap on the plates with a defect."""
    return {plate.recording.name: plate.iou for plate in plates if plate.judgement.found.size}


def _depth_bars(one: Findings) -> list[figures.DepthBar]:
    return [
        figures.DepthBar(row.low_mm, row.high_mm, row.count, row.hits, exact_interval(row.hits, row.count))
        for row in one.by_depth
    ]


def _worst_first(plates: Sequence[JudgedPlate]) -> list[figures.PlatePicture]:
    """Return plates by their overlap; of those without a defect the ones with most false calls first."""
    ordered = sorted(
        plates, key=lambda plate: (math.isnan(plate.iou), plate.iou if plate.iou > 0 else -plate.judgement.false_calls)
    )
    return [figures.PlatePicture(_caption(plate), plate.shown.score, plate.shown.called, plate.shown.true)
            for plate in ordered]  # fmt: skip


def _caption(plate: JudgedPlate) -> str:
    one = plate.judgement
    overlap = "sound" if not one.found.size else f"IoU {plate.iou:.2f}"
    return (
        f"{plate.recording.name}\n{overlap}, {int(one.found.sum())} of {one.found.size} found, {one.false_calls} false"
    )


def notes_of(judged: JudgedFolder) -> list[str]:
    """Return a line for each recording that was not judged, and for what else should be known."""
    lost = [f"{each.name}: {each.reason}" for each in judged.skipped]
    own = [f"{each.name}, {one.contender.name}: {each.reason}" for one in judged.verdicts for each in one.failed]
    doubts = [f"{one.contender.name}: {note}" for one in judged.verdicts for note in one.notes]
    return [*lost, *own, *doubts, *judged.notes]


def some_failed(judged: JudgedFolder) -> bool:
    """Say whether something was wrong with a recording, for one contender or all."""
    return any(each.failed for each in judged.skipped) or any(one.failed for one in judged.verdicts)


__all__ = ["Findings", "check_output", "findings_of", "notes_of", "plain", "some_failed", "write_findings"]
