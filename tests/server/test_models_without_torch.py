"""A server without torch takes models of methods that learn with it, and scores images by them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from api_cases import Caller

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.anomaly.autoencoder import AutoencoderConfig
from isotherm.anomaly.fastflow import FastFlowConfig
from isotherm.core.errors import MissingExtraError
from isotherm.runtime.bundle import ARRAYS, MANIFEST
from isotherm.workflows.service import model_trial
from isotherm.workflows.train import TrainSettings, train
from small_pictures import hot_csv

SERVE = """
import json, sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NoTorch())
from pathlib import Path
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.given_models import GivenModel, import_detector
from isotherm.workflows.service.images import Upload, take_in
from isotherm.workflows.service.inspections import get_inspection
from isotherm.workflows.service.service import Limits, Service
from isotherm.workflows.service.sites import create_site
folder, picture, *models = sys.argv[1:]
with Service.open(Path(folder), limits=Limits(children=0)) as service:
    for model in models:
        site = create_site(service, LOCAL, Path(model).name)
        files = [Upload(path.name, path.read_bytes()) for path in Path(model).iterdir()]
        version = import_detector(service, LOCAL, site.id, files, GivenModel(activate=True))
        (taken,) = take_in(service, LOCAL, site.id, [Upload("hot.csv", Path(picture).read_bytes())])
        inspection = get_inspection(service, LOCAL, taken.inspection.id)
        print(json.dumps([version.method, inspection.score, inspection.error, "torch" in sys.modules]))
"""


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of pictures that show nothing wrong."""
    folder = tmp_path_factory.mktemp("healthy")
    for seed in range(3):
        (folder / f"{seed}.csv").write_bytes(hot_csv(20.1, seed=seed))
    return folder


@pytest.mark.slow
def test_a_server_without_torch_scores_by_what_was_learnt_with_it(
    healthy: Path, tmp_path: Path, sqlite_template: Path
) -> None:
    configs: dict[str, object] = {"autoencoder": AutoencoderConfig(epochs=1), "fastflow": FastFlowConfig(steps=1)}
    for method, config in configs.items():
        settings = TrainSettings(image_size=64, crossfit_below=0)
        train(healthy, tmp_path / "models" / method, method_name=method, config=config, settings=settings)
    (tmp_path / "hot.csv").write_bytes(hot_csv(95.0, seed=41))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "isotherm.db").write_bytes(sqlite_template.read_bytes())
    words = [tmp_path / "data", tmp_path / "hot.csv", *(tmp_path / "models" / method for method in configs)]
    command = [sys.executable, "-c", SERVE, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(method, error, torch) for method, _, error, torch in said] == [(name, "", False) for name in configs]
    assert all(isinstance(score, float) for _, score, _, _ in said)


def test_a_model_that_needs_what_the_server_lacks_is_refused_by_the_name_of_the_extra(
    call: Caller, healthy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(healthy, tmp_path / "model", method_name="statistics", settings=TrainSettings(image_size=64))

    def lacking(*_given: object) -> None:
        raise MissingExtraError("the method 'statistics'", "train")

    # The trial in this process, where the method can be made to lack something.
    tried: Callable[..., dict[str, Any]] = model_trial.tried
    given = "isotherm.workflows.service.given_models.tried"
    monkeypatch.setattr(given, lambda folder, **_: tried(folder, children=False))
    monkeypatch.setattr(ANOMALY_METHODS.get("statistics").__class__, "load", lacking)
    files = [("files", (name, (tmp_path / "model" / name).read_bytes())) for name in (MANIFEST, ARRAYS)]
    site = call.site()
    problem = call.problem("POST", f"sites/{site}/models/anomaly", 422, files=files)
    assert "this server cannot use the model" in problem["detail"]
    assert "isotherm[train]" in problem["detail"]
    assert call.json("GET", f"models?site_id={site}")["items"] == []
