"""What a page carries: every value comes back, whatever the picture."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import isotherm
from isotherm.core.capture import CameraPalette
from isotherm.core.errors import UnknownNameError
from isotherm.core.scene import SceneEdit, assumed_scene
from isotherm.core.shapes import Box, Marked, Spot
from isotherm.core.thermogram import Thermogram
from isotherm.formats import read_bytes
from isotherm.radiometry.uncertainty import standard_uncertainty_k
from isotherm.reports import palette
from isotherm.reports.drawing import Span
from isotherm.reports.view_data import Looks, camera_table, encode_plane, view_data
from isotherm.reports.view_page import SCRIPTS, element_script
from thermal_files import FlirFile


def decoded(plane: dict[str, Any]) -> np.ndarray:
    """Undo `encode_plane`, by its description and not by its code."""
    data = np.frombuffer(zlib.decompress(base64.b64decode(plane["data"])), np.uint8)
    size = plane["width"] * plane["height"]
    if plane["encoding"] == "float32":
        values = np.ascontiguousarray(data.reshape(4, size).T).view("<f4").ravel()
    else:
        steps = data[:size].astype(int) + 256 * data[size:].astype(int)
        signed = np.where(steps % 2, -(steps + 1) // 2, steps // 2)
        values = np.frombuffer(zlib.decompress(base64.b64decode(plane["table"])), "<f4")[np.cumsum(signed) % 65536]
    return values.reshape(plane["height"], plane["width"])


@settings(deadline=None, max_examples=80)
@given(
    arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.one_of(st.just(np.nan), st.floats(-300, 4000, width=32), st.sampled_from([0.0, 20.5, 20.5, 21.0])),
    )
)
def test_any_picture_comes_back_exactly(values: np.ndarray) -> None:
    np.testing.assert_array_equal(decoded(encode_plane(values)), values)


def test_pictures_of_very_many_values_come_back_exactly() -> None:
    rng = np.random.default_rng(1)
    for count, encoding in ((65_536, "table"), (65_537, "float32")):
        values = rng.permutation(count).astype(np.float32)[None] / 7
        plane = encode_plane(values)
        assert plane["encoding"] == encoding
        np.testing.assert_array_equal(decoded(plane), values)


def test_a_camera_picture_is_packed_well() -> None:
    y, x = np.mgrid[:240, :320]
    counts = (17000 + 4 * x + 3 * y + np.random.default_rng(0).normal(0, 4, (240, 320))).astype(np.uint16)
    plane = encode_plane(read_bytes(FlirFile(counts=counts).jpeg()).celsius())
    assert len(plane["data"]) + len(plane["table"]) < counts.nbytes


@pytest.fixture
def flir() -> Thermogram:
    return read_bytes(FlirFile(median_and_range=(20000, 4000)).jpeg())


def test_the_data_say_what_the_picture_is(flir: Thermogram) -> None:
    data = view_data("IR_1.jpg", flir, Looks(span=Span(10, 50), unit="f"))
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert (data["name"], data["digest"], data["kind"], data["unit"]) == ("IR_1.jpg", flir.digest, "measured", "f")
    assert data["span"] == data["spans"]["set"] == [10, 50]
    assert data["spans"]["camera"] == pytest.approx(flir.display_span_c())
    assert data["spans"]["full"] == [float(flir.celsius().min()), float(flir.celsius().max())]
    assert data["ambient_c"] == pytest.approx(20)
    assert base64.b64decode(data["palettes"]["iron"]) == palette.table("iron").tobytes()
    assert set(data["palettes"]) == set(palette.FOR_TEMPERATURES)


def test_what_the_user_set_goes_into_the_sidecar_of_the_page(flir: Thermogram) -> None:
    edited = flir.edited(SceneEdit(emissivity=0.7, humidity_percent=33))
    kept = view_data("a", edited, Looks(sidecar={"sigma": {"emissivity": 0.1}, "regions": [1], "material": "rust"}))
    assert kept["sidecar"] == {
        "scene": {"emissivity": 0.7, "humidity_percent": 33},
        "sigma": {"emissivity": 0.1},
        "material": "rust",
    }
    assert kept["physics"]["scene"]["reflected_c"] == 20


def test_only_the_formula_that_the_page_knows_is_offered(flir: Thermogram) -> None:
    assert flir.calibration is not None
    other = replace(flir, calibration=replace(flir.calibration, formula="thermimage"))
    assert view_data("a", other, Looks())["physics"] is None
    assert (
        view_data("a", Thermogram(np.zeros((4, 5), np.uint8), None, assumed_scene(), "x"), Looks())["physics"] is None
    )


def test_uncertainties_are_those_of_the_budget(flir: Thermogram) -> None:
    known = view_data("a", flir, Looks())["uncertainty"]
    celsius = flir.celsius()
    assert known["at_c"] == sorted(known["at_c"])
    assert (known["at_c"][0], known["at_c"][-1]) == (float(celsius.min()), float(celsius.max()))
    y, x = divmod(int(celsius.argmax()), celsius.shape[1])
    expected = standard_uncertainty_k(flir, (x, y))
    assert expected is not None
    assert known["expanded_k"][-1] == pytest.approx(2 * expected)


def test_a_region_with_parameters_of_its_own_brings_their_temperatures(flir: Thermogram) -> None:
    edit = SceneEdit(emissivity=0.5)
    marked = replace(flir, regions=(Marked("a", Spot(3, 4), edit=edit), Marked("b", Box(1, 1, 2, 2), "camera")))
    first, second = view_data("a", marked, Looks())["regions"]
    assert first["scene"] == {"emissivity": 0.5}
    assert second == {"label": "b", "shape": "box", "x": 1, "y": 1, "width": 2, "height": 2, "origin": "camera"}
    table = np.frombuffer(zlib.decompress(base64.b64decode(first["table"])), "<f4")
    steps = np.unique(flir.celsius(), return_inverse=True)[1].reshape(flir.size)
    np.testing.assert_allclose(table[steps], flir.edited(edit).celsius(), atol=1e-3)


def test_a_picture_without_a_value_still_has_a_page() -> None:
    empty = Thermogram(np.zeros((4, 5), np.float32), NoTemperature(), assumed_scene(), "x")
    data = view_data("a", empty, Looks())
    assert np.isnan(decoded(data["plane"])).all()
    assert data["uncertainty"] is None
    assert data["span"][0] < data["span"][1]


class NoTemperature:
    kind = "vendor"
    supports: frozenset[str] = frozenset()

    def kelvin(self, counts, scene):
        return np.full(counts.shape, np.nan, np.float32)

    def describe(self):
        return {}


def test_the_camera_palette_is_offered_where_there_is_one(flir: Thermogram) -> None:
    colours = np.repeat(np.arange(0, 220, 2, dtype=np.uint8)[:, None], 3, axis=1)
    data = view_data("a", replace(flir, palette=CameraPalette("Iron", colours)), Looks(palette="camera"))
    assert data["palette"] == "camera"
    table = camera_table(CameraPalette("Iron", colours))
    assert base64.b64decode(data["palettes"]["camera"]) == table.tobytes()
    assert (table[0].tolist(), table[-1].tolist()) == ([0, 0, 0], [218, 218, 218])
    # Asked for where the file has none, the page opens in the usual colours; another name is a mistake.
    assert view_data("a", flir, Looks(palette="camera"))["palette"] == "iron"
    with pytest.raises(UnknownNameError, match="unknown palette 'camra'"):
        view_data("a", flir, Looks(palette="camra"))


def test_the_joined_script_has_no_module_left_to_fetch() -> None:
    script = element_script()
    assert "\nimport " not in script
    assert "\nexport " not in script
    assert script.count("customElements.define") == 1
    # In one script, two modules cannot have a name in common.
    names = re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", script, re.MULTILINE)
    assert len(names) > 60
    assert {name for name in names if names.count(name) > 1} == set()
    folder = Path(isotherm.__path__[0], "reports", "assets")
    assert {path.stem for path in folder.glob("*.js")} == set(SCRIPTS)
