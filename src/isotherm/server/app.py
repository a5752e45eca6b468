"""The application: guard, routes of the API, and the other routers where they are installed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from fastapi import FastAPI

from isotherm import __version__
from isotherm.server import description, problems
from isotherm.server.events import Streams
from isotherm.server.guard import Guard
from isotherm.server.metrics import Metrics
from isotherm.server.paging import key_of
from isotherm.server.settings import ServerSettings
from isotherm.server.uploads import Lane
from isotherm.workflows.service.service import Service

DESCRIPTION = "Thermal images in, findings that people can act on out: sites, images, verdicts, feedback, models, jobs."


def create_app(service: Service, *, settings: ServerSettings | None = None) -> FastAPI:
    """Return the application over an open data folder; who opened the service closes it.

    Parameters
    ----------
    service
        What the routes work on.
    settings
        How the server listens and what it takes; None for a server of this machine's user.
    """
    settings = settings or ServerSettings()
    app = FastAPI(
        title="isotherm",
        version=__version__,
        description=DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        # Their pages load scripts from elsewhere; docs/api.md and the checked-in description serve instead.
        docs_url=None,
        redoc_url=None,
        # A path with a slash too many is another path: /sites/%2F is no way to write /sites.
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    app.state.service, app.state.settings = service, settings
    app.state.metrics = Metrics(service, sites=settings.metrics_sites)
    app.state.streams, app.state.stopping = Streams(), lambda: False
    app.state.keys_at_work = set()
    app.state.key = key_of(service.folder)
    app.state.lane = Lane(settings.most_uploads, settings.most_waiting)
    problems.install(app)
    description.install(app)
    app.add_middleware(Guard, settings=settings, metrics=app.state.metrics)
    for module, parameters in _parts(settings):
        _mount(app, module, service, parameters)
    return app


def warm_up() -> None:
    """Build what the first page would wait for, on the loop that answers all requests: the templates."""
    if find_spec("isotherm.server.pages") is not None:
        import_module("isotherm.server.pages.rendering").compile_templates()


def _parts(settings: ServerSettings) -> list[tuple[str, tuple[Any, ...]]]:
    """Return the modules with a ``router(service, ...)``, and what else each is given."""
    return [
        ("isotherm.server.health", ()),
        ("isotherm.server.api", ()),
        ("isotherm.server.compat", (settings.compat,)),
        ("isotherm.server.inference", ()),
        ("isotherm.server.pages", ()),
    ]


def _mount(app: FastAPI, name: str, service: Service, parameters: tuple[Any, ...]) -> None:
    if find_spec(name) is None:
        return
    module = import_module(name)
    if not hasattr(module, "router"):
        return
    # Taken over as they are: a router that is included would have all of its routes built anew.
    app.router.routes.extend(module.router(service, *parameters).routes)
    if hasattr(module, "error_page"):
        app.state.error_page = module.error_page
