"""Rows for tests of the store."""

from __future__ import annotations

from sqlalchemy.orm import Session

from isotherm.store.blob_rows import remember
from isotherm.store.blobs import Blobs, Stored
from isotherm.store.tables import Image, Site

MOST = 1 << 24


def add_site(session: Session, name: str = "north") -> Site:
    site = Site(name=name)
    session.add(site)
    session.flush()
    return site


def add_image(session: Session, site: Site, stored: Stored, name: str = "a.jpg") -> Image:
    remember(session, stored)
    image = Image(site_id=site.id, digest=stored.digest, name=name, size=stored.size)
    session.add(image)
    session.flush()
    return image


def keep(blobs: Blobs, content: bytes) -> Stored:
    return blobs.put(content, most_bytes=MOST)
