"""The drift watch: whether a site's newest images, and what its model says of them, still are as those of the training.

Compared are numbers of whole images (mean, contrast, sharpness, highest temperature, largest delta-T) with those of the
images that the active model learnt from; what the classifier says, with what it said first; and the scores of the
anomaly model, with those of the normal images that were held out while it learnt. Who looks at a shift finds the images
that lie farthest out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session

from isotherm.core.errors import ConfigError, IsothermError
from isotherm.evaluation.drift import LEAST_COUNT, Shift, State, shifts, worst
from isotherm.jobs.context import JobContext
from isotherm.store.ids import new_id
from isotherm.store.pieces import in_pieces
from isotherm.store.tables import DriftCheck, Image, Inspection, ModelVersion, Site, now
from isotherm.workflows.service.access import LOCAL, Actor, fetch
from isotherm.workflows.service.models import training_data
from isotherm.workflows.service.score_families import same_scores
from isotherm.workflows.service.service import Service

DRIFT = "drift"
EVERY_S = 6 * 3600.0
WINDOW, MOST_WINDOW = 200, 2000
"""How many of the newest images are compared, and how many may be."""
MOST_REFERENCE = 5000
MOST_LINKED = 12
MOST_CHECKS = 200
"""Of a site; older ones are forgotten."""
_ROWS = 500
"""How many rows are asked of the database at a time."""
_TAIL = 0.01


@dataclass(frozen=True)
class Linked:
    """An image that lies outside of what the training has seen, in one quantity."""

    id: str
    name: str
    value: float


@dataclass(frozen=True)
class WatchedShift:
    """A shift with the images that lie farthest out."""

    shift: Shift
    images: tuple[Linked, ...] = ()


@dataclass(frozen=True)
class Drift:
    """What a check has found.

    Parameters
    ----------
    at
        When it was made.
    state, psi
        The worst of all quantities, and the largest index.
    reference
        What the newest images are compared with, in words.
    model_id
        The model whose training it is; None without a model.
    anomaly_model_id
        The anomaly model whose scores are compared; None without one.
    shifts
        One for each quantity, the worst first.
    """

    at: datetime
    state: State
    psi: float | None
    reference: str
    model_id: str | None = None
    shifts: tuple[WatchedShift, ...] = field(default=())
    anomaly_model_id: str | None = None


@dataclass(frozen=True)
class _Seen:
    """One image with what is compared."""

    id: str
    name: str
    facts: Mapping[str, Any]
    confidence: float | None
    distance: float | None
    score: float | None
    judged: bool
    scored: bool


@dataclass(frozen=True)
class _Models:
    """The models of a site: one whose training the newest images are compared with, and that which gives scores."""

    judge: ModelVersion | None
    scorer: ModelVersion | None
    scores: frozenset[str] = frozenset()
    """The ids of the versions that give the scorer's scores, by whichever threshold they judge them."""

    @property
    def trained(self) -> ModelVersion | None:
        """The one whose training images are the reference: the classifier, or else the anomaly model."""
        return self.judge or self.scorer


_QUANTITIES: dict[str, Callable[[_Seen], Any]] = {
    "mean": lambda seen: (seen.facts.get("numbers") or {}).get("mean", seen.facts.get("mean_c")),
    "contrast": lambda seen: (seen.facts.get("numbers") or {}).get("contrast"),
    "sharpness": lambda seen: (seen.facts.get("numbers") or {}).get("sharpness"),
    "max_c": lambda seen: seen.facts.get("max_c"),
    "max_delta_t_c": lambda seen: seen.facts.get("max_delta_t_c"),
}
_SCORES: dict[str, Callable[[_Seen], Any]] = {
    "confidence": lambda seen: seen.confidence if seen.judged else None,
    "distance": lambda seen: seen.distance if seen.judged else None,
}


def _score(seen: _Seen) -> float | None:
    return seen.score if seen.scored else None


def site_drift(service: Service, actor: Actor, site_id: str, *, window: int = WINDOW) -> Drift:
    """Compare the newest images of a site with those of its training.

    Parameters
    ----------
    window
        How many of the newest images that are not in the training.

    Raises
    ------
    ConfigError
        The window is not from 20 to 2000.
    """
    if not LEAST_COUNT <= window <= MOST_WINDOW:
        raise ConfigError(f"window must be from {LEAST_COUNT} to {MOST_WINDOW} images, not {window}")
    with service.database.read() as session:
        site = fetch(session, actor, Site, site_id)
        models = _models(session, site)
        ids, told = _training(service, session, site, models.trained)
        reference = _of_ids(session, ids, models)
        current = _newest(session, site, models, leave_out={*ids, *_scorer_learnt(service, models)}, most=window)
        first = _first_judged(session, models)
    return _compared(told, models, reference, current, first)


def _models(session: Session, site: Site) -> _Models:
    judge, scorer = (_version(session, each) for each in (site.active_model, site.active_anomaly_model))
    return _Models(judge, scorer, same_scores(session, scorer) if scorer else frozenset())


def _version(session: Session, model_id: str | None) -> ModelVersion | None:
    return session.get(ModelVersion, model_id) if model_id else None


def _training(service: Service, session: Session, site: Site, model: ModelVersion | None) -> tuple[list[str], str]:
    """Return the ids of the images to compare with, and what they are."""
    why = ""
    if model is not None:
        learnt = _learnt(service, model)
        if learnt:
            return learnt[:MOST_REFERENCE], f"the images that version {model.number} has learnt from"
        why = f", as what version {model.number} has learnt from is not on this server"
    marked = select(Image.id).where(Image.site_id == site.id, Image.split == "train").limit(MOST_REFERENCE)
    return list(session.scalars(marked)), f"the images that are marked for training{why}"


def _learnt(service: Service, model: ModelVersion) -> list[str]:
    """Return the ids of the images that a model has learnt from; of one that was made elsewhere, those that are here.

    Empty too where the list is damaged.
    """
    try:
        return [str(row[0]) for row in training_data(service, model)["train"] if row[0]]
    except IsothermError:
        return []


def _scorer_learnt(service: Service, models: _Models) -> list[str]:
    """Return the images that the anomaly model has learnt from, where these are not the reference."""
    if models.judge is None or models.scorer is None:
        return []
    # Those that stand last are not marked for training: people have called them normal.
    return _learnt(service, models.scorer)[-MOST_REFERENCE:]


_COLUMNS = (
    Image.id,
    Image.name,
    Image.facts,
    Inspection.confidence,
    Inspection.distance,
    Inspection.score,
    Inspection.model_id,
    Inspection.anomaly_model_id,
)


_FACTS = ("numbers", "mean_c", "max_c", "max_delta_t_c")
"""What is compared of the facts of an image; all that was found out about thousands of them is megabytes."""


def _seen(session: Session, query: Select[Any], models: _Models) -> Iterator[_Seen]:
    judge = None if models.judge is None else models.judge.id
    for row in session.execute(query, execution_options={"yield_per": _ROWS}):
        yield _Seen(
            row.id,
            row.name,
            {name: row.facts[name] for name in _FACTS if name in row.facts},
            row.confidence,
            row.distance,
            row.score,
            judge is not None and row.model_id == judge,
            row.anomaly_model_id in models.scores,
        )


def _of_ids(session: Session, ids: Sequence[str], models: _Models) -> list[_Seen]:
    query = select(*_COLUMNS).outerjoin(Inspection, Inspection.id == Image.latest_inspection)
    return [seen for piece in in_pieces(ids) for seen in _seen(session, query.where(Image.id.in_(piece)), models)]


def _newest(session: Session, site: Site, models: _Models, *, leave_out: set[str], most: int) -> list[_Seen]:
    """Return the newest images of a site that are not learnt from."""
    query = select(*_COLUMNS).outerjoin(Inspection, Inspection.id == Image.latest_inspection)
    query = query.where(Image.site_id == site.id, Image.split != "train").order_by(Image.id.desc())
    rows = _seen(session, query.limit(most + len(leave_out)), models)
    # To the end: a cursor of PostgreSQL that is left before stays open.
    return [seen for seen in rows if seen.id not in leave_out][:most]


def _first_judged(session: Session, models: _Models) -> list[_Seen]:
    """Return the images that a classifier judged first: what it says of images that it has learnt from is too good."""
    model = models.judge
    if model is None:
        return []
    query = select(*_COLUMNS).join(Inspection, Inspection.image_id == Image.id)
    query = query.where(Image.site_id == model.site_id, Inspection.model_id == model.id, Image.split == "")
    return list(_seen(session, query.order_by(Inspection.id).limit(WINDOW), models))


def _held_out(models: _Models) -> np.ndarray:
    """Return the scores of the normal images that the anomaly model had not seen while it learnt."""
    scores = (models.scorer.metrics.get("held_out") or {}).get("scores", ()) if models.scorer else ()
    return np.asarray(scores, np.float64)


def _compared(
    told: str, models: _Models, reference: Sequence[_Seen], current: Sequence[_Seen], first: Sequence[_Seen]
) -> Drift:
    # The first verdicts are no past of themselves.
    early = {seen.id for seen in first}
    later = [seen for seen in current if seen.id not in early]
    pairs = {name: (_numbers(reference, get), current, get) for name, get in _QUANTITIES.items()}
    pairs |= {name: (_numbers(first, get), later, get) for name, get in _SCORES.items()}
    pairs["score"] = (_held_out(models), current, _score)
    numbers = {name: (then, _numbers(since, get)) for name, (then, since, get) in pairs.items()}
    known = {name: both for name, both in numbers.items() if both[0].size and both[1].size}
    found = shifts(
        {name: then for name, (then, _) in known.items()}, {name: since for name, (_, since) in known.items()}
    )
    watched = [_watched(shift, *pairs[shift.name]) for shift in found]
    watched.sort(key=lambda each: -(each.shift.psi or 0.0))
    largest = max((shift.psi for shift in found if shift.psi is not None), default=None)
    state = worst([shift.state for shift in found])
    judge, scorer = (None if model is None else model.id for model in (models.trained, models.scorer))
    return Drift(now(), state, largest, told, judge, tuple(watched), scorer)


def _numbers(seen: Sequence[_Seen], get: Callable[[_Seen], Any]) -> np.ndarray:
    values = (get(each) for each in seen)
    return np.array([value for value in values if value is not None], np.float64)


def _watched(
    shift: Shift, reference: np.ndarray, current: Sequence[_Seen], get: Callable[[_Seen], Any]
) -> WatchedShift:
    """Return a shift with the images that lie outside of nearly all of the reference, the farthest first."""
    if shift.state not in ("watch", "drift"):
        return WatchedShift(shift)
    low, high = np.quantile(reference, (_TAIL, 1 - _TAIL))
    values = [(float(get(seen)), seen) for seen in current if get(seen) is not None]
    outside = [(max(low - value, value - high), value, seen) for value, seen in values if not low <= value <= high]
    outside.sort(key=lambda item: -item[0])
    return WatchedShift(shift, tuple(Linked(seen.id, seen.name, value) for _, value, seen in outside[:MOST_LINKED]))


def plain_drift(drift: Drift) -> dict[str, Any]:
    """Return a check as plain values, as the database and the API have it."""
    plain = asdict(drift) | {"at": drift.at.isoformat()}
    plain["shifts"] = [{**each["shift"], "images": list(each["images"])} for each in plain["shifts"]]
    return plain


def check_drift(service: Service, context: JobContext) -> Mapping[str, Any]:
    """Do a check of all sites that have images to compare with, as a job; each is written down at once."""
    with service.database.read() as session:
        sites = list(session.scalars(select(Site.id).order_by(Site.id)))
    states: dict[str, int] = {}
    for number, site_id in enumerate(sites):
        context.check()
        context.progress(number, len(sites), "sites")
        found = site_drift(service, LOCAL, site_id)
        if found.shifts:
            _keep(service, site_id, found)
            states[found.state] = states.get(found.state, 0) + 1
    return {"sites": states}


def _keep(service: Service, site_id: str, found: Drift) -> None:
    row = DriftCheck(id=new_id(), site_id=site_id, state=found.state, psi=found.psi, result=plain_drift(found))
    with service.database.write() as session:
        if session.get(Site, site_id) is None:
            return
        session.add(row)
        session.flush()
        newest = select(DriftCheck.id).where(DriftCheck.site_id == site_id).order_by(DriftCheck.id.desc())
        last = session.scalar(newest.offset(MOST_CHECKS).limit(1))
        if last is not None:
            session.execute(delete(DriftCheck).where(DriftCheck.site_id == site_id, DriftCheck.id <= last))


def list_checks(service: Service, actor: Actor, site_id: str, *, limit: int = 50) -> list[DriftCheck]:
    """Return the checks of a site that were made by themselves, newest first."""
    with service.database.read() as session:
        fetch(session, actor, Site, site_id)
        query = select(DriftCheck).where(DriftCheck.site_id == site_id).order_by(DriftCheck.id.desc())
        return list(session.scalars(query.limit(limit)))


def latest_drift(session: Session) -> dict[str, float]:
    """Return the largest index of the last check of each site, by the ids of the sites."""
    last = select(func.max(DriftCheck.id)).group_by(DriftCheck.site_id)
    query = select(DriftCheck.site_id, DriftCheck.psi).where(DriftCheck.id.in_(last), DriftCheck.psi.is_not(None))
    return {site_id: psi for site_id, psi in session.execute(query) if psi is not None}
