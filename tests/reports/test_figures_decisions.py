"""The figure of decisions is drawn whatever is defined."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from isotherm.evaluation.calibration import FalseAlarmCurve, Reliability, false_alarm_curve, reliability
from isotherm.evaluation.cost import CostCurve, Costs, cost_curve
from isotherm.evaluation.ranking import Undefined
from isotherm.reports.figures_decisions import Thresholds, decisions_figure

RNG = np.random.default_rng(0)
LABELS = np.arange(40) < 15
SCORES = RNG.random(40) + 0.5 * LABELS
ALARMS = false_alarm_curve(RNG.random(25), np.full(25, 30), resamples=50)
FAULTS = reliability(LABELS, np.clip(SCORES / 1.5, 0, 1), resamples=50)
COST = cost_curve(LABELS, SCORES, Costs(cost_miss=10))
NOTHING = Undefined("no anomalous samples")


def picture(
    alarms: FalseAlarmCurve | Undefined,
    faults: Reliability | Undefined,
    cost: CostCurve | Undefined,
    chosen: float | None,
) -> Image.Image:
    marks = Thresholds(np.full(40, 0.7) if chosen else np.linspace(0.6, 0.8, 40), chosen)
    png = decisions_figure("title", alarms, faults, cost, marks)
    assert png == decisions_figure("title", alarms, faults, cost, marks)
    return Image.open(io.BytesIO(png)).convert("RGB")


def has(image: Image.Image, colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(np.asarray(image).astype(int) - colour).max(axis=2) < 12).any())


def test_all_three_panels() -> None:
    image = picture(ALARMS, FAULTS, COST, 0.9)
    assert image.width == 1500
    assert has(image, (0, 158, 115))
    assert has(image, (213, 94, 0))


def test_without_a_validation_part_there_are_two_panels_and_no_chosen_threshold() -> None:
    image = picture(ALARMS, NOTHING, COST, None)
    assert image.width == 1000
    assert not has(image, (0, 158, 115))


@pytest.mark.parametrize("alarms", [ALARMS, NOTHING])
@pytest.mark.parametrize("cost", [COST, NOTHING])
def test_what_is_undefined_leaves_room_for_its_reason(
    alarms: FalseAlarmCurve | Undefined, cost: CostCurve | Undefined
) -> None:
    image = picture(alarms, NOTHING, cost, None)
    left, right = image.crop((0, 0, 500, 480)), image.crop((500, 0, 1000, 480))
    assert has(left, (0, 114, 178)) == (alarms is ALARMS)
    assert has(right, (246, 215, 192)) == (cost is COST)
