"""Compare an evaluation with an earlier one on the same pictures."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isotherm.core.errors import DataError
from isotherm.core.files import write_whole
from isotherm.datasets.label_table import some
from isotherm.evaluation.comparison import DeLong, McNemar, delong, differences, mcnemar
from isotherm.evaluation.ranking import Undefined
from isotherm.evaluation.summary import Measured
from isotherm.workflows.decisions import called_of, labels_and_scores
from isotherm.workflows.evaluation_result import SCORES, Evaluation

COMPARISON = "comparison.json"


@dataclass(frozen=True)
class OtherScores:
    """What an earlier evaluation reported on, by picture: standings, decisions and labels."""

    folder: Path
    scores: Mapping[str, float]
    called: Mapping[str, bool]
    anomalous: Mapping[str, bool]


def read_scores(folder: Path) -> OtherScores:
    """Read the scores that an evaluation has written.

    Raises
    ------
    DataError
        There is no table of scores in the folder, or it is damaged.
    """
    path = folder / SCORES
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.DictReader(stream) if row["status"] == "ok" and row["used_for"] == "test"]
        scores = {row["image"]: float(row["standing"]) for row in rows}
        called = {row["image"]: row["prediction"] == "Anomaly" for row in rows}
        anomalous = {row["image"]: row["label"] == "Anomaly" for row in rows}
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read; name the output folder of `isotherm evaluate`: {error}") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: is no table of scores that this version wrote ({error})") from error
    if not all(map(math.isfinite, scores.values())):
        raise DataError(f"{path}: a score is not a finite number")
    return OtherScores(folder, scores, called, anomalous)


def compare(evaluation: Evaluation, other: OtherScores, *, resamples: int, seed: int) -> dict[str, Any]:
    """Return what differs between the two on the pictures that both reported on, as plain values.

    This evaluation comes first in every difference.

    Raises
    ------
    DataError
        They share no picture, or label one differently.
    """
    shared = [item for item in evaluation.judged if item.sample.name in other.scores]
    if not shared:
        raise DataError(f"{other.folder}: has judged none of these pictures")
    torn = [item.sample.name for item in shared if item.sample.anomalous != other.anomalous[item.sample.name]]
    if torn:
        raise DataError(f"{other.folder}: labels {some(torn)} differently")
    labels, first = labels_and_scores(shared)
    second = np.array([other.scores[item.sample.name] for item in shared], dtype=np.float64)
    called = called_of(shared), np.array([other.called[item.sample.name] for item in shared], dtype=np.bool_)
    found = differences(labels, first, second, called, resamples=resamples, seed=seed)
    return {
        "other": str(other.folder),
        "images": {"normal": int((~labels).sum()), "anomalous": int(labels.sum())},
        "only_here": len(evaluation.judged) - len(shared),
        "only_there": len(other.scores) - len(shared),
        "metrics": {
            name: {
                "this": Measured(each.first).to_mapping(),
                "other": Measured(each.second).to_mapping(),
                "difference": Measured(each.difference, each.interval).to_mapping(),
            }
            for name, each in found.items()
        },
        "delong": _plain_delong(delong(labels, first, second)),
        "mcnemar": {
            name: _plain_mcnemar(mcnemar(labels[part], called[0][part], called[1][part]))
            for name, part in (("all", labels | ~labels), ("normal", ~labels), ("anomalous", labels))
        },
        "definitions": _DEFINITIONS,
    }


_DEFINITIONS = {
    "difference": "this minus other, with its 95 % interval by a paired bootstrap: each picture brings both its scores",
    "delong": "test of the difference of the AUROCs (DeLong et al. 1988), two-sided",
    "mcnemar": "exact test of the decisions at both models' thresholds, on the pictures that only one decides rightly",
}


def _plain_delong(found: DeLong | Undefined) -> dict[str, Any]:
    if isinstance(found, Undefined):
        return {"p": None, "reason": found.reason}
    return {"difference": found.difference, "standard_error": found.error, "p": found.p}


def _plain_mcnemar(found: McNemar | Undefined) -> dict[str, Any]:
    if isinstance(found, Undefined):
        return {"p": None, "reason": found.reason}
    return {"only_this_right": found.only_first, "only_other_right": found.only_second, "p": found.p}


def write_comparison(comparison: Mapping[str, Any], folder: Path) -> None:
    """Write ``comparison.json``, whole or not at all."""
    text = json.dumps(comparison, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(folder / COMPARISON, (text + "\n").encode())
