"""Defects from a command line, and the reference plate."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isotherm.core.errors import ConfigError, UnknownNameError
from isotherm.datasets.plate_materials import gap_resistance_m2k_w, plate_material
from isotherm.datasets.plate_text import DEFECT_FORMS, parse_defect, reference_plate
from isotherm.datasets.plates import Delamination, Hole, Inclusion, Patch


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("hole", "20, 30, 10, 0.8", Hole(Patch(20, 30, 10, 10), 0.8)),
        ("hole", "20,30,10x4,.8", Hole(Patch(20, 30, 10, 4), 0.8)),
        ("delamination", "1,2,3,0.4,0.05", Delamination(Patch(1, 2, 3, 3), 0.4, gap_resistance_m2k_w(0.05))),
        ("inclusion", "1,2,3X5,0.4,0.2,ptfe", Inclusion(Patch(1, 2, 3, 5), 0.4, 0.2, plate_material("ptfe"))),
    ],
)
def test_a_defect_is_read_from_its_text(kind: str, text: str, expected: object) -> None:
    assert parse_defect(kind, text) == expected


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("hole", "20,30,10", r"hole '20,30,10' must be x,y,diameter,depth \[mm\], as in 20,30,10,0.8"),
        ("hole", "20,30,ten,1", "must be x,y,diameter,depth"),
        ("hole", "20,nan,10,1", "must be x,y,diameter,depth"),
        ("delamination", "1,2,3,4", "must be x,y,diameter,depth,gap"),
        ("inclusion", "1,2,3,0.4,0.2,tin", "unknown material 'tin'"),
        ("crack", "1,2", "unknown kind of defect 'crack'"),
    ],
)
def test_other_texts_are_refused_with_the_right_form(kind: str, text: str, said: str) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=said):
        parse_defect(kind, text)


@given(st.sampled_from(sorted(DEFECT_FORMS)), st.text(max_size=20))
def test_no_text_does_anything_else(kind: str, text: str) -> None:
    with suppress(ConfigError, UnknownNameError):
        assert parse_defect(kind, text).kind == kind


def test_the_reference_plate_has_each_depth_and_diameter_once_and_apart() -> None:
    plate = reference_plate(depths_mm=(0.5, 1.0), diameters_mm=(8.0, 4.0, 6.0))
    assert plate.size_px == (96, 64)
    assert {(hole.patch.width_mm, hole.depth_mm) for hole in plate.defects} == {
        (width, depth) for width in (4.0, 6.0, 8.0) for depth in (0.5, 1.0)
    }
    masks = [hole.patch.mask(plate.size_px, plate.pixel_mm) for hole in plate.defects]
    assert np.sum(masks, axis=0).max() == 1
    assert not np.any(masks, axis=0)[[0, -1]].any()
    with pytest.raises(ConfigError, match="at least one depth"):
        reference_plate(depths_mm=())
    with pytest.raises(ConfigError, match="the plate is 3 mm thick"):
        reference_plate(depths_mm=(3.5,))
