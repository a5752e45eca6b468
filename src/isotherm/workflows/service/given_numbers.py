"""What a model that was trained elsewhere is said to do there: kept in its card, never as measured by this server.

Two kinds: what the model's own manifest says of the labelled images that chose its threshold, and the ``metrics.json``
that `isotherm evaluate --model` has written of it. Only numbers and short texts of both are kept.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from isotherm.core.errors import DataError
from isotherm.core.messages import clean

METRICS = "metrics.json"
MOST_METRICS_BYTES = 4 << 20
FIT, TEST = "threshold_fit", "test"
AS_SAID = "as the folder says, not measured by this server"
"""What stands before each of `said_lines`."""
_EVALUATE = "send what `isotherm evaluate DATA --model MODEL -o OUT` has written of this very model"
_CALLED = ("hits", "misses", "false_alarms", "correct_rejections")


def fitted_numbers(manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a manifest says of the labelled images that its threshold was chosen by; None where it says nothing.

    ``normal``, ``anomalous``, ``misses`` and ``false_alarms`` are counts, ``on`` is the name of their folder.
    """
    data = manifest.get("data")
    said = data.get("labelled") if isinstance(data, Mapping) else None
    names = ("normal", "anomalous", "misses", "false_alarms")
    if not isinstance(said, Mapping) or not all(_is_count(said.get(name)) for name in names):
        return None
    counts = {name: int(said[name]) for name in names}
    if counts["misses"] > counts["anomalous"] or counts["false_alarms"] > counts["normal"]:
        return None
    return counts | {"on": _folder_name(said.get("folder"))}


def tested_numbers(text: bytes, manifest_sha256: str) -> dict[str, Any]:
    """Return what the metrics of `isotherm evaluate` say of a model.

    ``normal``, ``anomalous``, ``misses`` and ``false_alarms`` are counts, ``auroc`` has ``value``, ``low`` and
    ``high``, ``on`` is the name of the folder of images, ``at`` the time in its own words.

    Parameters
    ----------
    text
        The file ``metrics.json``.
    manifest_sha256
        Of the model, as its manifest says.

    Raises
    ------
    DataError
        It is no such file, or speaks of another model.
    """
    try:
        said = json.loads(text)
        subject, pooled = said["subject"], said["pooled"]
        called, auroc = pooled["called"], pooled["image"]["auroc"]
        whose, (hits, misses, alarms, rejections) = subject.get("manifest_sha256"), (called[name] for name in _CALLED)
        found = {"value": auroc.get("value"), "low": auroc.get("low"), "high": auroc.get("high")}
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"{METRICS} holds no test of one model; {_EVALUATE}") from error
    if whose != manifest_sha256:
        other = "another model" if whose else "a model that it does not name"
        raise DataError(f"{METRICS} speaks of {other}; {_EVALUATE}")
    if not all(map(_is_count, (hits, misses, alarms, rejections))) or not all(map(_is_share, found.values())):
        raise DataError(f"{METRICS} holds numbers that no test gives; {_EVALUATE}")
    return {
        "normal": alarms + rejections,
        "anomalous": hits + misses,
        "misses": misses,
        "false_alarms": alarms,
        "auroc": found,
        "on": _folder_name(said.get("data")),
        "at": clean(str(said.get("created_at", "")))[:40],
    }


def said_lines(said: Mapping[str, Any], threshold: float) -> list[str]:
    """Return what a folder says of its tests as sentences.

    Parameters
    ----------
    said
        By `TEST` and `FIT`, as far as there is something.
    threshold
        Of the model as it came; another one, which a version of this server may have, finds other images.
    """
    lines = []
    if test := said.get(TEST):
        lines.append(
            f"{_counts(test)}{_area(test['auroc'])}; on {_images(test)}, none of which it is known to have learnt "
            f"from, by isotherm evaluate on {test['at'][:10]}"
        )
    if fit := said.get(FIT):
        lines.append(f"{_counts(fit)}; on {_images(fit)} by which its threshold was chosen, so others will do worse")
    return [f"{line}; threshold {threshold:.4g}" for line in lines]


def _counts(said: Mapping[str, Any]) -> str:
    strange, normal = said["anomalous"], said["normal"]
    return (
        f"{strange - said['misses']} of {strange} faulty images found, {said['false_alarms']} false alarms among "
        f"{normal} normal ones"
    )


def _area(auroc: Mapping[str, Any]) -> str:
    if auroc["value"] is None:
        return ""
    ends = "" if auroc["low"] is None or auroc["high"] is None else f" ({auroc['low']:.3f} to {auroc['high']:.3f})"
    return f", area under the ROC curve {auroc['value']:.3f}{ends}"


def _images(said: Mapping[str, Any]) -> str:
    return f"{said['anomalous'] + said['normal']} labelled images" + (
        f" of the folder {said['on']}" if said["on"] else ""
    )


def _folder_name(value: object) -> str:
    """Return the last part of a path of another machine; the rest of it is nobody's business."""
    return clean(str(value or "")).replace("\\", "/").rstrip("/").rpartition("/")[2][:40]


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 40


def _is_share(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= 1)
