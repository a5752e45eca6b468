"""Figures of classifiers: any names, any numbers of categories, the same bytes each time."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from isotherm.evaluation.calibration import reliability
from isotherm.evaluation.classes import rejection_curve
from isotherm.evaluation.ranking import Undefined
from isotherm.reports.figures_classes import confusion_figure, probability_figure


def size_of(png: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(png)).size


@pytest.mark.parametrize("classes", [2, 26])
def test_tables_of_any_size(classes: int) -> None:
    counts = np.diag(np.arange(classes)) + 1
    png = confusion_figure("title", [f"category {place}" for place in range(classes)], counts)
    assert png == confusion_figure("title", [f"category {place}" for place in range(classes)], counts)
    assert min(size_of(png)) > 400


def test_names_are_text_and_no_formulas() -> None:
    counts = np.array([[3, 0], [1, 0]])
    png = confusion_figure(r"$\frac{1}{0", [r"$\alpha_{", "x" * 300], counts)
    assert max(size_of(png)) < 2000


def test_probabilities() -> None:
    rng = np.random.default_rng(0)
    stated = rng.random(300)
    right = rng.random(300) < stated
    png = probability_figure("title", reliability(right, stated), rejection_curve(right, stated), 0.5)
    assert size_of(png) == (1050, 480)
    assert probability_figure("title", Undefined("no samples"), rejection_curve(right, stated), 0.5) != png
