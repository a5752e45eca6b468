"""The span of the colours, for one picture and for a set."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.core.errors import ConfigError
from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.radiometry.linear import linear
from isotherm.reports.drawing import Span
from isotherm.workflows.spans import SpanChoice, fixed_span, parse_span


def picture(low: float, high: float) -> Thermogram:
    celsius = np.linspace(low, high, 192).reshape(12, 16)
    counts = ((celsius + 273.15) * 100).round().astype(np.uint16)
    return Thermogram(counts, linear(0.01, 0.0, "k"), assumed_scene(), "test")


def test_spans_are_read() -> None:
    assert parse_span("auto") == SpanChoice()
    assert parse_span("set") == SpanChoice("set")
    assert parse_span("-5,60.5") == SpanChoice("fixed", Span(-5, 60.5))


@pytest.mark.parametrize("wrong", ["", "60", "60,20", "20,20", "a,b", "nan,5", "1,inf", "1,2,3"])
def test_a_wrong_span_says_what_would_be_right(wrong: str) -> None:
    with pytest.raises(ConfigError, match="--span is low,high"):
        parse_span(wrong)


def test_a_set_has_the_span_of_all_its_pictures() -> None:
    grey = Thermogram(np.zeros((12, 16), np.uint8), None, assumed_scene(), "picture")
    span = fixed_span(SpanChoice("set"), [picture(20, 40), grey, picture(10, 30)])
    assert span is not None
    assert (span.low, span.high) == pytest.approx((10, 40), abs=0.2)


def test_no_span_for_all_where_none_is_asked_for_or_known() -> None:
    assert fixed_span(SpanChoice(), [picture(20, 40)]) is None
    assert fixed_span(SpanChoice("set"), []) is None
    assert fixed_span(SpanChoice("fixed", Span(1, 2)), []) == Span(1, 2)
