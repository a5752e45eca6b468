"""Anomaly models as folders: given to a site by who has trained them elsewhere, and handed out again."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from isotherm.core.config import setting, to_mapping, validate
from isotherm.core.errors import BusyError, ConflictError, DataError, ModelError, NotFoundError
from isotherm.runtime.bundle import ARRAYS, MANIFEST
from isotherm.store.ids import new_id
from isotherm.store.pieces import in_pieces
from isotherm.store.tables import Image, ModelVersion, Site
from isotherm.workflows.service.access import Actor, fetch
from isotherm.workflows.service.audit import record
from isotherm.workflows.service.given_numbers import (
    FIT,
    METRICS,
    MOST_METRICS_BYTES,
    TEST,
    said_lines,
    tested_numbers,
)
from isotherm.workflows.service.model_trial import tried
from isotherm.workflows.service.models import ANOMALY, REMOVED, TRAINING_DATA, add_version, stored_files, switch
from isotherm.workflows.service.names import check_name, file_name
from isotherm.workflows.service.seen import NEVER_SAW, seen_in
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import check_note, settings_of
from isotherm.workflows.service.taking import Upload
from isotherm.workflows.service.testing_detectors import LABELS
from isotherm.workflows.service.testing_models import model_metrics

FILES = (MANIFEST, ARRAYS)
"""What a folder of an anomaly model holds, no more and no less; `METRICS` may come with them."""
MOST_BYTES = 256 << 20
"""Of both files together."""
MOST_MANIFEST_BYTES = 16 << 20
"""It stays in memory with the model, many times as large as its text."""
_CHECKS = threading.BoundedSemaphore(2)
"""Each check has a child with much memory."""
_DATE = (1980, 1, 1, 0, 0, 0)
_PIECE = 1 << 20


@dataclass(frozen=True)
class GivenModel:
    """How a model that was trained elsewhere comes to a site."""

    normal: str = setting("normal", "the category of this site whose images are normal to the model")
    activate: bool = setting(False, "let it score new images at once")
    note: str = setting("", "a remark that is kept with the model")

    def __post_init__(self) -> None:
        validate(self)
        check_name("category", self.normal)
        check_note(self.note)


def import_detector(
    service: Service, actor: Actor, site_id: str, files: Sequence[Upload], given: GivenModel | None = None
) -> ModelVersion:
    """Keep an anomaly model that `isotherm train` has written elsewhere as a version of a site; needs the scope train.

    It is opened, and has to score a picture, in a child with limits first. It has not been tested here: what is known
    of it are the scores of the normal images that were held out while it learnt. What the folder says of its own tests
    is kept in its card (``elsewhere.says``).

    Parameters
    ----------
    files
        The two files of the model's folder, by their own names, and perhaps the ``metrics.json`` of a test of it.

    Raises
    ------
    DataError
        They are not the files of an anomaly model that this server can use; says why.
    BusyError
        Two models are being checked already.
    """
    given = given or GivenModel()
    with service.database.read() as session:
        fetch(session, actor, Site, site_id, "train")
    with _alone(), _folder(service) as folder:
        said = _placed(files, folder)
        found = tried(folder, children=service.limits.children > 0)
        test = None if said is None else tested_numbers(said, found["manifest_sha256"])
        found["says"] = {name: value for name, value in ((TEST, test), (FIT, found["fitted"])) if value is not None}
        here = _here(service, site_id, found["digests"])
        learnt = [[here.get(digest, ""), digest, given.normal] for digest in found["digests"]]
        data = {"train": learnt, "test": [], "feedback": [], "groups": [], "elsewhere": True}
        (folder / TRAINING_DATA).write_text(json.dumps(data), encoding="utf-8")
        stored = stored_files(service, folder)
    with service.database.write() as session:
        site = fetch(session, actor, Site, site_id, "train", lock=True)
        version = _version(session, actor, site, found, here, given)
        add_version(session, version, stored)
        record(session, actor, "model.imported", version.id, {"site": site.id, "number": version.number})
        if given.activate:
            switch(session, actor, site, version.id, ANOMALY)
    return version


@contextmanager
def _alone() -> Iterator[None]:
    if not _CHECKS.acquire(blocking=False):
        raise BusyError("other models are being checked already", retry_after_s=10)
    try:
        yield
    finally:
        _CHECKS.release()


@contextmanager
def _folder(service: Service) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir=service.folder / "scratch", prefix="model-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _placed(files: Sequence[Upload], folder: Path) -> bytes | None:
    """Write files that were sent into an empty folder, none whose name is not one of a model's; return the metrics."""
    sent = [(_last_part(each.name), each) for each in files]
    names = sorted(name for name, _ in sent)
    if names not in (sorted(FILES), sorted((*FILES, METRICS))):
        shown = ", ".join(repr(file_name(name)[:80]) for name in names[:5]) or "nothing"
        raise DataError(
            f"a model's folder holds {' and '.join(FILES)}, each once; {len(sent)} files were sent: {shown}. "
            f"Send both files of a folder that `isotherm train -o FOLDER` has written, and perhaps the {METRICS} that "
            "`isotherm evaluate` has written of it"
        )
    whole = sum(_size(each) for _, each in sent)
    if whole > MOST_BYTES:
        raise DataError(f"the files of the model have {whole} bytes; at most {MOST_BYTES} are taken")
    said = None
    for name, each in sent:
        most = {MANIFEST: MOST_MANIFEST_BYTES, METRICS: MOST_METRICS_BYTES}.get(name, MOST_BYTES)
        if _size(each) > most:
            raise DataError(f"{name} has {_size(each)} bytes; at most {most} are taken")
        _write(each, folder / name)
    if len(names) > len(FILES):
        said = (folder / METRICS).read_bytes()
        (folder / METRICS).unlink()
    return said


def _last_part(name: str) -> str:
    """Return a file's own name; browsers that send a folder put its name before."""
    return name.replace("\\", "/").rpartition("/")[2]


def _size(each: Upload) -> int:
    return each.data.stat().st_size if isinstance(each.data, Path) else len(each.data)


def _write(each: Upload, path: Path) -> None:
    if isinstance(each.data, Path):
        shutil.copyfile(each.data, path)
    elif isinstance(each.data, bytes):
        path.write_bytes(each.data)
    else:
        raise DataError("the files of a model are sent whole, not by their sha256")


def _here(service: Service, site_id: str, digests: Sequence[str]) -> dict[str, str]:
    """Return the ids of the images of a site that a model has learnt from, by their contents."""
    found: dict[str, str] = {}
    with service.database.read() as session:
        for piece in in_pieces(digests):
            query = select(Image.digest, Image.id).where(Image.site_id == site_id, Image.digest.in_(piece))
            rows = session.execute(query.order_by(Image.id.desc()))
            found |= {row.digest: row.id for row in rows}
    return found


def _version(
    session: Session, actor: Actor, site: Site, found: Mapping[str, Any], here: Mapping[str, str], given: GivenModel
) -> ModelVersion:
    calibration, counts = found["held_out"], found["data"]
    metrics = model_metrics(LABELS, {}, None) | {"count": calibration["images"], "basis": "held-out"}
    return ModelVersion(
        id=new_id(),
        site_id=site.id,
        kind=ANOMALY,
        method=found["method"],
        card={
            "normal": given.normal,
            "settings": to_mapping(given),
            "site_settings": to_mapping(settings_of(site)),
            "notes": _notes(found, len(here)),
            NEVER_SAW: _UNSEEN,
            "note": given.note,
            "data": {"train": counts.get("images", len(found["digests"])), "test": 0, **counts, "image_digests": []},
            "seen": seen_in(session, sorted(here.values())),
            "versions": found["versions"],
            "elsewhere": _elsewhere(found, len(here)),
        },
        metrics=metrics | {"held_out": calibration, "threshold": calibration["threshold"]},
        made_by=actor.name,
    )


def _elsewhere(found: Mapping[str, Any], here: int) -> dict[str, Any]:
    known = {name: found[name] for name in ("made", "kind", "size", "channels", "picture_s", "says")}
    return known | {
        "named": len(found["digests"]),
        "here": here,
        "said": said_lines(found["says"], found["held_out"]["threshold"]),
    }


_TAKES = {
    "temperature": "pictures with temperatures",
    "estimate": "pictures whose temperatures are estimated from colours",
    "picture": "plain pictures without temperatures",
}


def _notes(found: Mapping[str, Any], here: int) -> list[str]:
    named = len(found["digests"])
    known = f"{here} of the {named} images" if named else "none of the images"
    return [
        f"trained elsewhere and given as a folder; {known} that it has learnt from are at this site",
        f"it scores {_TAKES[found['kind']]} and no others",
        f"threshold: {found['held_out']['how']}",
        _UNSEEN,
    ]


_UNSEEN = (
    "what the images that it has learnt from do not show (another camera, view, season or load) scores high, fault or "
    "not; it has not been tested with images of this site"
)


def export_detector(service: Service, actor: Actor, model_id: str) -> IO[bytes]:
    """Return the folder of an anomaly model as a ZIP archive, a file that is gone when it is closed.

    Raises
    ------
    ConflictError
        It is a classifier, whose files have other uses, or its files were deleted.
    ModelError
        A file is missing or damaged.
    """
    with service.database.read() as session:
        version = fetch(session, actor, ModelVersion, model_id)
    if version.kind != ANOMALY:
        raise ConflictError("only anomaly models are handed out as folders; this is a classifier")
    if version.state == REMOVED:
        raise ConflictError(f"version {version.number} cannot be handed out any more: {version.reason}")
    stream = tempfile.TemporaryFile(dir=service.folder / "scratch", prefix="export-")  # noqa: SIM115 (the caller's)
    try:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(set(version.files) - {TRAINING_DATA}):
                _copy(service, version, name, archive)
    except BaseException:
        stream.close()
        raise
    stream.seek(0)
    return stream


def _copy(service: Service, version: ModelVersion, name: str, archive: zipfile.ZipFile) -> None:
    """Add a file of a version to an archive, in pieces, as it may be large; raises ModelError."""
    digest, found = version.files[name], hashlib.sha256()
    try:
        with (
            service.blobs.open(digest) as source,
            archive.open(zipfile.ZipInfo(name, _DATE), "w", force_zip64=True) as target,
        ):
            while piece := source.read(_PIECE):
                found.update(piece)
                target.write(piece)
    except NotFoundError as error:
        raise ModelError(f"file {name} of version {version.number}: {error}") from error
    if found.hexdigest() != digest:
        raise ModelError(f"file {name} of version {version.number} is damaged; restore it from a backup")
