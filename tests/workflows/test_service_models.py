"""Which model judges: switching, rolling back, damaged versions, many at once."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path

import pytest
from service_cases import PARTS, Says, add_version, damage, png, reopened, simple_models  # noqa: F401 (a fixture)

from isotherm.core.errors import ChangedError, ConflictError, ForbiddenError, ModelError, NotFoundError
from isotherm.jobs.queue import enqueue
from isotherm.store.ids import new_id
from isotherm.store.tables import Inspection, ModelVersion
from isotherm.workflows.classify_model import NO_CATEGORY
from isotherm.workflows.service.access import LOCAL, Actor
from isotherm.workflows.service.audit import list_audit, verify_audit
from isotherm.workflows.service.comparing import compare_models, mcnemar
from isotherm.workflows.service.images import Upload, get_image, take_in
from isotherm.workflows.service.inspections import inspect_image
from isotherm.workflows.service.jobs import list_jobs
from isotherm.workflows.service.models import activate, active_classifier, get_model, list_models, roll_back
from isotherm.workflows.service.predicting import predict
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import create_site, get_site, update_site
from isotherm.workflows.service.thresholds import confidences, preview_threshold

pytestmark = pytest.mark.usefixtures("simple_models")


def says(service: Service, site_id: str) -> str:
    (answer,) = predict(service, LOCAL, site_id, [Upload("x.png", png(9))])
    return answer.label


def test_a_site_without_a_model(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    assert active_classifier(service, site.id) is None
    with pytest.raises(ConflictError, match="no model yet"):
        predict(service, LOCAL, site.id, [Upload("x.png", png(9))])
    with pytest.raises(ConflictError, match="no other model"):
        roll_back(service, LOCAL, site.id)
    (taken,) = take_in(service, LOCAL, site.id, [Upload("x.png", png(9))])
    assert (taken.inspection.label, taken.inspection.model_id) == (None, None)


def test_verdicts_name_the_version_that_gave_them(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    cold, hot = add_version(service, site.id, "cold"), add_version(service, site.id, "hot")
    activate(service, LOCAL, cold.id)
    (taken,) = take_in(service, LOCAL, site.id, [Upload("x.png", png(9))])
    assert (taken.inspection.label, taken.inspection.model_id) == ("cold", cold.id)
    activate(service, LOCAL, hot.id)
    answers = predict(
        service, LOCAL, site.id, [Upload("x.png", png(9)), Upload("bad", b"no image"), Upload("y", png(8))]
    )
    assert [(each.label, bool(each.error), each.model_id) for each in answers] == [
        ("hot", False, hot.id),
        ("", True, hot.id),
        ("hot", False, hot.id),
    ]
    (asked,) = predict(service, LOCAL, site.id, [Upload("x.png", png(9))], model_id=cold.id)
    assert (asked.label, asked.model_id) == ("cold", cold.id)
    (unsure,) = predict(service, LOCAL, site.id, [Upload("x.png", png(9))], min_confidence=0.95)
    assert (unsure.label, unsure.nearest, unsure.rejected) == (NO_CATEGORY, "hot", True)
    again = inspect_image(service, LOCAL, taken.image.id)
    assert (again.label, again.model_id) == ("hot", hot.id)
    assert get_image(service, LOCAL, taken.image.id).latest_inspection == again.id


def test_a_list_of_versions_leaves_out_the_answers_to_test_images(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    metrics = {"accuracy": 0.875, "images": {new_id(): {"truth": "hot"}}, "test": {"images": 3}, "per_class": {"ä": 1}}
    made = add_version(service, site.id, "hot")
    with service.database.write() as session:
        session.get_one(ModelVersion, made.id).metrics = metrics
    add_version(service, site.id, "cold")
    newest, listed = list_models(service, LOCAL, site.id).items
    assert newest.metrics == get_model(service, LOCAL, newest.id).metrics
    assert listed.metrics == {name: value for name, value in metrics.items() if name != "images"}
    assert get_model(service, LOCAL, made.id).metrics == metrics


def test_a_list_of_jobs_leaves_out_which_images_they_are_for(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    with service.database.write() as session:
        for _ in range(3):
            enqueue(session, "inspect", payload={"images": [new_id()] * 10_000}, site_id=site.id)
    list_jobs(service, LOCAL)
    tracemalloc.start()
    found = list_jobs(service, LOCAL, site_id=site.id).items
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 3
    assert peak < 200_000


def test_a_model_in_memory_does_not_hold_what_it_has_learnt_from(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_folder: Path) -> Says:
        return Says("cold", manifest={"data": {"image_digests": ["ab" * 32] * 1000, "images": 1000}})

    monkeypatch.setattr("isotherm.workflows.classify_model.load_classifier", load)
    site = create_site(service, LOCAL, "plant")
    activate(service, LOCAL, add_version(service, site.id, "cold").id)
    assert active_classifier(service, site.id).classifier.manifest == {"data": {"images": 1000}}


def test_rolling_back_goes_step_by_step(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    one, two, three = (add_version(service, site.id, label) for label in ("one", "two", "three"))
    for version in (one, two, three):
        activate(service, LOCAL, version.id)
    assert roll_back(service, LOCAL, site.id).id == two.id
    assert says(service, site.id) == "two"
    assert roll_back(service, LOCAL, site.id).id == one.id
    with pytest.raises(ConflictError):
        roll_back(service, LOCAL, site.id)
    activate(service, LOCAL, three.id)
    assert roll_back(service, LOCAL, site.id).id == one.id


def test_who_believes_another_model_is_active_is_told(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    one, two = add_version(service, site.id, "one"), add_version(service, site.id, "two")
    activate(service, LOCAL, one.id, expected=None)
    with pytest.raises(ChangedError):
        activate(service, LOCAL, two.id, expected=None)
    activate(service, LOCAL, two.id, expected=one.id)


@pytest.mark.parametrize("cut", [False, True])
def test_a_damaged_version_never_takes_over(service: Service, cut: bool) -> None:
    site = create_site(service, LOCAL, "plant")
    good, bad = add_version(service, site.id, "good"), add_version(service, site.id, "bad")
    activate(service, LOCAL, good.id)
    whole = service.blobs.read(bad.files[PARTS[1]])
    damage(service, bad, cut=cut)
    with pytest.raises(ModelError, match=r"two\.json: .*damaged"):
        activate(service, LOCAL, bad.id)
    assert says(service, site.id) == "good"
    assert (get_model(service, LOCAL, bad.id).state, get_site(service, LOCAL, site.id).active_model) == (
        "refused",
        good.id,
    )
    with pytest.raises(ModelError, match="refused"):
        predict(service, LOCAL, site.id, [Upload("x", png(1))], model_id=bad.id)
    # Its files are restored from a backup: it is checked again when somebody wants it.
    service.blobs.path(bad.files[PARTS[1]]).write_bytes(whole)
    activate(service, LOCAL, bad.id)
    assert says(service, site.id) == "bad"
    assert get_model(service, LOCAL, bad.id).state == "ready"


def test_an_active_version_that_is_damaged_hands_back_to_the_last_good_one(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    first, good, bad = (add_version(service, site.id, label) for label in ("first", "good", "bad"))
    for version in (first, good, bad):
        activate(service, LOCAL, version.id)
    for name in PARTS:
        damage(service, bad, name)
    # What is in memory was checked when it was read: it serves on until the process ends.
    assert says(service, site.id) == "bad"
    with reopened(service) as restarted:
        assert says(restarted, site.id) == "good"
        (taken,) = take_in(restarted, LOCAL, site.id, [Upload("x.png", png(9))])
        assert taken.inspection.model_id == good.id
    assert says(service, site.id) == "good"
    reasons = [line.details.get("reason", "") for line in list_audit(service, LOCAL, action="model.refused")]
    assert len(reasons) == 1
    assert "damaged" in reasons[0]
    assert roll_back(service, LOCAL, site.id).id == first.id
    assert verify_audit(service, LOCAL) == []


def test_a_site_whose_only_version_is_damaged_has_none(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    only = add_version(service, site.id, "only")
    activate(service, LOCAL, only.id)
    service.loaded.drop(only.id)
    service.blobs.path(only.files[PARTS[0]]).unlink()
    assert active_classifier(service, site.id) is None
    (taken,) = take_in(service, LOCAL, site.id, [Upload("x.png", png(9))])
    assert (taken.error, taken.inspection.label) == ("", None)


def test_models_of_others(service: Service) -> None:
    mine, theirs = create_site(service, LOCAL, "mine"), create_site(service, LOCAL, "theirs")
    version, own = add_version(service, theirs.id, "secret"), add_version(service, mine.id, "own")
    me = Actor("me", frozenset({"read", "predict"}), frozenset({mine.id}))
    for call in (get_model, activate):
        with pytest.raises(NotFoundError):
            call(service, me, version.id)
    with pytest.raises(NotFoundError):
        list_models(service, me, theirs.id)
    with pytest.raises(NotFoundError):
        predict(service, me, mine.id, [Upload("x", png(1))], model_id=version.id)
    with pytest.raises(NotFoundError):
        compare_models(service, me, own.id, version.id)
    assert [each.id for each in list_models(service, me).items] == [own.id]
    with pytest.raises(ForbiddenError, match="'train'"):
        activate(service, me, own.id)
    with pytest.raises(NotFoundError):
        predict(service, LOCAL, mine.id, [Upload("x", png(1))], model_id=new_id())


class Register:
    """What a site's models must behave like: a stack of switches, in a few lines."""

    def __init__(self) -> None:
        self.stack: list[str] = []
        self.refused: set[str] = set()

    @property
    def active(self) -> str | None:
        return self.stack[-1] if self.stack else None

    def activate(self, version: str) -> None:
        if len(self.stack) > 1 and self.stack[-2] == version:
            self.stack.pop()
        elif self.active != version:
            self.stack.append(version)

    def earlier(self) -> str | None:
        return next((each for each in reversed(self.stack) if each != self.active and each not in self.refused), None)


@pytest.mark.parametrize("seed", range(3))
def test_the_register_is_like_its_model(service: Service, seed: int) -> None:
    chance, site = random.Random(seed), create_site(service, LOCAL, "plant")
    versions = {each.id: each for each in (add_version(service, site.id, f"v{number}") for number in range(5))}
    model = Register()
    for _ in range(25):
        action, version = chance.choice(("activate", "activate", "back", "damage")), chance.choice(list(versions))
        if action == "activate" and version not in model.refused:
            activate(service, LOCAL, version)
            model.activate(version)
        elif action == "back":
            earlier = model.earlier()
            if earlier is None:
                with pytest.raises(ConflictError):
                    roll_back(service, LOCAL, site.id)
            else:
                assert roll_back(service, LOCAL, site.id).id == earlier
                model.activate(earlier)
        elif action == "damage" and version != model.active and version not in model.refused:
            damage(service, versions[version])
            service.loaded.drop(version)
            with pytest.raises(ModelError):
                activate(service, LOCAL, version)
            model.refused.add(version)
        assert get_site(service, LOCAL, site.id).active_model == model.active
    active = active_classifier(service, site.id)
    assert (active.version.id if active else None) == model.active


def test_versions_are_compared_by_image(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    first, second = add_version(service, site.id, "a"), add_version(service, site.id, "b")

    def answers(labels: str, truth: str = "aaaab") -> dict[str, object]:
        pairs = zip(range(5), labels, truth, strict=True)
        return {str(image): {"truth": right, "label": said} for image, said, right in pairs}

    with service.database.write() as session:
        session.get(ModelVersion, first.id).metrics = {"images": answers("aaabb")}
        session.get(ModelVersion, second.id).metrics = {"images": answers("abbba", "aaabb")}
    found = compare_models(service, LOCAL, first.id, second.id)
    assert (found.both, found.only_first, found.only_second) == (4, 3, 0)
    assert [each.image_id for each in found.differences] == ["1", "2", "4"]
    assert found.p_value == pytest.approx(0.25)
    other = create_site(service, LOCAL, "other")
    with pytest.raises(ConflictError, match="different sites"):
        compare_models(service, LOCAL, first.id, add_version(service, other.id, "c").id)


def test_exact_mcnemar() -> None:
    # scipy 1.16: binomtest(2, 12, 0.5).pvalue
    assert mcnemar(2, 10) == pytest.approx(0.03857421875)
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0


def test_what_another_threshold_would_change(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    for label, confidence in (("cold", 0.4), ("hot", 0.62), ("hot", 0.93)):
        activate(service, LOCAL, add_version(service, site.id, f"{label}{confidence}", confidence=confidence).id)
        category = f"{label}{confidence}" if confidence > 0.9 else "else"
        take_in(service, LOCAL, site.id, [Upload(f"{confidence}.png", png(9))], category=category, split="test")
    same = preview_threshold(service, LOCAL, site.id, 0.5)
    assert (same.now, same.lost, same.gained, same.flips) == (0.5, 0, 0, ())
    stricter = preview_threshold(service, LOCAL, site.id, 0.7)
    assert [(flip.label, flip.becomes, flip.truth) for flip in stricter.flips] == [("hot0.62", NO_CATEGORY, "else")]
    looser = preview_threshold(service, LOCAL, site.id, 0.3)
    assert [(flip.label, flip.becomes) for flip in looser.flips] == [(NO_CATEGORY, "cold0.4")]
    counted = {round(each.low, 2): (each.count, each.right, each.wrong) for each in same.bins if each.count}
    assert counted == {0.4: (1, 0, 0), 0.6: (1, 0, 1), 0.9: (1, 1, 0)}
    update_site(service, LOCAL, site.id, settings={"min_confidence": 0.7})
    assert preview_threshold(service, LOCAL, site.id, 0.5).now == 0.7


def test_no_threshold_gives_a_category_to_what_is_unlike_all_that_was_learnt(service: Service) -> None:
    site = create_site(service, LOCAL, "plant", settings={"open_set": True})
    activate(service, LOCAL, add_version(service, site.id, "hot", confidence=0.9).id)
    taken = take_in(service, LOCAL, site.id, [Upload(f"{side}.png", png(side)) for side in (8, 9)])
    with service.database.write() as session:
        strange = session.get(Inspection, taken[0].inspection.id)
        strange.rejected, strange.distance = True, 1.5
    found = {item.name: (item.nearest, item.unlike) for item in confidences(service, LOCAL, site.id)}
    assert found == {"8.png": ("hot", True), "9.png": ("hot", False)}
    assert preview_threshold(service, LOCAL, site.id, 0.0).gained == 0
