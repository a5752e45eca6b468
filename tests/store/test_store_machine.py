"""Whatever is stored, changed, deleted, taken back and collected, the store holds what a mapping holds."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete, select
from store_rows import add_image, keep

from isotherm.core.errors import ConflictError
from isotherm.store import audit
from isotherm.store.blob_rows import collect
from isotherm.store.blobs import Blobs
from isotherm.store.database import Database
from isotherm.store.folder import Store
from isotherm.store.tables import Image, Site, Table
from isotherm.store.verify import verify

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=10)


class StoreAgainstMapping(RuleBasedStateMachine):
    """Sites with names of their own, and images with contents."""

    url = ""
    sites, images = Bundle("sites"), Bundle("images")

    def __init__(self) -> None:
        super().__init__()
        self.scratch = tempfile.TemporaryDirectory()
        self.database, self.blobs = Database.open(self.url), Blobs(Path(self.scratch.name))
        with self.database.write() as session:
            for table in reversed(Table.metadata.sorted_tables):
                session.execute(delete(table))
        self.names: dict[str, str] = {}
        self.contents: dict[str, tuple[str, bytes]] = {}
        self.lines = 0

    @rule(target=sites, name=NAMES)
    def add_site(self, name: str) -> str:
        site = Site(name=name)
        try:
            with self.database.write() as session:
                session.add(site)
                session.flush()
                audit.append(session, "machine", "site.added", site.id, {"name": name})
        except ConflictError:
            assert name in self.names.values()
            return next(one for one, known in self.names.items() if known == name)
        assert name not in self.names.values()
        self.names[site.id] = name
        self.lines += 1
        return site.id

    @rule(site=sites, name=NAMES)
    def rename(self, site: str, name: str) -> None:
        taken = name in {known for one, known in self.names.items() if one != site}
        try:
            with self.database.write() as session:
                session.get_one(Site, site).name = name
        except ConflictError:
            assert taken
        else:
            assert not taken
            self.names[site] = name

    @rule(target=images, site=sites, content=st.binary(max_size=3), fails=st.booleans())
    def add_image(self, site: str, content: bytes, fails: bool) -> str:
        stored = keep(self.blobs, content)
        try:
            with self.database.write() as session:
                row = session.get_one(Site, site)
                image = add_image(session, row, stored)
                row.images += 1
                row.bytes += stored.size
                audit.append(session, "machine", "image.added", image.id, {})
                if fails:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            return ""
        self.contents[image.id] = (site, content)
        self.lines += 1
        return image.id

    @rule(image=consumes(images))
    def delete_image(self, image: str) -> None:
        if not image:
            return
        with self.database.write() as session:
            row = session.get_one(Image, image)
            site = session.get_one(Site, row.site_id)
            site.images -= 1
            site.bytes -= row.size
            session.delete(row)
        del self.contents[image]

    @rule(old=st.booleans())
    def collect(self, old: bool) -> None:
        if old:
            for digest in self.blobs.digests():
                os.utime(self.blobs.path(digest), (0, 0))
        collect(self.database, self.blobs, keep_s=0 if old else 3600)

    @rule()
    def reopen(self) -> None:
        self.database.close()
        self.database, self.blobs = Database.open(self.url), Blobs(self.blobs.folder)

    @invariant()
    def same(self) -> None:
        with self.database.read() as session:
            assert dict(session.execute(select(Site.id, Site.name)).all()) == self.names
            found = session.execute(select(Image.id, Image.site_id, Image.digest)).all()
            assert audit.head(session)[0] == self.lines
        assert {image: (site, self.blobs.read(digest)) for image, site, digest in found} == self.contents

    def teardown(self) -> None:
        assert verify(Store(self.database, self.blobs)).flaws == ()
        self.database.close()
        self.scratch.cleanup()


def test_the_store_holds_what_a_mapping_holds(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StoreAgainstMapping, "url", database_url)
    run_state_machine_as_test(
        StoreAgainstMapping, settings=settings(max_examples=12, stateful_step_count=12, deadline=None)
    )
