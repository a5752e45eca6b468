"""Many at once: readers see whole versions, switches follow one another, nobody waits for each other for ever."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from service_cases import Says, add_version, png, simple_models  # noqa: F401 (a fixture)
from sqlalchemy import select
from sqlalchemy.orm import Session

from isotherm.core.errors import NotFoundError
from isotherm.jobs.running import work_off
from isotherm.store.tables import Activation, Category, Site
from isotherm.workflows.classify_data import LabelledPicture
from isotherm.workflows.service import categories
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.audit import verify_audit
from isotherm.workflows.service.feedback import give_feedback
from isotherm.workflows.service.images import Upload, delete_image, label_image, take_in
from isotherm.workflows.service.inspections import inspect_image
from isotherm.workflows.service.kinds import KINDS
from isotherm.workflows.service.models import activate, active_classifier
from isotherm.workflows.service.predicting import predict
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import create_site, get_site, update_site
from isotherm.workflows.service.training import request_training
from small_pictures import hot_csv

pytestmark = pytest.mark.usefixtures("simple_models")


def test_twenty_sites_switch_and_answer_at_once_without_mixing(service: Service) -> None:
    sites = [create_site(service, LOCAL, f"site {number}") for number in range(20)]
    versions = {site.id: [add_version(service, site.id, f"{site.name}/{n}") for n in range(2)] for site in sites}
    labels = {each.id: f"{site.name}/{n}" for site in sites for n, each in enumerate(versions[site.id])}
    for site in sites:
        activate(service, LOCAL, versions[site.id][0].id)
    ended = threading.Event()

    def switching(site: Site) -> list[str]:
        made = []
        for number in range(4):
            version = versions[site.id][(number + 1) % 2]
            activate(service, LOCAL, version.id)
            # Nobody else switches this site: whoever asks from now on gets this one.
            (answer,) = predict(service, LOCAL, site.id, [Upload("x", png(1))])
            made.append((answer.label, labels[version.id]))
        return [said for said, wanted in made if said != wanted]

    def asking(seed: int) -> list[str]:
        chance, wrong = random.Random(seed), []
        while not ended.is_set():
            site = chance.choice(sites)
            (answer,) = predict(service, LOCAL, site.id, [Upload("x", png(1))])
            if labels.get(answer.model_id) != answer.label or not answer.label.startswith(f"{site.name}/"):
                wrong.append(answer.label)
        return wrong

    with ThreadPoolExecutor(8) as threads:
        readers = [threads.submit(asking, seed) for seed in range(3)]
        late = [line for found in [threads.submit(switching, site) for site in sites] for line in found.result()]
        ended.set()
        assert [line for reader in readers for line in reader.result()] == []
    assert late == []
    with service.database.read() as session:
        for site in sites:
            rows = session.scalars(
                select(Activation).where(Activation.site_id == site.id).order_by(Activation.number)
            ).all()
            assert [row.number for row in rows] == list(range(1, 6))
            # Each switch starts from where the one before it ended: the register is linearizable.
            assert [row.previous for row in rows] == [None, *(row.model_id for row in rows[:-1])]
    assert verify_audit(service, LOCAL) == []


def test_twenty_sites_train_while_others_are_asked(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(pictures: Sequence[LabelledPicture], out: Path, **_options: object) -> Says:
        found = Says(max(each.label for each in pictures))
        found.save(out)
        return found

    monkeypatch.setattr("isotherm.workflows.classify.train_classifier", train)
    sites = [create_site(service, LOCAL, f"site {number}") for number in range(20)]
    for number, site in enumerate(sites):
        for label in (f"cold {number}", f"hot {number}"):
            take_in(service, LOCAL, site.id, [Upload("x.png", png(len(label)))], category=label, split="train")

    def asking(number: int) -> bool:
        site = sites[number]
        request_training(service, LOCAL, site.id)
        active = active_classifier(service, site.id)
        return active is None or active.classifier.label == f"hot {number}"

    def working(worker: int) -> int:
        return work_off(service.database, KINDS(service), worker=f"worker {worker}")

    with ThreadPoolExecutor(6) as threads:
        asked = [threads.submit(asking, number) for number in range(20)]
        workers = [threads.submit(working, worker) for worker in range(3)]
        assert all(each.result() for each in asked)
        done = sum(each.result() for each in workers)
    assert done + working(9) == 20
    for number, site in enumerate(sites):
        active = active_classifier(service, site.id)
        assert (active.version.number, active.classifier.label) == (1, f"hot {number}")
    assert verify_audit(service, LOCAL) == []


def test_changes_of_one_site_never_wait_for_each_other_for_ever(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    versions = [add_version(service, site.id, label) for label in ("a", "b")]
    kept = [take_in(service, LOCAL, site.id, [Upload("x", png(level))])[0] for level in range(4)]

    def take(number: int) -> None:
        (taken,) = take_in(service, LOCAL, site.id, [Upload("y", hot_csv(30 + number % 3))], category=f"new {number}")
        if taken.problem:
            raise taken.problem
        delete_image(service, LOCAL, taken.image.id)

    def say(number: int) -> None:
        give_feedback(service, LOCAL, kept[number % 4].inspection.id, f"said {number}")

    def label(number: int) -> None:
        label_image(service, LOCAL, kept[number % 4].image.id, category=f"label {number}")

    changes: list[Callable[[int], object]] = [
        take,
        say,
        label,
        lambda number: activate(service, LOCAL, versions[number % 2].id),
        lambda number: inspect_image(service, LOCAL, kept[number % 4].image.id),
        lambda number: update_site(service, LOCAL, site.id, note=str(number)),
    ]
    # A deadlock of PostgreSQL would come out as BusyError.
    with ThreadPoolExecutor(8) as threads:
        for each in [threads.submit(changes[number % len(changes)], number) for number in range(48)]:
            each.result()
    found = get_site(service, LOCAL, site.id)
    assert (found.images, found.findings, found.bytes) == (4, 0, sum(each.image.size for each in kept))
    assert verify_audit(service, LOCAL) == []


def test_two_who_name_a_new_category_at_once_get_the_same(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    site = create_site(service, LOCAL, "north").id
    with service.database.write() as session:
        first = categories.named_category(service, session, LOCAL, site, "hot").id
    look = categories.usable_category
    looks = []

    def late(session: Session, site_id: str | None, name: str) -> Category:
        # As it is for who has looked just before the other's transaction ended.
        looks.append(name)
        if len(looks) == 1:
            raise NotFoundError("category", name)
        return look(session, site_id, name)

    monkeypatch.setattr(categories, "usable_category", late)
    with service.database.write() as session:
        assert categories.named_category(service, session, LOCAL, site, "hot").id == first
        categories.named_category(service, session, LOCAL, site, "cold")
    assert len(looks) == 3
    assert [category.name for category in categories.list_categories(service, LOCAL, site)] == ["cold", "hot"]
