"""``/api/predict``: the category of pictures, as a temple's model sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isotherm.core.errors import BusyError, ConflictError, NotFoundError
from isotherm.workflows.compat.config import CompatConfig
from isotherm.workflows.compat.logs import Logs
from isotherm.workflows.compat.requests import Predict, RefusedError
from isotherm.workflows.service.access import Actor
from isotherm.workflows.service.predicting import Classified, LateUpload, predict
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import site_named

ROUTE = "predict"


@dataclass(frozen=True)
class Answer:
    """The category of one picture, or ``No category (Anomaly)``, and the probability of the likeliest."""

    image_class: str
    class_confidence: float


def predict_classes(service: Service, actor: Actor, config: CompatConfig, logs: Logs, request: Predict) -> list[Answer]:
    """Judge pictures without keeping them; all probabilities go to the log.

    Raises
    ------
    RefusedError
        Some pictures cannot be read: one reason for each, with its place in the list; then none is answered.
    NotFoundError, ConflictError
        There is no such temple, or it has no model yet.
    """
    try:
        site = site_named(service, actor, request.temple_id)
    except NotFoundError as error:
        raise NotFoundError("temple", request.temple_id) from error
    uploads = [LateUpload(picture.name, picture.data) for picture in request.pictures]
    try:
        judged = predict(service, actor, site.id, uploads, min_confidence=config.settings.min_confidence)
    except ConflictError as error:
        raise ConflictError(f"temple {request.temple_id!r} has no model yet; make_model makes one") from error
    _check(judged, scalar=request.scalar)
    for picture, each in zip(request.pictures, judged, strict=True):
        facts = {
            "temple_id": request.temple_id,
            "image_name": picture.name,
            "image_class": each.label,
            "probabilities": {label: round(value, 6) for label, value in each.probabilities.items()},
        }
        logs.status(ROUTE, facts)
    return [Answer(each.label, float(each.confidence)) for each in judged]


def _check(judged: Sequence[Classified], *, scalar: bool) -> None:
    """Raise where there is no answer for some picture."""
    busy = next((each.problem for each in judged if isinstance(each.problem, BusyError)), None)
    if busy is not None:
        raise busy
    reasons = [
        each.error if scalar else f"image {place}: {each.error}" for place, each in enumerate(judged) if each.error
    ]
    if reasons:
        raise RefusedError(reasons)
