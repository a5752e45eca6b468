"""Model versions of a site: which one judges, switching and rolling back, and never a damaged one."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import ARRAY, ColumnElement, String, func, literal, select, type_coerce, update
from sqlalchemy.orm import Session, defer
from sqlalchemy.orm.attributes import set_committed_value

from isotherm.core.errors import ChangedError, ConflictError, DataError, ModelError, NotFoundError
from isotherm.core.spans import span
from isotherm.store.blob_rows import remember
from isotherm.store.blobs import Stored
from isotherm.store.tables import Activation, Json, ModelVersion, Site
from isotherm.workflows.service.access import LOCAL, Actor, at_sites, demand, fetch, hold_site
from isotherm.workflows.service.audit import record
from isotherm.workflows.service.paging import USUAL, Page, read_page
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.watching import Predicted

if TYPE_CHECKING:
    from isotherm.core.thermogram import Thermogram
    from isotherm.workflows.classify_model import Classified, Row, TrainedClassifier
    from isotherm.workflows.models import TrainedModel
    from isotherm.workflows.service.sites import SiteSettings

ModelKind = Literal["classifier", "anomaly"]
"""What a version does: give a category, or say how far an image is from what is normal. A site may have one of each."""
CLASSIFIER: ModelKind = "classifier"
ANOMALY: ModelKind = "anomaly"
_POINTERS: Mapping[str, str] = {CLASSIFIER: "active_model", ANOMALY: "active_anomaly_model"}
REMOVED = "removed"
"""The state of a version whose files were deleted, for good; `isotherm.workflows.service.model_removal`."""
TRAINING_DATA = "training-data.json"
"""Of the files of a version, the one that says what it has learnt from; the model itself does not need it."""
MOST_BYTES = 4 << 30
"""Of one file of a model."""
_log = logging.getLogger(__name__)
SYSTEM = Actor("isotherm", LOCAL.scopes)
"""Who acts where nobody asked: a damaged model is put out of service."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a model takes of one picture, or why it cannot judge it, and how long it took to make."""

    row: Row | str
    seconds: float


@dataclass(frozen=True)
class Active:
    """A model version and what it is in memory: always the two that belong together."""

    version: ModelVersion
    classifier: TrainedClassifier

    def prepare(self, picture: Thermogram) -> Prepared:
        """Return a picture as the model takes it, which is most of the work; several threads may do so at once."""
        started = time.perf_counter()
        with span("prepare", method=self.version.method):
            row = self.classifier.row(picture)
        return Prepared(row, time.perf_counter() - started)

    def answers(self, service: Service, prepared: Sequence[Prepared], settings: SiteSettings) -> list[Classified]:
        """Return what the model says about pictures, as a site wants it; the time that is told is that of all steps."""
        from isotherm.workflows.classify_model import Rejection

        started = time.perf_counter()
        with span("predict", method=self.version.method, pictures=len(prepared)):
            rejection = Rejection(settings.min_confidence, settings.open_set)
            said = self.classifier.answers([each.row for each in prepared], rejection)
        spent_s = time.perf_counter() - started + sum(each.seconds for each in prepared)
        service.watch.tell(Predicted(self.version.method, len(prepared), spent_s))
        return said


def active_id(site: Site, kind: str) -> str | None:
    """Return which version of a kind is at work at a site; None where none is."""
    found: str | None = getattr(site, _POINTERS[kind])
    return found


def list_models(
    service: Service,
    actor: Actor,
    site_id: str | None = None,
    *,
    kind: ModelKind | None = None,
    after: Sequence[object] | None = None,
    limit: int = USUAL,
) -> Page[ModelVersion]:
    """Return model versions (of one kind, where one is named), newest first.

    Their metrics are without ``images``, the answer to each test image: of a page of versions that is megabytes.
    """
    query = (
        select(ModelVersion).options(defer(ModelVersion.metrics)).where(at_sites(actor, ModelVersion.site_id, site_id))
    )
    if kind is not None:
        query = query.where(ModelVersion.kind == kind)
    with service.database.read() as session:
        page = read_page(session, query, [ModelVersion.id], after=after, limit=limit)
        metrics = _short_metrics(session, service.database.dialect, [version.id for version in page.items])
        for version in page.items:
            set_committed_value(version, "metrics", metrics[version.id])
        return page


def _short_metrics(session: Session, dialect: str, model_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the metrics of versions without what is told of each image, which the database leaves out."""
    whole = ModelVersion.metrics
    short: ColumnElement[Any] = func.json_remove(whole, "$.images", "$.held_out.scores")
    if dialect != "sqlite":
        short = whole.op("-")(literal("images", String)).op("#-")(literal(["held_out", "scores"], ARRAY(String)))
    query = select(ModelVersion.id, type_coerce(short, Json).label("short")).where(ModelVersion.id.in_(model_ids))
    return {row.id: row.short for row in session.execute(query)}


def get_model(service: Service, actor: Actor, model_id: str) -> ModelVersion:
    """Return a model version; raises NotFoundError where there is none for this actor."""
    with service.database.read() as session:
        return fetch(session, actor, ModelVersion, model_id)


def list_activations(
    service: Service, actor: Actor, site_id: str, *, after: Sequence[object] | None = None, limit: int = USUAL
) -> Page[Activation]:
    """Return the switches of a site's active models, newest first."""
    demand(actor, "read", site_id)
    query = select(Activation).where(at_sites(actor, Activation.site_id, site_id))
    with service.database.read() as session:
        return read_page(session, query, [Activation.id], after=after, limit=limit)


_ANY = object()


def activate(service: Service, actor: Actor, model_id: str, *, expected: str | object | None = _ANY) -> ModelVersion:
    """Let a model version judge the images of its site from now on; needs the scope train. One of each kind may do so.

    It is loaded and checked first, so that a damaged one never takes over; one that was refused and is whole again (its
    files were restored) is good again. Whoever asks after this has returned gets
    its answers; who asked before gets those of the one before, whole.

    Parameters
    ----------
    expected
        The version that is active now as the caller believes (None: none); left out, whichever.

    Raises
    ------
    ModelError
        It is damaged; it is refused from now on.
    ChangedError
        Another than `expected` is active.
    ConflictError
        Its files were deleted.
    """
    with service.database.read() as session:
        version = fetch(session, actor, ModelVersion, model_id, "train")
    _check_there(version)
    mended = version.state != "ready"
    _checked(service, version)
    with service.database.write() as session:
        site = fetch(session, actor, Site, version.site_id, "train", lock=True)
        if expected is not _ANY and active_id(site, version.kind) != expected:
            raise ChangedError("another model has been made active since this was read; read it again")
        version = fetch(session, actor, ModelVersion, model_id, "train", lock=True)
        _check_there(version)
        if version.state != "ready" and not mended:
            raise ModelError(f"version {version.number} is refused: {version.reason}")
        version.state, version.reason = "ready", ""
        switch(session, actor, site, version.id, version.kind)
    return version


def _check_there(version: ModelVersion) -> None:
    if version.state == REMOVED:
        raise ConflictError(f"version {version.number} cannot judge any more: {version.reason}")


def roll_back(service: Service, actor: Actor, site_id: str, *, kind: ModelKind = CLASSIFIER) -> ModelVersion:
    """Let the version of a kind that judged before the active one judge again; needs the scope train.

    Raises
    ------
    ConflictError
        There was none before, or it is refused.
    """
    with service.database.read() as session:
        site = fetch(session, actor, Site, site_id, "train")
        earlier = _earlier(session, site, kind)
    if earlier is None:
        raise ConflictError("no other model of this site was active before that could be gone back to")
    return activate(service, actor, earlier.id, expected=active_id(site, kind))


def switch(session: Session, actor: Actor, site: Site, model_id: str | None, kind: str) -> None:
    """Move a site's one pointer of a kind and write down that it moved; the site's row is locked by the caller."""
    previous = active_id(site, kind)
    setattr(site, _POINTERS[kind], model_id)
    number = session.scalar(select(func.max(Activation.number)).where(Activation.site_id == site.id)) or 0
    moved = {"model_id": model_id, "previous": previous, "kind": kind}
    session.add(Activation(site_id=site.id, number=number + 1, actor=actor.name, **moved))
    session.flush()
    record(session, actor, "model.activated", site.id, {"model": model_id, "previous": previous})


def _earlier(session: Session, site: Site, kind: str) -> ModelVersion | None:
    """Return the good version of a kind that the site would go back to.

    Going to the one below is taken as going back: after 1, 2, 3 and back to 2, the next one back is 1.
    """
    switches = select(Activation.model_id).where(Activation.site_id == site.id, Activation.kind == kind)
    stack: list[str | None] = []
    for model_id in session.scalars(switches.order_by(Activation.number)):
        if len(stack) > 1 and stack[-2] == model_id:
            stack.pop()
        elif not stack or stack[-1] != model_id:
            stack.append(model_id)
    for model_id in reversed(stack):
        found = session.get(ModelVersion, model_id) if model_id and model_id != active_id(site, kind) else None
        if found is not None and found.state == "ready":
            return found
    return None


def active_classifier(service: Service, site_id: str) -> Active | None:
    """Return the model that judges a site's images now, in memory; None where the site has none.

    One that turns out to be damaged is refused and the last good one before it takes its place.
    """
    while (version := _version_at_work(service, site_id, CLASSIFIER)) is not None:
        try:
            return Active(version, load(service, version))
        except ModelError as error:
            _log.error("site %s, model version %d: %s", site_id, version.number, error)
    return None


def active_detector(service: Service, site_id: str) -> tuple[ModelVersion, TrainedModel] | None:
    """Return the anomaly model that scores a site's images now; see `active_classifier`."""
    while (version := _version_at_work(service, site_id, ANOMALY)) is not None:
        try:
            return version, load_detector(service, version)
        except ModelError as error:
            _log.error("site %s, model version %d: %s", site_id, version.number, error)
    return None


def _version_at_work(service: Service, site_id: str, kind: str) -> ModelVersion | None:
    pointer = getattr(Site, _POINTERS[kind])
    with service.database.read() as session:
        # It is asked for each image; the answers to all test images, which nobody needs then, are large.
        return session.scalar(
            select(ModelVersion)
            .options(defer(ModelVersion.metrics, raiseload=True))
            .join(Site, pointer == ModelVersion.id)
            .where(Site.id == site_id)
        )


def load(service: Service, version: ModelVersion) -> TrainedClassifier:
    """Return a version's classifier, from memory or from its files, each checked.

    Raises
    ------
    ModelError
        A file is missing or damaged. The version is marked as refused, and no longer active.
    ConflictError
        It is a model of the other kind.
    """
    found: TrainedClassifier = _whole(service, version, CLASSIFIER)
    return found


def load_detector(service: Service, version: ModelVersion) -> TrainedModel:
    """Return a version's anomaly model; see `load`."""
    found: TrainedModel = _whole(service, version, ANOMALY)
    return found


def _whole(service: Service, version: ModelVersion, kind: ModelKind) -> Any:
    if version.kind != kind:
        raise ConflictError(f"version {version.number} is a model of the kind {version.kind}, not {kind}")
    _check_there(version)
    if version.state != "ready":
        refuse(service, version, version.reason)
        raise ModelError(f"version {version.number} is refused: {version.reason}")
    return _checked(service, version)


def _checked(service: Service, version: ModelVersion) -> TrainedClassifier | TrainedModel:
    try:
        return service.loaded.get(version.id, lambda: _loaded(service, version))
    except ModelError as error:
        refuse(service, version, str(error))
        raise


def _loaded(service: Service, version: ModelVersion) -> tuple[TrainedClassifier | TrainedModel, int]:
    """Return a model with the size of its files [bytes]."""
    folder = Path(tempfile.mkdtemp(dir=service.folder / "scratch", prefix="model-"))
    try:
        write_files(service, version, folder)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        model = _read(folder, version.kind)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    # As long as a site has training images, in each model in memory; nobody asks them for it (see `training_data`).
    model.manifest.get("data", {}).pop("image_digests", None)
    return model, size


def _read(folder: Path, kind: str) -> TrainedClassifier | TrainedModel:
    if kind == ANOMALY:
        from isotherm.workflows.models import load_model

        return load_model(folder)
    from isotherm.workflows.classify_model import load_classifier

    return load_classifier(folder)


def training_data(service: Service, version: ModelVersion) -> dict[str, Any]:
    """Return what a version has learnt from and was tested with.

    ``train`` and ``test`` are lists of [id of the image, sha256, category], ``feedback`` and ``groups`` of ids.

    Raises
    ------
    ModelError
        The list is missing or damaged.
    """
    try:
        found: dict[str, Any] = json.loads(service.blobs.read(version.files[TRAINING_DATA]))
    except (KeyError, NotFoundError, DataError, ValueError) as error:
        raise ModelError(f"what version {version.number} has learnt from is not known: {error}") from error
    return found


def write_files(service: Service, version: ModelVersion, folder: Path) -> None:
    """Write the files of a version below an empty folder; raises ModelError where one is missing or damaged."""
    for name, digest in version.files.items():
        if name == TRAINING_DATA:
            continue
        path = folder / PurePosixPath(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.write_bytes(service.blobs.read(digest))
        except (NotFoundError, DataError) as error:
            raise ModelError(f"file {name}: {error}") from error


def stored_files(service: Service, folder: Path) -> dict[str, Stored]:
    """Keep the files below a model's folder as contents, by name."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            found[path.relative_to(folder).as_posix()] = service.blobs.put(stream, most_bytes=MOST_BYTES)
    return found


def add_version(session: Session, version: ModelVersion, files: Mapping[str, Stored]) -> Site:
    """Write a version whose files are kept already, numbered after the site's last one; returns its site, locked."""
    site = hold_site(session, version.site_id)
    if site is None:
        raise NotFoundError("site", version.site_id)
    remember(session, *files.values())
    last = session.scalar(select(func.max(ModelVersion.number)).where(ModelVersion.site_id == site.id)) or 0
    version.number = last + 1
    version.files = {name: stored.digest for name, stored in files.items()}
    session.add(version)
    session.flush()
    return site


def refuse(service: Service, version: ModelVersion, reason: str) -> None:
    """Mark a version as damaged; where it is active, the last good one before it becomes active, or none."""
    service.loaded.drop(version.id)
    with service.database.write() as session:
        site = hold_site(session, version.site_id)
        if site is None:
            return
        marked = update(ModelVersion).where(ModelVersion.id == version.id, ModelVersion.state == "ready")
        fresh = session.execute(marked.values(state="refused", reason=reason)).rowcount  # type: ignore[attr-defined]
        if active_id(site, version.kind) == version.id:
            earlier = _earlier(session, site, version.kind)
            switch(session, SYSTEM, site, None if earlier is None else earlier.id, version.kind)
        if fresh:
            record(session, SYSTEM, "model.refused", version.id, {"reason": reason})


def digest_of(version: ModelVersion) -> str:
    """Return one sha256 for all files of a version."""
    whole = "\n".join(f"{digest}  {name}" for name, digest in sorted(version.files.items()))
    return hashlib.sha256(whole.encode()).hexdigest()
