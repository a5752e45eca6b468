"""The JSON file beside a picture that holds its user's edits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import ConfigError, DataError
from isotherm.core.scene import SceneEdit, Source
from isotherm.core.shapes import Box, Ellipse, Line, Marked, Polygon, Spot
from isotherm.formats import read
from isotherm.workflows.sidecar import (
    SITE,
    Sidecar,
    is_sidecar,
    merged,
    parse_sidecar,
    read_sidecar,
    sidecar_path,
    to_json,
    with_sidecars,
    write_sidecar,
)
from thermal_files import FlirFile

REGIONS = (
    Marked("a", Spot(3, 4)),
    Marked("left clamp", Box(1, 2, 5, 6), edit=SceneEdit(emissivity=0.8)),
    Marked("c", Ellipse(5.5, 4, 3, 2)),
    Marked("d", Line(0, 0, 9, 3.5)),
    Marked("e", Polygon(((1, 1), (9.5, 1), (5, 7)))),
)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "IR_1.jpg"
    path.write_bytes(FlirFile().jpeg())
    return path


def test_what_is_written_is_read_back(picture: Path) -> None:
    sidecar = Sidecar(
        edit=SceneEdit(emissivity=0.9, humidity_percent=40),
        sigma={"emissivity": 0.02},
        material="copper, oxidised",
        regions=REGIONS,
        deltas=("a-ambient",),
        isotherms=(">60",),
        image=picture.name,
        image_sha256=read(picture).digest,
    )
    before = picture.read_bytes()
    path = write_sidecar(picture, sidecar)
    assert path.name == "IR_1.jpg.isotherm.json"
    assert is_sidecar(path)
    assert read_sidecar(path) == sidecar
    assert picture.read_bytes() == before
    assert json.loads(path.read_text())["regions"][1]["scene"] == {"emissivity": 0.8}


numbers = st.floats(-200, 900)
whole, side = st.integers(0, 900), st.integers(1, 900)
# Shapes are built in the test: the checks of types draw random numbers, which strategies must not.
shapes = st.one_of(
    st.tuples(st.just(Spot), st.tuples(whole, whole, st.sampled_from([1, 3, 5]))),
    st.tuples(st.just(Box), st.tuples(whole, whole, side, side)),
    st.tuples(st.just(Ellipse), st.tuples(numbers, numbers, st.floats(0.5, 90), st.floats(0.5, 90))),
    st.tuples(st.just(Line), st.tuples(numbers, numbers, numbers, numbers)),
    st.tuples(st.just(Polygon), st.tuples(st.lists(st.tuples(numbers, numbers), min_size=3, max_size=6).map(tuple))),
)


@settings(deadline=None, max_examples=50)
@given(st.lists(shapes, max_size=5), st.floats(0.01, 1))
def test_every_shape_comes_back(found: list, emissivity: float) -> None:
    edit = SceneEdit(emissivity=emissivity)
    regions = tuple(Marked(f"r{i}", shape(*numbers), edit=edit) for i, (shape, numbers) in enumerate(found))
    assert parse_sidecar(to_json(Sidecar(regions=regions))).regions == regions


def test_parameters_sigmas_and_regions_reach_the_thermogram(picture: Path) -> None:
    original = read(picture)
    write_sidecar(picture, Sidecar(edit=SceneEdit(emissivity=0.7), sigma={"humidity_percent": 3}, regions=REGIONS))
    found = with_sidecars(original, picture, SceneEdit())
    assert (found.scene.emissivity.value, found.scene.emissivity.source) == (0.7, Source.USER)
    assert found.scene.humidity.sigma == pytest.approx(0.03)
    assert found.regions == (*original.regions, *REGIONS)
    assert found.celsius().max() > original.celsius().max() + 1
    assert found.notes[-1] == "IR_1.jpg.isotherm.json: emissivity, sigma of humidity_percent, 5 regions"


def test_the_command_wins_over_the_picture_and_the_picture_over_its_site(picture: Path) -> None:
    site = Sidecar(edit=SceneEdit(emissivity=0.5, reflected_c=10, distance_m=7))
    picture.with_name(SITE).write_text(to_json(site))
    write_sidecar(picture, Sidecar(edit=SceneEdit(emissivity=0.6, reflected_c=15)))
    scene = with_sidecars(read(picture), picture, SceneEdit(emissivity=0.8)).scene
    assert scene.emissivity.value == 0.8
    assert scene.reflected_k.value == pytest.approx(288.15)
    assert (scene.distance_m.value, scene.distance_m.source) == (7, Source.SITE_PROFILE)


def test_a_sites_file_holds_no_regions(picture: Path) -> None:
    picture.with_name(SITE).write_text(to_json(Sidecar(regions=REGIONS)))
    with pytest.raises(DataError, match="'scene' and 'sigma' only"):
        with_sidecars(read(picture), picture, SceneEdit())


def test_the_sidecar_of_another_file_is_refused(picture: Path) -> None:
    write_sidecar(picture, Sidecar(edit=SceneEdit(emissivity=0.6), image_sha256="0" * 64))
    with pytest.raises(DataError, match="made for another file"):
        with_sidecars(read(picture), picture, SceneEdit())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"isotherm_sidecar": 2}, "must be 1"),
        ({"colour": "red"}, "unknown 'colour'"),
        ({"scene": []}, "'scene' must be an object"),
        ({"scene": {"emissivity": 2}}, "at most 1"),
        ({"scene": {"emisivity": 0.5}}, "unknown emisivity"),
        ({"sigma": {"emissivity": -1}}, "from 0 up"),
        ({"sigma": {"emissivity": "a"}}, "must be a number"),
        ({"material": 3}, "must be a text"),
        ({"deltas": "a-b"}, "must be a list"),
        ({"deltas": [3]}, "must be a text"),
        ({"regions": [3]}, "'shape' among"),
        ({"regions": [{"shape": "star"}]}, "'shape' among"),
        ({"regions": [{"label": "a", "shape": "spot", "x": 1}]}, "'regions\\[0\\].y' must be a number"),
        ({"regions": [{"label": "a", "shape": "spot", "x": 1.5, "y": 1}]}, "whole number"),
        ({"regions": [{"label": "a", "shape": "spot", "x": 1, "y": 1, "size_px": 4}]}, "odd"),
        ({"regions": [{"label": "a", "shape": "box", "x": 1, "y": 1, "width": 0, "height": 4}]}, "above 0"),
        ({"regions": [{"label": "a", "shape": "spot", "x": 1, "y": 1, "z": 1}]}, "unknown 'z'"),
        ({"regions": [{"shape": "spot", "x": 1, "y": 1}]}, "must be a text"),
        ({"regions": [{"label": "ambient", "shape": "spot", "x": 1, "y": 1}]}, "deltas use that word"),
        ({"regions": [{"label": "a", "shape": "polygon", "corners": [[1, 2], [3, 4]]}]}, "3 to 1000 corners"),
        ({"regions": [{"label": "a", "shape": "polygon", "corners": [[1, 2], [3, 4], 5]}]}, "each corner is"),
        ({"regions": [{"label": "a", "shape": "line", "x0": 1e300, "y0": 0, "x1": 0, "y1": 0}]}, "at most 100000"),
        ({"regions": [{"label": "a", "shape": "spot", "x": 1, "y": 1}] * 2}, "two regions"),
    ],
)
def test_a_damaged_sidecar_says_what_is_wrong(change: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_sidecar(json.dumps({"isotherm_sidecar": 1} | change))


members = st.sampled_from(
    ["scene", "sigma", "material", "regions", "deltas", "isotherms", "image", "x", "label", "shape"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(["box", "polygon"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members | st.text(max_size=2), inner, max_size=4),
    max_leaves=8,
)


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(members, values, max_size=4))
def test_no_content_breaks_the_reader_of_sidecars(content: dict) -> None:
    try:
        found = parse_sidecar(json.dumps({"isotherm_sidecar": 1} | content))
    except ConfigError:
        return
    assert parse_sidecar(to_json(found)) == found


@pytest.mark.parametrize("data", [b"\xff\xfe", b"[1", b"[" * 100_000, b"{}", b"NaN", b" " * 5_000_000])
def test_a_file_that_is_no_sidecar_names_itself(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg.isotherm.json"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.jpg\.isotherm\.json: "):
        read_sidecar(path)


def test_nothing_beside_a_picture_changes_nothing(picture: Path) -> None:
    original = read(picture)
    assert read_sidecar(sidecar_path(picture)) is None
    assert with_sidecars(original, picture, SceneEdit()) is original


def test_of_two_the_second_wins_and_regions_are_replaced_by_label() -> None:
    first = Sidecar(edit=SceneEdit(emissivity=0.9, distance_m=3), material="brick", regions=REGIONS, deltas=("a-c",))
    second = Sidecar(edit=SceneEdit(emissivity=0.5), regions=(Marked("a", Spot(9, 9)),), deltas=("a-c", "a-ambient"))
    both = merged(first, second)
    assert both.edit == SceneEdit(emissivity=0.5, distance_m=3)
    assert both.material == ""
    assert [region.label for region in both.regions] == ["left clamp", "c", "d", "e", "a"]
    assert both.deltas == ("a-c", "a-ambient")


def test_what_does_not_fit_the_picture_or_does_nothing_is_said_by_every_reader(picture: Path) -> None:
    far = {"label": "far", "shape": "box", "x": 900, "y": 2, "width": 4, "height": 4}
    near = {"label": "near", "shape": "ellipse", "x": 2, "y": 2, "radius_x": 9, "radius_y": 3}
    values = {"isotherm_sidecar": 1, "regions": [far, near], "material": "brick"}
    sidecar_path(picture).write_text(json.dumps(values))
    original = read(picture)
    height, width = original.size
    found = with_sidecars(original, picture, SceneEdit()).notes[len(original.notes) :]
    assert found[1].endswith(f"region 'far' has no pixel in the picture, which is {width}x{height} px")
    assert found[2].endswith("material 'brick' changes nothing: it only names what 'scene.emissivity' was taken from")
    assert len(found) == 3
