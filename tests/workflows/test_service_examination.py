"""What the server finds in files that strangers send, in a child with limits and in place."""

from __future__ import annotations

import io
import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hostile_files import READ_ALL_THE_SAME, hostile_files
from isotherm.core.errors import BusyError, ConfigError, DataError, FormatError, TooLargeError, UnknownNameError
from isotherm.core.scene import SceneEdit
from isotherm.formats import ReadHints, read_bytes
from isotherm.hotspots import HOTSPOT_METHODS
from isotherm.hotspots.measure import HotspotSettings
from isotherm.jobs.limited import Limits
from isotherm.measurement.picture_numbers import picture_numbers
from isotherm.measurement.severity import load_table
from isotherm.reports.view_data import encode_plane
from isotherm.testing.fuzz import mutated
from isotherm.workflows.examine import Examiner
from isotherm.workflows.service.examination import Examinations, ExaminationSettings, Examined, Want, examine
from thermal_files import FlirFile, encoded, exif_block, npy, ramp

EVERYTHING: tuple[Want, ...] = ("thumbnail", "view", "picture", "plane", "values")
HOSTILE = hostile_files()


def spotted(height: int = 64, width: int = 80) -> np.ndarray:
    """Return counts of a level scene with two hot spots."""
    y, x = np.mgrid[:height, :width]
    counts = 17000 + 3 * x + 5 * y
    for row, column, rise in ((20, 30, 4000), (45, 60, 2500)):
        counts = counts + rise * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 18)
    return counts.round().astype(np.uint16)


FLIR = FlirFile(counts=spotted()).jpeg(exif=exif_block())
COLOURS = encoded(np.random.default_rng(0).integers(0, 255, (30, 40, 3)).astype(np.uint8), "PNG")
GREYS = encoded(np.linspace(0, 255, 1200).reshape(30, 40).astype(np.uint8), "PNG")
DEEP = encoded(np.linspace(0, 65535, 1200).reshape(30, 40).astype(np.uint16), "PNG")
CELSIUS = npy(np.where(np.arange(1200).reshape(30, 40) == 615, np.nan, 21.5).astype(np.float32))
SAMPLES = {"flir": FLIR, "colours": COLOURS, "greys": GREYS, "16 bits": DEEP, "celsius": CELSIUS}


@pytest.fixture(scope="module")
def children() -> Iterator[Examinations]:
    with Examinations(1) as made:
        yield made


def picture(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


# What is found


def test_what_inspect_finds_is_found() -> None:
    settings = ExaminationSettings()
    found = examine(FLIR, "IR_1.jpg", settings)
    method = HOTSPOT_METHODS.get("region_growing")
    examiner = Examiner(method, method.config_type(), HotspotSettings(), load_table("neta-similar"), None)
    assert found.image_result() == examiner.examine("IR_1.jpg", read_bytes(FLIR), None).result
    assert [finding.region.peak for finding in found.image_result().findings] == [(30, 20), (60, 45)]


def test_facts_are_those_of_the_result() -> None:
    found = examine(FLIR, "IR_1.jpg")
    result = found.image_result()
    assert result.temperatures is not None
    hottest = result.findings[0]
    assert hottest.severity is not None
    place = read_bytes(FLIR).position
    assert place is not None
    assert found.facts == {
        "kind": "measured",
        "format": "flir",
        "width": 80,
        "height": 64,
        "min_c": result.temperatures.min_c,
        "mean_c": result.temperatures.mean_c,
        "max_c": result.temperatures.max_c,
        "max_delta_t_c": hottest.delta_t_c,
        "findings": 2,
        "severity_rank": hottest.severity.rank,
        "grade": hottest.severity.grade,
        "action": hottest.severity.action,
        "camera": "Maker Test T1",
        "taken_at": "2020-09-13T12:26:40.250000+00:00",
        "digest": read_bytes(FLIR).digest,
        "numbers": picture_numbers(read_bytes(FLIR).values()),
        "position": [place.latitude_deg, place.longitude_deg],
        "tags": [],
        "letters": {},
        "texts": [],
    }
    assert json.loads(json.dumps(found.facts)) == found.facts


def test_a_picture_without_temperatures_has_levels_and_no_verdict() -> None:
    facts = examine(COLOURS, "photo.png").facts
    assert (facts["kind"], facts["max_c"], facts["max_delta_t_c"], facts["severity_rank"]) == ("levels", None, None, -1)


def test_a_verdict_of_no_action_is_one() -> None:
    quiet = FlirFile(counts=ramp(40, 40, 17000, 17050)).jpeg()
    assert examine(quiet, "x").facts["severity_rank"] == -1, "nothing was found, so nothing is judged"
    warm = ExaminationSettings(method="percentile", config={"percentile": 99.0})
    facts = examine(quiet, "x", warm).facts
    assert (facts["findings"] > 0, facts["severity_rank"], facts["grade"]) == (True, 0, "")


def test_what_is_not_looked_for_is_not_found() -> None:
    found = examine(FLIR, "x", want=("values",), search=False)
    assert (found.facts["findings"], found.facts["severity_rank"]) == (0, -1)
    assert found.facts["max_c"] == examine(FLIR, "x").facts["max_c"]


def test_settings_change_what_is_found() -> None:
    assert examine(FLIR, "x", ExaminationSettings(severity=None)).facts["severity_rank"] == -1
    hot = ExaminationSettings(method="absolute", config={"threshold_c": 500.0})
    assert examine(FLIR, "x", hot).facts["findings"] == 0
    colder = examine(FLIR, "x", ExaminationSettings(edit=SceneEdit(emissivity=0.5))).facts["max_c"]
    assert colder != examine(FLIR, "x").facts["max_c"]
    counts = npy(spotted())
    assert examine(counts, "x", ExaminationSettings(hints=ReadHints(step=0.01, unit="k"))).facts["kind"] == "measured"


def test_a_table_of_ones_own_judges() -> None:
    table = {
        "id": "plant-7", "edition": "2026", "source": "handbook", "domain": "motors", "comparison": "similar",
        "intervals": [{"interval": "[1, inf)", "grade": "look", "action": "look again"}],
    }  # fmt: skip
    facts = examine(FLIR, "x", ExaminationSettings(severity=table)).facts
    assert (facts["grade"], facts["action"], facts["severity_rank"]) == ("look", "look again", 1)


def test_texts_of_a_file_can_be_stored_and_shown() -> None:
    maker = "A\0B\x1b[31m\u202e"
    found = examine(FlirFile().jpeg(exif=exif_block(maker=maker)), "x")
    text = json.dumps([found.result["camera"], found.result["notes"], found.facts], ensure_ascii=False)
    text.encode()
    assert all(part.isprintable() for part in text)
    assert found.facts["camera"].startswith("A")


def test_a_time_that_is_none_is_left_out() -> None:
    file = FlirFile(seconds=2**32 - 1)
    assert examine(file.jpeg(), "x").facts["taken_at"][:4] in ("", "2106")


# What is asked for


@pytest.mark.parametrize("name", SAMPLES)
def test_pictures_are_ours_and_small(name: str) -> None:
    parts = examine(SAMPLES[name], "x", want=EVERYTHING).parts
    small, full = picture(parts["thumbnail"]), picture(parts["picture"])
    assert (small.format, full.format) == ("WEBP", "PNG")
    assert 128 <= max(small.size) <= 256
    assert max(full.size) >= 320


def test_a_thumbnail_of_a_large_picture_is_small_whatever_its_shape() -> None:
    for height, width in ((1, 70_000), (3000, 2), (1100, 700)):
        data = npy(np.full((height, width), 20.0, np.float32))
        assert max(picture(examine(data, "x").parts["thumbnail"]).size) <= 256


def test_hot_spots_are_outlined_in_the_whole_picture() -> None:
    found = examine(FLIR, "x", want=("picture",))
    shown = np.asarray(picture(found.parts["picture"]).convert("RGB"))
    plain = examine(FLIR, "x", ExaminationSettings(method="absolute", config={"threshold_c": 500.0}), want=("picture",))
    changed = (shown != np.asarray(picture(plain.parts["picture"]).convert("RGB"))).any(axis=2)
    box = found.image_result().findings[0].region.box
    scale = shown.shape[1] // 80
    assert changed[box.y * scale : (box.y + box.height) * scale, box.x * scale : (box.x + box.width) * scale].any()
    assert not changed[: 5 * scale, : 5 * scale].any()


def test_the_view_is_json_for_the_element() -> None:
    view = json.loads(examine(FLIR, "IR_1.jpg", want=("view",)).parts["view"])
    assert (view["name"], view["kind"], view["palette"]) == ("IR_1.jpg", "measured", "iron")
    assert view["plane"] == encode_plane(read_bytes(FLIR).values())
    other = examine(FLIR, "x", ExaminationSettings(palette="grey"), want=("view",)).parts["view"]
    assert json.loads(other)["palette"] == "grey"


def test_the_plane_holds_the_values() -> None:
    plane = np.frombuffer(examine(CELSIUS, "x", want=("plane",)).parts["plane"], "<f4").reshape(30, 40)
    assert np.array_equal(plane, read_bytes(CELSIUS).values(), equal_nan=True)
    assert np.isnan(plane).sum() == 1


@pytest.mark.parametrize("name", SAMPLES)
def test_a_model_gets_the_values_that_it_would_read_itself(name: str) -> None:
    direct, sent = read_bytes(SAMPLES[name]), examine(SAMPLES[name], "x", want=("values",)).thermogram("plant")
    assert np.array_equal(sent.values(), direct.values(), equal_nan=True)
    assert (sent.radiometric, sent.estimated, sent.deep) == (direct.radiometric, direct.estimated, direct.deep)
    assert (sent.digest, sent.size, sent.site, sent.format) == (direct.digest, direct.size, "plant", direct.format)
    assert (sent.colour is None) == (direct.colour is None)
    if direct.colour is not None:
        assert np.array_equal(sent.colour, direct.colour)
    if not direct.radiometric:
        assert sent.counts.dtype == direct.counts.dtype


def test_values_that_were_not_asked_for_or_do_not_fit_are_said() -> None:
    found = examine(FLIR, "x")
    with pytest.raises(ConfigError, match="were not asked for"):
        found.thermogram()
    whole = examine(FLIR, "x", want=("values",))
    short = Examined(whole.facts, whole.packed, {"counts": b"1234"}, whole.values)
    with pytest.raises(FormatError, match="not as expected"):
        short.thermogram()


# Settings


def test_settings_survive_json() -> None:
    settings = ExaminationSettings(
        method="otsu",
        hotspots=HotspotSettings(min_area_px=9, load_percent=80.0),
        severity="tmax-corrected",
        edit=SceneEdit(emissivity=0.9),
        hints=ReadHints(unit="k"),
        palette="lava",
    )
    assert ExaminationSettings.from_mapping(json.loads(json.dumps(settings.to_mapping()))) == settings
    assert ExaminationSettings.from_mapping({}) == ExaminationSettings()


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        ({"methode": "otsu"}, ConfigError, "unknown methode; known: method"),
        ({"method": "ostu"}, UnknownNameError, "did you mean 'otsu'"),
        ({"method": 3}, ConfigError, "method must be a text"),
        ({"config": {"percents": 1}}, ConfigError, "unknown percents"),
        ({"config": [1]}, ConfigError, "config must be an object"),
        ({"hotspots": {"open_px": -1}}, ConfigError, "at least 0"),
        ({"edit": None}, ConfigError, "edit must be an object"),
        ({"severity": "../../etc/passwd"}, UnknownNameError, "unknown severity table"),
        ({"severity": 7}, ConfigError, "severity must be"),
        ({"severity": {"id": "x"}}, ConfigError, "'edition' is missing"),
        ({"palette": "plaid"}, UnknownNameError, "unknown palette"),
    ],
)
def test_wrong_settings_are_said(values: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        ExaminationSettings.from_mapping(values)


# In children


@pytest.mark.parametrize("name", SAMPLES)
def test_a_child_finds_what_is_found_in_place(children: Examinations, name: str) -> None:
    settings = ExaminationSettings(hotspots=HotspotSettings(min_area_px=5))
    there = children.examine(SAMPLES[name], "a/ü.jpg", settings, want=EVERYTHING)
    here = examine(SAMPLES[name], "a/ü.jpg", settings, want=EVERYTHING)
    assert (there.facts, there.result, there.values) == (here.facts, here.result, here.values)
    assert dict(there.parts) == dict(here.parts)


def test_without_children_the_same_is_found_in_place() -> None:
    with Examinations(0) as here:
        assert here.examine(FLIR, "x").facts == examine(FLIR, "x").facts
        with pytest.raises(FormatError, match="no known format"):
            here.examine(b"?", "x")


@pytest.mark.parametrize("name", SAMPLES)
def test_a_model_gets_the_picture_of_a_whole_examination_without_one(children: Examinations, name: str) -> None:
    settings = ExaminationSettings(edit=SceneEdit(emissivity=0.5) if name == "flir" else SceneEdit())
    whole = examine(SAMPLES[name], "x", settings, want=("values",), search=False).thermogram()
    with Examinations(0) as here:
        for found in (children.picture(SAMPLES[name], "x", settings), here.picture(SAMPLES[name], "x", settings)):
            assert np.array_equal(found.values(), whole.values(), equal_nan=True)
            assert (found.radiometric, found.estimated, found.deep) == (whole.radiometric, whole.estimated, whole.deep)
            assert (found.format, found.digest) == (whole.format, whole.digest)
            assert (found.colour is None) == (whole.colour is None)
            assert found.colour is None or np.array_equal(found.colour, whole.colour)


def test_a_model_gets_no_picture_of_a_file_that_holds_none(children: Examinations) -> None:
    with pytest.raises(DataError, match="no pixel of this image has a temperature"):
        children.picture(npy(np.full((8, 8), np.nan, np.float32)), "x")
    with pytest.raises(FormatError, match="no known format"):
        children.picture(b"not a picture", "x")


def test_what_is_wrong_is_told_as_in_place(children: Examinations) -> None:
    assert children.pool is not None
    with pytest.raises(ConfigError, match="unknown part 'movie'; known: thumbnail"):
        children.pool.call(FLIR, {"name": "x", "want": ["movie"], "search": True, "settings": "{}"})
    with pytest.raises(FormatError, match="NPY: needs 2 bytes") as caught:
        children.examine(b"\x93NUMPY\x01\x00", "x")
    assert caught.value.offset == 8
    with pytest.raises(DataError, match="lies outside the picture"):
        children.examine(FLIR, "x", ExaminationSettings(hotspots=HotspotSettings(reference_box="900,900,5,5")))
    with pytest.raises(TooLargeError, match="at most 64000000"):
        children.examine(HOSTILE["PNG of 13000 x 13000"], "x")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_or_read_in_a_child_that_lives_on(
    children: Examinations, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    children.pool.wait_ready()  # type: ignore[union-attr]
    before, started = children.pool.children(), time.monotonic()  # type: ignore[union-attr]
    if name in READ_ALL_THE_SAME:
        found = children.examine(HOSTILE[name], name, want=EVERYTHING)
        assert picture(found.parts["thumbnail"]).format == "WEBP"
    else:
        with pytest.raises((FormatError, DataError)) as caught:
            children.examine(HOSTILE[name], name, want=EVERYTHING)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 700
    assert time.monotonic() - started < 15, "5 s are the goal; other things may run on this machine"
    assert children.pool.children() == before, "the child was not harmed"  # type: ignore[union-attr]
    assert "while a file was decoded" not in caplog.text


def test_none_of_what_was_sent_is_in_what_comes_back(children: Examinations) -> None:
    parts = children.examine(HOSTILE["R-JPEG and a page"], "x", want=EVERYTHING).parts
    assert not any(b"<script" in part for part in parts.values())


def test_a_picture_that_needs_too_much_memory_is_refused() -> None:
    large = encoded(np.zeros((6000, 6000), np.uint8), "PNG")
    limits = Limits(memory_bytes=64 << 20)
    with Examinations(1, limits=limits) as children:
        with pytest.raises(TooLargeError, match=r"more (memory|than the 64 MiB of memory)"):
            children.examine(large, "x")
        assert children.examine(GREYS, "x").facts["width"] == 40


def test_too_many_at_once_are_refused() -> None:
    limits = Limits(input_bytes=1000)
    with Examinations(1, waiting=1, limits=limits) as children:
        with pytest.raises(TooLargeError, match="at most 1000"):
            children.examine(FLIR, "x")
        pool = children.pool
        assert pool is not None
        options = {"name": "x", "want": [], "search": True, "settings": "{}"}
        with pytest.raises(BusyError):
            _ = [pool.submit(GREYS, options) for _ in range(50)]


def damaged(samples: Sequence[bytes], count: int) -> Iterator[tuple[bytes, str]]:
    return (mutated(samples, 6, index) for index in range(count))


def test_damaged_files_are_refused_or_read(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    read = 0
    for data, words in damaged([FlirFile().jpeg(), FlirFile().fff(), COLOURS, DEEP, CELSIUS], 150):
        try:
            found = examine(data, words, want=EVERYTHING)
        except (FormatError, DataError):
            continue
        read += 1
        assert json.loads(json.dumps(found.facts, allow_nan=False)) == found.facts
    assert 0 < read < 150


@pytest.mark.skipif(sys.platform != "linux", reason="the stand-in is a program with a shebang line")
def test_files_of_dji_are_read_by_the_program_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "formats"))
    try:
        from dji_stubs import program
        from drone_files import dji
    finally:
        sys.path.pop(0)
    data = dji(spotted())
    with Examinations(1) as children:
        assert children.examine(data, "x").facts["kind"] == "levels"
    monkeypatch.setenv("ISOTHERM_DJI_READER", str(program(tmp_path)))
    with Examinations(1, limits=replace(Limits(), memory_bytes=512 << 20)) as children:
        assert children.examine(data, "x").facts["kind"] == "measured"
