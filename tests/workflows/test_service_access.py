"""Who may do what: tokens, scopes, sites that do not exist for others, and the trail of who did it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from service_cases import add_version, png

from isotherm.core.errors import ChangedError, ConfigError, ConflictError, ForbiddenError, IsothermError, NotFoundError
from isotherm.store.ids import new_id
from isotherm.store.tables import Audit, Site, Token, now
from isotherm.workflows.service.access import LOCAL, SCOPES, Actor
from isotherm.workflows.service.assets import create_asset, delete_asset, get_asset, list_assets, update_asset
from isotherm.workflows.service.audit import list_audit, verify_audit
from isotherm.workflows.service.batches import Arrival, request_evaluation, request_import, request_inspection
from isotherm.workflows.service.categories import (
    create_category,
    delete_category,
    get_category,
    list_categories,
    rename_category,
)
from isotherm.workflows.service.feedback import give_feedback, list_feedback, withdraw_feedback
from isotherm.workflows.service.images import (
    ImageFilter,
    Upload,
    delete_image,
    get_image,
    image_bytes,
    label_image,
    list_images,
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
from isotherm.workflows.service.models import activate, get_model, list_activations, list_models, roll_back
from isotherm.workflows.service.predicting import predict
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import create_site, delete_site, get_site, list_sites, site_named, update_site
from isotherm.workflows.service.thresholds import preview_threshold
from isotherm.workflows.service.tokens import actor_of, any_token, issue_token, list_tokens, revoke_token
from isotherm.workflows.service.training import request_training
from small_pictures import hot_csv


def test_a_token_is_good_for_what_it_says(service: Service) -> None:
    assert not any_token(service)
    mine, other = create_site(service, LOCAL, "mine"), create_site(service, LOCAL, "other")
    token, text = issue_token(service, LOCAL, "camera 7", scopes=["write", "read"], sites=[mine.id])
    assert text.startswith(f"isotherm_{token.id}_")
    assert len(text.rpartition("_")[2]) == 64
    actor = actor_of(service, text)
    assert (actor.name, actor.scopes, actor.sites, actor.token_id) == (
        "camera 7",
        {"read", "write"},
        {mine.id},
        token.id,
    )
    assert [site.id for site in list_sites(service, actor).items] == [mine.id]
    with pytest.raises(NotFoundError):
        get_site(service, actor, other.id)
    with pytest.raises(ForbiddenError, match="scope 'train'"):
        request_training(service, actor, mine.id)
    assert any_token(service)


def test_only_the_hash_of_a_secret_is_kept(service: Service) -> None:
    _, text = issue_token(service, LOCAL, "camera", scopes=["read"])
    secret = text.rpartition("_")[2]
    (kept,) = list_tokens(service, LOCAL)
    assert kept.secret_sha256 == hashlib.sha256(secret.encode()).hexdigest()
    with service.database.read() as session:
        lines = session.query(Audit).all()
    assert not any(secret in repr(vars(line)) for line in lines)


@pytest.mark.parametrize("spoil", ["secret", "id", "prefix", "empty", "revoked", "expired"])
def test_what_is_no_good_token(service: Service, spoil: str) -> None:
    token, text = issue_token(service, LOCAL, "x", scopes=["admin"], expires_at=now() + timedelta(hours=1))
    bad = {
        "secret": text[:-1] + ("0" if text[-1] != "0" else "1"),
        "id": f"isotherm_{new_id()}_{text.rpartition('_')[2]}",
        "prefix": text.replace("isotherm", "other"),
        "empty": "",
    }.get(spoil, text)
    if spoil == "revoked":
        revoke_token(service, LOCAL, token.id)
    if spoil == "expired":
        with service.database.write() as session:
            session.get(Token, token.id).expires_at = now() - timedelta(seconds=1)
    with pytest.raises(ForbiddenError, match="not known, or no longer good"):
        actor_of(service, bad)


def test_tokens_that_cannot_be(service: Service) -> None:
    with pytest.raises(ConfigError, match="scopes must be some of"):
        issue_token(service, LOCAL, "x", scopes=[])
    with pytest.raises(ConfigError, match="root"):
        issue_token(service, LOCAL, "x", scopes=["root"])
    with pytest.raises(ConfigError, match="lie ahead"):
        issue_token(service, LOCAL, "x", scopes=["read"], expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(NotFoundError):
        issue_token(service, LOCAL, "x", scopes=["read"], sites=[new_id()])
    _, text = issue_token(service, LOCAL, "x", scopes=["admin"], sites=[create_site(service, LOCAL, "a").id])
    with pytest.raises(ForbiddenError, match="all sites"):
        issue_token(service, actor_of(service, text), "y", scopes=["admin"])


def test_the_last_use_is_written_once_a_minute(service: Service) -> None:
    token, text = issue_token(service, LOCAL, "x", scopes=["read"])

    def used() -> datetime | None:
        return next(each.last_used_at for each in list_tokens(service, LOCAL) if each.id == token.id)

    assert used() is None
    actor_of(service, text)
    first = used()
    actor_of(service, text)
    assert used() == first
    with service.database.write() as session:
        session.get(Token, token.id).last_used_at = now() - timedelta(minutes=2)
    actor_of(service, text)
    assert used() > first - timedelta(minutes=1)


def foreign_calls(service: Service) -> dict[str, Callable[[Actor], object]]:
    """Return a call of each function that names something of a site."""
    site = create_site(service, LOCAL, "theirs")
    asset, category = create_asset(service, LOCAL, site.id, "motor"), create_category(service, LOCAL, site.id, "hot")
    (taken,) = take_in(service, LOCAL, site.id, [Upload("a.csv", hot_csv())], category="hot", split="train")
    image, inspection = taken.image.id, taken.inspection.id
    said = give_feedback(service, LOCAL, inspection, "hot")
    model = add_version(service, site.id, "hot")
    upload = [Upload("x.png", png(1))]
    return {
        "get_site": lambda me: get_site(service, me, site.id),
        "site_named": lambda me: site_named(service, me, "theirs"),
        "update_site": lambda me: update_site(service, me, site.id, note="x"),
        "get_asset": lambda me: get_asset(service, me, asset.id),
        "list_assets": lambda me: list_assets(service, me, site.id),
        "update_asset": lambda me: update_asset(service, me, asset.id, place="x"),
        "delete_asset": lambda me: delete_asset(service, me, asset.id),
        "create_asset": lambda me: create_asset(service, me, site.id, "y"),
        "create_category": lambda me: create_category(service, me, site.id, "x"),
        "get_category": lambda me: get_category(service, me, category.id),
        "list_categories": lambda me: list_categories(service, me, site.id),
        "rename_category": lambda me: rename_category(service, me, category.id, "x"),
        "delete_category": lambda me: delete_category(service, me, category.id),
        "take_in": lambda me: take_in(service, me, site.id, upload),
        "list_images": lambda me: list_images(service, me, ImageFilter(site_id=site.id)),
        "get_image": lambda me: get_image(service, me, image),
        "image_bytes": lambda me: image_bytes(service, me, image),
        "thumbnail": lambda me: thumbnail_bytes(service, me, image),
        "image_part": lambda me: image_part(service, me, image, "view"),
        "label_image": lambda me: label_image(service, me, image, category=None),
        "delete_image": lambda me: delete_image(service, me, image),
        "inspect_image": lambda me: inspect_image(service, me, image),
        "get_inspection": lambda me: get_inspection(service, me, inspection),
        "list_inspections": lambda me: list_inspections(service, me, site_id=site.id),
        "inspections of an image": lambda me: list_inspections(service, me, image_id=image),
        "list_findings": lambda me: list_findings(service, me, FindingFilter(site_id=site.id)),
        "give_feedback": lambda me: give_feedback(service, me, inspection, "hot"),
        "list_feedback": lambda me: list_feedback(service, me, site_id=site.id),
        "withdraw_feedback": lambda me: withdraw_feedback(service, me, said.id),
        "list_models": lambda me: list_models(service, me, site.id),
        "list_activations": lambda me: list_activations(service, me, site.id),
        "get_model": lambda me: get_model(service, me, model.id),
        "activate": lambda me: activate(service, me, model.id),
        "roll_back": lambda me: roll_back(service, me, site.id),
        "predict": lambda me: predict(service, me, site.id, upload),
        "request_training": lambda me: request_training(service, me, site.id),
        "request_inspection": lambda me: request_inspection(service, me, site.id),
        "request_evaluation": lambda me: request_evaluation(service, me, model.id),
        "request_import": lambda me: request_import(service, me, site.id, [Arrival("0" * 64, "x")]),
        "preview_threshold": lambda me: preview_threshold(service, me, site.id, 0.5),
    }


def refusal(call: Callable[[Actor], object], actor: Actor) -> type[Exception] | None:
    """Return how a call is refused; None where it is not."""
    try:
        call(actor)
    except IsothermError as error:
        return type(error)
    return None


def test_what_belongs_to_another_site_does_not_exist(service: Service) -> None:
    calls = foreign_calls(service)
    mine = create_site(service, LOCAL, "mine")
    strangers = [Actor("me", frozenset(scopes), frozenset({mine.id})) for scopes in (SCOPES, ["read"])]
    for name, call in calls.items():
        for me in strangers:
            assert refusal(call, me) is NotFoundError, name
    me = strangers[0]
    everything = [list_assets, list_images, list_inspections, list_findings, list_feedback, list_models]
    assert [function(service, me).items for function in everything] == [()] * len(everything)
    assert [site.id for site in list_sites(service, me).items] == [mine.id]


READS = {"get", "list", "site", "image", "thumbnail", "inspections", "preview"}


def test_who_may_only_read_changes_nothing(service: Service) -> None:
    calls = foreign_calls(service)
    reader, nobody = Actor("reader", frozenset({"read"})), Actor("nobody", frozenset())
    with service.database.read() as session:
        before = session.query(Audit).count()
    for name, call in calls.items():
        if name.partition("_")[0].split()[0] in READS:
            call(reader)
        else:
            assert refusal(call, reader) is ForbiddenError, name
        assert refusal(call, nobody) is ForbiddenError, name
    with service.database.read() as session:
        assert session.query(Audit).count() == before


@pytest.mark.parametrize("bad", ["", "x", "../../etc/passwd", "\0", "0" * 36, "'; DROP TABLE site --", "ａ" * 40])
def test_what_is_no_identifier_is_not_found(service: Service, bad: str) -> None:
    for function in (get_site, get_image, get_inspection, get_model, get_asset, get_category):
        with pytest.raises(NotFoundError):
            function(service, LOCAL, bad)
    for filtered in (list_images(service, LOCAL, ImageFilter(site_id=bad)), list_models(service, LOCAL, bad)):
        assert filtered.items == ()


def test_sites_have_one_name_each(service: Service) -> None:
    site = create_site(service, LOCAL, "plant 7", note="behind the mill", settings={"min_confidence": 0.7})
    assert site_named(service, LOCAL, "plant 7").id == site.id
    with pytest.raises(ConflictError, match="called 'plant 7' already"):
        create_site(service, LOCAL, "plant 7")
    other = create_site(service, LOCAL, "plant 8")
    with pytest.raises(ConflictError):
        update_site(service, LOCAL, other.id, name="plant 7")
    changed = update_site(service, LOCAL, site.id, name="plant 9", settings={"severity": "none"}, version=1)
    assert (changed.name, changed.version, changed.settings["min_confidence"]) == ("plant 9", 2, 0.7)
    with pytest.raises(ChangedError, match="version 1 when it was read and is 2 now"):
        update_site(service, LOCAL, site.id, note="lost", version=1)
    assert get_site(service, LOCAL, site.id).note == "behind the mill"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_confidence": 1.5}, "at most 1"),
        ({"min_confidence": "high"}, "must be float"),
        ({"unknown": 1}, "unknown unknown"),
        ({"hotspot_method": "guess"}, "unknown hotspot method"),
        ({"severity": "/etc/passwd"}, "severity must be none or one of"),
        ({"method": "oracle"}, "unknown classifier"),
        ({"activate": "sometimes"}, "must be one of"),
    ],
)
def test_settings_that_cannot_be(service: Service, settings: dict[str, object], message: str) -> None:
    with pytest.raises(Exception, match=message):
        create_site(service, LOCAL, "plant", settings=settings)
    assert list_sites(service, LOCAL).items == ()


def test_a_site_is_not_removed_while_it_works(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    request_inspection(service, LOCAL, site.id)
    with pytest.raises(ConflictError, match="not finished"):
        delete_site(service, LOCAL, site.id)


def test_the_trail_shows_what_was_changed_afterwards(service: Service) -> None:
    for name in ("a", "b", "c"):
        create_site(service, LOCAL, name)
    assert verify_audit(service, LOCAL) == []
    assert [line.details["name"] for line in list_audit(service, LOCAL, action="site.created")] == ["c", "b", "a"]
    with service.database.write() as session:
        session.query(Audit).filter_by(number=2).update({"actor": "somebody else"})
    assert verify_audit(service, LOCAL) == ["audit row 2 was changed"]
    with pytest.raises(ForbiddenError):
        list_audit(service, Actor("one", frozenset({"admin"}), frozenset()))


def test_a_failed_change_leaves_no_trace(service: Service) -> None:
    create_site(service, LOCAL, "plant")
    with pytest.raises(ConflictError):
        create_site(service, LOCAL, "plant")
    assert len(list_audit(service, LOCAL)) == 1
    with service.database.read() as session:
        assert session.query(Site).count() == 1
