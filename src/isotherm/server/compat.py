"""The per-site classifier API: ``/api/save_data``, ``/api/make_model`` and ``/api/predict``, in its own form.

What a site, its images and its models are is the business of `isotherm.workflows`; here is only who asks, the form of
requests and answers, and which status they have. Wrong requests are 500 for ``save_data`` and 400 for the others, as
that API has it; what it does not know keeps HTTP's own status: no token (401, 403) and too much to do (429).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import asdict
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic_core import from_json
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from isotherm.core.errors import BusyError, ForbiddenError, IsothermError, UsageError
from isotherm.core.messages import clean
from isotherm.server import problems
from isotherm.server.compat_schema import MAKE_MODEL, PREDICT, SAVE_DATA
from isotherm.server.security import actor_of_request
from isotherm.workflows.compat.config import CompatConfig, below
from isotherm.workflows.compat.logs import Logs
from isotherm.workflows.compat.making import Flags, begin, end, is_over
from isotherm.workflows.compat.predicting import predict_classes
from isotherm.workflows.compat.requests import RefusedError, make_model_of, predict_of, save_data_of
from isotherm.workflows.compat.saving import save_data
from isotherm.workflows.service.access import Actor
from isotherm.workflows.service.service import Service

MOST_IMAGES = 256
POLL_S = 0.1
"""How often a training that a client waits for is looked at [s]."""
T = TypeVar("T")


def router(service: Service, config: CompatConfig | None = None) -> APIRouter:
    """Return the three routes.

    Parameters
    ----------
    service
        What they work on.
    config
        The folders and settings; None for folders in ``compat`` of the service's own folder.
    """
    routes = APIRouter(tags=["per-site classifier (compatibility)"])
    parts = _Parts(service, config or below(service.folder / "compat", service.folder))
    routes.post("/api/save_data", **SAVE_DATA)(parts.save_data)
    routes.post("/api/make_model", **MAKE_MODEL)(parts.make_model)
    routes.post("/api/predict", **PREDICT)(parts.predict)
    return routes


class _Parts:
    """The routes' functions over one service and one set of folders."""

    def __init__(self, service: Service, config: CompatConfig) -> None:
        self._service, self._config, self._logs = service, config, Logs(config.logs_path)
        # Trainings that clients wait for; they go on when the client leaves.
        self._waiting: set[asyncio.Task[Any]] = set()

    async def save_data(self, request: Request) -> Response:
        """Keep a labelled picture."""

        def work(actor: Actor, body: object) -> None:
            wanted = save_data_of(body, most_bytes=self._service.limits.file_bytes)
            save_data(self._service, actor, self._config, wanted)

        body: object = None
        try:
            actor, body = await _asked(request)
            await run_in_threadpool(work, actor, body)
        except Exception as error:  # noqa: BLE001 (the answer to every error has this form)
            reasons = self._reasons("save_data", error, body)
            return _refusal(error, 500, {"error_msg": "; ".join(reasons)})
        return JSONResponse({"error_msg": "All OK"})

    async def make_model(self, request: Request) -> Response:
        """Have a model made and wait until it is, or has failed."""
        flags, body = Flags(), None
        try:
            actor, body = await _asked(request)
            await self._to_its_end(self._made(actor, body, flags))
        except Exception as error:  # noqa: BLE001 (the answer to every error has this form)
            reasons = self._reasons("make_model", error, body)
            return _refusal(error, 400, {"error_msg": reasons} | asdict(flags))
        return JSONResponse({"error_msg": []} | asdict(flags))

    async def _made(self, actor: Actor, body: object, flags: Flags) -> None:
        wanted = make_model_of(body)
        job_id = await run_in_threadpool(begin, self._service, actor, self._config, wanted, flags)
        while not await run_in_threadpool(is_over, self._service, job_id):
            await asyncio.sleep(POLL_S)
        await run_in_threadpool(end, self._service, job_id, flags)
        self._logs.status("make_model", {"temple_id": wanted.temple_id} | asdict(flags))

    async def _to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Await work that goes on where the one who awaits it is cancelled."""
        task = asyncio.create_task(work)
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return await asyncio.shield(task)

    async def predict(self, request: Request) -> Response:
        """Judge one picture or a list of them."""
        body: object = None

        def work(actor: Actor, body: object) -> tuple[list[str], list[float]]:
            wanted = predict_of(body, most_bytes=self._service.limits.file_bytes, most_images=MOST_IMAGES)
            found = predict_classes(self._service, actor, self._config, self._logs, wanted)
            return [each.image_class for each in found], [each.class_confidence for each in found]

        try:
            actor, body = await _asked(request)
            names, values = await run_in_threadpool(work, actor, body)
        except Exception as error:  # noqa: BLE001 (the answer to every error has this form)
            reasons = self._reasons("predict", error, body)
            empty = _lists([], []) if _holds_list(body) else {"image_class": "", "class_confidence": 0.0}
            return _refusal(error, 400, {"error_msg": reasons} | empty)
        one = {"image_class": names[0], "class_confidence": values[0]}
        return JSONResponse({"error_msg": []} | (_lists(names, values) if _holds_list(body) else one))

    def _reasons(self, route: str, error: Exception, body: object) -> list[str]:
        """Write an error to its log, and return what the client is told."""
        asked = body if isinstance(body, dict) else {}
        self._logs.error(route, error, {key: str(asked.get(key))[:300] for key in ("temple_id", "image_name")})
        reasons = error.reasons if isinstance(error, RefusedError) else (_told(error),)
        return [clean(reason) for reason in reasons]


def _holds_list(body: object) -> bool:
    return isinstance(body, dict) and isinstance(body.get("image"), list)


def _lists(names: list[str], values: list[float]) -> dict[str, Any]:
    return {"image_class": names, "class_confidence": values}


def _refusal(error: Exception, usual: int, body: dict[str, Any]) -> Response:
    """Return the answer to an error: `usual` is the status of the route for those that its contract knows."""
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, BusyError) else {}
    if isinstance(error, (problems.NotLoggedInError, ForbiddenError, BusyError, HTTPException)):
        return JSONResponse(body, problems.kind_of(error).status, headers)
    return JSONResponse(body, usual)


async def _asked(request: Request) -> tuple[Actor, object]:
    """Return who asks, and the JSON of the request; raises UsageError where it is none."""
    actor = await actor_of_request(request)
    data = await request.body()
    try:
        return actor, await run_in_threadpool(from_json, data)
    except ValueError as error:
        raise UsageError("the request is no JSON") from error


def _told(error: Exception) -> str:
    """Return what a client may know of an error; tracebacks and paths stay in the log."""
    if isinstance(error, IsothermError):
        return str(error)
    if isinstance(error, HTTPException):
        return str(error.detail)
    return "the server has failed; error_log.txt says more"
