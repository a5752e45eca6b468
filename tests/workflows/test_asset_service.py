"""Trends, views, sections of reports and the drift watch over a data folder."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture
from service_cases import add_version, png, simple_models

from isotherm.core.errors import ConfigError, DataError, ForbiddenError, NotFoundError, UnknownNameError
from isotherm.core.shapes import Box
from isotherm.jobs.context import JobContext
from isotherm.reports.document.wording import LANGUAGES, wording
from isotherm.reports.trend_section import NAMES
from isotherm.store.tables import DriftCheck, Image, Inspection, Site
from isotherm.workflows.service import drift as drift_of
from isotherm.workflows.service.access import Actor
from isotherm.workflows.service.asset_images import set_load
from isotherm.workflows.service.assets import create_asset
from isotherm.workflows.service.drift import check_drift, latest_drift, list_checks, site_drift
from isotherm.workflows.service.images import Upload, delete_image, take_in
from isotherm.workflows.service.kinds import KINDS
from isotherm.workflows.service.reporting import Wanted, inspection_report
from isotherm.workflows.service.service import LOCAL, Service
from isotherm.workflows.service.sites import create_site, delete_site
from isotherm.workflows.service.trends import asset_trend, change_png, report_sections, same_views
from small_pictures import hot_csv
from thermal_files import FlirFile

__all__ = ["simple_models"]
START = datetime(2025, 1, 10, 9, tzinfo=UTC)


def view(hot: int, right: int = 0, seed: int = 0) -> bytes:
    """Return an R-JPEG of three round lids over a bar, the middle one with a spot that is `hot` counts above."""
    y, x = np.mgrid[:96, :128]
    x = x - right
    counts = 17000 + 60 * ((x // 16 + y // 16) % 2) + np.random.default_rng(seed).normal(0, 4, x.shape)
    for middle in (32, 64, 96):
        counts = counts + 700 * (np.hypot(x - middle, y - 24) < 9)
    counts = counts + hot * (np.hypot(x - 64, y - 24) < 6) + 200 * (np.abs(y - 60) < 5)
    return FlirFile(counts=counts.astype(np.uint16)).jpeg()


def followed(service: Service, *shown: tuple[int, int], **details: Any) -> tuple[str, str, list[str]]:
    """Make a site with one asset, inspected each quarter; returns their ids and those of the images."""
    site = create_site(service, LOCAL, "plant")
    asset = create_asset(service, LOCAL, site.id, "motor 7", kind="motor", details={"name_rule": "m7_*", **details})
    ids = []
    for number, (hot, right) in enumerate(shown):
        (taken,) = take_in(service, LOCAL, site.id, [Upload(f"m7_{number}.jpg", view(hot, right, number))])
        assert taken.image is not None, taken.error
        ids.append(taken.image.id)
        with service.database.write() as session:
            row = session.get(Image, taken.image.id)
            assert row is not None
            row.taken_at = START + timedelta(days=91 * number)
    return site.id, asset.id, ids


def test_a_spot_that_warms_up_is_an_alarm(service: Service) -> None:
    _, asset, ids = followed(service, (1500, 0), (1520, 3), (3500, 5))
    trend = asset_trend(service, LOCAL, asset)
    assert [row.look.key for row in trend.rows] == ids
    assert [row.look.at for row in trend.rows] == [START + timedelta(days=91 * number) for number in range(3)]
    assert {one.name for one in trend.alarms} == {"max_c", "delta_t_k"}
    quiet = asset_trend(service, LOCAL, asset).series[0]
    assert quiet.samples[1].value - quiet.samples[0].value < 1


def test_loads_bring_the_deltas_to_the_rated_current(folder: Service) -> None:
    _, asset, ids = followed(folder, (1500, 0), (1500, 0), rated_current_a=50.0)
    for image_id, current_a in zip(ids, (50.0, 35.0), strict=True):
        set_load(folder, LOCAL, image_id, current_a=current_a)
    trend = asset_trend(folder, LOCAL, asset)
    rated = [row.rated_delta_t_k for row in trend.rows]
    measured = [row.delta_t_k for row in trend.rows]
    assert rated[1] is not None
    assert measured[1] is not None
    assert rated[1].value == pytest.approx(measured[1].value / 0.49, rel=1e-6)
    assert [one.name for one in trend.alarms] == ["rated_delta_t_k"]


def test_an_image_that_was_sent_twice_counts_once(folder: Service) -> None:
    site, asset, _ = followed(folder, (1000, 0))
    take_in(folder, LOCAL, site, [Upload("m7_again.jpg", view(1000, 0, 0))])
    assert len(asset_trend(folder, LOCAL, asset).rows) == 1


def test_successive_views_are_laid_over_the_newest(folder: Service) -> None:
    site, asset, ids = followed(folder, (1000, 0), (1000, 6), (2500, 3))
    take_in(folder, LOCAL, site, [Upload("m7_other.png", png(90, side=64))])
    found = same_views(folder, LOCAL, asset)
    # The one that was sent last is newest; the file does not say when it was taken.
    assert found.newest.name == "m7_other.png"
    assert [earlier.same for earlier in found.earlier] == [False] * 3
    assert all(earlier.said for earlier in found.earlier)
    with folder.database.write() as session:
        session.query(Image).filter_by(name="m7_other.png").update({"asset_id": None})
    found = same_views(folder, LOCAL, asset, Box(50, 10, 34, 30))
    assert found.newest.id == ids[2]
    assert [earlier.same for earlier in found.earlier] == [True, True]
    middle, first = (earlier.registration for earlier in found.earlier)
    assert middle is not None
    assert first is not None
    assert middle.place(64, 24) == pytest.approx((67, 24), abs=0.6)
    assert first.place(64, 24) == pytest.approx((61, 24), abs=0.6)
    assert found.max_c is not None
    assert all(earlier.max_c is not None and earlier.max_c < found.max_c - 3 for earlier in found.earlier)


def test_what_has_become_warmer_is_red(folder: Service) -> None:
    _, _, ids = followed(folder, (1000, 0), (2500, 3))
    picture = np.asarray(Picture.open(io.BytesIO(change_png(folder, LOCAL, ids[1], ids[0]))).convert("RGB"))
    assert picture.shape == (96, 128, 3)
    assert tuple(picture[24, 67]) == (178, 24, 43)
    assert picture[70:90, 20:110].min() > 225, "nothing has changed there"


def test_views_that_differ_have_no_change(folder: Service) -> None:
    site, _, ids = followed(folder, (1000, 0))
    (taken,) = take_in(folder, LOCAL, site, [Upload("x.csv", hot_csv(90.0))])
    assert taken.image is not None
    with pytest.raises(DataError, match="not the same view: the pictures have different forms"):
        change_png(folder, LOCAL, ids[0], taken.image.id)


def test_an_asset_without_images_and_a_box_outside_say_so(folder: Service) -> None:
    site, asset, _ = followed(folder, (1000, 0))
    empty = create_asset(folder, LOCAL, site, "empty")
    assert asset_trend(folder, LOCAL, empty.id).rows == ()
    with pytest.raises(NotFoundError, match="inspected image of this asset"):
        same_views(folder, LOCAL, empty.id)
    with pytest.raises(ConfigError, match="outside the newest image of 128 x 96 px"):
        same_views(folder, LOCAL, asset, Box(100, 0, 40, 10))


def test_others_see_neither_trend_nor_drift(folder: Service) -> None:
    site, asset, ids = followed(folder, (1000, 0))
    stranger = Actor("x", frozenset({"read", "write"}), frozenset())
    for use in (
        lambda: asset_trend(folder, stranger, asset),
        lambda: same_views(folder, stranger, asset),
        lambda: site_drift(folder, stranger, site),
        lambda: report_sections(folder, stranger, site),
        lambda: set_load(folder, stranger, ids[0], percent=1),
        lambda: list_checks(folder, stranger, site),
    ):
        with pytest.raises(NotFoundError):
            use()
    reader = Actor("x", frozenset({"read"}), None)
    with pytest.raises(ForbiddenError):
        set_load(folder, reader, ids[0], percent=1)


def test_a_report_has_a_section_for_each_asset_with_a_past(folder: Service) -> None:
    site, asset, _ = followed(folder, (1500, 0), (3500, 0))
    create_asset(folder, LOCAL, site, "never seen")
    (section,) = report_sections(folder, LOCAL, site)
    assert section.title == "Trend: motor 7"
    assert any("a rise beyond its uncertainty" in text for text in section.paragraphs)
    assert [figure.kind for figure in section.figures] == ["svg", "svg"]
    assert b"<script" not in section.figures[0].data
    assert b"currentColor" not in section.figures[0].data
    assert len(section.tables[0].rows) == 2
    assert report_sections(folder, LOCAL, site, [asset], "en") == (section,)
    assert report_sections(folder, LOCAL, site, []) == ()


def test_sections_speak_all_languages_of_reports(folder: Service) -> None:
    site, _, _ = followed(folder, (1500, 0), (3500, 0))
    assert len({frozenset(wording(language).words) for language in LANGUAGES}) == 1
    assert all(set(NAMES.values()) <= wording(language).words.keys() for language in LANGUAGES)
    titles = {language: report_sections(folder, LOCAL, site, None, language)[0].title for language in LANGUAGES}
    assert titles["de"] == "Verlauf: motor 7"
    assert titles["zh"] == "趋势: motor 7"
    german = report_sections(folder, LOCAL, site, None, "de")[0]
    assert "," in german.tables[0].rows[0][2]
    with pytest.raises(UnknownNameError, match="language"):
        report_sections(folder, LOCAL, site, None, "fr")


def with_levels(
    service: Service, site: str, levels: np.ndarray, *, split: str = "", confidence: float = 0.0
) -> list[str]:
    """Add images with these mean temperatures to a site; all have the content of one small picture."""
    (taken,) = take_in(service, LOCAL, site, [Upload("x.csv", hot_csv(seed=len(levels)))])
    assert taken.image is not None
    ids = []
    with service.database.write() as session:
        model = session.get_one(Site, site).active_model
        for number, level in enumerate(levels.tolist()):
            facts = {**taken.image.facts, "max_c": level + 20, "numbers": {"mean": level, "contrast": 1.0}}
            image = Image(site_id=site, digest=taken.image.digest, name=f"{split or 'new'}{number}.csv", size=1)
            image.facts, image.split, image.thumbnail = facts, split, taken.image.thumbnail
            session.add(image)
            session.flush()
            said = Inspection(site_id=site, image_id=image.id, model_id=model, confidence=confidence)
            session.add(said)
            session.flush()
            image.latest_inspection = said.id
            ids.append(image.id)
    delete_image(service, LOCAL, taken.image.id)
    return ids


def filled(service: Service, rise: float, new: int = 30) -> str:
    """Make a site with 30 images to learn from, and newer ones that are warmer by `rise`."""
    site = create_site(service, LOCAL, f"plant {rise}")
    levels = np.random.default_rng(1).normal(20, 2, 30 + new)
    with_levels(service, site.id, levels[:30], split="train")
    with_levels(service, site.id, levels[30:] + rise)
    return site.id


def test_warmer_images_have_drifted_and_are_linked(service: Service) -> None:
    found = site_drift(service, LOCAL, filled(service, 8.0))
    assert found.state == "drift"
    assert found.reference == "the images that are marked for training"
    mean = next(each for each in found.shifts if each.shift.name == "mean")
    assert mean.shift.state == "drift"
    assert mean.shift.median is not None
    assert mean.shift.reference_median is not None
    assert mean.shift.median - mean.shift.reference_median == pytest.approx(8, abs=2)
    assert len(mean.images) == drift_of.MOST_LINKED
    values = [image.value for image in mean.images]
    assert values == sorted(values, reverse=True)
    assert all(image.name.startswith("new") for image in mean.images)


def test_images_like_those_of_the_training_are_stable(folder: Service) -> None:
    found = site_drift(folder, LOCAL, filled(folder, 0.0))
    assert found.state == "stable"
    assert all(each.images == () for each in found.shifts)


def test_too_few_images_say_nothing(folder: Service) -> None:
    assert site_drift(folder, LOCAL, filled(folder, 8.0, new=5)).state == "unknown"
    empty = site_drift(folder, LOCAL, create_site(folder, LOCAL, "empty").id)
    assert (empty.state, empty.psi, empty.shifts) == ("unknown", None, ())
    with pytest.raises(ConfigError, match="window must be from 20 to 2000"):
        site_drift(folder, LOCAL, create_site(folder, LOCAL, "other").id, window=19)


@pytest.mark.usefixtures("simple_models")
def test_scores_are_compared_with_those_that_the_model_gave_first(
    folder: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift_of, "WINDOW", 25)
    site = create_site(folder, LOCAL, "plant")

    version = add_version(folder, site.id, "hot")
    with folder.database.write() as session:
        session.get_one(Site, site.id).active_model = version.id
    for confidence in (0.9, 0.6):
        with_levels(folder, site.id, np.full(25, 20.0), confidence=confidence)
    found = site_drift(folder, LOCAL, site.id)
    confidence = next(each for each in found.shifts if each.shift.name == "confidence")
    assert (confidence.shift.reference_median, confidence.shift.median) == (0.9, 0.6)
    assert confidence.shift.state == "drift"


class Alone(JobContext):
    """A job that nobody watches."""

    def __init__(self) -> None:
        pass

    def check(self) -> None:
        pass

    def progress(self, done: int, total: int, message: str = "") -> None:
        pass


def test_the_job_writes_checks_down_and_forgets_old_ones(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift_of, "MOST_CHECKS", 2)
    site = filled(service, 8.0)
    create_site(service, LOCAL, "empty")
    for _ in range(4):
        assert check_drift(service, Alone()) == {"sites": {"drift": 1}}
    checks = list_checks(service, LOCAL, site)
    assert [check.state for check in checks] == ["drift"] * 2
    assert checks[0].id > checks[1].id
    assert checks[0].result["state"] == "drift"
    with service.database.read() as session:
        assert latest_drift(session) == {site: checks[0].psi}


def test_the_check_is_made_every_six_hours(folder: Service) -> None:
    assert KINDS(folder)[drift_of.DRIFT].every_s == 6 * 3600


def test_a_site_takes_its_checks_along(folder: Service) -> None:
    site = filled(folder, 8.0)
    check_drift(folder, Alone())
    delete_site(folder, LOCAL, site)
    with folder.database.read() as session:
        assert session.query(DriftCheck).count() == 0


def test_the_report_of_an_inspection_has_the_trend_of_its_asset_up_to_then(folder: Service) -> None:
    site, _, ids = followed(folder, (1500, 0), (1520, 0), (3500, 0))
    newest = {image: reported(folder, image) for image in ids}
    assert "Verlauf: motor 7" not in newest[ids[0]], "one look is no trend"
    assert "Anstieg größer als die Unsicherheit" not in newest[ids[1]]
    assert "Anstieg größer als die Unsicherheit" in newest[ids[2]]
    assert newest[ids[1]].count("data:image/svg") == newest[ids[2]].count("data:image/svg") == 2
    (other,) = take_in(folder, LOCAL, site, [Upload("other.csv", hot_csv(90.0))])
    assert other.image is not None
    assert "Verlauf" not in reported(folder, other.image.id)
    with pytest.raises(NotFoundError):
        reported(folder, ids[2], Actor("x", frozenset({"read"}), frozenset()))


def reported(service: Service, image_id: str, actor: Actor = LOCAL) -> str:
    with service.database.read() as session:
        latest = session.get_one(Image, image_id).latest_inspection
    assert latest is not None
    return inspection_report(service, actor, latest, Wanted("html", "de")).data.decode()
