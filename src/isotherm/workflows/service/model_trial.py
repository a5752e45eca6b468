"""An anomaly model from a stranger is opened and tried in a child with limits before a server believes it.

Nothing of it is ever unpickled: a manifest of JSON, arrays of safetensors, and a method of our own that reads both.
What comes back are numbers and short texts, so that no manifest can put anything else into the database.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isotherm.core.errors import DataError, FormatError, IsothermError, MissingExtraError, TooLargeError, one_line
from isotherm.core.messages import clean
from isotherm.jobs.limited import Answer, LimitedPool, Limits

if TYPE_CHECKING:
    from isotherm.workflows.models import TrainedModel

MEMORY_BYTES = 2 << 30
"""Beside a child at rest: the files of a model of the largest size, read, unpacked and compiled."""
CHECK_S = 60.0
PICTURE_S = 10.0
"""How long one picture may take [s]: each upload of the site waits for it."""
MOST_SCORES = 100_000
MOST_DIGESTS = 200_000
_MODULE = "isotherm.workflows.service.model_trial"
_DIGEST = re.compile("[0-9a-f]{64}")
_COUNTS = ("images", "different_images", "fitted_on", "held_out")


def tried(folder: Path, *, children: bool = True) -> dict[str, Any]:
    """Return what a model's folder holds, after it has scored a picture.

    ``method``, ``held_out`` (see `isotherm.workflows.service.testing_detectors.held_out`), ``kind``, ``size`` and
    ``channels`` of its inputs, ``data`` (how many images it has learnt from), ``digests`` (sha256 of those), ``made``
    (when, in its own words), ``versions``, ``picture_s`` (how long a picture took [s]), ``manifest_sha256`` and
    ``fitted`` (see `isotherm.workflows.service.given_numbers.fitted_numbers`).

    Parameters
    ----------
    folder
        Holds the files of a model and nothing else.
    children
        Whether a child does it; else this process does, without any limit, as tests do.

    Raises
    ------
    DataError
        It is no anomaly model that this server can use; says why.
    """
    # The child works in another folder: `serve --data DIR` may name one from where it was started.
    folder = folder.resolve()
    try:
        if not children:
            return trial(folder)
        with _pool(folder) as pool:
            return pool.call(b"", {"folder": str(folder)}).values
    except TooLargeError as error:
        raise DataError(f"the model needs more than a server gives it: {_of_models(error)}") from error
    except FormatError as error:
        raise DataError(f"the model cannot be used: {_of_models(error)}") from error
    except MissingExtraError as error:
        raise DataError(f"this server cannot use the model: {one_line(error)}") from error
    except IsothermError as error:
        raise DataError(f"this is no anomaly model that can be used: {_without(folder, error)}") from error


def _of_models(error: IsothermError) -> str:
    """Return the words of a child that else decodes files."""
    return one_line(error).replace("to decode this", "to open and try it").replace("the file is", "it is")


def _without(folder: Path, error: IsothermError) -> str:
    """Return an error without the name of a folder of the server."""
    return one_line(error).replace(f"model {folder}: ", "").replace(str(folder), "the folder")


def _pool(folder: Path) -> LimitedPool:
    from isotherm.runtime.weights import cache_folder

    weights = cache_folder().resolve()
    limits = Limits(memory_bytes=MEMORY_BYTES, timeout_s=CHECK_S, tasks=1, readable=(str(folder), str(weights)))
    environment = {"ISOTHERM_CACHE": str(weights.parent)}
    return LimitedPool(
        f"{_MODULE}:trial_in_child",
        warm_up=f"{_MODULE}:warm_up",
        children=1,
        waiting=1,
        limits=limits,
        environment=environment,
    )


def warm_up() -> None:
    """Import what every model needs, before the limits count."""
    import isotherm.anomaly.graphs
    import isotherm.workflows.models
    import isotherm.workflows.service.given_numbers
    import isotherm.workflows.service.testing_detectors  # noqa: F401


def trial_in_child(data: bytes, options: Mapping[str, Any]) -> Answer:  # noqa: ARG001 (the form of such functions)
    """Call `trial`; what the child runs."""
    return Answer(trial(Path(options["folder"])))


def trial(folder: Path) -> dict[str, Any]:
    """Open a model, have it score a picture, and return what it is; see `tried`."""
    from isotherm.workflows.models import load_model
    from isotherm.workflows.service.given_numbers import fitted_numbers
    from isotherm.workflows.service.testing_detectors import held_out

    model = load_model(folder)
    count = int(model.calibration.scores.size)
    if count > MOST_SCORES:
        raise DataError(f"it holds {count} scores of held-out images; at most {MOST_SCORES} are taken")
    said, data = model.manifest, model.manifest.get("data", {})
    if not isinstance(data, dict):
        raise DataError("its manifest says no names and values under `data`")
    picture_s = _scored_s(model)
    calibration = held_out(model)
    return {
        "method": model.method,
        "held_out": calibration | {"how": clean(calibration["how"])},
        "kind": model.inputs.kind,
        "size": list(model.inputs.frame.canvas),
        "channels": model.inputs.channels,
        "data": {name: int(data[name]) for name in _COUNTS if _is_count(data.get(name))},
        "digests": _digests(data),
        "made": clean(str(said.get("created_at", "")))[:40],
        "versions": {
            clean(str(name))[:40]: clean(str(text))[:40]
            for name, text in list(_mapping(said.get("versions")).items())[:10]
        },
        "picture_s": picture_s,
        "manifest_sha256": str(said["manifest_sha256"]),
        "fitted": fitted_numbers(said),
    }


def _scored_s(model: TrainedModel) -> float:
    """Have a picture scored, and return how long it takes [s]; the first one, which compiles the network, is not it."""
    from isotherm.anomaly.method import Inputs
    from isotherm.workflows.models import Prepared

    frame = model.inputs.frame
    height, width = frame.size
    slope = np.linspace(0.0, 1.0, height * width, dtype=np.float32).reshape(height, width)
    pixels = np.broadcast_to(slope, (len(frame.tiles), 3, height, width)).copy()
    prepared = Prepared(Inputs(pixels), frame.canvas, (model.inputs.low, model.inputs.high))
    spent_s = 0.0
    for _ in range(2):
        started = time.process_time()
        (scored,) = model.judge([prepared])
        spent_s = time.process_time() - started
        if not math.isfinite(scored.score) or not np.isfinite(scored.map).all():
            raise DataError("it gives no finite score for a plain picture")
    if spent_s > PICTURE_S:
        raise DataError(f"it takes {spent_s:.0f} s for one picture; at most {PICTURE_S:g} s are given")
    return round(spent_s, 3)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 40


def _digests(data: Mapping[str, Any]) -> list[str]:
    """Return the sha256 of all that was learnt from: normal images, and labelled ones that chose a threshold."""
    parts = (data, *(_mapping(data.get(name)) for name in ("labelled", "head")))
    listed = [each for part in parts for each in _listed(part.get("image_digests"))]
    found = dict.fromkeys(each for each in listed if isinstance(each, str) and _DIGEST.fullmatch(each))
    if len(found) > MOST_DIGESTS:
        raise DataError(f"it names {len(found)} images that it has learnt from; at most {MOST_DIGESTS} are taken")
    return list(found)


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
