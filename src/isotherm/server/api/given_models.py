"""Anomaly models as folders: sent by who has trained them elsewhere, and handed out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse

from isotherm.core.errors import ConfigError, DataError
from isotherm.server.api.answers import CREATE, STORED, PathId, body_of, content, problems
from isotherm.server.api.routing import api_router
from isotherm.server.idempotency import documented, performed, with_its_answer
from isotherm.server.model_schemas import ModelWhole
from isotherm.server.security import CurrentActor
from isotherm.server.uploads import Form, in_lane, received
from isotherm.workflows.service.access import Actor, demand
from isotherm.workflows.service.given_models import MOST_BYTES, GivenModel, export_detector, import_detector
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.taking import Upload

PIECE = 1 << 20
_BODY = body_of(
    {
        "multipart/form-data": {
            "type": "object",
            "properties": {
                "files": {
                    "type": "array",
                    "items": {"type": "string", "format": "binary"},
                    "minItems": 2,
                    "maxItems": 3,
                    "description": "manifest.json and arrays.safetensors, as `isotherm train` has written them, and "
                    "perhaps the metrics.json that `isotherm evaluate --model` has written of this model.",
                },
                "normal": {"type": "string", "maxLength": 128, "description": "The category that is normal to it."},
                "activate": {"type": "string", "enum": ["", "true", "false"]},
                "note": {"type": "string"},
            },
            "required": ["files"],
        }
    }
)


def router(service: Service) -> APIRouter:
    """Return the routes of models that come and go as folders."""
    routes = api_router("models")

    @routes.post(
        "/sites/{site_id}/models/anomaly",
        response_model=ModelWhole,
        status_code=201,
        responses={**CREATE, **STORED},
        openapi_extra=_BODY,
        dependencies=[Depends(documented)],
        summary="Give a site an anomaly model that was trained elsewhere",
    )
    async def import_model(site_id: PathId, request: Request, actor: CurrentActor) -> Response:
        demand(actor, "train", site_id)
        async with received(request, service, most_file_bytes=MOST_BYTES) as form:
            return await performed(
                request, form.fingerprint, lambda: in_lane(request, _imported, service, actor, site_id, form)
            )

    @routes.get(
        "/models/{model_id}/folder.zip",
        response_class=Response,
        responses={**content("application/zip", "The two files of the model's folder."), **problems(409), **STORED},
        summary="Download an anomaly model as the folder that `isotherm inspect` reads",
    )
    def export_model(model_id: PathId, actor: CurrentActor) -> Response:
        stream = export_detector(service, actor, model_id)
        headers = {
            "content-disposition": 'attachment; filename="anomaly-model.zip"',
            "content-length": str(os.fstat(stream.fileno()).st_size),
        }
        return StreamingResponse(_pieces(stream), media_type="application/zip", headers=headers)

    return routes


def _imported(service: Service, actor: Actor, site_id: str, form: Form) -> Response:
    def work() -> Response:
        version = import_detector(service, actor, site_id, uploads_of(form), given_in(form))
        body = ModelWhole.model_validate(version).model_dump_json()
        return Response(body, 201, {"location": f"/api/v1/models/{version.id}"}, "application/json")

    return with_its_answer(work)


def uploads_of(form: Form) -> list[Upload]:
    """Return the files of a form; raises DataError where one was refused while it came."""
    for place in form.places:
        if not isinstance(place, int):
            raise DataError(f"{place[0][:80]!r}: {place[1]}")
    return form.uploads


def given_in(form: Form) -> GivenModel:
    """Return what a form says of a model; raises ConfigError where it is not right."""
    activate = form.text("activate")
    if activate not in ("", "true", "false"):
        raise ConfigError(f"activate must be true or false, not {activate[:40]!r}")
    return GivenModel(form.text("normal") or GivenModel.normal, activate == "true", form.text("note"))


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(PIECE):
            yield piece
