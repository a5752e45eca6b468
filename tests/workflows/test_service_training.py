"""Trainings and batches: what is learnt from, how it is tested, and that nothing is done twice."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from service_cases import Says, load_says, png, reopened
from sqlalchemy import func, select

from isotherm.core.errors import BusyError, ConfigError, ConflictError, DataError, ForbiddenError, NotFoundError
from isotherm.jobs import queue
from isotherm.jobs.context import JobContext
from isotherm.jobs.queue import claim
from isotherm.jobs.running import work_off
from isotherm.store.tables import Image, Inspection, Job, Site
from isotherm.workflows.classify_data import LabelledPicture
from isotherm.workflows.service.access import LOCAL, Actor
from isotherm.workflows.service.audit import verify_audit
from isotherm.workflows.service.batches import Arrival, request_evaluation, request_import, request_inspection
from isotherm.workflows.service.categories import create_category
from isotherm.workflows.service.comparing import compare_models
from isotherm.workflows.service.feedback import give_feedback, list_feedback, withdraw_feedback
from isotherm.workflows.service.images import (
    ImageFilter,
    Upload,
    delete_image,
    label_image,
    list_images,
    put_blob,
    take_in,
)
from isotherm.workflows.service.kinds import KINDS
from isotherm.workflows.service.labelled import LabelledImage
from isotherm.workflows.service.models import get_model, list_models, training_data
from isotherm.workflows.service.predicting import predict
from isotherm.workflows.service.service import Limits, Service
from isotherm.workflows.service.sites import create_site, get_site
from isotherm.workflows.service.testing_models import fair_tests
from isotherm.workflows.service.training import TrainSettings, request_training


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[list[LabelledPicture]]:
    """Have trainings say the label that most of their pictures have; gives what each has learnt from."""
    learnt: list[list[LabelledPicture]] = []

    def train(pictures: Sequence[LabelledPicture], out: Path, **_options: object) -> Says:
        learnt.append(list(pictures))
        labels = sorted({each.label for each in pictures})
        common = max(labels, key=lambda label: sum(each.label == label for each in pictures))
        found = Says(common, labels=tuple(labels), manifest={"metrics": {"held_out": {"images": 10, "accuracy": 0.8}}})
        found.save(out)
        return found

    monkeypatch.setattr("isotherm.workflows.classify.train_classifier", train)
    monkeypatch.setattr("isotherm.workflows.classify_model.load_classifier", load_says)
    return learnt


def add(service: Service, site: Site | None, category: str, split: str, *seeds: int) -> list[Image]:
    """Take pictures in, one for each seed: those of "hot" are bright."""
    uploads = [Upload(f"{category}-{seed}.png", png(200 if category == "hot" else 20, seed=seed)) for seed in seeds]
    taken = take_in(service, LOCAL, site and site.id, uploads, category=category, split=split)
    assert [each.error for each in taken] == [""] * len(seeds)
    return [each.image for each in taken]


def run(service: Service, job: Job) -> Job:
    work_off(service.database, KINDS(service))
    with service.database.read() as session:
        return session.get(Job, job.id)


def trained(service: Service, site: Site, **settings: Any) -> Mapping[str, Any]:
    job = run(service, request_training(service, LOCAL, site.id, TrainSettings(**settings)))
    assert (job.state, job.error) == ("succeeded", "")
    return job.result


@pytest.mark.slow
def test_a_site_learns_answers_is_corrected_and_learns_again(service: Service) -> None:
    if service.database.dialect != "sqlite":
        pytest.skip("a real training once; the rows are tested on both")
    site = create_site(service, LOCAL, "plant")
    add(service, site, "hot", "train", *range(6))
    add(service, site, "cold", "train", *range(10, 16))
    add(service, site, "hot", "test", *range(20, 24))
    tests = add(service, site, "cold", "test", *range(30, 34))
    found = trained(service, site)
    version = get_model(service, LOCAL, found["model_id"])
    assert (found["number"], found["activated"], get_site(service, LOCAL, site.id).active_model) == (
        1,
        True,
        version.id,
    )
    assert (version.metrics["basis"], version.metrics["accuracy"], version.metrics["count"]) == ("test", 1.0, 8)
    assert version.metrics["confusion"] == [[4, 0], [0, 4]]
    assert version.metrics["per_class"]["hot"]["recall"] == 1.0
    assert version.metrics["images"][tests[0].id]["truth"] == "cold"
    data = training_data(service, version)
    assert (len(data["train"]), len(data["test"]), data["feedback"]) == (12, 8, [])
    assert {row[1] for row in data["train"]}.isdisjoint(row[1] for row in data["test"])
    answers = predict(service, LOCAL, site.id, [Upload("x", png(205, seed=77)), Upload("y", png(22, seed=78))])
    assert [answer.nearest for answer in answers] == ["hot", "cold"]
    # Half bright pictures are called something; people say that they are "warm".
    taken = take_in(service, LOCAL, site.id, [Upload(f"w{seed}", png(110, seed=seed)) for seed in range(40, 46)])
    for each in taken:
        give_feedback(service, LOCAL, each.inspection.id, "warm")
    second = trained(service, site)
    assert get_model(service, LOCAL, second["model_id"]).card["labels"] == ["cold", "hot", "warm"]
    (answer,) = predict(service, LOCAL, site.id, [Upload("x", png(110, seed=99))])
    assert answer.nearest == "warm"
    assert list_feedback(service, LOCAL, unused=True).items == ()
    assert verify_audit(service, LOCAL) == []


def test_what_is_learnt_from(service: Service, quick: list[list[LabelledPicture]]) -> None:
    site, other = create_site(service, LOCAL, "plant"), create_site(service, LOCAL, "other")
    hot = add(service, site, "hot", "train", 1, 2)
    add(service, site, "cold", "train", 3)
    add(service, site, "hot", "", 4)
    tests = add(service, site, "cold", "test", 5)
    add(service, None, "burnt", "train", 6)
    add(service, None, "burnt", "test", 7)
    add(service, other, "secret", "train", 8)
    create_category(service, LOCAL, site.id, "empty")
    give_feedback(service, LOCAL, hot[1].latest_inspection, "cold")
    give_feedback(service, LOCAL, tests[0].latest_inspection, "hot")
    found = trained(service, site)
    assert sorted((each.name, each.label, each.common) for each in quick[0]) == [
        ("burnt-6.png", "burnt", True),
        ("cold-3.png", "cold", False),
        ("hot-1.png", "hot", False),
        ("hot-2.png", "cold", False),
    ]
    assert found["notes"] == [
        "feedback on 1 test images is not learnt from",
        "no training images, so not learnt: empty",
    ]
    version = get_model(service, LOCAL, found["model_id"])
    assert list(version.metrics["images"]) == [tests[0].id]
    assert training_data(service, version)["feedback"] == [
        each.id for each in list_feedback(service, LOCAL).items if each.used_in
    ]
    marked = {each.image_id: each.used_in for each in list_feedback(service, LOCAL).items}
    assert marked == {hot[1].id: version.id, tests[0].id: None}


def test_the_last_word_on_an_image_counts(service: Service, quick: list[list[LabelledPicture]]) -> None:
    site = create_site(service, LOCAL, "plant")
    (image,) = add(service, site, "hot", "train", 1)
    add(service, site, "cold", "train", 2)
    add(service, site, "hot", "train", 3)
    me, you = LOCAL, Actor("you", LOCAL.scopes)
    give_feedback(service, me, image.latest_inspection, "cold")
    said = give_feedback(service, you, image.latest_inspection, "warm")
    again = give_feedback(service, you, image.latest_inspection, "hot", note="look at the left clamp")
    assert (again.id, again.note) == (said.id, "look at the left clamp")
    assert len(list_feedback(service, LOCAL, site_id=site.id).items) == 2
    withdraw_feedback(service, you, said.id)
    trained(service, site)
    labels = {each.name: each.label for each in quick[0]}
    assert labels == {"hot-1.png": "cold", "cold-2.png": "cold", "hot-3.png": "hot"}
    with pytest.raises(NotFoundError):
        withdraw_feedback(service, you, said.id)


def test_feedback_that_was_learnt_from_stays(service: Service, quick: list[list[LabelledPicture]]) -> None:
    site = create_site(service, LOCAL, "plant")
    (image,) = add(service, site, "hot", "train", 1)
    add(service, site, "cold", "train", 2)
    add(service, site, "hot", "train", 3)
    said = give_feedback(service, LOCAL, image.latest_inspection, "cold")
    trained(service, site)
    with pytest.raises(ConflictError, match="has learnt from this"):
        withdraw_feedback(service, LOCAL, said.id)
    changed = give_feedback(service, LOCAL, image.latest_inspection, "hot")
    assert changed.used_in is None
    with pytest.raises(NotFoundError):
        give_feedback(service, LOCAL, image.latest_inspection, "unheard of", create=False)


def test_without_test_images_the_numbers_say_so(service: Service, quick: list[list[LabelledPicture]]) -> None:
    site = create_site(service, LOCAL, "plant")
    add(service, site, "hot", "train", 1)
    add(service, site, "cold", "train", 2)
    version = get_model(service, LOCAL, trained(service, site)["model_id"])
    assert (version.metrics["basis"], version.metrics["accuracy"], version.metrics["images"]) == ("held-out", 0.8, {})
    low, high = version.metrics["interval"]
    assert low < 0.8 < high
    assert "no test images" in version.card["notes"][-1]


def test_test_images_that_are_learnt_from(service: Service, quick: list[list[LabelledPicture]]) -> None:
    site = create_site(service, LOCAL, "plant")
    add(service, site, "hot", "train", 1, 2)
    add(service, site, "cold", "train", 3)
    add(service, site, "hot", "test", 1, 2)
    first = get_model(service, LOCAL, trained(service, site)["model_id"])
    assert first.metrics["test"]["was_learnt_from"] is True
    assert any("the test says nothing" in note for note in first.card["notes"])
    (fresh,) = add(service, site, "hot", "test", 9)
    second = get_model(service, LOCAL, trained(service, site)["model_id"])
    assert list(second.metrics["images"]) == [fresh.id]
    assert second.metrics["test"]["was_learnt_from"] is False
    assert "2 test images are also learnt from; they are not tested" in second.card["notes"]


def test_pictures_of_one_asset_are_on_one_side() -> None:
    images = [
        LabelledImage(str(n), f"d{n}", "x", "hot", "test", group=group) for n, group in enumerate(("a", "b", "b", ""))
    ]
    copy = LabelledImage("9", "d3", "x", "hot", "test")
    found = fair_tests([*images, copy], ["elsewhere"], ["a"])
    assert [each.image_id for each in found.images] == ["1", "2", "3"]
    assert found.notes == ("1 test images are also learnt from; they are not tested",)


@pytest.mark.parametrize(("activate", "switched"), [("always", True), ("better", False), ("never", False)])
def test_who_takes_over(service: Service, quick: list[list[LabelledPicture]], activate: str, switched: bool) -> None:
    site = create_site(service, LOCAL, "plant", settings={"activate": activate})
    add(service, site, "hot", "train", 1, 2)
    add(service, site, "cold", "train", 3)
    add(service, site, "hot", "test", 4, 5)
    assert trained(service, site)["activated"] is (activate != "never")
    add(service, site, "cold", "train", 6, 7, 8)
    second = trained(service, site)
    assert second["activated"] is switched
    add(service, site, "hot", "train", 9, 10, 11, 12)
    third = trained(service, site, activate="better")
    # As good as the active one is not better.
    assert third["activated"] is (activate != "better")
    first, *_ = reversed(list_models(service, LOCAL, site.id).items)
    assert compare_models(service, LOCAL, first.id, second["model_id"]).only_first == 2


def test_what_cannot_be_trained_is_said_before_it_is_queued(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    with pytest.raises(DataError, match="there is none"):
        request_training(service, LOCAL, site.id)
    add(service, site, "hot", "train", 1, 2)
    add(service, site, "cold", "test", 3)
    with pytest.raises(DataError, match="there is 'hot'"):
        request_training(service, LOCAL, site.id)
    add(service, site, "cold", "train", 4)
    with pytest.raises(ConfigError, match="unknown epoch"):
        request_training(service, LOCAL, site.id, TrainSettings(method="small_cnn"), config={"epoch": 3})
    with pytest.raises(Exception, match="unknown classifier"):
        TrainSettings(method="crystal_ball")
    reader = Actor("reader", frozenset({"read", "write"}))
    with pytest.raises(ForbiddenError):
        request_training(service, reader, site.id)
    with service.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 0


def test_one_training_of_a_site_at_a_time(service: Service, quick: list[list[LabelledPicture]]) -> None:
    sites = [create_site(service, LOCAL, name) for name in ("one", "other")]
    for site in sites:
        add(service, site, "hot", "train", 1)
        add(service, site, "cold", "train", 2)

    def ask(number: int) -> str:
        try:
            return request_training(service, LOCAL, sites[number % 2].id).id
        except ConflictError:
            return ""

    with ThreadPoolExecutor(8) as threads:
        made = [job for job in threads.map(ask, range(16)) if job]
    assert len(made) == 2
    work_off(service.database, KINDS(service))
    assert [len(list_models(service, LOCAL, site.id).items) for site in sites] == [1, 1]
    assert request_training(service, LOCAL, sites[0].id).state == "queued"


def test_a_training_that_was_killed_after_its_commit_is_not_done_twice(
    service: Service, quick: list[list[LabelledPicture]]
) -> None:
    site = create_site(service, LOCAL, "plant")
    add(service, site, "hot", "train", 1)
    add(service, site, "cold", "train", 2)
    request_training(service, LOCAL, site.id)
    kinds = KINDS(service)
    lease = claim(service.database, "worker", list(kinds))
    context = JobContext(service.database, lease)
    first = kinds["train"].function(context)
    # The process died before the job was finished: the next attempt finds the item.
    second = kinds["train"].function(JobContext(service.database, lease))
    assert first == second
    assert len(list_models(service, LOCAL, site.id).items) == len(quick) == 1
    assert [path.name for path in (service.folder / "scratch").iterdir()] == []


def test_a_batch_looks_at_each_image_once(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    images = add(service, site, "hot", "train", 1, 2, 3, 4)
    service.blobs.path(images[1].digest).unlink()
    job = request_inspection(service, LOCAL, site.id)
    add(service, site, "hot", "train", 5)
    delete_image(service, LOCAL, images[2].id)
    kinds = KINDS(service)
    lease = claim(service.database, "worker", list(kinds))

    class KilledError(Exception):
        pass

    class Dying(JobContext):
        def check(self) -> None:
            if len(self.finished_items()) == 2:
                raise KilledError

    with pytest.raises(KilledError):
        kinds["inspect"].function(Dying(service.database, lease))
    result = kinds["inspect"].function(JobContext(service.database, lease))
    assert (result["items"], result["failed"]) == (3, 1)
    assert list(result["errors"]) == [images[1].id]
    with service.database.read() as session:
        made = session.scalars(select(Inspection.image_id).where(Inspection.job_id == job.id)).all()
    assert sorted(made) == sorted([images[0].id, images[3].id])


def test_a_batch_of_some_images(service: Service) -> None:
    site, other = create_site(service, LOCAL, "plant"), create_site(service, LOCAL, "other")
    one, _ = add(service, site, "hot", "train", 1, 2)
    (foreign,) = add(service, other, "hot", "train", 3)
    with pytest.raises(NotFoundError):
        request_inspection(service, LOCAL, site.id, image_ids=[foreign.id])
    job = run(service, request_inspection(service, LOCAL, site.id, image_ids=[one.id, one.id]))
    assert job.result == {"items": 1, "failed": 0, "errors": {}}


def test_an_import_takes_each_file_in_once(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    me = Actor("me", frozenset({"read", "write"}), frozenset({site.id}), "token-1")
    contents = [png(10, seed=1), b"no image at all", png(10, seed=2)]
    arrivals = []
    for number, content in enumerate(contents):
        digest = hashlib.sha256(content).hexdigest()
        put_blob(service, me, digest, content)
        arrivals.append(Arrival(digest, f"{number}.png", category="cold", split="train"))
    with pytest.raises(NotFoundError):
        request_import(service, me, site.id, [Arrival("0" * 64, "x.png")])
    with pytest.raises(ConfigError):
        request_import(service, me, site.id, [Arrival(arrivals[0].digest, "x.png", category="../x")])
    job = request_import(service, me, site.id, arrivals)
    lease = claim(service.database, "worker", ["import"])
    kinds = KINDS(service)
    first = kinds["import"].function(JobContext(service.database, lease))
    assert kinds["import"].function(JobContext(service.database, lease)) == first
    assert (first["items"], first["failed"], list(first["errors"])) == (3, 1, ["1"])
    images = list_images(service, LOCAL, ImageFilter(site_id=site.id, category="cold", split="train")).items
    assert [(image.name, image.uploaded_by) for image in images] == [("2.png", "me"), ("0.png", "me")]
    assert all(image.latest_inspection for image in images)
    assert job.site_id == site.id


def test_a_version_is_tested_again_with_the_test_images_of_now(
    service: Service, quick: list[list[LabelledPicture]]
) -> None:
    site = create_site(service, LOCAL, "plant")
    learnt = add(service, site, "hot", "train", 1, 2)
    add(service, site, "cold", "train", 3)
    model = trained(service, site)["model_id"]
    none = run(service, request_evaluation(service, LOCAL, model))
    assert none.result["metrics"] is None
    label_image(service, LOCAL, learnt[0].id, category="hot", split="test")
    (fresh,) = add(service, site, "cold", "test", 9)
    found = run(service, request_evaluation(service, LOCAL, model)).result
    # What the version has learnt from stays learnt from, whatever it is called now.
    assert list(found["metrics"]["answers"]) == [fresh.id]
    assert found["metrics"]["accuracy"]["value"] == 0.0
    assert found["notes"] == ["1 test images are also learnt from; they are not tested"]


def test_jobs_of_a_site_are_limited(service: Service) -> None:
    with reopened(service, Limits(children=0, site_jobs=2)) as strict:
        site = create_site(strict, LOCAL, "plant")
        jobs = [request_inspection(strict, LOCAL, site.id) for _ in range(2)]
        with pytest.raises(BusyError, match="not finished"):
            request_inspection(strict, LOCAL, site.id)
        with strict.database.write() as session:
            queue.cancel(session, jobs[0].id)
        request_inspection(strict, LOCAL, site.id)
