"""An image to look at: small, in colours, as data of ``<thermal-view>``, and the file itself as it was sent."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from isotherm.reports.palette import FOR_TEMPERATURES
from isotherm.server.api.answers import STORED, PathId, Responses, content, problems
from isotherm.server.api.routing import api_router
from isotherm.server.security import FILE_POLICY, CurrentActor
from isotherm.server.uploads import in_lane
from isotherm.server.versions import unchanged
from isotherm.workflows.service import images
from isotherm.workflows.service.inspections import image_part
from isotherm.workflows.service.scoring import heatmap
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.thumbnails import PICTURE_TYPE, THUMBNAIL_TYPE

PALETTES = {"enum": list(FOR_TEMPERATURES)}
Of = Annotated[
    str,
    Query(
        max_length=64,
        description="The latest inspection: its picture may be kept for a day; without it a client asks each time.",
    ),
]
NOT_MODIFIED: Responses = {304: {"description": "The client has it already (`If-None-Match`)."}}


def router(service: Service) -> APIRouter:
    """Return the routes of pictures."""
    routes = api_router("images")

    @routes.get(
        "/images/{image_id}/thumbnail",
        response_class=Response,
        responses={**content(THUMBNAIL_TYPE, "A picture of at most 256 pixels."), **NOT_MODIFIED, **STORED},
        summary="A small picture, drawn by the server",
    )
    def thumbnail(image_id: PathId, request: Request, response: Response, actor: CurrentActor) -> Response:
        digest = images.get_image(service, actor, image_id).thumbnail
        if digest is not None and unchanged(request, response, digest):
            return _with(response, Response(status_code=304))
        return _with(response, Response(images.thumbnail_bytes(service, actor, image_id), media_type=THUMBNAIL_TYPE))

    @routes.get(
        "/images/{image_id}/picture",
        response_class=Response,
        responses={**content(PICTURE_TYPE, "The whole picture, findings outlined."), **STORED},
        summary="The whole picture in a palette, drawn by the server",
    )
    async def picture(
        image_id: PathId,
        request: Request,
        actor: CurrentActor,
        palette: Annotated[str, Query(description="The colours.", max_length=32, json_schema_extra=PALETTES)] = "iron",
    ) -> Response:
        data = await in_lane(request, image_part, service, actor, image_id, "picture", palette=palette)
        return Response(data, media_type=PICTURE_TYPE)

    @routes.get(
        "/images/{image_id}/heatmap",
        response_class=Response,
        responses={
            **content("image/png", "A picture of the same size, transparent where nothing is strange."),
            **NOT_MODIFIED,
            **problems(409),
            **STORED,
        },
        summary="Where the latest score comes from, to be laid over the picture",
    )
    async def heat(
        image_id: PathId,
        request: Request,
        response: Response,
        actor: CurrentActor,
        of: Of = "",
    ) -> Response:
        image = await run_in_threadpool(images.get_image, service, actor, image_id)
        latest = image.latest_inspection
        # Another inspection, by another model perhaps, draws another one at the same address.
        if latest and unchanged(request, response, latest, for_ever=of == latest):
            return _with(response, Response(status_code=304))
        data = await in_lane(request, heatmap, service, actor, image_id)
        return _with(response, Response(data, media_type="image/png"))

    @routes.get(
        "/images/{image_id}/view",
        response_class=Response,
        responses={
            200: {"description": "Data of `<thermal-view>`.", "content": {"application/json": {"schema": {}}}},
            **STORED,
        },
        summary="Temperatures and all else that the element <thermal-view> shows",
    )
    async def view(image_id: PathId, request: Request, actor: CurrentActor) -> Response:
        data = await in_lane(request, image_part, service, actor, image_id, "view")
        return Response(data, media_type="application/json")

    @routes.get(
        "/images/{image_id}/content",
        response_class=Response,
        responses={**content("application/octet-stream", "The file as it was sent."), **NOT_MODIFIED, **STORED},
        summary="The file as it was sent, to be saved and not shown",
    )
    def original(image_id: PathId, request: Request, response: Response, actor: CurrentActor) -> Response:
        image = images.get_image(service, actor, image_id)
        if unchanged(request, response, image.digest):
            return _with(response, Response(status_code=304))
        answer = Response(images.image_bytes(service, actor, image_id), media_type="application/octet-stream")
        answer.headers["content-disposition"] = attachment(image.name)
        answer.headers["content-security-policy"] = FILE_POLICY
        return _with(response, answer)

    return routes


def _with(given: Response, answer: Response) -> Response:
    """Return an answer with the headers that were set on the framework's."""
    for name in ("etag", "cache-control"):
        if name in given.headers:
            answer.headers[name] = given.headers[name]
    return answer


def attachment(name: str) -> str:
    """Return ``Content-Disposition`` for a file to be saved under a name that somebody else chose (RFC 6266)."""
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._- ") else "_" for letter in name)
    return f"attachment; filename=\"{plain[:150] or 'file'}\"; filename*=UTF-8''{quote(name[:150], safe='')}"
