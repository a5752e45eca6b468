"""Anomaly models that go to a server and come back, by the commands."""

from __future__ import annotations

import argparse
import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from isotherm.cli import client_flags
from isotherm.cli.main import main
from isotherm.client.api import MODEL_FILES
from isotherm.client.transport import Transport
from isotherm.runtime.bundle import ARRAYS, MANIFEST
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.models import get_model
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import create_site, get_site
from isotherm.workflows.train import TrainSettings, train
from small_pictures import write


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a model's folder."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "healthy").mkdir()
    write(folder / "healthy", "plain", range(5))
    train(folder / "healthy", folder / "model", method_name="statistics", settings=TrainSettings(image_size=64))
    return folder / "model"


@pytest.fixture
def run(folder: Service, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Give what runs a command against an application in this process."""
    from starlette.testclient import TestClient

    from isotherm.server.app import create_app

    http = TestClient(create_app(folder), base_url="http://127.0.0.1:8000")

    @contextmanager
    def connected(arguments: argparse.Namespace) -> Iterator[Any]:
        yield Transport("http://127.0.0.1:8000", transport=http._transport)

    monkeypatch.setattr(client_flags, "connected", connected)
    return lambda *words: main(["client", *map(str, words)])


def test_a_model_goes_to_a_site_and_comes_back(
    run: Callable[..., int], folder: Service, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = create_site(folder, LOCAL, "plant 7")
    assert run("import-model", "plant 7", model, "--normal", "fine", "--note", "by the lab") == 0
    assert "version 1 of plant 7 (statistics), not at work yet" in capsys.readouterr().out
    assert run("export-model", site.id, tmp_path / "none") == 1
    assert "no anomaly model is at work at the site 'plant 7'" in capsys.readouterr().err
    assert run("import-model", site.id, model, "--activate") == 0
    said = capsys.readouterr().out
    assert "version 2 of plant 7 (statistics), at work" in said
    assert "it has not been tested with images of this site" in said
    at_work = get_model(folder, LOCAL, get_site(folder, LOCAL, site.id).active_anomaly_model or "")
    assert (at_work.number, at_work.card["normal"]) == (2, "normal")
    assert run("export-model", "plant 7", tmp_path / "copy", "--version", "1") == 0
    for name in (MANIFEST, ARRAYS):
        assert (tmp_path / "copy" / name).read_bytes() == (model / name).read_bytes()
    assert run("export-model", "plant 7", tmp_path / "copy") == 1
    assert "exists already" in capsys.readouterr().err


def test_a_model_that_cannot_be_written_whole_leaves_nothing(
    run: Callable[..., int],
    folder: Service,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create_site(folder, LOCAL, "plant 7")
    assert run("import-model", "plant 7", model, "--activate") == 0
    own = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name == ARRAYS:
            raise OSError(errno.ENOSPC, "No space left on device")
        return own(path, data)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "write_bytes", full)
        assert run("export-model", "plant 7", tmp_path / "new" / "copy") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert list((tmp_path / "new").iterdir()) == []
    assert run("export-model", "plant 7", tmp_path / "new" / "copy") == 0
    assert (tmp_path / "new" / "copy" / ARRAYS).read_bytes() == (model / ARRAYS).read_bytes()


def test_what_is_wrong_is_told(
    run: Callable[..., int], folder: Service, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create_site(folder, LOCAL, "plant 7")
    assert run("import-model", "plant 8", model) == 1
    assert "there is no site 'plant 8' at this server; it has: 'plant 7'" in capsys.readouterr().err
    assert run("import-model", "plant 7", tmp_path) == 1
    assert "which holds manifest.json and arrays.safetensors" in capsys.readouterr().err
    shutil.copytree(model, tmp_path / "bad")
    (tmp_path / "bad" / ARRAYS).write_bytes(b"\x80\x04.")
    assert run("import-model", "plant 7", tmp_path / "bad") == 1
    assert "422: this is no anomaly model that can be used: arrays.safetensors has 3 bytes" in capsys.readouterr().err
    assert run("export-model", "plant 7", tmp_path / "copy", "--version", "4") == 1
    assert "no anomaly model of the number 4" in capsys.readouterr().err
    assert not (tmp_path / "copy").exists()


def test_the_client_names_the_files_of_a_model() -> None:
    assert set(MODEL_FILES) == {MANIFEST, ARRAYS}
