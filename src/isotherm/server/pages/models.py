"""Model versions of a site: how good they are, which one is at work, and switching between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from starlette.concurrency import run_in_threadpool

from isotherm.core.errors import IsothermError, NotFoundError
from isotherm.server.api.given_models import given_in, uploads_of
from isotherm.server.pages.forms import UNTYPED, Typed, again
from isotherm.server.pages.rendering import Visit, Visited, back_to
from isotherm.server.uploads import in_lane, received
from isotherm.store.tables import ModelVersion
from isotherm.workflows.service.access import demand
from isotherm.workflows.service.batches import request_inspection
from isotherm.workflows.service.browsing import with_tiles
from isotherm.workflows.service.comparing import compare_models
from isotherm.workflows.service.given_models import MOST_BYTES, import_detector
from isotherm.workflows.service.model_removal import remove_files
from isotherm.workflows.service.models import (
    ModelKind,
    activate,
    active_id,
    get_model,
    list_activations,
    list_models,
    roll_back,
)
from isotherm.workflows.service.sites import get_site

MOST_DIFFERENT = 60
router = APIRouter(include_in_schema=False)
Text = Annotated[str, Form()]


BASES = {"test": "test images", "held-out": "images held out in training", "none": "no images"}
KINDS: Mapping[str, str] = {"classifier": "classifier", "anomaly": "anomaly model"}
METRICS = {
    "accuracy": "Right",
    "found": "Anomalies found",
    "false_alarms": "False alarms among normal images",
    "auroc": "Area under the ROC curve",
    "macro_f1": "F1, mean of categories",
    "balanced_accuracy": "Balanced accuracy",
    "expected_calibration_error": "Calibration error",
    "rejected": "Answered “no category”",
    "accuracy_of_answers": "Right of those answered",
}


@dataclass(frozen=True)
class Judgement:
    """How good a version is, by what it was tested with."""

    version: ModelVersion

    @property
    def basis(self) -> str:
        """By which images, in words."""
        return BASES.get(self.version.metrics.get("basis", "none"), "")

    @property
    def count(self) -> int:
        """By how many images."""
        return int(self.version.metrics.get("count") or 0)

    @property
    def labels(self) -> list[str]:
        """The categories that it knows."""
        return list(self.version.metrics.get("labels") or self.version.card.get("labels", ()))

    @property
    def confusion(self) -> list[list[int]]:
        """How many images of each category were put into which; empty where it was not tested."""
        return list(self.version.metrics.get("confusion") or ())

    @property
    def per_class(self) -> Mapping[str, Mapping[str, Any]]:
        """Precision, recall, F1 and number of images by category."""
        return self.version.metrics.get("per_class") or {}

    def share(self, name: str) -> Mapping[str, Any]:
        """Return a metric as ``value``, ``low``, ``high``; the value is None where there is none."""
        metrics = self.version.metrics
        if name == "accuracy":
            low, high = metrics.get("interval") or (None, None)
            return {"value": metrics.get("accuracy"), "low": low, "high": high}
        found = (metrics.get("test") or metrics.get("held_out") or {}).get(name)
        return {"value": None, "low": None, "high": None, **(found if isinstance(found, Mapping) else {})}


@router.get("/sites/{site_id}/models")
def models(visit: Visited, site_id: str) -> Response:
    """Show the versions of a site, newest first."""
    return _models(visit, site_id)


def _models(visit: Visit, site_id: str, typed: Typed = UNTYPED) -> Response:
    site = get_site(visit.service, visit.actor, site_id)
    versions = list_models(visit.service, visit.actor, site.id, limit=100).items
    return visit.show(
        "models",
        status=typed.status,
        here=f"/sites/{site.id}/models",
        typed=typed,
        site=site,
        judgements=[Judgement(version) for version in versions],
        numbers={version.id: version.number for version in versions},
        at_work={kind: active_id(site, kind) for kind in KINDS},
        kinds=KINDS,
        switches=list_activations(visit.service, visit.actor, site.id, limit=20).items,
    )


@router.get("/sites/{site_id}/compare")
def compare(visit: Visited, site_id: str, a: str, b: str) -> Response:
    """Show two versions beside each other, and the test images of which they say different things."""
    site = get_site(visit.service, visit.actor, site_id)
    found = compare_models(visit.service, visit.actor, a, b)
    if found.first.site_id != site.id:
        raise NotFoundError("model version of this site", a[:40])
    return visit.show(
        "compare",
        site=site,
        found=found,
        pair=[Judgement(found.first), Judgement(found.second)],
        at_work={active_id(site, kind) for kind in KINDS},
        metrics=METRICS,
        different=with_tiles(visit.service, visit.actor, found.differences[:MOST_DIFFERENT]),
    )


@router.get("/models/{model_id}")
def card(visit: Visited, model_id: str) -> Response:
    """Show the card of a version: what it learnt from, how it was tested, what it does not know."""
    version = get_model(visit.service, visit.actor, model_id)
    site = get_site(visit.service, visit.actor, version.site_id)
    judgement, at_work = Judgement(version), active_id(site, version.kind)
    about: dict[str, Any] = {"at_work": at_work, "kind": KINDS[version.kind], "metrics": METRICS}
    return visit.show("model", site=site, version=version, judgement=judgement, **about)


@router.post("/sites/{site_id}/models/anomaly")
async def give(request: Request, visit: Visited, site_id: str) -> Response:
    """Keep an anomaly model that was trained elsewhere."""
    demand(visit.actor, "train", site_id)
    async with received(request, most_file_bytes=MOST_BYTES) as form:
        try:
            given, files = given_in(form), uploads_of(form)
            version = await in_lane(request, import_detector, visit.service, visit.actor, site_id, files, given)
        except IsothermError as error:
            typed = again(request, error, {name: form.text(name) for name in ("normal", "note")})
            return await run_in_threadpool(_models, visit, site_id, typed)
    return back_to(f"/models/{version.id}", f"Kept as version {version.number}; it is not at work yet.")


@router.post("/models/{model_id}/activate")
def put_to_work(visit: Visited, model_id: str, expected: Text = "") -> Response:
    """Let a version judge, unless another has been put to work since the form was made."""
    version = activate(visit.service, visit.actor, model_id, expected=expected or None)
    return back_to(f"/sites/{version.site_id}/models", f"Version {version.number} is at work.")


@router.post("/models/{model_id}/remove")
def remove(visit: Visited, model_id: str) -> Response:
    """Delete the files of a version that is not at work."""
    version = remove_files(visit.service, visit.actor, model_id)
    return back_to(f"/sites/{version.site_id}/models", f"The files of version {version.number} were deleted.")


@router.post("/sites/{site_id}/inspect")
def inspect_all(visit: Visited, site_id: str) -> Response:
    """Have all images of a site judged again by the model and the settings of now."""
    job = request_inspection(visit.service, visit.actor, site_id)
    return back_to(f"/jobs/{job.id}", "All images of the site are judged again.")


@router.post("/sites/{site_id}/roll-back")
def back(visit: Visited, site_id: str, kind: Annotated[ModelKind, Form()] = "classifier") -> Response:
    """Let the version of a kind before judge again."""
    version = roll_back(visit.service, visit.actor, site_id, kind=kind)
    return back_to(f"/sites/{version.site_id}/models", f"Version {version.number} is at work again.")
