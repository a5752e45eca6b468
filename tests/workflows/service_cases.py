"""Small pictures, and classifiers that cost nothing, for the tests of the service."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from isotherm.core.errors import ModelError
from isotherm.store.blob_rows import remember
from isotherm.store.database import Database
from isotherm.store.tables import ModelVersion, Site
from isotherm.workflows.classify_model import NO_CATEGORY, Classified, Rejection, Row, TrainedClassifier
from isotherm.workflows.service.models import stored_files
from isotherm.workflows.service.service import Limits, Service

PARTS = ("one.json", "two.json", "three.json")


def png(level: int, *, side: int = 16, seed: int = 0) -> bytes:
    """Return a grey picture of about one level, different for each seed."""
    noise = np.random.default_rng(seed).integers(0, 8, (side, side))
    stream = io.BytesIO()
    Picture.fromarray(np.clip(level + noise, 0, 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


class Says(TrainedClassifier):
    """A classifier that says the same of every picture; its parts must all be of the same version."""

    def __init__(
        self,
        label: str,
        confidence: float = 0.9,
        labels: tuple[str, ...] = ("cold", "hot"),
        manifest: dict[str, Any] | None = None,
    ) -> None:
        said = {"label": label, "confidence": confidence, "labels": labels, "manifest": manifest or {}}
        for name, value in {**said, "method": "logistic"}.items():
            object.__setattr__(self, name, value)

    def classify(
        self, thermograms: Sequence[object], *, min_confidence: float | None = None, open_set: bool | None = None
    ) -> list[Classified]:
        return self.answers([self.row(each) for each in thermograms], Rejection(min_confidence, open_set))

    def row(self, _thermogram: object) -> Row:
        return np.zeros(1, np.float32)

    def answers(self, rows: Sequence[Row | str], rejection: Rejection | None = None) -> list[Classified]:
        least = None if rejection is None else rejection.min_confidence
        unsure = self.confidence < (0.5 if least is None else least)
        rest = {label: (1 - self.confidence) / len(self.labels) for label in self.labels}
        said = Classified(
            label=NO_CATEGORY if unsure else self.label,
            confidence=self.confidence,
            probabilities=rest | {self.label: self.confidence},
            nearest=self.label,
            distance=None,
            rejected=unsure,
            reason="confidence" if unsure else "",
        )
        return [said for _ in rows]

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        for name in PARTS:
            (folder / name).write_text(json.dumps({"part": name, "label": self.label, "confidence": self.confidence}))


def load_says(folder: Path) -> Says:
    parts = [json.loads((folder / name).read_text()) for name in PARTS]
    if len({part["label"] for part in parts}) != 1:
        raise ModelError("parts of different versions", folder)
    return Says(parts[0]["label"], parts[0]["confidence"])


@contextmanager
def reopened(service: Service, limits: Limits | None = None) -> Iterator[Service]:
    """Open the same data folder once more, as another process would."""
    database = Database.open(service.database.engine.url.render_as_string(hide_password=False))
    with Service(database, service.folder, limits=limits or Limits(children=0)) as found:
        yield found


@pytest.fixture
def simple_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have model versions loaded as `Says`."""
    monkeypatch.setattr("isotherm.workflows.classify_model.load_classifier", load_says)


def add_version(service: Service, site_id: str, label: str, *, confidence: float = 0.9) -> ModelVersion:
    """Add a version of a site that says `label`, as a training would."""
    folder = service.folder / "scratch" / f"made-{site_id}-{label}"
    Says(label, confidence).save(folder)
    files = stored_files(service, folder)
    with service.database.write() as session:
        session.get(Site, site_id, with_for_update=True)
        number = session.query(ModelVersion).filter_by(site_id=site_id).count() + 1
        version = ModelVersion(site_id=site_id, number=number, method="logistic")
        version.files = {name: stored.digest for name, stored in files.items()}
        for stored in files.values():
            remember(session, stored)
        session.add(version)
    return version


def damage(service: Service, version: ModelVersion, name: str = PARTS[1], *, cut: bool = False) -> None:
    """Flip a bit of a file of a version, or cut it, on the disk."""
    path = service.blobs.path(version.files[name])
    data = bytearray(path.read_bytes())
    if cut:
        data = data[: len(data) // 2]
    else:
        data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(data))
