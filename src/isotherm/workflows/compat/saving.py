"""``/api/save_data``: one labelled picture into the data set of a temple, and into its folder."""

from __future__ import annotations

from sqlalchemy import select

from isotherm.core.errors import ConflictError, FormatError, NotFoundError
from isotherm.store.tables import Category, Image
from isotherm.workflows.compat.config import CompatConfig
from isotherm.workflows.compat.folders import link_below
from isotherm.workflows.compat.requests import COMMON, SaveData
from isotherm.workflows.service.access import Actor
from isotherm.workflows.service.images import Upload, delete_image, take_in
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import create_site, site_named


def save_data(service: Service, actor: Actor, config: CompatConfig, request: SaveData) -> None:
    """Keep a picture; one of the same name, category and part that is there already is replaced.

    The content is in the store before the file appears in the folder, and the file is a link to it. Sending the same
    again changes nothing, so a client may repeat a request whose answer it has not seen.

    Raises
    ------
    FormatError
        It is no picture that can be read.
    IsothermError
        The actor may not, a limit is reached, the disk is full ...
    """
    site_id = site_for(service, actor, request.temple_id)
    older = _older(service, site_id, request)
    digest = next((image.digest for image in older if _same(service, image, request)), None)
    if digest is None:
        digest = _taken(service, actor, site_id, request)
    names = (request.temple_id, request.category, request.picture.name)
    link_below(config.split_path(request.split), names, service.blobs.fetched(digest))
    for image in older:
        if image.digest != digest:
            delete_image(service, actor, image.id)


def site_for(service: Service, actor: Actor, temple_id: str) -> str | None:
    """Return the id of a temple's site, made where there is none; None for what is common to all."""
    if temple_id == COMMON:
        return None
    try:
        return site_named(service, actor, temple_id).id
    except NotFoundError:
        pass
    try:
        return create_site(service, actor, temple_id).id
    except ConflictError:
        # Made meanwhile by another request, or it is somebody else's: then this raises NotFoundError again.
        return site_named(service, actor, temple_id).id


def _older(service: Service, site_id: str | None, request: SaveData) -> list[Image]:
    """Return the images that stand where this one shall, oldest first."""
    query = (
        select(Image)
        .join(Category, Image.category_id == Category.id)
        .where(Image.site_id.is_(None) if site_id is None else Image.site_id == site_id)
        .where(Image.split == request.split, Image.name == request.picture.name, Category.name == request.category)
        .order_by(Image.id)
    )
    with service.database.read() as session:
        return list(session.scalars(query))


def _same(service: Service, image: Image, request: SaveData) -> bool:
    """Say whether an image has this content, as far as the row and the store know."""
    return image.size == len(request.picture.data) and service.blobs.read(image.digest) == request.picture.data


def _taken(service: Service, actor: Actor, site_id: str | None, request: SaveData) -> str:
    upload = Upload(request.picture.name, request.picture.data)
    (taken,) = take_in(service, actor, site_id, [upload], category=request.category, split=request.split)
    if taken.image is None:
        raise taken.problem or FormatError(taken.error)
    return taken.image.digest
