"""Who may use the per-site API, what of it is described, and that no text leaves its folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compat_server import Compat, compat_server, png, saved, text
from isotherm.core.errors import BusyError
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.sites import create_site
from isotherm.workflows.service.tokens import issue_token

PREDICTION = {"temple_id": "mine", "image": text(png(0)), "image_name": "a", "image_type": "png"}
ROUTES = {
    "save_data": saved("cold", png(0), "a", temple_id="mine"),
    "make_model": {"temple_id": "mine", "forceful": False},
    "predict": PREDICTION,
}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compat]:
    """A server that wants tokens, with the sites ``mine`` and ``theirs``."""
    with compat_server(tmp_path_factory.mktemp("closed"), local=False) as found:
        for name in ("mine", "theirs"):
            create_site(found.service, LOCAL, name)
        yield found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compat]:
    with compat_server(tmp_path_factory.mktemp("server")) as found:
        yield found


def bearer(server: Compat, *scopes: str, sites: list[str] | None = None) -> dict[str, str]:
    _, secret = issue_token(server.service, LOCAL, "tests", scopes=list(scopes), sites=sites)
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("route", list(ROUTES))
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer isotherm_x_y"}, {"Authorization": "Basic eDp5"}])
def test_without_a_good_token_nothing_is_done(closed: Compat, route: str, headers: dict[str, str]) -> None:
    status, answer = closed.post(route, ROUTES[route], headers=headers)
    assert status == 401
    assert answer["error_msg"] not in ("", [], "All OK")


@pytest.mark.parametrize(("route", "scope"), [("save_data", "read"), ("make_model", "write"), ("predict", "read")])
def test_token_without_the_scope_is_refused(closed: Compat, route: str, scope: str) -> None:
    if route == "make_model":
        for category in ("cold", "hot"):
            body = saved(category, png(0), "a", temple_id="mine")
            assert closed.post("save_data", body, headers=bearer(closed, "read", "write"))[0] == 200
    assert closed.post(route, ROUTES[route], headers=bearer(closed, "read", scope))[0] == 403


@pytest.mark.parametrize("route", list(ROUTES))
def test_site_of_others_does_not_exist(closed: Compat, route: str) -> None:
    mine = create_site(closed.service, LOCAL, f"only {route}")
    headers = bearer(closed, "read", "write", "train", "predict", sites=[mine.id])
    status, answer = closed.post(route, ROUTES[route] | {"temple_id": "theirs"}, headers=headers)
    assert status in (400, 403, 500)
    # The same as for a name that no site has, so nobody learns which sites others have.
    unknown = closed.post(route, ROUTES[route] | {"temple_id": "unknown"}, headers=headers)
    assert (unknown[0], str(unknown[1]).replace("unknown", "theirs")) == (status, str(answer))
    assert not (closed.config.training_data_path / "theirs").exists()


def test_new_site_and_common_images_need_more_than_write_at_one_site(closed: Compat) -> None:
    mine = create_site(closed.service, LOCAL, "narrow")
    headers = bearer(closed, "read", "write", sites=[mine.id])
    for temple in ("brand new", "common"):
        assert closed.post("save_data", saved("c", png(0), "a", temple_id=temple), headers=headers)[0] == 403
    assert not (closed.config.training_data_path / "common").exists()


def test_form_of_another_page_is_refused(server: Compat) -> None:
    headers = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    assert server.post("save_data", saved("cold", png(0), "a"), headers=headers)[0] == 403


@pytest.mark.parametrize(("route", "target"), [("save_data", "save_data"), ("predict", "predict_classes")])
def test_busy_server_says_when_to_come_again(
    server: Compat, monkeypatch: pytest.MonkeyPatch, route: str, target: str
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise BusyError("32 uploads are being taken in already", 2)

    monkeypatch.setattr(f"isotherm.server.compat.{target}", busy)
    answer = server.http.post(f"/api/{route}", json=ROUTES[route])
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")


def test_failure_of_the_server_shows_nothing_of_it(server: Compat, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("/secret/path of the server")

    monkeypatch.setattr("isotherm.server.compat.predict_classes", fails)
    status, answer = server.post("predict", PREDICTION)
    assert status == 400
    assert answer["error_msg"] == ["the server has failed; error_log.txt says more"]
    assert "/secret/path" in (server.config.logs_path / "error_log.txt").read_text()


def test_routes_are_described_with_their_failures(server: Compat) -> None:
    paths = server.http.get("/openapi.json").json()["paths"]
    assert "500" in paths["/api/save_data"]["post"]["responses"]
    for route in ("make_model", "predict"):
        assert {"200", "400", "401", "403", "429"} <= set(paths[f"/api/{route}"]["post"]["responses"])
    whole = paths["/api/make_model"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert len(whole["required"]) == 7


HOSTILE = st.text(max_size=30) | st.sampled_from(
    ["..", "../..", "/etc", "a/../../b", "\0", "C:", "．．", "%2e%2e", "~"]
)


@given(st.tuples(HOSTILE, HOSTILE, HOSTILE), st.sampled_from(["train", "test"]))
@settings(max_examples=40, deadline=None)
def test_any_names_stay_below_the_root(server: Compat, names: tuple[str, str, str], split: str) -> None:
    temple, category, image = names
    body: dict[str, Any] = saved(category, png(0), image, temple_id=temple, train_test=split)
    status, answer = server.post("save_data", body)
    assert (status, answer) == (200, {"error_msg": "All OK"}) or (status == 500 and answer["error_msg"])
    root = server.config.app_path.parent
    assert sorted(path.name for path in root.iterdir()) == [
        "app", "config", "logs", "models", "testing", "training",
    ]  # fmt: skip
    for folder in (server.config.training_data_path, server.config.testing_data_path):
        for path in folder.rglob("*"):
            depth = len(path.relative_to(folder).parts)
            assert path.is_dir() if depth < 3 else (path.is_file() and depth == 3)


def test_corrupted_link_in_the_folders_is_not_followed(server: Compat, tmp_path: Path) -> None:
    (server.config.training_data_path / "linked").symlink_to(tmp_path)
    status, answer = server.post("save_data", saved("cold", png(0), "a", temple_id="linked"))
    (server.config.training_data_path / "linked").unlink()
    assert status == 500
    assert "a link or a file is where a folder should be" in answer["error_msg"]
    assert not list(tmp_path.iterdir())
