"""Open Inference Protocol v2: the active classifier of each site is a model, its versions are the model's versions.

A model's name is the id or the name of its site. Input is one tensor ``image`` of encoded files (``BYTES``: base64 in
JSON, or whole in the binary extension), outputs are ``label``, ``confidence`` and ``probabilities``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from isotherm import __version__
from isotherm.core.errors import BusyError, ConfigError, FormatError, IsothermError, NotFoundError
from isotherm.server.inference_wire import (
    INPUT,
    OUTPUTS,
    InferRequest,
    Tensor,
    read_request,
    write_answer,
)
from isotherm.server.problems import kind_of, problem_of
from isotherm.server.readiness import readiness
from isotherm.server.security import actor_of_request
from isotherm.store.ids import is_id
from isotherm.store.tables import ModelVersion, Site
from isotherm.workflows.service.access import Actor, demand
from isotherm.workflows.service.models import CLASSIFIER, active_classifier, load
from isotherm.workflows.service.predicting import predict
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import get_site, site_named
from isotherm.workflows.service.taking import Upload

NAME, EXTENSIONS = "isotherm", ("binary_tensor_data",)
PLATFORM = "isotherm_classifier"
MOST_IMAGES = 256
ERRORS = {
    400: "The request is not as the protocol says",
    401: "A token is needed",
    403: "The token is not for this",
    404: "There is no such model",
    409: "The model is damaged",
    413: "The request is larger than is taken",
    422: "An image or a value cannot be used",
    429: "There is too much to do now",
    503: "The bucket of the stored models does not answer",
    507: "There is no room left",
}
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}},
    "additionalProperties": False,
}
_DECLARED: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/json": {"schema": _ERROR_SCHEMA}}}
    for status, text in ERRORS.items()
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["inputs"],
                    "properties": {
                        "id": {"type": "string", "maxLength": 256},
                        "parameters": {"type": "object"},
                        "inputs": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": 1,
                            "items": {
                                "type": "object",
                                "required": ["name", "shape", "datatype", "data"],
                                "properties": {
                                    "name": {"const": INPUT},
                                    "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}},
                                    "datatype": {"const": "BYTES"},
                                    "data": {"type": "array", "items": {"type": "string"}},
                                },
                            },
                        },
                        "outputs": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {"name": {"enum": list(OUTPUTS)}},
                            },
                        },
                    },
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
Answer = Callable[[Service, Actor, str, str | None], Any]


@dataclass(frozen=True)
class _Model:
    """A site, one of its model versions, and the names of the categories in the order of its outputs."""

    site: Site
    version: ModelVersion
    labels: tuple[str, ...]


def router(service: Service) -> APIRouter:
    """Return the routes of the protocol."""
    routes = APIRouter(tags=["open inference protocol"])

    @routes.get("/v2", summary="Name, version and extensions of the server")
    async def server_metadata() -> dict[str, Any]:
        return {"name": NAME, "version": __version__, "extensions": list(EXTENSIONS)}

    @routes.get("/v2/health/live", summary="Whether the process lives")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @routes.get(
        "/v2/health/ready",
        summary="Whether images can be judged",
        responses={503: {"description": "Not now", "content": {"application/json": {"schema": {"type": "object"}}}}},
    )
    def ready() -> JSONResponse:
        found = readiness(service)
        # Judging needs no worker. The protocol's text prints {"live": bool} for this answer; "ready" says it better.
        sound = found["database"] and found["folder"]
        return JSONResponse({"live": True, "ready": sound}, status_code=200 if sound else 503)

    _add_models(routes, service)
    return routes


def _add_models(routes: APIRouter, service: Service) -> None:
    for path in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        for suffix, answer, summary in (
            ("", _metadata, "What a model takes and gives"),
            ("/ready", _ready, "Whether a model can judge"),
        ):
            routes.add_api_route(
                path + suffix,
                _told(service, answer, "version" in path),
                methods=["GET"],
                summary=summary,
                responses=_DECLARED,
                response_model=None,
            )
        routes.add_api_route(
            f"{path}/infer",
            _infer(service, "version" in path),
            methods=["POST"],
            summary="Judge images",
            responses=_DECLARED,
            openapi_extra=_BODY,
            response_model=None,
        )


Route = Callable[..., Awaitable[Response]]


def _told(service: Service, answer: Answer, versioned: bool) -> Route:
    """Return a route that looks a model up."""

    async def of_version(request: Request, model: str, version: str) -> Response:
        return await _guarded(request, lambda actor: JSONResponse(answer(service, actor, model, version)))

    async def of_active(request: Request, model: str) -> Response:
        return await _guarded(request, lambda actor: JSONResponse(answer(service, actor, model, None)))

    return of_version if versioned else of_active


def _infer(service: Service, versioned: bool) -> Route:
    """Return a route that judges images."""

    async def of_version(request: Request, model: str, version: str) -> Response:
        return await _judged(service, request, model, version)

    async def of_active(request: Request, model: str) -> Response:
        return await _judged(service, request, model, None)

    return of_version if versioned else of_active


async def _judged(service: Service, request: Request, model: str, version: str | None) -> Response:
    try:
        body = await request.body()
    except HTTPException as error:
        return _refused(error)
    length = request.headers.get("inference-header-content-length")

    def work(actor: Actor) -> Response:
        asked = read_request(body, length, most_images=MOST_IMAGES)
        return _answered(service, actor, _found(service, actor, model, version, "predict"), asked)

    return await _guarded(request, work)


async def _guarded(request: Request, work: Callable[[Actor], Response]) -> Response:
    """Do work in a thread; its errors are answered as the protocol wants them."""
    try:
        actor = await actor_of_request(request)
        return await run_in_threadpool(work, actor)
    except (IsothermError, HTTPException, OSError) as error:
        return _refused(error)


def _refused(error: Exception) -> Response:
    found = problem_of(error)
    headers = {"Retry-After": str(error.retry_after_s)} if hasattr(error, "retry_after_s") else {}
    return JSONResponse({"error": found.get("detail", found["title"])}, kind_of(error).status, headers)


def _metadata(service: Service, actor: Actor, name: str, version: str | None) -> Mapping[str, Any]:
    model = _found(service, actor, name, version, "read")
    count = len(model.labels)
    return {
        "name": name,
        "versions": _versions(service, model.site.id),
        "platform": PLATFORM,
        "inputs": [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "confidence", "datatype": "FP64", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP64", "shape": [-1, count]},
        ],
        "parameters": {"labels": list(model.labels), "site_id": model.site.id, "method": model.version.method},
    }


def _ready(service: Service, actor: Actor, name: str, version: str | None) -> Mapping[str, Any]:
    _found(service, actor, name, version, "read")
    return {"name": name, "ready": True}


def _found(service: Service, actor: Actor, name: str, version: str | None, scope: Any) -> _Model:
    """Return a site's active model, or one of its versions by number, loaded and checked.

    Raises
    ------
    NotFoundError
        There is no such site for this actor, it has no model, or none of this number.
    ModelError
        The version is damaged.
    """
    try:
        site = get_site(service, actor, name) if is_id(name) else site_named(service, actor, name)
    except (NotFoundError, ConfigError) as error:
        # A name that no site may have is one that no site has.
        raise NotFoundError("model", name[:64]) from error
    demand(actor, scope, site.id)
    if version is not None:
        row = _numbered(service, site.id, version)
        return _Model(site, row, tuple(load(service, row).labels))
    active = active_classifier(service, site.id)
    if active is None:
        raise NotFoundError("model", name[:64])
    return _Model(site, active.version, tuple(active.classifier.labels))


def _numbered(service: Service, site_id: str, number: str) -> ModelVersion:
    known = number.isascii() and number.isdecimal() and len(number) < 10
    with service.database.read() as session:
        query = select(ModelVersion).where(ModelVersion.site_id == site_id, ModelVersion.kind == CLASSIFIER)
        row = session.scalar(query.where(ModelVersion.number == int(number))) if known else None
    if row is None:
        raise NotFoundError("version of this model", number[:16])
    return row


def _versions(service: Service, site_id: str) -> list[str]:
    """Return the numbers of the versions that can be used, as texts."""
    ready = select(ModelVersion.number).where(
        ModelVersion.site_id == site_id, ModelVersion.state == "ready", ModelVersion.kind == CLASSIFIER
    )
    with service.database.read() as session:
        return [str(number) for number in session.scalars(ready.order_by(ModelVersion.number))]


def _answered(service: Service, actor: Actor, model: _Model, asked: InferRequest) -> Response:
    uploads = [Upload(f"image {place}", data) for place, data in enumerate(asked.images)]
    judged = predict(
        service, actor, model.site.id, uploads, min_confidence=asked.min_confidence, model_id=model.version.id
    )
    busy = next((each.problem for each in judged if isinstance(each.problem, BusyError)), None)
    if busy is not None:
        raise busy
    bad = [f"element {place}: {each.error}" for place, each in enumerate(judged) if each.error]
    if bad:
        raise FormatError("; ".join(bad))
    head = {"model_name": model.site.name, "model_version": str(model.version.number)}
    if asked.request_id:
        head["id"] = asked.request_id
    tensors = [tensor for tensor in _tensors(judged, model.labels) if tensor.name in asked.outputs]
    body, headers = write_answer(head, tensors, asked.outputs)
    return Response(body, headers=headers)


def _tensors(judged: Sequence[Any], labels: Sequence[str]) -> list[Tensor]:
    probabilities = [[each.probabilities[label] for label in labels] for each in judged]
    return [
        Tensor("label", [each.label for each in judged]),
        Tensor("confidence", np.array([each.confidence for each in judged], np.float64)),
        Tensor("probabilities", np.array(probabilities, np.float64)),
    ]
