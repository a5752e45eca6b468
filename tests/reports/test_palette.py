from __future__ import annotations

import numpy as np
import pytest

from isotherm.reports import palette


@pytest.mark.parametrize("name", palette.names())
def test_lightness_rises_all_the_way(name: str) -> None:
    lightness = palette.oklab(palette.table(name))[:, 0]

    assert lightness.shape == (256,)
    assert (np.diff(lightness) > 0).all()
    # Even steps: the same difference looks the same everywhere (8-bit rounding allowed for).
    assert np.abs(lightness - np.linspace(lightness[0], lightness[-1], 256)).max() < 0.03


def test_oklab_of_known_colours() -> None:
    # Ottosson's article gives white as L 1, a 0, b 0; and sRGB red as 0.6279, 0.2249, 0.1258.
    lab = palette.oklab(np.array([[255, 255, 255], [255, 0, 0]], dtype=np.uint8))

    assert lab[0] == pytest.approx([1, 0, 0], abs=1e-3)
    assert lab[1] == pytest.approx([0.6279, 0.2249, 0.1258], abs=1e-3)


def test_tables_differ_and_cannot_be_changed() -> None:
    first, second = map(palette.table, palette.names())

    assert not np.array_equal(first, second)
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0
