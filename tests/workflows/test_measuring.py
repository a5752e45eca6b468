"""Measuring a thermogram from Python."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest

from isotherm.cli.measure_text import text_of
from isotherm.core.errors import ConfigError, DataError
from isotherm.core.scene import SceneEdit
from isotherm.core.shapes import Box, Line, Marked, Spot
from isotherm.core.thermogram import Thermogram
from isotherm.formats import read_bytes
from isotherm.measurement.severity import load_table
from isotherm.radiometry.stored_estimates import StoredEstimates
from isotherm.radiometry.uncertainty import UncertaintySettings
from isotherm.workflows import measure as measuring
from isotherm.workflows.measure import MeasureRequest, measure, plain
from isotherm.workflows.measure_edits import MeasureEdits
from isotherm.workflows.sidecar import Sidecar
from thermal_files import FlirFile, npy

QUICK = UncertaintySettings(draws=0)


def picture(*regions: Marked) -> Thermogram:
    return replace(read_bytes(FlirFile().jpeg()), regions=regions)


def test_two_tools_of_a_camera_may_bear_one_name() -> None:
    same = (Marked("Sp1", Spot(3, 4), "camera"), Marked("Sp1", Spot(9, 9), "camera"))
    found = measure(picture(*same), MeasureRequest(settings=QUICK, deltas=("Sp1-2 - Sp1",)))
    assert [region.reading.label for region in found.regions] == ["image", "Sp1", "Sp1-2"]
    assert found.deltas[0].value_k > 0


def test_everything_is_plain_json_even_where_no_pixel_has_a_temperature() -> None:
    gaps = np.full((6, 8), np.nan, np.float32)
    gaps[0, 0] = 20
    thermogram = replace(read_bytes(npy(gaps)), regions=(Marked("b", Box(2, 2, 4, 4)), Marked("l", Line(2, 2, 7, 5))))
    request = MeasureRequest(settings=QUICK, deltas=("b-image", "left-right(b)"), isotherms=(">10", "dewpoint in b"))
    found = plain(measure(thermogram, request))
    again = json.loads(json.dumps(found, allow_nan=False))
    by_label = {region["label"]: region for region in again["regions"]}
    assert by_label["b"]["max_c"] is None
    assert by_label["b"]["missing_px"] == 16
    assert by_label["l"]["profile"]["celsius"] == [None] * 6
    assert again["deltas"][0]["value_k"] is None
    assert again["deltas"][0]["significant"] is False
    assert [area["area_px"] for area in again["isotherms"]] == [1, 0]


def test_an_uncertainty_that_is_not_known_is_no_zero() -> None:
    warm = np.full((6, 8), 20, np.float32)
    warm[0, 0] = 30
    thermogram = replace(read_bytes(npy(warm)), calibration=StoredEstimates(math.nan))
    measured = measure(thermogram, MeasureRequest(settings=QUICK, deltas=("image.max-image.min",)))
    found = plain(measured)
    json.dumps(found, allow_nan=False)
    assert found["regions"][0]["uncertainty"]["max"]["expanded_k"] is None
    assert found["deltas"][0]["significant"] is False
    assert found["deltas"][0]["note"] == "its uncertainty is not known: it may be none"
    row = {"path": "a.npz", "status": "ok", "format": "npz", "calibration": None, "width": 8, "height": 6}
    row |= {"camera": asdict(thermogram.camera), "position": None, "parameters": {}, "notes": []}
    text = "\n".join(text_of(row | found, budget=True))
    assert "image.max = 30.00 °C, its uncertainty is not known" in text
    assert "± 0.00" not in text


def test_a_severity_table_without_a_difference_says_why_it_judges_nothing() -> None:
    found = measure(picture(), MeasureRequest(settings=QUICK, table=load_table("neta-ambient")))
    assert [item.code for item in found.cautions] == ["nothing-judged"]
    assert "neta-ambient judges differences, and none is asked for: give --delta" in found.cautions[0].text
    asked = MeasureRequest(settings=QUICK, table=load_table("neta-ambient"), deltas=("image-ambient",))
    assert [item.code for item in measure(picture(), asked).cautions] == ["unknown-load"]


def test_too_many_regions_are_refused_before_memory_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "MOST_MASK_PX", 300)
    with pytest.raises(DataError, match="2 regions are too many for a picture of 16x12 px"):
        measure(picture(Marked("a", Spot(3, 4)), Marked("b", Spot(3, 4))), MeasureRequest(settings=QUICK))


def test_a_label_is_used_once() -> None:
    mask = np.ones((12, 16), dtype=np.bool_)
    with pytest.raises(ConfigError, match="two regions are called 'a'"):
        measure(picture(Marked("a", Spot(3, 4))), MeasureRequest(masks={"a": mask}, settings=QUICK))


def test_the_cameras_own_tool_can_be_given_another_emissivity_and_is_kept_so() -> None:
    thermogram = picture(Marked("Sp1", Spot(3, 4), "camera"))
    edits = MeasureEdits(regions={"Sp1": {"emissivity": 0.5}}, deltas=("Sp1-ambient",))
    changed, sidecar = edits.for_picture(thermogram, Sidecar(edit=SceneEdit(distance_m=2)))
    (region,) = changed.regions
    assert (region.origin, region.edit) == ("user", SceneEdit(emissivity=0.5))
    assert sidecar.regions == (region,)
    assert sidecar.edit == SceneEdit(distance_m=2)
    # With the sidecar the camera's tool is replaced, not doubled.
    assert sidecar.applied(thermogram).regions == (region,)
    again, _ = MeasureEdits(regions={"Sp1": {"reflected_c": 40.0}}).for_picture(changed, sidecar)
    assert again.regions[0].edit == SceneEdit(emissivity=0.5, reflected_c=40.0)


def test_what_is_wrong_in_itself_is_said_before_a_file_is_read() -> None:
    with pytest.raises(ConfigError, match="two whole numbers"):
        MeasureEdits(shapes=(("spot", "1"),))
    with pytest.raises(ConfigError, match="unknown emisivity"):
        MeasureEdits(regions={"a": {"emisivity": 0.5}})
    with pytest.raises(ConfigError, match="unknown parameter"):
        MeasureEdits(sigma={"humidity": 0.5})


def test_a_shape_that_takes_the_name_of_the_cameras_own_says_so() -> None:
    camera = picture(Marked("Sp1", Spot(3, 4), "camera"))
    found, _ = MeasureEdits(shapes=(("spot", "Sp1=9,9"), ("spot", "other=3,3"))).for_picture(camera, Sidecar())
    assert found.notes[len(camera.notes) :] == ("'Sp1' is the one given here, in place of the camera's own",)
    same, _ = MeasureEdits(regions={"Sp1": {"emissivity": 0.5}}).for_picture(camera, Sidecar())
    assert same.notes == camera.notes
