"""Overlays on real pictures: faults stay, and pictures without overlays are left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isotherm.formats.overlays import find, learn

pytestmark = pytest.mark.real_data


def test_labelled_faults_of_the_transformers_stay_and_their_overlays_go(data: Path) -> None:
    hidden = faulty = 0
    for path in sorted(data.glob("transformers/images/T[167]/faulty/*.jpg"))[::4]:
        found = find(np.asarray(Image.open(path).convert("RGB")))
        mask = Image.open(data / "transformers" / "masks" / f"{path.stem}.png")
        fault = np.asarray(mask.resize((found.shape[1], found.shape[0]), Image.Resampling.NEAREST)) > 0
        hidden, faulty = hidden + int(found[fault].sum()), faulty + int(fault.sum())
        # Logo and read-outs, or the white strip with the scale.
        assert found.mean() > 0.04
    assert hidden / faulty < 0.02


def test_pictures_without_overlays_are_left_alone(data: Path) -> None:
    commutators = [np.asarray(Image.open(path)) for path in sorted(data.glob("kolektor_sdd/*/Part?.jpg"))[::20]]
    assert not any(find(picture).any() for picture in commutators)
    assert not learn(commutators).constant.any()
    for path in sorted(data.glob("substations/celsius_x10_png16/*.png"))[::25]:
        plane = np.asarray(Image.open(path)).astype(float)
        assert not find(np.rint(255 * (plane - plane.min()) / np.ptp(plane)).astype(np.uint8)).any()
