"""Scripts and styles: our own and those of the viewer, under a path that holds the hash of them all.

A path that changes with the content may be kept by browsers for ever, and modules that import one another by relative
paths stay together, so that no import map (an inline script) is needed.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"
router = APIRouter(include_in_schema=False)


@cache
def _contents() -> dict[str, bytes]:
    """Return path -> content of all that is served."""
    own = files("isotherm.server") / "static"
    viewer = files("isotherm.reports") / "assets"
    found = {item.name: item for item in own.iterdir()} | {f"viewer/{item.name}": item for item in viewer.iterdir()}
    return {path: item.read_bytes() for path, item in sorted(found.items()) if _type(item)}


def _type(item: Traversable) -> str | None:
    return TYPES.get("." + item.name.rpartition(".")[2])


@cache
def release() -> str:
    """Return the hash of all files."""
    digest = hashlib.sha256()
    for path, content in _contents().items():
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def url(path: str) -> str:
    """Return where a file is served.

    Raises
    ------
    KeyError
        There is no such file: a mistake in a template.
    """
    if path not in _contents():
        raise KeyError(path)
    return f"/static/{release()}/{path}"


@router.get("/static/{version}/{path:path}")
def asset(version: str, path: str) -> Response:
    """Return a file; an older release's pages get the current one, which is not kept."""
    content = _contents().get(path)
    if content is None:
        raise HTTPException(404, "there is no such file")
    keep = FOR_EVER if version == release() else "no-store"
    kind = TYPES["." + path.rpartition(".")[2]]
    return Response(content, media_type=kind, headers={"Cache-Control": keep})


@router.get("/favicon.ico")
def icon() -> Response:
    """Return the picture beside the title in a browser's tab."""
    return Response(_contents()["icon.svg"], media_type=TYPES[".svg"], headers={"Cache-Control": "max-age=86400"})
