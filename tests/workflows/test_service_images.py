"""Files go in and stay in, whole; what is none is refused alone."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from service_cases import png, reopened
from sqlalchemy import func, select

from isotherm.core.errors import (
    BusyError,
    ChangedError,
    ConfigError,
    ConflictError,
    DataError,
    FormatError,
    NotFoundError,
    StorageFullError,
    TooLargeError,
)
from isotherm.store.blob_rows import collect
from isotherm.store.tables import Blob, Finding, Image, Inspection, now
from isotherm.workflows.service.access import LOCAL, Actor
from isotherm.workflows.service.assets import create_asset, delete_asset
from isotherm.workflows.service.audit import verify_audit
from isotherm.workflows.service.categories import create_category, delete_category, list_categories
from isotherm.workflows.service.feedback import give_feedback
from isotherm.workflows.service.images import (
    ImageFilter,
    Upload,
    delete_image,
    get_image,
    image_bytes,
    label_image,
    list_images,
    missing_blobs,
    put_blob,
    take_in,
    thumbnail_bytes,
)
from isotherm.workflows.service.inspections import (
    FindingFilter,
    get_inspection,
    image_part,
    inspect_image,
    list_findings,
    list_inspections,
)
from isotherm.workflows.service.service import Limits, Service
from isotherm.workflows.service.sites import create_site, delete_site, get_site, update_site
from small_pictures import hot_csv


def test_a_file_is_taken_in_whole(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    data = hot_csv()
    (taken,) = take_in(service, LOCAL, site.id, [Upload("été/motor 7.csv", data)], category="hot", split="train")
    assert taken.error == ""
    image = get_image(service, LOCAL, taken.image.id)
    assert (image.name, image.size, image.split, image.duplicate_of) == ("été/motor 7.csv", len(data), "train", None)
    assert image.digest == hashlib.sha256(data).hexdigest()
    assert image_bytes(service, LOCAL, image.id) == data
    assert thumbnail_bytes(service, LOCAL, image.id)[:4] == b"RIFF"
    assert (image.width, image.height, image.kind, image.facts["max_c"]) == (24, 24, "measured", 80.0)
    (finding,) = list_findings(service, LOCAL).items
    assert (finding.image_id, finding.max_c, finding.box) == (image.id, 80.0, [10, 10, 4, 4])
    inspection = get_inspection(service, LOCAL, taken.inspection.id)
    assert inspection.result["findings"][0]["temperatures"]["max_c"] == 80.0
    site = get_site(service, LOCAL, site.id)
    assert (site.images, site.findings, site.bytes) == (1, 1, len(data))
    assert verify_audit(service, LOCAL) == []


def test_a_bad_file_is_refused_alone_and_leaves_nothing(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    bad = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
    uploads = [Upload("a.png", png(10)), Upload("b.png", bad), Upload("empty", b""), Upload("c.png", png(20))]
    taken = take_in(service, LOCAL, site.id, uploads)
    assert [bool(each.error) for each in taken] == [False, True, True, False]
    assert isinstance(taken[1].problem, FormatError)
    assert isinstance(taken[2].problem, DataError)
    assert not service.blobs.has(hashlib.sha256(bad).hexdigest())
    assert get_site(service, LOCAL, site.id).images == 2


def test_files_from_a_path(service: Service, tmp_path: Path) -> None:
    site = create_site(service, LOCAL, "plant")
    (tmp_path / "x.png").write_bytes(png(10))
    (taken,) = take_in(service, LOCAL, site.id, [Upload("x.png", tmp_path / "x.png")])
    assert image_bytes(service, LOCAL, taken.image.id) == png(10)


def test_the_same_content_twice_is_two_images_that_know_of_each_other(service: Service) -> None:
    one, other = create_site(service, LOCAL, "one"), create_site(service, LOCAL, "other")
    first, second = take_in(service, LOCAL, one.id, [Upload("a.png", png(10)), Upload("b.png", png(10))])
    (elsewhere,) = take_in(service, LOCAL, other.id, [Upload("c.png", png(10))])
    assert second.image.duplicate_of == first.image.id
    assert elsewhere.image.duplicate_of is None
    delete_image(service, LOCAL, first.image.id)
    assert get_image(service, LOCAL, second.image.id).duplicate_of is None
    assert image_bytes(service, LOCAL, second.image.id) == png(10)


def test_content_is_given_up_with_the_last_image_that_shows_it(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    taken = take_in(service, LOCAL, site.id, [Upload("a.csv", hot_csv()), Upload("b.csv", hot_csv())])
    digest = taken[0].image.digest

    def given_up() -> bool:
        with service.database.read() as session:
            return session.get(Blob, digest).deleted_at is not None

    delete_image(service, LOCAL, taken[0].image.id)
    assert not given_up()
    delete_image(service, LOCAL, taken[1].image.id)
    assert given_up()
    take_in(service, LOCAL, site.id, [Upload("a.csv", hot_csv())])
    assert not given_up()
    site = get_site(service, LOCAL, site.id)
    assert (site.images, site.findings, site.bytes) == (1, 1, len(hot_csv()))


def test_quotas_and_limits(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    small = Limits(children=0, file_bytes=2000, files_a_request=2, site_images=3, pixels=300)
    with reopened(service, small) as strict:
        taken = take_in(strict, LOCAL, site.id, [Upload("x", png(1)), Upload("y", png(2)), Upload("z", png(3))])
        assert [type(each.problem) for each in taken] == [type(None), type(None), TooLargeError]
        (taken,) = take_in(strict, LOCAL, site.id, [Upload("long.csv", hot_csv())])
        assert "at most 2000" in taken.error
        (taken,) = take_in(strict, LOCAL, site.id, [Upload("wide.png", png(1, side=20))])
        assert isinstance(taken.problem, TooLargeError)
        taken = take_in(strict, LOCAL, site.id, [Upload("x", png(3)), Upload("y", png(4))])
        assert [type(each.problem) for each in taken] == [type(None), StorageFullError]
    assert get_site(service, LOCAL, site.id).images == 3


def test_one_file_a_request(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    with reopened(service, Limits(children=0, files_a_request=1)) as strict:
        taken = take_in(strict, LOCAL, site.id, [Upload("x", png(1)), Upload("y", png(2))])
        assert [type(each.problem) for each in taken] == [type(None), TooLargeError]
        assert take_in(strict, LOCAL, site.id, iter([Upload("z", png(3))]))[0].error == ""
        assert take_in(strict, LOCAL, site.id, []) == []


def test_more_callers_than_places_are_told_to_come_again(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    with reopened(service, Limits(children=0, takers=1)) as full:
        with full.taking(), pytest.raises(BusyError):
            take_in(full, LOCAL, site.id, [Upload("x", png(1))])
        assert take_in(full, LOCAL, site.id, [Upload("x", png(1))])[0].error == ""


def test_content_sent_ahead_belongs_to_who_sent_it(service: Service) -> None:
    site, other = create_site(service, LOCAL, "plant"), create_site(service, LOCAL, "other")
    mine = Actor("me", frozenset({"read", "write"}), frozenset({site.id}), "token-1")
    theirs = Actor("they", frozenset({"read", "write"}), frozenset({other.id}), "token-2")
    digest = hashlib.sha256(png(5)).hexdigest()
    assert missing_blobs(service, mine, [digest]) == [digest]
    put_blob(service, mine, digest, png(5))
    put_blob(service, mine, digest, png(5))
    assert missing_blobs(service, mine, [digest]) == []
    # Who only knows the sha256 learns neither that the content is here nor what it is.
    assert missing_blobs(service, theirs, [digest]) == [digest]
    (stolen,) = take_in(service, theirs, other.id, [Upload("x.png", digest)])
    assert isinstance(stolen.problem, NotFoundError)
    (taken,) = take_in(service, mine, site.id, [Upload("x.png", digest)])
    assert image_bytes(service, mine, taken.image.id) == png(5)
    with pytest.raises(DataError, match=r"not .* as announced"):
        put_blob(service, mine, digest, png(6))


def test_looking_again_replaces_the_findings_and_keeps_the_inspections(service: Service) -> None:
    site = create_site(service, LOCAL, "plant", settings={"hotspot_method": "absolute"})
    (taken,) = take_in(service, LOCAL, site.id, [Upload("a.csv", hot_csv())])
    before = get_image(service, LOCAL, taken.image.id)
    again = inspect_image(service, LOCAL, taken.image.id)
    assert len(list_inspections(service, LOCAL, image_id=taken.image.id).items) == 2
    rows = list_findings(service, LOCAL, FindingFilter(image_id=taken.image.id)).items
    assert {row.inspection_id for row in rows} == {again.id}
    assert get_site(service, LOCAL, site.id).findings == len(rows)
    update_site(service, LOCAL, site.id, settings={"hotspot_method": "percentile", "severity": "none"})
    changed = inspect_image(service, LOCAL, taken.image.id)
    assert changed.severity_rank == -1
    assert get_image(service, LOCAL, taken.image.id).latest_inspection == changed.id
    assert get_image(service, LOCAL, taken.image.id).version == before.version


@pytest.mark.real_data
def test_an_edit_of_the_scene_stays_with_the_image(service: Service, data: Path) -> None:
    site = create_site(service, LOCAL, "plant")
    file = Upload("IR_0341.jpg", data / "resistive_circuit" / "IR_0341.jpg")
    (taken,) = take_in(service, LOCAL, site.id, [file])
    changed = inspect_image(service, LOCAL, taken.image.id, edit={"emissivity": 0.5}, version=1)
    hotter = get_image(service, LOCAL, taken.image.id)
    assert (hotter.version, changed.result["scene"]["emissivity"]["value"]) == (2, 0.5)
    assert hotter.facts["max_c"] > taken.image.facts["max_c"] + 30
    again = inspect_image(service, LOCAL, taken.image.id)
    assert again.result["scene"] == changed.result["scene"]
    with pytest.raises(ChangedError):
        inspect_image(service, LOCAL, taken.image.id, edit={}, version=1)
    inspect_image(service, LOCAL, taken.image.id, edit={}, version=2)
    assert get_image(service, LOCAL, taken.image.id).facts == taken.image.facts | {"edit": {}}
    with pytest.raises(ConfigError, match="emissivity must be at most 1"):
        inspect_image(service, LOCAL, taken.image.id, edit={"emissivity": 2.0})


@pytest.mark.real_data
def test_the_scene_of_a_site(service: Service, data: Path) -> None:
    file = Upload("IR_0341.jpg", data / "resistive_circuit" / "IR_0341.jpg")
    plain, shiny = (
        create_site(service, LOCAL, name, settings=own) for name, own in (("a", {}), ("b", {"emissivity": 0.5}))
    )
    (one,), (other,) = (take_in(service, LOCAL, site.id, [file]) for site in (plain, shiny))
    assert other.image.facts["max_c"] > one.image.facts["max_c"] + 30


def test_parts_for_pages(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    (taken,) = take_in(service, LOCAL, site.id, [Upload("a.csv", hot_csv())])
    assert image_part(service, LOCAL, taken.image.id, "picture")[:4] == b"\x89PNG"
    assert len(image_part(service, LOCAL, taken.image.id, "plane")) == 24 * 24 * 4
    assert image_part(service, LOCAL, taken.image.id, "view")[:1] == b"{"


def test_filters(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    uploads = [Upload("Motor_1.csv", hot_csv(90)), Upload("motor_2.csv", hot_csv(20.2)), Upload("100%.png", png(3))]
    hot, cold, grey = (each.image.id for each in take_in(service, LOCAL, site.id, uploads))
    label_image(service, LOCAL, hot, category="hot", split="test")

    def ids(**wanted: object) -> list[str]:
        return [image.id for image in list_images(service, LOCAL, ImageFilter(**wanted)).items]

    assert ids(site_id=site.id) == [grey, cold, hot]
    assert ids(order="severity")[0] == hot
    assert ids(name="MOTOR") == [cold, hot]
    assert ids(name="%") == [grey]
    assert ids(name="_") == [cold, hot]
    assert ids(category="hot") == ids(split="test") == ids(min_severity=1) == [hot]
    assert ids(category="") == [grey, cold]
    assert ids(since=now() - timedelta(hours=1), until=now() + timedelta(hours=1)) == [grey, cold, hot]
    assert ids(until=now() - timedelta(hours=1)) == []
    assert ids(common=True) == ids(label="hot") == ids(unsure=True) == []
    with service.database.read() as session:
        rows = session.scalar(select(func.count()).select_from(Finding).where(Finding.image_id == hot))
    for wanted in (FindingFilter(category="hot"), FindingFilter(split="test"), FindingFilter(name="motor_1")):
        assert len(list_findings(service, LOCAL, wanted).items) == rows
    inspection = get_image(service, LOCAL, hot).latest_inspection
    give_feedback(service, LOCAL, inspection, "hot")
    assert ids(no_feedback=True) == [grey, cold]
    with pytest.raises(ConfigError, match="split must be"):
        ImageFilter(split="validation")


def test_labels_change_once_for_each_version(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    (taken,) = take_in(service, LOCAL, site.id, [Upload("a.png", png(1))])
    changed = label_image(service, LOCAL, taken.image.id, category="new", split="train", version=1)
    assert changed.version == 2
    with pytest.raises(ChangedError, match="was version 1"):
        label_image(service, LOCAL, taken.image.id, category="other", version=1)
    (category,) = list_categories(service, LOCAL, site.id)
    with pytest.raises(ConflictError, match="1 images have the category"):
        delete_category(service, LOCAL, category.id)
    label_image(service, LOCAL, taken.image.id, category=None)
    delete_category(service, LOCAL, category.id)


def test_common_images_belong_to_no_site(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    (taken,) = take_in(service, LOCAL, None, [Upload("a.png", png(1))], category="broken", split="train")
    assert (taken.image.site_id, taken.inspection) == (None, None)
    assert [image.id for image in list_images(service, LOCAL, ImageFilter(common=True)).items] == [taken.image.id]
    assert [category.name for category in list_categories(service, LOCAL, site.id)] == ["broken"]
    # A name that is common is not made again for the site.
    (own,) = take_in(service, LOCAL, site.id, [Upload("b.png", png(2))], category="broken")
    assert own.image.category_id == taken.image.category_id
    with pytest.raises(NotFoundError):
        inspect_image(service, LOCAL, taken.image.id)
    one_site = Actor("one", frozenset({"write", "read"}), frozenset({site.id}))
    assert get_image(service, one_site, taken.image.id).id == taken.image.id
    for change in (delete_image, inspect_image):
        with pytest.raises(Exception, match=r"all sites|no inspection"):
            change(service, one_site, taken.image.id)


def test_a_site_goes_with_all_it_has(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    asset = create_asset(service, LOCAL, site.id, "motor 7")
    (taken,) = take_in(service, LOCAL, site.id, [Upload("a.csv", hot_csv())], category="hot", asset_id=asset.id)
    give_feedback(service, LOCAL, taken.inspection.id, "cold")
    create_category(service, LOCAL, site.id, "unused")
    delete_site(service, LOCAL, site.id)
    with service.database.read() as session:
        for table in (Image, Inspection, Finding):
            assert session.scalar(select(func.count()).select_from(table)) == 0
    collect(service.database, service.blobs)
    with service.database.read() as session:
        assert session.get(Blob, taken.image.digest).deleted_at is not None
    with pytest.raises(NotFoundError):
        get_site(service, LOCAL, site.id)
    assert verify_audit(service, LOCAL) == []


def test_images_of_an_asset_stay_when_it_goes(service: Service) -> None:
    site, other = create_site(service, LOCAL, "plant"), create_site(service, LOCAL, "other")
    asset = create_asset(service, LOCAL, site.id, "motor 7")
    (taken,) = take_in(service, LOCAL, site.id, [Upload("a.png", png(1))], asset_id=asset.id)
    with pytest.raises(NotFoundError):
        take_in(service, LOCAL, other.id, [Upload("a.png", png(1))], asset_id=asset.id)
    delete_asset(service, LOCAL, asset.id)
    assert get_image(service, LOCAL, taken.image.id).asset_id is None
