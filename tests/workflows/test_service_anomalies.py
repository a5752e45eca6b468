"""A site's anomaly model: learnt from its normal images, at work beside a classifier, seen in trends and drift."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture
from service_cases import add_version, damage, png, simple_models  # noqa: F401 (a fixture)

from isotherm.core.errors import ConfigError, ConflictError, DataError, NotFoundError, UnknownNameError
from isotherm.jobs.running import work_off
from isotherm.store.folder import Store
from isotherm.store.tables import Activation, Feedback, Image, Inspection, Job, ModelVersion, Site
from isotherm.store.verify import verify
from isotherm.workflows.models import TrainedModel
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.anomaly_training import AnomalySettings, methods, request_anomaly_training
from isotherm.workflows.service.assets import create_asset
from isotherm.workflows.service.batches import request_evaluation, request_inspection
from isotherm.workflows.service.browsing import gallery, unlearnt
from isotherm.workflows.service.comparing import compare_models
from isotherm.workflows.service.drift import site_drift
from isotherm.workflows.service.feedback import give_feedback, list_feedback, withdraw_feedback
from isotherm.workflows.service.images import ImageFilter, Upload, take_in
from isotherm.workflows.service.inspections import FindingFilter, inspect_image, list_findings
from isotherm.workflows.service.kinds import KINDS
from isotherm.workflows.service.models import (
    activate,
    get_model,
    list_activations,
    list_models,
    load,
    roll_back,
    training_data,
)
from isotherm.workflows.service.predicting import predict
from isotherm.workflows.service.reporting import Wanted, site_report
from isotherm.workflows.service.scoring import coloured, heatmap
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import create_site, delete_site, get_site
from isotherm.workflows.service.trends import asset_trend
from small_pictures import hot_csv


def add(service: Service, site: Site, *seeds: int, peak_c: float = 20.1, **options: Any) -> list[Image]:
    """Take in pictures of temperatures, one for each seed; the usual ones have no hot spot."""
    uploads = [Upload(f"{options.get('category', 'x')}-{seed}.csv", hot_csv(peak_c, seed=seed)) for seed in seeds]
    taken = take_in(service, LOCAL, site.id, uploads, **options)
    assert [each.error for each in taken] == [""] * len(seeds)
    return [each.image for each in taken]


def run(service: Service, job: Job) -> Job:
    work_off(service.database, KINDS(service))
    with service.database.read() as session:
        return session.get(Job, job.id)


def learnt(service: Service, site: Site, **settings: Any) -> Mapping[str, Any]:
    """Learn with the method that needs no network, and so no time."""
    wanted = AnomalySettings(**{"method": "statistics", **settings})
    job = run(service, request_anomaly_training(service, LOCAL, site.id, wanted))
    assert (job.state, job.error) == ("succeeded", "")
    return job.result


def with_normals(service: Service, count: int = 6) -> Site:
    site = create_site(service, LOCAL, "plant")
    add(service, site, *range(count), category="normal", split="train")
    return site


def latest(service: Service, image: Image) -> Inspection:
    with service.database.read() as session:
        row = session.get(Image, image.id)
        return session.get(Inspection, row.latest_inspection)


def test_what_is_normal_is_learnt_and_what_is_not_stands_out(service: Service) -> None:
    site = with_normals(service)
    tests = add(service, site, 30, 31, category="normal", split="test")
    tests += add(service, site, 32, 33, peak_c=90.0, category="loose joint", split="test")
    found = learnt(service, site)
    version = get_model(service, LOCAL, found["model_id"])
    at_work = get_site(service, LOCAL, site.id)
    assert (version.kind, version.method, found["activated"]) == ("anomaly", "statistics", True)
    assert (at_work.active_model, at_work.active_anomaly_model) == (None, version.id)
    metrics = version.metrics
    assert (metrics["basis"], metrics["count"], metrics["accuracy"]) == ("test", 4, 1.0)
    assert (metrics["confusion"], metrics["labels"]) == ([[2, 0], [0, 2]], ["Normal", "Anomaly"])
    assert (metrics["test"]["auroc"]["value"], metrics["test"]["found"]["hits"]) == (1.0, 2)
    assert metrics["images"][tests[3].id]["truth"] == "Anomaly"
    held = metrics["held_out"]
    # Fewer than 50: each was scored by a model that had not seen it, and the 99th percentile of six is the highest.
    assert (held["images"], len(held["scores"])) == (6, 6)
    assert metrics["threshold"] == pytest.approx(np.percentile(held["scores"], 99), rel=0.05)
    assert {row[0] for row in training_data(service, version)["train"]}.isdisjoint(each.id for each in tests)
    card = version.card
    assert (card["normal"], card["data"]["train"], card["seen"]["sizes"]) == ("normal", 6, {"24 x 24": 6})
    assert any("loose joint" in note for note in card["notes"])
    assert any("are few" in note for note in card["notes"])
    fine, hot = add(service, site, 40), add(service, site, 41, peak_c=95.0)
    said = latest(service, hot[0])
    assert (said.anomaly_model_id, said.result["anomaly"]["prediction"], hot[0].anomalous) == (
        version.id,
        "Anomaly",
        True,
    )
    assert said.score == said.result["anomaly"]["score"] > said.result["anomaly"]["threshold"] == metrics["threshold"]
    kinds = [finding["kind"] for finding in said.result["findings"]]
    assert kinds[0] == "hotspot"
    assert "anomaly" in kinds
    assert hot[0].facts["findings"] == len(kinds)
    marked = next(each for each in said.result["findings"] if each["kind"] == "anomaly")
    assert marked["severity"] is None
    assert marked["score"] > held["pixel_threshold"]
    assert (fine[0].anomalous, latest(service, fine[0]).result["anomaly"]["prediction"]) == (False, "Normal")
    assert next(row.image_id for row in list_findings(service, LOCAL, FindingFilter(kind="anomaly")).items) == hot[0].id
    strange = gallery(service, LOCAL, ImageFilter(site_id=site.id, anomalous=True)).items
    assert [tile.image.id for tile in strange] == [hot[0].id]
    assert verify(Store(service.database, service.blobs)).flaws == ()


def test_both_kinds_are_at_work_beside_each_other(service: Service, simple_models: None) -> None:  # noqa: F811
    site = with_normals(service)
    cold, hot = add_version(service, site.id, "cold"), add_version(service, site.id, "hot")
    activate(service, LOCAL, cold.id)
    first, second = learnt(service, site), learnt(service, site, seed=1)
    activate(service, LOCAL, hot.id)
    (image,) = add(service, site, 41, peak_c=95.0)
    said = latest(service, image)
    assert (said.label, said.model_id, said.anomaly_model_id) == ("hot", hot.id, second["model_id"])
    assert roll_back(service, LOCAL, site.id, kind="anomaly").id == first["model_id"]
    at_work = get_site(service, LOCAL, site.id)
    assert (at_work.active_model, at_work.active_anomaly_model) == (hot.id, first["model_id"])
    assert roll_back(service, LOCAL, site.id).id == cold.id
    with pytest.raises(ConflictError, match="no other model"):
        roll_back(service, LOCAL, site.id, kind="anomaly")
    switches = list_activations(service, LOCAL, site.id).items
    assert [each.kind for each in switches] == [
        "classifier",
        "anomaly",
        "classifier",
        "anomaly",
        "anomaly",
        "classifier",
    ]
    listed = list_models(service, LOCAL, site.id, kind="anomaly").items
    assert [each.number for each in listed] == [4, 3]
    # A list of versions does not grow with the images that each has held out.
    whole = get_model(service, LOCAL, listed[0].id).metrics["held_out"]
    assert listed[0].metrics["held_out"] == {name: said for name, said in whole.items() if name != "scores"} != whole
    # Whoever asks for categories gets none from a model of the other kind.
    with pytest.raises(ConflictError, match="kind anomaly, not classifier"):
        predict(service, LOCAL, site.id, [Upload("x.csv", hot_csv())], model_id=first["model_id"])
    with pytest.raises(ConflictError, match="compare two of one kind"):
        compare_models(service, LOCAL, first["model_id"], cold.id)
    with pytest.raises(ConflictError, match="kind anomaly"):
        load(service, get_model(service, LOCAL, first["model_id"]))
    delete_site(service, LOCAL, site.id)
    assert verify(Store(service.database, service.blobs)).flaws == ()


def test_a_damaged_anomaly_model_is_refused_and_the_one_before_scores(service: Service) -> None:
    site = with_normals(service)
    first, second = learnt(service, site), learnt(service, site, threshold_percentile=90.0)
    version = get_model(service, LOCAL, second["model_id"])
    service.loaded.drop(version.id)
    # The arrays of both may be the same content.
    damage(service, version, "manifest.json")
    (image,) = add(service, site, 41, peak_c=95.0)
    assert latest(service, image).anomaly_model_id == first["model_id"]
    assert get_model(service, LOCAL, second["model_id"]).state == "refused"
    assert get_site(service, LOCAL, site.id).active_anomaly_model == first["model_id"]


def test_what_a_model_cannot_score_says_why_and_is_kept(service: Service) -> None:
    site = with_normals(service)
    learnt(service, site)
    (taken,) = take_in(service, LOCAL, site.id, [Upload("grey.png", png(200))])
    said = latest(service, taken.image)
    assert (said.status, said.score, said.result["anomaly"], taken.image.anomalous) == ("ok", None, None, None)
    assert any(note.startswith("no anomaly score: ") and "temperatures" in note for note in said.result["notes"])
    with pytest.raises(NotFoundError, match="score of this image"):
        heatmap(service, LOCAL, taken.image.id)


def test_what_is_learnt_from_is_said_before_the_work(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    add(service, site, 1, 2, category="ok", split="train")
    add(service, site, 3, peak_c=90.0, category="loose joint", split="train")

    def ask(**settings: Any) -> Job:
        return request_anomaly_training(service, LOCAL, site.id, AnomalySettings(method="statistics", **settings))

    with pytest.raises(
        DataError, match=r"category 'normal' has 0 different training image.*'loose joint' \(1\), 'ok' \(2\)"
    ):
        ask()
    with pytest.raises(DataError, match="has 1 different"):
        ask(category="loose joint")
    with pytest.raises(ConfigError, match="multiple of 32"):
        ask(image_size=100)
    with pytest.raises(ConfigError, match="needs torch"):
        AnomalySettings(method="draem")
    with pytest.raises(UnknownNameError, match="nothing"):
        AnomalySettings(method="nothing")
    with pytest.raises(ConfigError, match="unknown gain"):
        request_anomaly_training(
            service, LOCAL, site.id, AnomalySettings(category="ok", method="statistics"), config={"gain": 2}
        )
    with service.database.read() as session:
        assert session.query(Job).count() == 0
    ask(category="OK")
    with pytest.raises(ConflictError, match="already training"):
        ask(category="ok")
    assert methods()[0] == "patchcore"
    assert "efficientad" not in methods()


def test_corrections_by_people_are_learnt_from_and_test_images_never(service: Service) -> None:
    site = with_normals(service, 4)
    (held,) = add(service, site, 50, category="normal", split="test")
    (image,) = add(service, site, 60, peak_c=40.0)
    for each in (image, held):
        give_feedback(service, LOCAL, each.latest_inspection, "normal")
    found = learnt(service, site)
    version = get_model(service, LOCAL, found["model_id"])
    data = training_data(service, version)
    assert image.id in [row[0] for row in data["train"]]
    assert held.id not in [row[0] for row in data["train"]]
    assert len(data["feedback"]) == 1
    assert version.card["data"]["train"] == 5


def test_a_correction_waits_until_the_classifier_has_learnt_it(service: Service, simple_models: None) -> None:  # noqa: F811
    site = with_normals(service, 4)
    (image,) = add(service, site, 60, peak_c=40.0)
    said = give_feedback(service, LOCAL, image.latest_inspection, "normal")
    assert unlearnt(service, LOCAL, site.id) == 1
    learnt(service, site)
    # Nothing else is there that could learn from it.
    assert unlearnt(service, LOCAL, site.id) == 0
    classifier = add_version(service, site.id, "cold")
    activate(service, LOCAL, classifier.id)
    assert [row.id for row in list_feedback(service, LOCAL, unused=True).items] == [said.id]
    with service.database.write() as session:
        session.get(Feedback, said.id).used_in = classifier.id
    learnt(service, site)
    assert unlearnt(service, LOCAL, site.id) == 0
    with pytest.raises(ConflictError, match="has learnt from this"):
        withdraw_feedback(service, LOCAL, said.id)


def test_a_score_that_is_no_number_is_a_failed_test_image(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    site = with_normals(service)
    (held,) = add(service, site, 30, category="normal", split="test")
    found = learnt(service, site)
    judge = TrainedModel.judge
    nothing = lambda self, images: (replace(each, score=float("nan")) for each in judge(self, images))  # noqa: E731
    monkeypatch.setattr(TrainedModel, "judge", nothing)
    job = run(service, request_evaluation(service, LOCAL, found["model_id"]))
    assert (job.result["metrics"], job.result["notes"]) == (None, ["there is no test image that the model can score"])
    said = inspect_image(service, LOCAL, held.id)
    assert (said.score, said.result["notes"][-1]) == (
        None,
        "no anomaly score: the model gave no finite score for this picture",
    )


def test_the_drift_watch_leaves_out_what_the_anomaly_model_has_learnt(
    service: Service,
    simple_models: None,  # noqa: F811
) -> None:
    site = with_normals(service, 4)
    activate(service, LOCAL, add_version(service, site.id, "cold").id)
    for image in add(service, site, *range(60, 80)):
        give_feedback(service, LOCAL, image.latest_inspection, "normal")
    learnt(service, site)
    add(service, site, *range(80, 100))
    shifts = {each.shift.name: each.shift for each in site_drift(service, LOCAL, site.id).shifts}
    assert (shifts["score"].reference_count, shifts["score"].count) == (24, 20)


def test_a_better_version_takes_over_and_a_worse_one_does_not(service: Service) -> None:
    site = with_normals(service)
    add(service, site, 30, category="normal", split="test")
    add(service, site, 32, peak_c=90.0, category="fault", split="test")
    first = learnt(service, site, activate="never")
    assert get_site(service, LOCAL, site.id).active_anomaly_model is None
    assert not first["activated"]
    second = learnt(service, site, activate="better")
    third = learnt(service, site, activate="better", seed=3)
    assert (second["activated"], third["activated"]) == (True, False)
    both = compare_models(service, LOCAL, second["model_id"], third["model_id"])
    assert (both.both, both.differences) == (2, ())
    job = run(service, request_evaluation(service, LOCAL, second["model_id"]))
    assert job.result["metrics"]["accuracy"]["value"] == 1.0


def test_a_killed_training_begins_again_and_makes_one_version(service: Service) -> None:
    site = with_normals(service)
    job = request_anomaly_training(service, LOCAL, site.id, AnomalySettings(method="statistics"))
    run(service, job)
    with service.database.write() as session:
        # As if the worker had died after its commit and before the end of the job.
        session.get(Job, job.id).state = "queued"
    assert run(service, job).result["number"] == 1
    with service.database.read() as session:
        assert session.query(ModelVersion).count() == 1
        assert session.query(Activation).count() == 1


def test_the_heatmap_covers_the_picture_and_marks_what_is_strange(service: Service) -> None:
    site = with_normals(service)
    learnt(service, site)
    (hot,) = add(service, site, 41, peak_c=95.0)
    pixels = np.asarray(Picture.open(io.BytesIO(heatmap(service, LOCAL, hot.id))))
    assert pixels.shape == (24, 24, 4)
    assert pixels[11, 11, 3] > 150 > pixels[2, 2, 3]


def test_colours_begin_at_the_low_end_and_are_full_at_the_high_one() -> None:
    values = np.array([[0.0, 1.0, 2.0, 3.0, 9.0]], np.float32)
    opacity = coloured(values, 1.0, 3.0)[0, :, 3].tolist()
    assert opacity[:2] == [0, 0]
    assert opacity[2] < opacity[3] == opacity[4] == 200


def test_looking_again_scores_what_came_before_the_model(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    (early,) = add(service, site, 41, peak_c=95.0)
    add(service, site, *range(6), category="normal", split="train")
    learnt(service, site)
    assert early.anomalous is None
    run(service, request_inspection(service, LOCAL, site.id))
    with service.database.read() as session:
        assert session.get(Image, early.id).anomalous is True
    assert inspect_image(service, LOCAL, early.id).score == latest(service, early).score


def test_a_score_alarms_where_it_rises_by_more_than_normal_images_differ(service: Service) -> None:
    site = with_normals(service)
    scores = get_model(service, LOCAL, learnt(service, site)["model_id"]).metrics["held_out"]["scores"]
    asset = create_asset(service, LOCAL, site.id, "motor 7")
    add(service, site, 70, 71, asset_id=asset.id)
    calm = next(one for one in asset_trend(service, LOCAL, asset.id).series if one.name == "score")
    # Student's t of 5 degrees of freedom, for the interval of one more score like the six that were held out.
    half = 2.5706 * float(np.std(scores, ddof=1)) * (1 + 1 / 6) ** 0.5
    assert calm.samples[0].uncertainty == pytest.approx(half / 2, rel=1e-3)
    assert (len(calm.samples), calm.alarm) == (2, False)
    add(service, site, 80, peak_c=95.0, asset_id=asset.id)
    trend = asset_trend(service, LOCAL, asset.id)
    assert "score" in [one.name for one in trend.alarms]
    # Scores of two models are not compared: after another one has scored the newest, there is one score.
    learnt(service, site, seed=5)
    add(service, site, 81, asset_id=asset.id)
    (score,) = (one for one in asset_trend(service, LOCAL, asset.id).series if one.name == "score")
    assert len(score.samples) == 1


def test_the_drift_watch_compares_scores_with_those_held_out(service: Service) -> None:
    site = with_normals(service, 30)
    learnt(service, site)
    add(service, site, *range(100, 130))
    found = {each.shift.name: each for each in site_drift(service, LOCAL, site.id).shifts}
    assert (found["score"].shift.reference_count, found["score"].shift.count) == (30, 30)
    assert found["score"].shift.state in ("stable", "watch")
    strange = add(service, site, *range(130, 160), peak_c=60.0)
    drift = site_drift(service, LOCAL, site.id, window=30)
    found = {each.shift.name: each for each in drift.shifts}
    assert (drift.state, found["score"].shift.state) == ("drift", "drift")
    assert {image.id for image in found["score"].images} <= {image.id for image in strange}


def test_reports_and_tables_tell_the_score(service: Service) -> None:
    site = with_normals(service)
    learnt(service, site)
    add(service, site, 41, peak_c=95.0)
    rows = site_report(service, LOCAL, site.id, Wanted("csv")).data.decode()
    assert "Anomaly" in rows
    page = site_report(service, LOCAL, site.id, Wanted("html")).data.decode()
    assert "anomaly model version 1" in page
