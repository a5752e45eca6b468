from __future__ import annotations

import numpy as np
import pytest

from isotherm.core.errors import UnknownNameError
from isotherm.reports import palette

EVEN = [name for name in palette.names() if name not in ("rainbow", "grey", "black-hot")]
# Machado, Oliveira, Fernandes 2009, severity 1.0; on linear sRGB.
BLIND = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def seen(colours: np.ndarray, matrix: list[list[float]]) -> np.ndarray:
    """Return 8-bit sRGB colours as eyes see them whose confusion of colours the matrix gives."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    linear = (linear @ np.array(matrix).T).clip(0, 1)
    share = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(share * 255).astype(np.uint8)


@pytest.mark.parametrize("name", EVEN)
def test_lightness_rises_all_the_way(name: str) -> None:
    lightness = palette.oklab(palette.table(name))[:, 0]

    assert lightness.shape == (256,)
    # Eight bits have no colour for every step; over eight steps there is no doubt.
    assert (np.diff(lightness) > -0.003).all()
    assert (np.diff(lightness[::8]) > 0.01).all()
    # Even steps: the same difference looks the same everywhere (8-bit rounding allowed for).
    assert np.abs(lightness - np.linspace(lightness[0], lightness[-1], 256)).max() < 0.03


def test_black_hot_is_grey_the_other_way() -> None:
    np.testing.assert_array_equal(palette.table("grey"), np.repeat(np.arange(256)[:, None], 3, axis=1))
    np.testing.assert_array_equal(palette.table("black-hot"), palette.table("grey")[::-1])


@pytest.mark.parametrize("kind", BLIND)
def test_the_order_of_clear_is_kept_for_colour_blind_eyes(kind: str) -> None:
    # Over steps of 8 of 256, so that 8-bit rounding does not count.
    lightness = palette.oklab(seen(palette.table("clear"), BLIND[kind]))[::8, 0]
    assert (np.diff(lightness) > 0.01).all()


def test_rainbow_runs_through_the_hues() -> None:
    colours = palette.table("rainbow").astype(int)
    blue, green, red = (int(np.argmax(2 * colours[:, axis] - colours.sum(axis=1))) for axis in (2, 1, 0))
    assert 0 < blue < green < red < 255
    # Neighbours stay close, or the picture would show bands.
    assert np.abs(np.diff(colours, axis=0)).max() <= 8


def test_every_palette_differs_from_every_other() -> None:
    tables = [palette.table(name).astype(int) for name in palette.names()]
    for index, one in enumerate(tables):
        for other in tables[index + 1 :]:
            assert np.abs(one - other).mean() > 8


def test_oklab_of_known_colours() -> None:
    # Ottosson's article gives white as L 1, a 0, b 0; and sRGB red as 0.6279, 0.2249, 0.1258.
    lab = palette.oklab(np.array([[255, 255, 255], [255, 0, 0]], dtype=np.uint8))

    assert lab[0] == pytest.approx([1, 0, 0], abs=1e-3)
    assert lab[1] == pytest.approx([0.6279, 0.2249, 0.1258], abs=1e-3)


def test_tables_cannot_be_changed() -> None:
    for name in ("iron", "black-hot"):
        with pytest.raises(ValueError, match="read-only"):
            palette.table(name)[0] = 0


def test_an_unknown_palette_is_named_with_the_known() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown palette 'irn' \(did you mean 'iron'\?\); known: .*rainbow"):
        palette.table("irn")
