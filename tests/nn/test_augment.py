"""What augmentation may change, and that what is to be ignored moves with the picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.nn.augment import augmented, same_channels
from isotherm.nn.lessons import Lesson


def lesson(pictures: torch.Tensor, keep: torch.Tensor | None = None) -> Lesson:
    return Lesson(pictures, pictures, torch.ones_like(pictures[:, :1]) if keep is None else keep)


def test_it_tilts_by_at_most_15_degrees_and_keeps_the_span() -> None:
    picture = torch.zeros(1, 3, 101, 101)
    picture[..., 50, 90] = 1.0
    picture[..., 50:53, 88:93] = 1.0
    generator = torch.Generator().manual_seed(0)
    angles, sides = [], set()
    for _ in range(60):
        changed = augmented(lesson(picture), generator).wanted
        assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
        row, column = divmod(int(changed[0, 0].argmax()), 101)
        sides.add(column > 50)
        angles.append(abs(np.degrees(np.arctan2(row - 51, abs(column - 50)))))
    assert sides == {True, False}
    assert 8 < max(angles) < 17


def test_oblong_pictures_are_turned_without_shear() -> None:
    # A square in the middle stays as large as it was, whatever the picture's sides.
    picture = torch.zeros(1, 3, 64, 128)
    picture[..., 22:42, 54:74] = 1.0
    generator = torch.Generator().manual_seed(1)
    for _ in range(10):
        area = float((augmented(lesson(picture), generator).wanted[0, 0] > 0.5).sum())
        assert area == pytest.approx(400, rel=0.08)


def test_grey_pictures_stay_grey_and_colours_are_all_turned_alike() -> None:
    grey = torch.rand(2, 1, 32, 32).expand(-1, 3, -1, -1)
    coloured = torch.cat([grey[:, :2], grey[:, :1] / 2], 1)
    assert same_channels(grey).tolist() == [True, True]
    assert same_channels(coloured).tolist() == [False, False]
    turned_grey = augmented(lesson(grey), torch.Generator().manual_seed(0)).wanted
    turned = augmented(lesson(coloured), torch.Generator().manual_seed(0)).wanted
    assert same_channels(turned_grey).all()
    # Brightness is shifted after the turn: differences of a channel from its own mean tell how it was turned.
    ratio = (turned[:, 2] - turned[:, 2].mean()).std() / (turned[:, 0] - turned[:, 0].mean()).std()
    assert float(ratio) == pytest.approx(0.5, rel=0.1)


def test_what_is_to_be_ignored_moves_with_the_picture() -> None:
    picture = torch.full((8, 3, 64, 96), 0.5)
    picture[..., 10:20, 70:90] = 0.0
    keep = torch.ones(8, 1, 64, 96)
    keep[..., 10:20, 70:90] = 0.0
    changed = augmented(lesson(picture, keep), torch.Generator().manual_seed(0))
    assert set(changed.keep.unique().tolist()) == {0.0, 1.0}
    # Contrast and brightness change a picture of two levels to two levels: the darker one is what is ignored.
    for place in range(8):
        kept = changed.wanted[place, 0][changed.keep[place, 0] > 0]
        assert float(kept.max() - kept.min()) < 0.01
    assert not torch.equal(changed.keep, keep)
