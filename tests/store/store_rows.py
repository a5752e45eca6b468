"""Rows for tests of the store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


def lines_until_killed(program: str, *arguments: str | Path, lines: int) -> list[str]:
    """Run a program, kill it when it has written so many lines, and return all whole lines that it wrote."""
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = [process.stdout.readline().strip() for _ in range(lines)]
    process.kill()
    found += [line.strip() for line in process.stdout if line.endswith("\n")]
    process.stdout.close()
    process.wait()
    return found
