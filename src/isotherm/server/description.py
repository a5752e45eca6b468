"""The API's description (OpenAPI 3.1) as clients read it: the framework's, with our problems and ways to log in."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from isotherm.server.schemas import ImagesIn, Problem

_SCHEMAS = "#/components/schemas/{model}"
_UNUSED = ("HTTPValidationError", "ValidationError")
LOGINS = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "`isotherm_...`, as `isotherm token issue` prints it.",
    },
    "login": {"type": "apiKey", "in": "cookie", "name": "isotherm_login", "description": "What the pages' login sets."},
}


def install(app: FastAPI) -> None:
    """Have the application describe itself so."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = described(app)
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def described(app: FastAPI) -> dict[str, Any]:
    """Return the description of an application's routes."""
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for model in (Problem, ImagesIn):
        own = model.model_json_schema(ref_template=_SCHEMAS)
        schemas.update(own.pop("$defs", {}))
        schemas[model.__name__] = own
    text = json.dumps(found["paths"])
    for name in _UNUSED:
        if _SCHEMAS.format(model=name) not in text:
            schemas.pop(name, None)
    components["securitySchemes"] = LOGINS
    # The empty one: on the machine of the server itself nobody has to log in.
    found["security"] = [{}, {"token": []}, {"login": []}]
    return dict(found)
