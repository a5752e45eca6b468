"""Deleting the files of a model version that nobody needs any more; its number, card and metrics stay."""

from __future__ import annotations

from sqlalchemy.orm import Session

from isotherm.core.errors import ConflictError
from isotherm.store.tables import ModelVersion, Site, now
from isotherm.workflows.service.access import Actor, fetch
from isotherm.workflows.service.audit import record
from isotherm.workflows.service.models import REMOVED, active_id
from isotherm.workflows.service.service import Service


def remove_files(service: Service, actor: Actor, model_id: str) -> ModelVersion:
    """Delete the files of a version that is not at work, for good; needs the scope train.

    Its row stays, so that verdicts and reports go on to name the version and its numbers. The card keeps the names and
    sha256 of the files (``removed``). The room on the disk comes back a day later, with the house-keeping. Once more
    changes nothing.

    Raises
    ------
    ConflictError
        The version is at work.
    """
    with service.database.read() as session:
        site_id = fetch(session, actor, ModelVersion, model_id, "train").site_id
    with service.database.write() as session:
        site = fetch(session, actor, Site, site_id, "train", lock=True)
        version = fetch(session, actor, ModelVersion, model_id, "train", lock=True)
        if active_id(site, version.kind) == version.id:
            raise ConflictError(f"version {version.number} is at work; put another one to work first")
        if version.state != REMOVED:
            _strip(session, actor, version)
    service.loaded.drop(version.id)
    return version


def _strip(session: Session, actor: Actor, version: ModelVersion) -> None:
    at = now().isoformat(timespec="seconds")
    version.card = {**version.card, "removed": {"at": at, "by": actor.name, "files": version.files}}
    version.files = {}
    version.state = REMOVED
    version.reason = f"its files were deleted by {actor.name} on {at[:10]}"
    session.flush()
    record(session, actor, "model.removed", version.id, {"site": version.site_id, "number": version.number})
