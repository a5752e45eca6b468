"""Detection delay by hand."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.evaluation.bootstrap import Interval
from isotherm.evaluation.delay import Course, Delays, detection_delays
from isotherm.evaluation.ranking import Undefined


def course(name: str, faulty: str, called: str) -> Course:
    return Course(name, *(np.array([each == "1" for each in text]) for text in (faulty, called)))


def test_by_hand() -> None:
    courses = [
        course("at once", "00111", "00100"),
        course("two later", "01111", "00011"),
        course("early, then at once", "00011", "01010"),
        course("healthy", "0000", "0100"),
    ]
    found = detection_delays(courses, resamples=200)
    assert isinstance(found, Delays)
    assert (found.assets, found.never, found.early) == (3, 0, 1)
    assert found.at_once == pytest.approx(2 / 3)
    assert found.median == 0.0
    assert found.mean_of_found == pytest.approx(2 / 3)
    assert found.median_interval == Interval(0.0, 2.0)
    assert isinstance(found.at_once_interval, Interval)
    assert found.at_once_interval.low < 2 / 3 < found.at_once_interval.high


def test_an_asset_that_is_never_found_is_infinitely_late() -> None:
    never, once = course("never", "0111", "1000"), course("at once", "01", "01")
    found = detection_delays([never, never, once])
    assert isinstance(found, Delays)
    assert (found.assets, found.never, found.early) == (3, 2, 2)
    assert found.median == Undefined("more than half of the assets are never found")
    assert found.mean_of_found == 0.0
    assert isinstance(found.median_interval, Undefined)
    alone = detection_delays([never])
    assert isinstance(alone, Delays)
    assert alone.mean_of_found == Undefined("no asset is found")
    assert alone.at_once_interval == Undefined("an interval needs two assets with a faulty picture; there is 1")


def test_undefined_without_order_or_faults() -> None:
    assert detection_delays([course("a", "00", "01")]) == Undefined("no asset has a faulty picture")
    assert detection_delays([]) == Undefined("no asset has a faulty picture")
    single = [course("a", "1", "1"), course("b", "0", "0")]
    assert detection_delays(single) == Undefined("no asset has more than one picture")
