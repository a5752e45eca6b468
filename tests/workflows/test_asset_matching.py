"""Which asset an image shows: tags, rules of names, positions, people; and what fits two."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture
from service_cases import png, reopened

from isotherm.core.errors import (
    ChangedError,
    ConfigError,
    ConflictError,
    FormatError,
    MissingExtraError,
    NotFoundError,
    TooLargeError,
)
from isotherm.formats import read_bytes
from isotherm.formats.tags import tags_of
from isotherm.store.tables import Site
from isotherm.workflows.service import examination
from isotherm.workflows.service.asset_images import (
    assign_asset,
    assign_by_name,
    images_of_asset,
    match_again,
    noted_images,
    set_load,
    summaries,
)
from isotherm.workflows.service.assets import create_asset, delete_asset, get_asset, update_asset
from isotherm.workflows.service.images import Upload, get_image, take_in
from isotherm.workflows.service.inspections import image_part
from isotherm.workflows.service.matching import Match, Rule, Rules, check_rule, distance_m, fold, rules_of
from isotherm.workflows.service.matching import match as match_by
from isotherm.workflows.service.service import LOCAL, Limits, Service
from isotherm.workflows.service.sites import create_site
from label_pictures import label_photo
from small_pictures import hot_csv
from thermal_files import FlirFile, encoded, ramp

BERLIN = [52.5200, 13.4050]


def rule(asset: str, **more: Any) -> Rule:
    return Rule(asset_id=f"id-{asset}", asset=asset, **more)


def match(rules: list[Rule], name: str, facts: dict[str, Any]) -> Match:
    return match_by(Rules(rules), name, facts)


@pytest.mark.parametrize(
    ("rules", "name", "fits"),
    [
        ("motor7_*", "Motor7_2024.JPG", True),
        ("motor7_*", "motor70_2024.jpg", False),
        ("a*; b?.jpg", "b1.jpg", True),
        ("a*; b?.jpg", "b12.jpg", False),
        ("IR_[0-3]*", "ir_2.jpg", True),
        ("*.jpg", "x.png", False),
    ],
)
def test_rules_of_names(rules: str, name: str, fits: bool) -> None:
    assert (match([rule("m", name_rule=rules)], name, {}).by == "name") == fits


def test_what_fits_two_is_matched_to_neither_and_says_so() -> None:
    found = match([rule("a", name_rule="bus*left*"), rule("b", name_rule="bus_2*")], "bus_2_left.jpg", {})
    assert found.asset_id is None
    assert found.note == "the name fits 'a' and 'b': narrow a rule, or choose by hand"


def test_a_tag_goes_before_a_name_and_a_name_before_a_position() -> None:
    rules = [
        rule("tagged", tag="SG-0017"),
        rule("named", name_rule="x*"),
        rule("near", latitude_deg=BERLIN[0], longitude_deg=BERLIN[1]),
    ]
    facts = {"tags": ["sg-0017"], "position": BERLIN}
    found = match(rules, "x.jpg", facts)
    assert (found.asset_id, found.by) == ("id-tagged", "tag")
    assert found.note == "by its name it would be 'named'; by its position it would be 'near'"
    assert match(rules, "x.jpg", {"position": BERLIN}).by == "name"
    assert match(rules, "y.jpg", {"position": BERLIN}) == Match("id-near", "position")


def test_a_name_settles_what_two_positions_leave_open() -> None:
    near = {"latitude_deg": BERLIN[0], "longitude_deg": BERLIN[1]}
    rules = [rule("a", **near, name_rule="a*"), rule("b", **near)]
    assert match(rules, "a1.jpg", {"position": BERLIN}) == Match("id-a", "name")
    assert "the position fits 'a' and 'b'" in match(rules, "c.jpg", {"position": BERLIN}).note


@pytest.mark.parametrize(
    ("text", "fits"), [("SG-1", True), ("asset SG-1, hall 2", True), ("SG-17", False), ("x", False)]
)
def test_a_tag_is_a_word_of_its_own(text: str, fits: bool) -> None:
    assert bool(match([rule("a", tag="sg-1")], "x", {"tags": [text]}).asset_id) == fits


def test_positions_count_within_their_radius() -> None:
    # One ten-thousandth of a degree of latitude is 11.1 m.
    place = {"latitude_deg": BERLIN[0] + 1e-4, "longitude_deg": BERLIN[1]}
    assert match([rule("a", **place)], "x", {"position": BERLIN}).by == "position"
    assert match([rule("a", **place, radius_m=10.0)], "x", {"position": BERLIN}).asset_id is None
    assert match([rule("a", **place)], "x", {"position": None}).asset_id is None


def test_the_distance_of_two_cities() -> None:
    # Berlin - Paris, great circle on the mean sphere: 877.5 km.
    assert distance_m(BERLIN, [48.8566, 2.3522]) == pytest.approx(877_460, rel=1e-3)
    assert distance_m([0, 180], [0, -180]) == pytest.approx(0, abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=30), st.text(alphabet="ab*?;[]!-.", max_size=12))
def test_any_rule_is_refused_or_answers(name: str, pattern: str) -> None:
    try:
        checked = check_rule(pattern)
    except ConfigError:
        return
    match([rule("a", name_rule=checked)], name, {})


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.text(alphabet="abIıſß*?[]!-_1", min_size=1, max_size=8), min_size=1, max_size=6),
    st.text(alphabet="abiİıSſsßẞ[]!-_1", max_size=10),
)
def test_no_rule_is_missed_among_many(patterns: list[str], name: str) -> None:
    rules = [rule(str(number), name_rule=pattern) for number, pattern in enumerate(patterns)]
    fit = [one for one in rules if one.names and one.names.match(name)]
    assert sorted(Rules(rules).named(name), key=rules.index) == fit


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.text(alphabet="aB1-# ", min_size=1, max_size=4), max_size=6), st.text(alphabet="Ab1-# ,", max_size=12)
)
def test_no_tag_is_missed_among_many(tags: list[str], text: str) -> None:
    rules = [rule(str(number), tag=tag) for number, tag in enumerate(tags)]
    said = [rf"(?<![\w-]){re.escape(tag.casefold())}(?![\w-])" for tag in tags]
    fit = [one for one, pattern in zip(rules, said, strict=True) if re.search(pattern, text.casefold())]
    assert sorted(Rules(rules).tagged([text]), key=rules.index) == fit


def test_letters_that_patterns_take_for_the_same_are_folded_to_the_same() -> None:
    letters = [chr(code) for code in range(0x250)] + list("ẞſKÅϐϑϖςσﬅﬆΐΐᾳι")
    for one in letters:
        pattern = re.compile(re.escape(one), re.IGNORECASE)
        assert {fold(other) for other in letters if pattern.fullmatch(other)} == {fold(one)}


def test_positions_are_found_among_many() -> None:
    rng = np.random.default_rng(7)
    places = BERLIN + rng.normal(0, 3e-4, (200, 2))
    radii = rng.choice([5.0, 40.0], 200)
    rules = [
        rule(str(number), latitude_deg=float(place[0]), longitude_deg=float(place[1]), radius_m=float(radius))
        for number, (place, radius) in enumerate(zip(places, radii, strict=True))
    ]
    fit = [
        one
        for one, radius in zip(rules, radii, strict=True)
        if (distance_m(BERLIN, (one.latitude_deg, one.longitude_deg)) <= radius)
    ]
    assert len(fit) > 5
    assert sorted(Rules(rules).near(BERLIN), key=rules.index) == fit


def test_letters_count_where_they_are_long_or_hold_a_digit() -> None:
    rules = [
        rule("short", tag="k17"),
        rule("word", tag="motor"),
        rule("long", tag="motors"),
        rule("number", tag="M-17"),
    ]
    assert match(rules, "x", {"letters": ["K17", "motor"]}) == Match()
    assert match(rules, "x", {"letters": ["m-17"]}) == Match("id-number", "letters")
    found = match([*rules, rule("named", name_rule="x*")], "x", {"letters": ["the MOTORS"]})
    assert (found.asset_id, found.note) == ("id-named", "by its letters it would be 'long'")
    assert match(rules, "x", {"letters": ["motors", "m-17"]}).note.startswith(
        "the letters in it fit 'long' and 'number'"
    )


@pytest.mark.parametrize("bad", ["*", "a*; **?", "a\0", "*a" * 9, ";".join("ab"[i % 2] * (i + 1) for i in range(21))])
def test_rules_that_fit_everything_or_are_too_rich_are_refused(bad: str) -> None:
    with pytest.raises(ConfigError, match=r"rule|pattern"):
        check_rule(bad)


def test_files_find_their_asset_when_they_come_in(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    asset = create_asset(service, LOCAL, site.id, "motor 7", details={"name_rule": "motor7_*"})
    first, second = take_in(service, LOCAL, site.id, [Upload("motor7_1.csv", hot_csv()), Upload("pump.png", png(3))])
    assert first.image is not None
    assert second.image is not None
    assert (first.image.asset_id, first.image.matched_by) == (asset.id, "name")
    assert (second.image.asset_id, second.image.matched_by, second.image.match_note) == (None, "", "")
    assert [image.id for image in images_of_asset(service, LOCAL, asset.id).items] == [first.image.id]
    (row,) = summaries(service, LOCAL, [asset])
    assert (row.images, row.latest) == (1, first.image.created_at)


def test_a_rule_counts_from_the_next_file_on_and_matching_again_does_the_others(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    uploads = [Upload(f"fan_{number}.png", png(number * 9)) for number in range(3)]
    take_in(service, LOCAL, site.id, uploads[:2])
    asset = create_asset(service, LOCAL, site.id, "fan")
    assert match_again(service, LOCAL, site.id).matched == 0
    asset = update_asset(service, LOCAL, asset.id, details={"name_rule": "fan_*"})
    (last,) = take_in(service, LOCAL, site.id, uploads[2:])
    assert last.image is not None
    assert last.image.asset_id == asset.id
    found = match_again(service, LOCAL, site.id)
    assert (found.looked, found.changed, found.matched, found.noted, found.left) == (3, 2, 3, 0, False)
    delete_asset(service, LOCAL, asset.id)
    image = get_image(service, LOCAL, last.image.id)
    assert (image.asset_id, image.matched_by) == (None, "")


def test_what_people_say_stays(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    asset = create_asset(service, LOCAL, site.id, "fan", details={"name_rule": "fan_*"})
    other = create_asset(service, LOCAL, site.id, "pump")
    (taken,) = take_in(service, LOCAL, site.id, [Upload("fan_1.png", png(9))])
    assert taken.image is not None
    assert assign_by_name(service, LOCAL, taken.image.id, "pump").asset_id == other.id
    assert match_again(service, LOCAL, site.id).changed == 0
    assert assign_asset(service, LOCAL, taken.image.id, None).matched_by == "hand"
    assert match_again(service, LOCAL, site.id).changed == 0
    with pytest.raises(ChangedError):
        assign_asset(service, LOCAL, taken.image.id, asset.id, version=1)
    with pytest.raises(NotFoundError, match="asset of this site 'nothing'"):
        assign_by_name(service, LOCAL, taken.image.id, "nothing")
    elsewhere = create_asset(service, LOCAL, create_site(service, LOCAL, "other").id, "x")
    with pytest.raises(NotFoundError, match="asset"):
        assign_asset(service, LOCAL, taken.image.id, elsewhere.id)


def test_rules_that_are_known_are_not_read_again(folder: Service) -> None:
    site = create_site(folder, LOCAL, "plant")
    for number in range(3):
        create_asset(folder, LOCAL, site.id, f"m{number}", details={"name_rule": f"m{number}_*"})
    before = rules_now(folder, site.id)
    changed = next(one for one in before.by_asset.values() if one.asset == "m1")
    # The new name is looked up, and so written down within the transaction, before the new rule is.
    update_asset(folder, LOCAL, changed.asset_id, name="pump", details={"name_rule": "pump_*"})
    after = rules_now(folder, site.id)
    assert [one.asset for one in after.named("pump_1.jpg")] == ["pump"]
    assert after.named("m1_1.jpg") == []
    kept = [key for key, one in after.by_asset.items() if before.by_asset[key] is one]
    assert kept == [key for key in before.by_asset if key != changed.asset_id]
    delete_asset(folder, LOCAL, kept[0])
    assert kept[0] not in rules_now(folder, site.id).by_asset
    with pytest.raises(ConflictError):
        update_asset(folder, LOCAL, kept[1], details={"name_rule": "pump_1*"})
    assert [one.asset for one in rules_now(folder, site.id).named("m2_1.jpg")] == ["m2"], "nothing of it is remembered"


def rules_now(service: Service, site_id: str) -> Rules:
    with service.database.read() as session:
        return rules_of(session, session.get(Site, site_id))


def test_images_that_fit_two_are_listed(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    create_asset(service, LOCAL, site.id, "a", details={"name_rule": "bus*left*"})
    create_asset(service, LOCAL, site.id, "b", details={"name_rule": "bus_2*"})
    (taken,) = take_in(service, LOCAL, site.id, [Upload("bus_2_left.png", png(9))])
    (noted,) = noted_images(service, LOCAL, site.id).items
    assert taken.image is not None
    assert noted.id == taken.image.id
    assert "fits 'a' and 'b'" in noted.match_note


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({"name_rule": "motor*"}, {"name_rule": "Motor7_*"}, "both fit a file called 'motor7_'"),
        ({"name_rule": "x*;a?.jpg"}, {"name_rule": "a1.jpg"}, "both fit a file called 'a1.jpg'"),
        ({"tag": "SG-1"}, {"tag": "sg-1"}, "the tag 'SG-1' is that of 'one' already"),
    ],
)
def test_rules_that_overlap_are_refused_when_they_are_made(
    folder: Service, first: dict[str, str], second: dict[str, str], message: str
) -> None:
    site = create_site(folder, LOCAL, "plant")
    create_asset(folder, LOCAL, site.id, "one", details=first)
    with pytest.raises(ConflictError, match=message):
        create_asset(folder, LOCAL, site.id, "two", details=second)
    two = create_asset(folder, LOCAL, site.id, "two")
    with pytest.raises(ConflictError, match=message):
        update_asset(folder, LOCAL, two.id, details=second)
    assert get_asset(folder, LOCAL, two.id).version == 1


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ({"latitude_deg": 1.0}, "go together"),
        ({"latitude_deg": 91.0, "longitude_deg": 0.0}, "latitude_deg"),
        ({"rated_current_a": 0.0}, "rated_current_a"),
        ({"rated_current_a": float("nan")}, "rated_current_a"),
        ({"tag": "a\nb"}, "tag must be printable"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_details_out_of_range_are_refused(folder: Service, details: dict[str, Any], message: str) -> None:
    site = create_site(folder, LOCAL, "plant")
    with pytest.raises(ConfigError, match=message):
        create_asset(folder, LOCAL, site.id, "motor", details=details)


def test_details_that_are_left_out_stay_and_none_clears(folder: Service) -> None:
    site = create_site(folder, LOCAL, "plant")
    asset = create_asset(folder, LOCAL, site.id, "m", details={"rated_current_a": 63.0, "tag": "t"})
    asset = update_asset(folder, LOCAL, asset.id, details={"rated_current_a": None})
    assert (asset.rated_current_a, asset.tag) == (None, "t")


def test_loads_in_percent_and_in_ampere(folder: Service) -> None:
    site = create_site(folder, LOCAL, "plant")
    asset = create_asset(folder, LOCAL, site.id, "m", details={"rated_current_a": 50.0})
    (taken,) = take_in(folder, LOCAL, site.id, [Upload("a.png", png(9))], asset_id=asset.id)
    assert taken.image is not None
    assert taken.image.matched_by == "hand"
    assert set_load(folder, LOCAL, taken.image.id, current_a=40.0).load_percent == pytest.approx(80.0)
    assert set_load(folder, LOCAL, taken.image.id, percent=55.0).load_percent == 55.0
    assert set_load(folder, LOCAL, taken.image.id).load_percent is None
    for load, message in (
        ({"percent": -1.0}, "0 to 1000"),
        ({"percent": float("nan")}, "0 to 1000"),
        ({"percent": 1.0, "current_a": 1.0}, "not both"),
    ):
        with pytest.raises(ConfigError, match=message):
            set_load(folder, LOCAL, taken.image.id, **load)
    update_asset(folder, LOCAL, asset.id, details={"rated_current_a": None})
    with pytest.raises(ConfigError, match="needs the rated current"):
        set_load(folder, LOCAL, taken.image.id, current_a=40.0)


def qr(text: str, side: int = 232) -> bytes:
    """Return a PNG with a QR code, as a label in a photo."""
    zxingcpp = pytest.importorskip("zxingcpp")
    code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode)
    modules = np.array(zxingcpp.write_barcode_to_image(code, scale=6))
    plane = np.full((side + 100, side + 100), 235, np.uint8)
    plane[40 : 40 + modules.shape[0], 40 : 40 + modules.shape[1]] = modules[: side + 60, : side + 60]
    stream = io.BytesIO()
    Picture.fromarray(plane).save(stream, "PNG")
    return stream.getvalue()


def test_a_qr_code_in_a_picture_is_read() -> None:
    assert tags_of(read_bytes(qr("SG-0017"))) == ("SG-0017",)
    assert tags_of(read_bytes(png(40))) == ()


def test_a_picture_finds_its_asset_by_its_qr_code_in_a_limited_child(folder: Service) -> None:
    label = qr("SG-0017")
    with reopened(folder, Limits(children=1)) as service:
        site = create_site(service, LOCAL, "plant", settings={"read_tags": True})
        asset = create_asset(service, LOCAL, site.id, "switchgear", details={"tag": "SG-0017"})
        (taken,) = take_in(service, LOCAL, site.id, [Upload("label.png", label)])
        assert taken.image is not None
        assert (taken.image.asset_id, taken.image.matched_by) == (asset.id, "tag")
        assert taken.image.facts["tags"] == ["SG-0017"]


def test_codes_are_not_looked_for_unless_the_site_says_so(folder: Service) -> None:
    site = create_site(folder, LOCAL, "plant")
    create_asset(folder, LOCAL, site.id, "switchgear", details={"tag": "SG-0017"})
    (taken,) = take_in(folder, LOCAL, site.id, [Upload("label.png", qr("SG-0017"))])
    assert taken.image is not None
    assert taken.image.asset_id is None


def test_a_flir_file_finds_its_asset_by_a_text_annotation_without_any_setting(folder: Service) -> None:
    record = b"\0" * 12 + b'.0.label text "Equipment"\n.0.value text "see MOTOR 7, left"\n'
    data = FlirFile(counts=ramp(24, 32), extra_records=[(0x23, record)]).jpeg()
    site = create_site(folder, LOCAL, "plant")
    asset = create_asset(folder, LOCAL, site.id, "motor", details={"tag": "Motor 7"})
    create_asset(folder, LOCAL, site.id, "other", details={"tag": "Equipment"})
    (taken,) = take_in(folder, LOCAL, site.id, [Upload("x.jpg", data)])
    assert taken.image is not None
    assert (taken.image.asset_id, taken.image.matched_by) == (asset.id, "tag")
    assert taken.image.facts["texts"] == [
        {"source": "FLIR text annotation", "text": "see MOTOR 7, left", "label": "Equipment", "automatic": False}
    ]


def test_a_photo_finds_its_asset_by_a_printed_label_in_a_limited_child(folder: Service) -> None:
    pytest.importorskip("rapidocr")
    with reopened(folder, Limits(children=1)) as service:
        site = create_site(service, LOCAL, "plant", settings={"read_labels": True})
        asset = create_asset(service, LOCAL, site.id, "switchgear", details={"tag": "SG-0017"})
        create_asset(service, LOCAL, site.id, "its neighbour", details={"tag": "SG-0011"})
        (taken,) = take_in(service, LOCAL, site.id, [Upload("x.jpg", encoded(label_photo("SG-0017"), "JPEG"))])
        assert taken.image is not None
        assert (taken.image.asset_id, taken.image.matched_by) == (asset.id, "letters")
        assert list(taken.image.facts["letters"]) == ["SG-0017"]


def test_a_file_is_taken_in_where_its_print_is_too_much_for_the_reader(
    folder: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_much(_photo: object) -> dict[str, float]:
        raise TooLargeError("to decode this takes more memory than the system has; it was stopped")

    monkeypatch.setattr("isotherm.workflows.service.looking.can_read_print", lambda: True)
    monkeypatch.setattr("isotherm.workflows.service.sites.need_print_reader", lambda: None)
    monkeypatch.setattr("isotherm.formats.tags.read_twice", too_much)
    site = create_site(folder, LOCAL, "plant", settings={"read_labels": True})
    (taken,) = take_in(folder, LOCAL, site.id, [Upload("x.jpg", encoded(label_photo("SG-0017"), "JPEG"))])
    assert taken.image is not None
    assert taken.image.facts["letters"] == {}


def test_print_is_read_when_a_file_comes_and_not_each_time_it_is_shown(
    folder: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = list[object]()
    monkeypatch.setattr("isotherm.workflows.service.looking.can_read_print", lambda: True)
    monkeypatch.setattr("isotherm.workflows.service.sites.need_print_reader", lambda: None)
    monkeypatch.setattr("isotherm.formats.tags.read_twice", lambda photo: read.append(photo) or {})
    site = create_site(folder, LOCAL, "plant", settings={"read_labels": True})
    (taken,) = take_in(folder, LOCAL, site.id, [Upload("x.jpg", encoded(label_photo("SG-0017"), "JPEG"))])
    assert taken.image is not None
    assert len(read) == 1
    image_part(folder, LOCAL, taken.image.id, "picture")
    assert len(read) == 1


def test_without_the_reader_the_setting_names_the_extra(folder: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isotherm.formats.tags.find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'isotherm\[tags\]'"):
        create_site(folder, LOCAL, "plant", settings={"read_tags": True})


def test_a_flir_file_finds_its_asset_by_its_position(folder: Service) -> None:
    data = FlirFile(counts=ramp(24, 32), gps=(52.52, 13.405, 34.0)).jpeg()
    place = read_bytes(data).position
    assert place is not None
    site = create_site(folder, LOCAL, "plant")
    where = {"latitude_deg": place.latitude_deg, "longitude_deg": place.longitude_deg}
    asset = create_asset(folder, LOCAL, site.id, "roof", details=where)
    (taken,) = take_in(folder, LOCAL, site.id, [Upload("x.jpg", data)])
    assert taken.image is not None
    assert (taken.image.asset_id, taken.image.matched_by) == (asset.id, "position")


def test_what_cannot_be_read_is_decoded_once_where_print_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded, read = list[bytes](), examination.read_bytes
    monkeypatch.setattr(examination, "read_bytes", lambda data, hints: decoded.append(data) or read(data, hints))
    with examination.Examinations(0) as examinations, pytest.raises(FormatError):
        examinations.examine(b"no picture", "x.jpg", examination.ExaminationSettings(letters=True))
    assert decoded == [b"no picture"]
