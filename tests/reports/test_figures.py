"""The figure of an evaluation: it is drawn whatever the sets look like."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from isotherm.reports.figures import Curve, ScoreGroup, error_analysis


def group(name: str, scores: list[float], anomalous: int) -> ScoreGroup:
    values = np.array(scores)
    return ScoreGroup(name, np.arange(values.size) < anomalous, values, np.full(values.size, 1.5))


def colours(png: bytes) -> set[tuple[int, int, int]]:
    with Image.open(io.BytesIO(png)) as picture:
        return {colour for _, colour in picture.convert("RGB").getcolors(1 << 24) or ()}


@pytest.mark.parametrize(
    "groups",
    [
        [group("one", [3.0, 2.0, 1.0], 1)],
        [group("one", [300.0, 2.0, 0.1], 1)],
        [group("constant", [1.0, 1.0], 1)],
        [group("normal only", [0.5, 0.6], 0)],
        [group("a", [3.0, 1.0], 1), group("b", [-1.0, 2.0], 2)],
        [group(f"site {index}", [2.0, 1.0], 1) for index in range(20)],
    ],
)
def test_it_is_drawn_with_both_classes_in_their_colours(groups: list[ScoreGroup]) -> None:
    png = error_analysis("title", groups, [], [])
    assert png.startswith(b"\x89PNG")
    found = colours(png)
    assert len(found) > 10
    has_anomalous = any(part.labels.any() for part in groups)
    orange = any(red > 180 and blue < 120 and green < red - 40 for red, green, blue in found)
    assert orange == has_anomalous


def test_curves_are_drawn_and_the_same_input_gives_the_same_bytes() -> None:
    line = Curve("all", np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]))
    other = Curve("a", np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    groups = [group("a", [3.0, 1.0], 1), group("b", [2.0, 1.0], 1)]
    with_curves = error_analysis("t", groups, [other, line], [other, line])
    assert with_curves == error_analysis("t", groups, [other, line], [other, line])
    assert with_curves != error_analysis("t", groups, [other], [other])
