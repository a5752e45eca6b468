"""A trained classifier: everything needed to put pictures into categories, in memory and as a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from isotherm.anomaly.inputs import InputSpec, visible
from isotherm.classification import CLASSIFIERS
from isotherm.classification.calibration import Temperature
from isotherm.classification.features import FeatureSpec
from isotherm.classification.method import Classifier, Stored, Values
from isotherm.classification.openset import OpenSet, open_set_of
from isotherm.core.config import from_mapping, to_mapping
from isotherm.core.errors import ConfigError, DataError, ModelError, UnknownNameError, one_line
from isotherm.core.thermogram import Thermogram
from isotherm.runtime.bundle import read_parts, write_parts

NO_CATEGORY = "No category (Anomaly)"
"""The answer where no category is sure enough, or the picture is like nothing that was learnt."""
MIN_CONFIDENCE = 0.5
BATCH = 32
_OPEN_SET = "open_set."
Row = Float32[np.ndarray, "*S"]
"""What a classifier takes of one picture: its features (D), or its pixels (3 H W)."""


@dataclass(frozen=True)
class Classified:
    """What a classifier says about one picture.

    Parameters
    ----------
    label
        The category, or `NO_CATEGORY`; empty where the picture could not be judged.
    confidence
        Calibrated probability of the most probable category, 0..1.
    probabilities
        Of each category, in the order of the model's labels.
    nearest
        The most probable category, also where it is not the answer.
    distance
        How far the picture is from what was learnt; above 1 it is unlike it. None without that test.
    rejected
        Whether the answer is `NO_CATEGORY`.
    reason
        Why it is; empty where it is not.
    error
        Why the picture could not be judged; empty where it was.
    """

    label: str
    confidence: float
    probabilities: dict[str, float]
    nearest: str
    distance: float | None
    rejected: bool
    reason: str = ""
    error: str = ""

    @classmethod
    def failed(cls, error: str) -> Classified:
        """Return the result of a picture that could not be judged."""
        return cls("", 0.0, {}, "", None, rejected=False, error=error)


@dataclass(frozen=True)
class Rejection:
    """When the answer is `NO_CATEGORY`.

    Parameters
    ----------
    min_confidence
        Least probability of an answer; None: the model's own.
    open_set
        Whether pictures unlike all that was learnt are rejected too; None: as the model says.
    """

    min_confidence: float | None = None
    open_set: bool | None = None

    def __post_init__(self) -> None:
        if self.min_confidence is not None and not 0 <= self.min_confidence <= 1:
            raise ConfigError(f"min_confidence is a probability, 0..1, not {self.min_confidence!r}")


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """A classifier, how pictures become its inputs, and what its answers mean.

    Parameters
    ----------
    labels
        The categories in the order of the logits.
    features
        The frozen network in front of it; None where it takes pixels.
    as_pictures
        Whether pictures with temperatures are shown as grey pictures to it, because it has learnt from both.
    open_set
        The test whether a picture is like anything learnt; None without.
    min_confidence, reject_unknown
        When the answer is `NO_CATEGORY`, unless a call says otherwise.
    manifest
        Where it comes from: data, counts, metrics, versions, notes; what ``manifest.json`` of the model's folder holds
        beside the parts that the other fields carry.
    """

    classifier: Classifier
    method: str
    config: object
    labels: tuple[str, ...]
    inputs: InputSpec
    features: FeatureSpec | None
    as_pictures: bool
    temperature: Temperature
    open_set: OpenSet | None
    min_confidence: float
    reject_unknown: bool
    manifest: dict[str, Any]

    def classify(
        self,
        thermograms: Sequence[Thermogram],
        *,
        min_confidence: float | None = None,
        open_set: bool | None = None,
    ) -> list[Classified]:
        """Put pictures into categories; one that cannot be judged is a result with its ``error``.

        Parameters
        ----------
        min_confidence, open_set
            See `Rejection`.
        """
        rejection = Rejection(min_confidence, open_set)
        prepared = [self._prepared(thermogram) for thermogram in thermograms]
        usable = [pixels for pixels in prepared if not isinstance(pixels, str)]
        values = iter(self.values(usable) if usable else ())
        return self.answers([each if isinstance(each, str) else next(values) for each in prepared], rejection)

    def row(self, thermogram: Thermogram) -> Row | str:
        """Return what the classifier takes of one picture, or why it cannot judge it.

        For threads that prepare pictures beside each other; `answers` then judges them together, as `classify` would.
        """
        pixels = self._prepared(thermogram)
        found: Row | str = pixels if isinstance(pixels, str) else self.values([pixels])[0]
        return found

    def answers(self, rows: Sequence[Row | str], rejection: Rejection | None = None) -> list[Classified]:
        """Put pictures that are prepared into categories; a text in place of one is its ``error``."""
        usable = [row for row in rows if not isinstance(row, str)]
        judged = iter(self.judge(np.stack(usable), rejection) if usable else ())
        return [Classified.failed(row) if isinstance(row, str) else next(judged) for row in rows]

    def _prepared(self, thermogram: Thermogram) -> Float32[np.ndarray, "3 H W"] | str:
        try:
            return self.pixels(thermogram)
        except DataError as error:
            return one_line(error)

    def pixels(self, thermogram: Thermogram) -> Float32[np.ndarray, "3 H W"]:
        """Return a picture as pixels; raises DataError where the model cannot judge it."""
        shown = as_picture(thermogram) if self.as_pictures else thermogram
        found: Float32[np.ndarray, "3 H W"] = self.inputs.prepare(shown).pixels[0]
        return found

    def values(self, pixels: Sequence[Float32[np.ndarray, "3 H W"]]) -> Values:
        """Return what the classifier takes of some pictures: their features, or the pixels themselves."""
        stacked = np.stack(pixels)
        return stacked if self.features is None else self.features.of(stacked)

    def judge(self, values: Values, rejection: Rejection | None = None) -> list[Classified]:
        """Put inputs of the classifier into categories."""
        probabilities, distances = self.probabilities(values)
        return self.decided(probabilities, distances, rejection or Rejection())

    def probabilities(self, values: Values) -> tuple[Float64[np.ndarray, "N C"], Float64[np.ndarray, " N"] | None]:
        """Return calibrated probabilities, and distances to what was learnt (None without that test)."""
        answers = [self.classifier.answer(values[start : start + BATCH]) for start in range(0, len(values), BATCH)]
        logits = np.concatenate([each.logits for each in answers])
        if self.open_set is None:
            return self.temperature.probabilities(logits), None
        embeddings = np.concatenate([each.embeddings for each in answers])
        return self.temperature.probabilities(logits), self.open_set.distances(embeddings)

    def decided(
        self,
        probabilities: Float64[np.ndarray, "N C"],
        distances: Float64[np.ndarray, " N"] | None,
        rejection: Rejection,
    ) -> list[Classified]:
        """Return the answers for probabilities and distances."""
        least = self.min_confidence if rejection.min_confidence is None else rejection.min_confidence
        tested = self.reject_unknown if rejection.open_set is None else rejection.open_set
        found = []
        for place, row in enumerate(probabilities):
            distance = None if distances is None else float(distances[place])
            found.append(self._one(row, distance, least, distance if tested else None))
        return found

    def _one(
        self, row: Float64[np.ndarray, " C"], distance: float | None, least: float, tested: float | None
    ) -> Classified:
        best = int(row.argmax())
        reasons = []
        if row[best] < least:
            reasons.append(f"confidence {row[best]:.3f} is below {least:g}")
        if tested is not None and tested > 1:
            reasons.append(f"unlike all that was learnt (distance {tested:.3g}, at most 1)")
        return Classified(
            label=NO_CATEGORY if reasons else self.labels[best],
            confidence=float(row[best]),
            probabilities={label: float(value) for label, value in zip(self.labels, row, strict=True)},
            nearest=self.labels[best],
            distance=distance,
            rejected=bool(reasons),
            reason="; ".join(reasons),
        )


def as_picture(thermogram: Thermogram) -> Thermogram:
    """Return what a thermogram looks like as a plain picture of 8 bits."""
    if not thermogram.radiometric and not thermogram.deep:
        return thermogram
    shown = visible(thermogram)
    if shown.ndim == 3:
        return replace(thermogram, calibration=None, counts=shown.mean(axis=2).astype(np.uint8), colour=shown)
    return replace(thermogram, calibration=None, counts=shown, colour=None)


def save_classifier(model: TrainedClassifier, folder: Path) -> None:
    """Write a classifier as a folder (manifest.json, arrays.safetensors, perhaps network.onnx), whole or not at all.

    Raises
    ------
    OutputError
        The folder holds something that is no model, or cannot be written.
    """
    stored = model.classifier.stored()
    manifest = {
        **model.manifest,
        "kind": "classifier",
        "method": model.method,
        "config": to_mapping(model.config),
        "labels": list(model.labels),
        "inputs": model.inputs.to_mapping(),
        "features": None if model.features is None else model.features.to_mapping(),
        "as_pictures": model.as_pictures,
        "temperature": model.temperature.value,
        "open_set": None if model.open_set is None else model.open_set.about(),
        "min_confidence": model.min_confidence,
        "reject_unknown": model.reject_unknown,
    }
    arrays = {**stored.arrays, **({} if model.open_set is None else model.open_set.arrays())}
    write_parts(folder, manifest=manifest, arrays=arrays, network=stored.network)


_FIELDS: dict[str, type | tuple[type, ...]] = {
    "method": str,
    "config": dict,
    "labels": list,
    "inputs": dict,
    "features": (dict, type(None)),
    "as_pictures": bool,
    "temperature": float,
    "open_set": (dict, type(None)),
    "min_confidence": float,
    "reject_unknown": bool,
}


def load_classifier(folder: Path) -> TrainedClassifier:
    """Read a classifier's folder; needs neither torch nor scikit-learn.

    Raises
    ------
    ModelError
        Something is missing, altered, of another kind or version, or does not fit together; or the weights of its
        network are not here.
    """
    manifest, arrays, network = read_parts(folder)
    try:
        return _assembled(manifest, arrays, network)
    except ModelError as error:
        raise ModelError(error.reason, folder) from error
    except (UnknownNameError, ConfigError) as error:
        raise ModelError(str(error), folder) from error


def _assembled(manifest: dict[str, Any], arrays: dict[str, np.ndarray], network: bytes) -> TrainedClassifier:
    if manifest.get("kind") != "classifier":
        raise ModelError("this is no classifier; `isotherm classify train` makes one")
    wrong = [name for name, kind in _FIELDS.items() if not isinstance(manifest.get(name), kind)]
    if wrong:
        raise ModelError(f"the manifest has no sound {', '.join(wrong)}")
    labels = _labels(manifest["labels"])
    method = CLASSIFIERS.get(manifest["method"])
    config: object = from_mapping(method.config_type, manifest["config"])
    own = {name: array for name, array in arrays.items() if not name.startswith(_OPEN_SET)}
    features = None if manifest["features"] is None else FeatureSpec.from_mapping(manifest["features"])
    if (features is None) != (method.wants == "pixels"):
        raise ModelError(f"{method.name} takes {method.wants}, which the manifest does not describe")
    if features is not None:
        features.check()
    return TrainedClassifier(
        classifier=method.load(Stored(own, network), config, classes=len(labels)),
        method=method.name,
        config=config,
        labels=labels,
        inputs=InputSpec.from_mapping(manifest["inputs"]),
        features=features,
        as_pictures=manifest["as_pictures"],
        temperature=_temperature(manifest["temperature"]),
        open_set=None if manifest["open_set"] is None else open_set_of(arrays, manifest["open_set"]),
        min_confidence=manifest["min_confidence"],
        reject_unknown=manifest["reject_unknown"],
        manifest={name: value for name, value in manifest.items() if name not in _FIELDS},
    )


def _labels(names: list[object]) -> tuple[str, ...]:
    labels = tuple(name for name in names if isinstance(name, str))
    if len(labels) < 2 or len(set(labels)) != len(names):
        raise ModelError("its labels are not two or more different names")
    return labels


def _temperature(value: float) -> Temperature:
    if not 0 < value < np.inf:
        raise ModelError(f"its temperature is {value!r}")
    return Temperature(value)
