"""Altered copies become examples whose labels lie where their maps show the defects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from isotherm.datasets.plate_dataset import write_plates
from isotherm.datasets.plate_random import RandomPlates
from isotherm.sequences.features import FeaturesConfig
from isotherm.workflows.sequence_copies import altered_examples
from isotherm.workflows.sequence_data import LabelledRecording, labelled_recordings
from isotherm.workflows.sequence_opening import PrepareSettings

SHALLOW = RandomPlates(
    height_px=40, width_px=56, low_defects=2, high_defects=2, low_depth_mm=0.3, high_depth_mm=0.5,
    low_diameter_mm=7.0, high_diameter_mm=8.0, hole_share=1.0, inclusion_share=0.0, frames=80,
)  # fmt: skip


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> LabelledRecording:
    folder = tmp_path_factory.mktemp("plates")
    write_plates(folder, SHALLOW, count=1, seed=2)
    return labelled_recordings(folder)[0]


def test_labels_lie_where_the_maps_show_the_defects(recording: LabelledRecording) -> None:
    features, prepare = FeaturesConfig(preset="tsr6"), PrepareSettings()
    made = list(altered_examples(recording, features, prepare, copies=8, rng=np.random.default_rng(0)))
    assert len(made) >= 7
    assert {each.inputs.shape[1:] for each in made} == {(40, 56), (56, 40)}
    seen = 0
    for each in made:
        assert each.inputs.shape[0] == 6
        assert each.inputs.shape[1:] == each.truth.shape
        differences = [abs(np.nanmean(plane[each.truth]) - np.nanmedian(plane)) for plane in each.inputs]
        seen += max(differences) > 2
    # Grey levels of 8 bits may hide them from a derivative.
    assert seen >= len(made) - 2


def test_what_nobody_judged_stays_so(recording: LabelledRecording) -> None:
    judged = np.ones((40, 56), bool)
    judged[:, :10] = False
    partly = replace(recording, truth=replace(recording.truth, judged=judged))
    prepare, rng = PrepareSettings(), np.random.default_rng(1)
    for each in altered_examples(partly, FeaturesConfig(preset="ppt4"), prepare, copies=4, rng=rng):
        assert each.judged is not None
        # A fixture, which is known to have no defects, may cover some of it.
        assert 0 <= (~each.judged).sum() <= 400
        assert not (each.truth & ~each.judged).any()


def test_the_seed_decides_the_copies(recording: LabelledRecording) -> None:
    def made(seed: int) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        copies = altered_examples(recording, FeaturesConfig(preset="ppt4"), PrepareSettings(), copies=2, rng=rng)
        return [each.inputs for each in copies]

    for one, other in zip(made(3), made(3), strict=True):
        np.testing.assert_array_equal(one, other)
