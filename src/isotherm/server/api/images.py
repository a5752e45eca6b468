"""Images: many at once as a form, or by hash after their contents; listed, sorted, removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, NoReturn

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response as Plain
from pydantic import BaseModel, ConfigDict, ValidationError

from isotherm.core.errors import BusyError, ConfigError, IsothermError, StorageFullError, TooLargeError
from isotherm.core.messages import clean
from isotherm.server.api.answers import CHANGE, CREATE, STORED, PathId, body_of
from isotherm.server.api.routing import api_router
from isotherm.server.idempotency import documented, once_each, performed
from isotherm.server.paging import PageAsked
from isotherm.server.problems import URN, RefusedFilesError, kind_of
from isotherm.server.schemas import (
    ClassifiedOut,
    Id,
    ImageChange,
    ImageOut,
    ImagesIn,
    InspectionOut,
    Moment,
    PageOut,
    PredictionsOut,
    Split,
    TakenOut,
    Text,
    UploadOut,
)  # fmt: skip
from isotherm.server.security import CurrentActor
from isotherm.server.uploads import Form, in_lane, received
from isotherm.server.versions import ExpectedVersion, tag
from isotherm.store.tables import Image
from isotherm.workflows.service import images
from isotherm.workflows.service.access import Actor
from isotherm.workflows.service.images import ImageFilter, Taken, Upload
from isotherm.workflows.service.predicting import Classified, predict
from isotherm.workflows.service.service import Service

FILES = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
FORM = {
    "type": "object",
    "properties": {
        "files": FILES,
        "category": {"type": "string", "maxLength": 128},
        "split": {"type": "string", "enum": ["", "train", "test"]},
        "asset_id": {"type": "string"},
    },
    "required": ["files"],
}
_UPLOAD_BODY = body_of({"multipart/form-data": FORM}, {"application/json": {"$ref": "#/components/schemas/ImagesIn"}})
_PREDICT_BODY = body_of(
    {"multipart/form-data": {"type": "object", "properties": {"files": FILES}, "required": ["files"]}}
)


class ImageQuery(BaseModel):
    """Which images a list holds."""

    model_config = ConfigDict(extra="ignore")
    site_id: Id | None = None
    common: bool = False
    category: Annotated[Text | None, Query(max_length=128, description="A category's name; empty: in none.")] = None
    split: Split | None = None
    label: Annotated[Text | None, Query(max_length=128, description="The latest verdict.")] = None
    name: Annotated[Text, Query(max_length=128, description="A part of the file's name.")] = ""
    digest: Annotated[Text, Query(max_length=64, description="The sha256 of the content.")] = ""
    min_severity: Annotated[int | None, Query(ge=-1, le=100)] = None
    unsure: bool = False
    anomalous: Annotated[bool, Query(description="Those whose latest score is above its threshold.")] = False
    no_feedback: bool = False
    since: Moment | None = None
    until: Moment | None = None
    order: Literal["newest", "severity"] = "newest"

    def filters(self) -> ImageFilter:
        """Return them as the use case wants them."""
        return ImageFilter(**self.model_dump())


def router(service: Service) -> APIRouter:
    """Return the routes of images."""
    routes = api_router("images")
    _uploads(routes, service)

    @routes.get("/images", response_model=PageOut[ImageOut], summary="List images of all sites that the caller sees")
    def list_images(
        actor: CurrentActor,
        page: PageAsked,
        filters: Annotated[ImageQuery, Query()],
    ) -> object:
        found = images.list_images(service, actor, filters.filters(), after=page.after, limit=page.limit)
        return page.answer(found.items, found.next)

    @routes.get("/images/{image_id}", response_model=ImageOut, summary="Show an image's row")
    def get_image(image_id: PathId, response: Response, actor: CurrentActor) -> Image:
        return tag(response, images.get_image(service, actor, image_id))

    @routes.patch("/images/{image_id}", response_model=ImageOut, responses=CHANGE, summary="Sort an image")
    def label_image(
        image_id: PathId, change: ImageChange, response: Response, actor: CurrentActor, version: ExpectedVersion
    ) -> Image:
        changed = images.label_image(
            service, actor, image_id, category=change.category, split=change.split, version=version
        )
        return tag(response, changed)

    @routes.delete("/images/{image_id}", status_code=204, responses=CHANGE, summary="Remove an image")
    def delete_image(image_id: PathId, actor: CurrentActor, version: ExpectedVersion) -> None:
        images.delete_image(service, actor, image_id, version=version)

    return routes


def _uploads(routes: APIRouter, service: Service) -> None:
    @routes.post(
        "/sites/{site_id}/images",
        response_model=UploadOut,
        responses={**CREATE, **STORED},
        openapi_extra=_UPLOAD_BODY,
        dependencies=[Depends(documented)],
        summary="Send images; each is taken or refused by itself",
    )
    async def upload(site_id: PathId, request: Request, actor: CurrentActor) -> Response:
        if _is_json(request):
            return await _by_hash(service, actor, site_id, request)
        async with received(request, service) as form:
            _check_form(form)
            return await performed(request, form.fingerprint, lambda: _take(service, actor, site_id, request, form))

    @routes.post(
        "/sites/{site_id}/predict",
        response_model=PredictionsOut,
        responses={**CREATE, **STORED},
        openapi_extra=_PREDICT_BODY,
        summary="Ask the site's model about files that are not kept",
    )
    async def predictions(
        site_id: PathId,
        request: Request,
        actor: CurrentActor,
        min_confidence: Annotated[float | None, Query(ge=0, le=1, description="In place of the site's.")] = None,
    ) -> PredictionsOut:
        async with received(request, service) as form:
            _check_form(form)
            said = await in_lane(request, predict, service, actor, site_id, form.uploads, min_confidence=min_confidence)
        _check_some([answer.problem for answer in said])
        results = _in_order(form, [_classified(answer) for answer in said], _unclassified)
        if all(result.error for result in results):
            _refuse_all([result.error for result in results], [answer.problem for answer in said])
        return PredictionsOut(results=results)


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


def _check_form(form: Form) -> None:
    if not form.places:
        raise ConfigError("the form holds no files; send them as parts with a filename")


async def _take(service: Service, actor: Actor, site_id: str, request: Request, form: Form) -> Response:
    taken = await in_lane(
        request,
        images.take_in,
        service,
        actor,
        site_id,
        once_each(form.uploads),
        category=form.text("category") or None,
        split=form.text("split"),
        asset_id=form.text("asset_id") or None,
    )
    _check_taken(taken)
    return _answer(_in_order(form, [_out(item) for item in taken], _refused), [item.problem for item in taken])


async def _by_hash(service: Service, actor: Actor, site_id: str, request: Request) -> Response:
    body = await request.body()
    try:
        wanted = ImagesIn.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in error.errors()]) from error

    async def work() -> Response:
        taken = await in_lane(
            request,
            images.take_in,
            service,
            actor,
            site_id,
            once_each([Upload(item.name, item.digest) for item in wanted.files]),
            category=wanted.category,
            split=wanted.split,
        )
        _check_taken(taken)
        return _answer([_out(item) for item in taken], [item.problem for item in taken])

    return await performed(request, lambda: body, work)


def _check_taken(taken: Sequence[Taken]) -> None:
    if not any(item.image for item in taken):
        _check_some([item.problem for item in taken])


def _check_some(problems: Iterable[IsothermError | None]) -> None:
    """Raise what concerns the server and no file: a full disk, too much to do."""
    for problem in problems:
        if isinstance(problem, (StorageFullError, BusyError)):
            raise problem


def _in_order(form: Form, answers: Sequence[Any], refused: Any) -> list[Any]:
    """Return answers in the order of the form's files, with those that were refused while they came in."""
    return [answers[place] if isinstance(place, int) else refused(*place) for place in form.places]


def _out(taken: Taken) -> TakenOut:
    return TakenOut(
        name=taken.name,
        image=None if taken.image is None else ImageOut.model_validate(taken.image),
        inspection=None if taken.inspection is None else InspectionOut.model_validate(taken.inspection),
        error=clean(taken.error),
        problem=_type_of(taken.problem),
    )


def _refused(name: str, reason: str) -> TakenOut:
    return TakenOut(name=clean(name)[:512], error=reason, problem=_type_of(TooLargeError(reason)))


def _type_of(problem: IsothermError | None) -> str:
    return URN + kind_of(problem).name if problem else ""


def _answer(results: list[TakenOut], problems: Sequence[IsothermError | None]) -> Response:
    taken = sum(result.image is not None for result in results)
    if not taken:
        _refuse_all([result.error for result in results], problems)
    whole = UploadOut(results=results, taken=taken, refused=len(results) - taken)
    return Plain(whole.model_dump_json(), media_type="application/json")


def _refuse_all(reasons: Sequence[str], problems: Sequence[IsothermError | None]) -> NoReturn:
    """Raise for files of which none was taken; what was refused while it came in was too large."""
    known = [problem for problem in problems if problem is not None]
    too_large = [TooLargeError("too large")] * (len(reasons) - len(known))
    raise RefusedFilesError(reasons, [*known, *too_large])


def _classified(said: Classified) -> ClassifiedOut:
    if said.error:
        return ClassifiedOut(name=said.name, error=clean(said.error), problem=_type_of(said.problem))
    return ClassifiedOut(
        name=said.name,
        label=said.label,
        confidence=said.confidence,
        nearest=said.nearest,
        distance=said.distance,
        rejected=said.rejected,
        probabilities=dict(said.probabilities),
        reason=said.reason,
        model_id=said.model_id,
    )


def _unclassified(name: str, reason: str) -> ClassifiedOut:
    return ClassifiedOut(name=clean(name)[:512], error=reason, problem=_type_of(TooLargeError(reason)))
