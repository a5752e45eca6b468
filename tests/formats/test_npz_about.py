"""What an NPZ of `isotherm convert` tells of its origin, and what of it makes no sense."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import FormatError
from isotherm.core.scene import SceneEdit, Source
from isotherm.core.thermogram import Camera, Position, Thermogram
from isotherm.formats import ReadHints, read_bytes
from isotherm.workflows.convert import to_npz
from thermal_files import FlirFile, exif_block


def told(about: Any) -> Thermogram:
    stream = BytesIO()
    np.savez(stream, celsius=np.full((4, 6), 21.5, np.float32), about=np.array(json.dumps(about)))
    return read_bytes(stream.getvalue())


def test_camera_place_and_scene_come_back() -> None:
    flir = read_bytes(FlirFile().jpeg(exif=exif_block(maker="FLIR Systems AB")))
    flir = flir.edited(SceneEdit(emissivity=0.8, humidity_percent=40))
    found = read_bytes(to_npz(flir))
    np.testing.assert_allclose(found.celsius(), flir.celsius(), atol=1e-4)
    assert found.camera == flir.camera
    assert found.position == flir.position
    assert found.position is not None
    for name, param in flir.scene.params().items():
        assert found.scene.params()[name].value == pytest.approx(param.value, abs=1e-5), name
    assert found.scene.emissivity.source is Source.FILE
    (note,) = (note for note in found.notes if "as they were converted" in note)
    assert note.startswith("temperatures as they were converted from flir (planck) (with emissivity 0.8, reflected_c ")
    assert "humidity_percent 40 %" in note


def test_the_scene_of_stored_temperatures_changes_none() -> None:
    found = told({"format": "flir", "parameters": {"emissivity": {"value": 0.5, "source": "user"}}})
    assert found.unsupported(SceneEdit(emissivity=0.9)) == ["emissivity"]


def test_what_was_assumed_stays_assumed() -> None:
    found = told({"parameters": {"distance_m": {"value": 1, "source": "assumed"}}})
    assert found.scene.distance_m.source is Source.ASSUMED


def test_a_sensor_that_is_smaller_than_the_picture_is_known() -> None:
    assert told({"sensor_size": [2, 3]}).sensor_size == (2, 3)


@pytest.mark.parametrize(
    "about",
    [
        {"camera": {"maker": 3, "model": ["x"], "field_of_view_deg": "wide"}, "position": {"latitude_deg": 91}},
        {"camera": [], "position": "here", "parameters": {"emissivity": {"value": 7}, "distance_m": 4, "x": {}}},
        {"parameters": {"humidity_percent": {"value": True}, "reflected_c": {"value": 10**400}}, "sensor_size": [9, 9]},
        {"sensor_size": [True, 1], "position": {"latitude_deg": 1e999, "longitude_deg": 2}},
    ],
)
def test_what_makes_no_sense_is_left_out(about: dict[str, Any]) -> None:
    found = told(about)
    assert (found.camera, found.position, found.sensor_size) == (Camera(), None, None)
    assert {param.source for param in found.scene.params().values()} == {Source.ASSUMED}
    assert found.notes == ()


def test_texts_are_one_printable_line() -> None:
    found = told({"camera": {"maker": "a\x1b[31m\n b" + "c" * 1000}})
    assert found.camera.maker.isprintable()
    assert len(found.camera.maker) == 100


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["camera", "position", "parameters", "calibration", "format", "sensor_size", "estimated"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["maker", "kind", "emissivity", "value", "source"]), inner, max_size=3
                )
            ),
            max_leaves=8,
        ),
    )
)
def test_any_description_is_survived(about: dict[str, Any]) -> None:
    assert told(about).celsius()[0, 0] == pytest.approx(21.5)


def test_counts_take_nothing_from_the_description() -> None:
    stream = BytesIO()
    about = {"camera": {"maker": "FLIR"}}
    np.savez(stream, counts=np.full((4, 6), 29315, np.uint16), about=np.array(json.dumps(about)))
    assert read_bytes(stream.getvalue(), ReadHints(step=0.01, unit="k")).camera == Camera()


def test_the_place_may_lack_its_height() -> None:
    assert told({"position": {"latitude_deg": 1.5, "longitude_deg": -2}}).position == Position(1.5, -2.0)


def test_hundredths_of_a_degree_are_not_taken_for_degrees() -> None:
    stream = BytesIO()
    np.savez(stream, celsius_x100=np.array([[1310, 2810], [2000, 1900]], np.int32))
    with pytest.raises(FormatError, match="need a scale"):
        read_bytes(stream.getvalue())
    assert read_bytes(stream.getvalue(), ReadHints(step=0.01, unit="c")).celsius()[0, 1] == pytest.approx(28.1)
