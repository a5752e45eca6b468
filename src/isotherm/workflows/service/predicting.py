"""Asking a site's model about files that are not kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

from isotherm.core.errors import ConflictError, IsothermError, NotFoundError, one_line
from isotherm.store.tables import ModelVersion, Site
from isotherm.workflows.classify_model import BATCH
from isotherm.workflows.classify_model import Classified as Answer
from isotherm.workflows.service.access import Actor, fetch
from isotherm.workflows.service.looking import examination_settings
from isotherm.workflows.service.models import Active, Prepared, active_classifier, load
from isotherm.workflows.service.names import file_name
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import SiteSettings, settings_of
from isotherm.workflows.service.taking import Upload, bytes_of, each_of


@dataclass(frozen=True)
class Classified:
    """What the model of a site says about one file, or why it says nothing (``error``).

    ``label`` is a category, or `isotherm.workflows.classify_model.NO_CATEGORY` where it is `rejected` for a `reason`;
    ``nearest`` is the most probable category all the same. ``model_id`` says which version has answered.
    """

    name: str
    label: str = ""
    confidence: float = 0.0
    probabilities: Mapping[str, float] = field(default_factory=dict)
    nearest: str = ""
    distance: float | None = None
    rejected: bool = False
    reason: str = ""
    model_id: str = ""
    error: str = ""
    problem: IsothermError | None = None


def predict(
    service: Service,
    actor: Actor,
    site_id: str,
    uploads: Iterable[Upload | LateUpload],
    *,
    min_confidence: float | None = None,
    model_id: str | None = None,
) -> list[Classified]:
    """Return the category of each file by the site's model; needs the scope predict. Nothing is kept.

    All answers of one call come from the same version.

    Parameters
    ----------
    min_confidence
        Least probability of a verdict, in place of the site's.
    model_id
        A version of the site in place of the active one.

    Raises
    ------
    ConflictError
        The site has no model.
    BusyError
        As many calls are at work as may.
    """
    with service.database.read() as session:
        site = fetch(session, actor, Site, site_id, "predict")
    settings = _settings(site, min_confidence)
    active = _active(service, actor, site, model_id)
    found = list[Classified]()
    with service.taking():
        seen = each_of(service, partial(_seen, service, actor, active, settings), uploads)
        # Not all at once: what a network takes of a picture may be large.
        while piece := list(islice(seen, BATCH)):
            found += _answers(service, active, settings, piece)
    return found


@dataclass(frozen=True)
class LateUpload:
    """A file whose bytes are made when its turn comes, while others are decoded; ``data`` may raise IsothermError."""

    name: str
    data: Callable[[], bytes]


@dataclass(frozen=True)
class _Seen:
    """What the model takes of a file's picture, or why there is none."""

    name: str
    prepared: Prepared | None = None
    problem: IsothermError | None = None


def _seen(service: Service, actor: Actor, active: Active, settings: SiteSettings, upload: Upload | LateUpload) -> _Seen:
    """Read a file and prepare its picture, while other threads wait for other files to be decoded."""
    name = file_name(upload.name)
    try:
        data = upload.data() if isinstance(upload, LateUpload) else bytes_of(service, actor, upload)
        picture = service.examinations.picture(data, name, examination_settings(settings))
    except IsothermError as error:
        return _Seen(name, problem=error)
    return _Seen(name, active.prepare(picture))


def _answers(service: Service, active: Active, settings: SiteSettings, piece: Sequence[_Seen]) -> list[Classified]:
    prepared = [each.prepared for each in piece if each.prepared is not None]
    said = iter(active.answers(service, prepared, settings))
    return [_refused(active, each) if each.problem else _plain(each.name, active, next(said)) for each in piece]


def _refused(active: Active, seen: _Seen) -> Classified:
    assert seen.problem is not None
    return Classified(seen.name, model_id=active.version.id, error=one_line(seen.problem), problem=seen.problem)


def _settings(site: Site, min_confidence: float | None) -> SiteSettings:
    settings = settings_of(site)
    return settings if min_confidence is None else replace(settings, min_confidence=min_confidence)


def _active(service: Service, actor: Actor, site: Site, model_id: str | None) -> Active:
    if model_id is None:
        active = active_classifier(service, site.id)
        if active is None:
            raise ConflictError(f"the site {site.name!r} has no model yet; train one first")
        return active
    with service.database.read() as session:
        version = fetch(session, actor, ModelVersion, model_id)
    if version.site_id != site.id:
        raise NotFoundError("model version", model_id)
    return Active(version, load(service, version))


def _plain(name: str, active: Active, said: Answer) -> Classified:
    return Classified(
        name,
        label=said.label,
        confidence=said.confidence,
        probabilities=said.probabilities,
        nearest=said.nearest,
        distance=said.distance,
        rejected=said.rejected,
        reason=said.reason,
        model_id=active.version.id,
        error=said.error,
    )
