"""How well methods and models find the defects of labelled recordings: each of them on the same plates.

What a method is set to must come from elsewhere: nothing is ever chosen on the judged recordings. A recording that a
model has learnt from is not judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64

from isotherm.core.config import setting, to_mapping, validate
from isotherm.core.errors import ConfigError, DataError, IsothermError, one_line
from isotherm.core.files import sha256
from isotherm.core.progress import Progress, silent
from isotherm.core.regions import drop_small, label
from isotherm.datasets.label_table import some
from isotherm.evaluation.defects import CallRules, PlateJudgement, PlateTruth, judge_plate
from isotherm.sequences.defect_model import DefectModel, LearnedConfig
from isotherm.sequences.defects import Defect, DefectRules, find_defects, sound_ring
from isotherm.sequences.features import Features, FeaturesConfig
from isotherm.sequences.maps import MapStack
from isotherm.sequences.quality import cnr
from isotherm.sequences.region_depths import RegionDepths
from isotherm.sequences.segment import SEGMENT_METHODS, Segmentation
from isotherm.sequences.stack import ThermalSequence
from isotherm.workflows.sequence_data import LabelledFolder, LabelledRecording, Skipped, digest_of
from isotherm.workflows.sequence_opening import PrepareSettings, open_recording, prepared

SHOWN_PX = 200
"""Plates are drawn with at most so many pixels a side."""
GUARD_PX, RING_PX = 3, 8


@dataclass(frozen=True)
class IntervalSettings:
    """Of the intervals."""

    resamples: int = setting(1000, "how many sets of plates are drawn for the intervals", low=10, high=100_000)
    seed: int = setting(0, "same seed, same intervals", low=0)

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class JudgingSettings:
    """How recordings are prepared and judged.

    Parameters
    ----------
    baseline
        Name of the method or model with which the others are compared, plate by plate.
    leave_out_trained
        What to do with recordings that a model has learnt from: leave them out for all, else it is an error.
    """

    prepare: PrepareSettings = field(default_factory=PrepareSettings)
    rules: CallRules = field(default_factory=CallRules)
    intervals: IntervalSettings = field(default_factory=IntervalSettings)
    baseline: str | None = None
    leave_out_trained: bool = False

    def described(self) -> dict[str, Any]:
        """Return the settings as plain values in groups."""
        return {
            "prepare": to_mapping(self.prepare),
            "rules": to_mapping(self.rules),
            "intervals": to_mapping(self.intervals),
            "baseline": self.baseline,
        }


@dataclass(frozen=True, eq=False)
class Contender:
    """A method or a model that is judged.

    Parameters
    ----------
    features
        The maps that it works on.
    segment
        Maps to mask and score.
    settings
        What it is set to, for the results.
    digests
        Of the recordings that it has learnt from.
    doubts
        Says what of a plate, by the side of its pixels [mm], is unlike all that it knows.
    """

    name: str
    kind: Literal["method", "model"]
    features: FeaturesConfig
    segment: Callable[[Float32[np.ndarray, "K H W"]], Segmentation]
    settings: Mapping[str, Any]
    digests: frozenset[str] = frozenset()
    doubts: Callable[[float | None], tuple[str, ...]] = lambda _: ()


def method_contender(name: str, config: Any, features: FeaturesConfig) -> Contender:
    """Return a method of `isotherm.sequences.segment.SEGMENT_METHODS`; raises UnknownNameError where there is none."""
    method = SEGMENT_METHODS.get(name)
    config = method.config_type() if config is None else config
    described = {**to_mapping(config), "features": to_mapping(features)}
    return Contender(name, "method", features, lambda maps: method.segment(maps, config), described)


def model_contender(model: str | Path, config: LearnedConfig | None = None) -> Contender:
    """Return a model by its folder or its name; raises ModelError where it cannot be used.

    Parameters
    ----------
    config
        How its probability becomes a mask; with the model's own threshold where that is not given.
    """
    loaded, config = DefectModel.load(model), config or LearnedConfig()
    data = loaded.manifest.get("data")
    digests = data.get("digests") if isinstance(data, dict) else None
    stated = {
        **to_mapping(config),
        "threshold": loaded.threshold if config.threshold is None else config.threshold,
        "threshold_chosen_by": "the model" if config.threshold is None else "the user",
        "features": to_mapping(loaded.features),
        "manifest_sha256": loaded.manifest.get("manifest_sha256"),
    }
    return Contender(
        name=loaded.name,
        kind="model",
        features=loaded.features,
        segment=lambda maps: loaded.segment(maps, config),
        settings=stated,
        digests=frozenset(map(str, digests)) if isinstance(digests, list) else frozenset(),
        doubts=lambda pixel_mm: loaded.unknown(pixel_mm=pixel_mm),
    )


@dataclass(frozen=True)
class DefectToldOf:
    """What was told of a true defect: by the called region that covers most of it; None where nothing was."""

    cnr: float
    cnr_map: str
    depth_mm: float | None = None
    depth_sigma_mm: float | None = None
    depth_doubt: str = ""
    diameter_mm: float | None = None


@dataclass(frozen=True, eq=False)
class ShownPlate:
    """Score, called and true pixels of a plate, thinned for a picture."""

    score: Float32[np.ndarray, "h w"]
    called: Bool[np.ndarray, "h w"]
    true: Bool[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class JudgedPlate:
    """One plate, judged for one contender."""

    recording: LabelledRecording
    digest: str
    judgement: PlateJudgement
    told: tuple[DefectToldOf, ...]
    shown: ShownPlate

    @property
    def iou(self) -> float:
        """Intersection over union on this plate; NaN where nothing is true and nothing was called."""
        one = self.judgement
        union = one.hits + one.false_alarms + one.misses
        return one.hits / union if union else math.nan


@dataclass(frozen=True, eq=False)
class Verdicts:
    """All plates, judged for one contender, and those that it could not be judged on."""

    contender: Contender
    plates: tuple[JudgedPlate, ...]
    failed: tuple[Skipped, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the plates is unlike all that a model knows, each said once."""
        every = [note for plate in self.plates for note in self.contender.doubts(plate.recording.pixel_mm)]
        return tuple(dict.fromkeys(every))

    def joined(self, name: str) -> Float64[np.ndarray, " D"]:
        """Return a column of all defects of all plates: ``ratio found depth_told_mm`` or ``depth_mm``."""
        plates = [plate.judgement for plate in self.plates]
        columns = [one.truth.depth_mm if name == "depth_mm" else getattr(one, name) for one in plates]
        return np.concatenate(columns).astype(np.float64) if columns else np.zeros(0)


@dataclass(frozen=True, eq=False)
class JudgedFolder:
    """What was judged: for each contender; and recordings that none was judged on, with the reasons."""

    verdicts: tuple[Verdicts, ...]
    digest: str
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]
    settings: JudgingSettings


def judge_contenders(
    data: LabelledFolder,
    contenders: Sequence[Contender],
    settings: JudgingSettings | None = None,
    *,
    progress: Progress = silent,
) -> JudgedFolder:
    """Judge methods and models on labelled recordings.

    Parameters
    ----------
    data
        As `isotherm.workflows.sequence_data.labelled_recordings` returns them.
    contenders
        Of `method_contender` and `model_contender`; their names differ.
    progress
        Called after each recording.

    Raises
    ------
    DataError
        No recording could be judged, or a model has learnt from some of them (unless those are left out).
    ConfigError
        No contender, two of one name, or the baseline is none of them.
    """
    settings = settings or JudgingSettings()
    _check_names(contenders, settings.baseline)
    digests = [_digest(one, number, len(data), progress) for number, one in enumerate(data, 1)]
    kept, left_out = _distinct(data, digests)
    kept, learnt = _unseen(kept, contenders, settings)
    results: list[list[JudgedPlate]] = [[] for _ in contenders]
    failed: list[list[Skipped]] = [[] for _ in contenders]
    unusable = [*data.skipped, *left_out, *learnt]
    for number, (one, digest) in enumerate(kept, 1):
        try:
            plate = _Plate.of(one, settings)
        except IsothermError as error:
            unusable.append(Skipped(one.name, one_line(error)))
            continue
        for place, contender in enumerate(contenders):
            try:
                results[place].append(plate.judged(contender, digest, settings.rules))
            except IsothermError as error:
                failed[place].append(Skipped(one.name, one_line(error)))
        progress(number, len(kept), "judging")
    if not any(results):
        reasons = [*unusable, *(lost for each in failed for lost in each)]
        raise DataError(f"none of {len(data)} recordings could be judged; {reasons[-1].name}: {reasons[-1].reason}")
    verdicts = tuple(
        Verdicts(contender, tuple(plates), tuple(lost))
        for contender, plates, lost in zip(contenders, results, failed, strict=True)
    )
    return JudgedFolder(verdicts, _joined([digest for _, digest in kept]), tuple(unusable), data.notes, settings)


def _check_names(contenders: Sequence[Contender], baseline: str | None) -> None:
    names = [one.name for one in contenders]
    if not names:
        raise ConfigError(f"nothing to judge; name methods ({', '.join(SEGMENT_METHODS.names())}) or models")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"two methods or models are called {twice[0]!r}; give each folder a name of its own")
    if baseline is not None and baseline not in names:
        raise ConfigError(f"the baseline {baseline!r} is not among what is judged: {', '.join(names)}")


def _digest(one: LabelledRecording, number: int, total: int, progress: Progress) -> str:
    found = digest_of(one.path)
    progress(number, total, "digests")
    return found


def _joined(digests: Sequence[str]) -> str:
    return sha256("\n".join(sorted(digests)).encode())


_Kept = list[tuple[LabelledRecording, str]]


def _distinct(data: Sequence[LabelledRecording], digests: Sequence[str]) -> tuple[_Kept, list[Skipped]]:
    """Leave copies out: a plate that is counted twice makes intervals too narrow."""
    first: dict[str, str] = {}
    kept, left_out = [], []
    for one, digest in zip(data, digests, strict=True):
        if digest in first:
            left_out.append(Skipped(one.name, f"a copy of {first[digest]}", failed=False))
        else:
            first[digest] = one.name
            kept.append((one, digest))
    return kept, left_out


def _unseen(kept: _Kept, contenders: Sequence[Contender], settings: JudgingSettings) -> tuple[_Kept, list[Skipped]]:
    """Leave out, for all, what a model has learnt from; raises DataError where that was not asked for."""
    learnt = {digest: one.name for one in contenders for digest in one.digests}
    seen = [
        Skipped(one.name, f"{learnt[digest]} has learnt from it", failed=False)
        for one, digest in kept
        if digest in learnt
    ]
    if seen and not settings.leave_out_trained:
        raise DataError(
            f"{seen[0].reason.partition(' has')[0]} has learnt from {len(seen)} of these {len(kept)} recordings "
            f"({some(one.name for one in seen)}): a judgement on them would mean nothing. Give recordings that it has "
            "not seen, or leave these out (--leave-out-trained)"
        )
    return [(one, digest) for one, digest in kept if digest not in learnt], seen


class _Plate:
    """A recording with what all contenders need of it, each computed once."""

    def __init__(self, recording: LabelledRecording, sequence: ThermalSequence) -> None:
        self.recording, self._sequence = recording, sequence
        self._maps: dict[FeaturesConfig, MapStack] = {}
        self._shown: dict[FeaturesConfig, list[DefectToldOf]] = {}
        known = recording.diffusivity_m2_s if sequence.timed else None
        self._depths = RegionDepths(sequence, known) if known else None

    @classmethod
    def of(cls, recording: LabelledRecording, settings: JudgingSettings) -> _Plate:
        return cls(recording, prepared(open_recording(recording.path, settings.prepare), "cooling", settings.prepare))

    def judged(self, contender: Contender, digest: str, rules: CallRules) -> JudgedPlate:
        maps = self._maps_of(contender.features)
        found = contender.segment(maps.values)
        told = self._told(found.mask, self._contrasts(contender.features), rules)
        truth = self.recording.truth
        depths = np.array([math.nan if one.depth_mm is None else one.depth_mm for one in told], np.float64)
        judgement = judge_plate(truth, found.mask, found.score, rules=rules, depth_told_mm=depths)
        return JudgedPlate(self.recording, digest, judgement, told, _thinned(truth, found))

    def _maps_of(self, features: FeaturesConfig) -> MapStack:
        if features not in self._maps:
            self._maps[features] = Features().maps(self._sequence, features)
        return self._maps[features]

    def _contrasts(self, features: FeaturesConfig) -> list[DefectToldOf]:
        """Return the contrast to noise of each true defect against the sound material round it, in its best map."""
        if features not in self._shown:
            labels, maps = self.recording.truth.labels, self._maps_of(features)
            self._shown[features] = [
                _best_contrast(np.asarray(labels == number), np.asarray(labels > 0), maps)
                for number in range(1, self.recording.truth.diameter_mm.size + 1)
            ]
        return self._shown[features]

    def _told(
        self, called: Bool[np.ndarray, "H W"], contrasts: Sequence[DefectToldOf], rules: CallRules
    ) -> tuple[DefectToldOf, ...]:
        own = DefectRules(pixel_mm=self.recording.pixel_mm, min_area_px=rules.min_area_px)
        defects = find_defects(called, own, depths=self._depths) if contrasts else ()
        regions, count = drop_small(*label(called), rules.min_area_px)
        by_region = {int(regions[one.region.peak[1], one.region.peak[0]]): one for one in defects}
        labels, told = self.recording.truth.labels, []
        for number, contrast in enumerate(contrasts, 1):
            shared = np.bincount(regions[labels == number], minlength=count + 1)
            shared[0] = 0
            told.append(_with(contrast, by_region[int(shared.argmax())]) if shared.any() else contrast)
        return tuple(told)


def _with(contrast: DefectToldOf, region: Defect) -> DefectToldOf:
    return replace(
        contrast,
        depth_mm=region.depth_mm,
        depth_sigma_mm=region.depth_sigma_mm,
        depth_doubt=region.depth_doubt,
        diameter_mm=region.diameter_mm,
    )


def _best_contrast(inside: Bool[np.ndarray, "H W"], every: Bool[np.ndarray, "H W"], maps: MapStack) -> DefectToldOf:
    ring = sound_ring(inside, every, guard_px=GUARD_PX, ring_px=RING_PX)
    pairs = zip(maps.names, maps.values, strict=True)
    ratios = {name: ratio for name, values in pairs if not math.isnan(ratio := cnr(values, inside, ring))}
    if not ratios:
        return DefectToldOf(math.nan, "")
    best = max(ratios, key=ratios.__getitem__)
    return DefectToldOf(ratios[best], best)


def _thinned(truth: PlateTruth, found: Segmentation) -> ShownPlate:
    step = math.ceil(max(found.mask.shape) / SHOWN_PX)
    part = (slice(None, None, step), slice(None, None, step))
    return ShownPlate(found.score[part], found.mask[part], np.asarray(truth.labels[part] > 0))
