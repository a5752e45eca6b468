"""Altered copies of labelled recordings, as examples to learn from: altered before the maps are made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from isotherm.core.errors import DataError
from isotherm.datasets.recording_augment import AlteredRecording, RecordingAugment, augmented_recording
from isotherm.segmentation.plan import Example
from isotherm.sequences.features import Features, FeaturesConfig
from isotherm.sequences.stack import ThermalSequence
from isotherm.workflows.sequence_data import LabelledRecording
from isotherm.workflows.sequence_opening import PrepareSettings, open_recording, prepared

_NOT_JUDGED = -1


def altered_examples(
    recording: LabelledRecording,
    features: FeaturesConfig,
    prepare: PrepareSettings,
    *,
    copies: int,
    rng: np.random.Generator,
) -> Iterator[Example]:
    """Yield up to `copies` altered copies of a recording as maps; those of which no maps can be made are left out.

    Parameters
    ----------
    prepare
        As for the recording itself. Copies in grey levels have lost their cold frames.
    rng
        Decides what is altered.
    """
    raw = open_recording(recording.path, replace(prepare, cold="none"))
    frames, truth = raw.frames(), recording.truth
    labels = truth.labels if truth.judged is None else np.where(truth.judged, truth.labels, _NOT_JUDGED)
    for _ in range(copies):
        altered = augmented_recording(
            frames, raw.times_s, labels=labels, config=RecordingAugment(), rng=rng, unit=raw.unit
        )
        try:
            maps = Features().maps(prepared(_subtracted(altered, raw, prepare), "cooling", prepare), features)
        except DataError:
            continue
        yield Example(maps.values, altered.labels > 0, altered.labels >= 0)


def _subtracted(altered: AlteredRecording, raw: ThermalSequence, prepare: PrepareSettings) -> ThermalSequence:
    """Return a copy less its cold frame; when the heat came is found anew, for its times may be a frame off."""
    sequence = ThermalSequence.open(altered.frames, times_s=altered.times_s, unit=altered.unit, order="THW")
    pulse = sequence.pulse()
    if pulse is None and altered.unit == raw.unit:
        sequence = replace(sequence, heated_s=raw.heated_s)
        pulse = sequence.pulse()
    if pulse is None or pulse.first == 0:
        return sequence
    return sequence.cold("before_flash" if prepare.cold == "auto" else prepare.cold)
