"""What the threshold tool counts, whatever the confidences are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isotherm.core.errors import ConfigError
from isotherm.server.pages.threshold import BINS, bars, flips, outcome, share
from isotherm.workflows.service.thresholds import Confidence

SHARES = st.floats(0, 1)
LABELS = st.sampled_from(["a", "b"])
ITEMS = st.lists(
    st.builds(Confidence, st.uuids().map(str), st.just("x.jpg"), LABELS, SHARES, st.booleans(), LABELS | st.just(""))
)


@given(ITEMS, SHARES, SHARES)
def test_flips_are_what_the_thresholds_differ_by(items: list[Confidence], now: float, then: float) -> None:
    before, after, changed = outcome(items, now), outcome(items, then), flips(items, now, then)
    assert len(changed) == abs(before.answered - after.answered)
    assert {item.image_id for item in changed} == {
        item.image_id for item in items if (item.confidence >= now) != (item.confidence >= then)
    }
    distances = [abs(item.confidence - then) for item in changed]
    assert distances == sorted(distances)


@given(ITEMS, SHARES)
def test_every_image_is_counted_once(items: list[Confidence], least: float) -> None:
    found = outcome(items, least)
    sorted_ones = sum(bool(item.truth) for item in items)
    assert found.answered + found.rejected == len(items)
    assert found.right + found.wrong + found.spared + found.lost == sorted_ones
    assert found.right + found.wrong <= found.answered
    assert sum(bar.count for bar in bars(items)) == len(items)


def test_the_highest_bar_is_as_high_as_the_plot() -> None:
    items = [Confidence("i", "x", "a", value, False) for value in (1.0, 1.0, 0.99, 0.5, 0.0)]
    drawn = bars(items)
    assert len(drawn) == BINS
    assert [bar.count for bar in (drawn[0], drawn[BINS // 2], drawn[-1])] == [1, 1, 3]
    assert max(bar.height for bar in drawn) == drawn[-1].height == pytest.approx(3 * drawn[0].height, abs=0.02)


@pytest.mark.parametrize("text", ["", "nan", "inf", "-0.1", "1.1", "half", "1e9"])
def test_a_threshold_is_a_share(text: str) -> None:
    with pytest.raises(ConfigError, match="from 0 to 1"):
        share(text)
