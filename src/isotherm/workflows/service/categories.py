"""Categories: the names that images of a site are sorted under, and those that are common to all sites."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from isotherm.core.errors import BusyError, ConflictError, NotFoundError
from isotherm.store.tables import Category, Feedback, Image, Site
from isotherm.workflows.service.access import Actor, at_sites, demand, demand_everywhere, expect_version, fetch
from isotherm.workflows.service.audit import record
from isotherm.workflows.service.names import check_name
from isotherm.workflows.service.service import Service


def create_category(service: Service, actor: Actor, site_id: str | None, name: str) -> Category:
    """Make a category of a site, or (None) one that is common to all; needs the scope write.

    Raises
    ------
    ConfigError, ConflictError
        The name breaks a rule; it is taken.
    """
    with service.database.write() as session:
        may_write(session, actor, site_id)
        if find_category(session, site_id, name := check_name("category", name)) is not None:
            raise ConflictError(f"there is a category called {name!r} already")
        return added_category(service, session, actor, site_id, name)


def named_category(service: Service, session: Session, actor: Actor, site_id: str | None, name: str) -> Category:
    """Return a category by name: the site's own, else the common one, else a new one of the site.

    The caller has checked that the actor may write there.
    """
    try:
        return usable_category(session, site_id, name)
    except NotFoundError:
        name = check_name("category", name)
    try:
        with session.begin_nested():
            return added_category(service, session, actor, site_id, name)
    except IntegrityError:
        # Another transaction has made it since we looked.
        return usable_category(session, site_id, name)


def added_category(service: Service, session: Session, actor: Actor, site_id: str | None, name: str) -> Category:
    """Add a category within a transaction; its name is checked and free."""
    count = session.scalar(select(func.count()).select_from(Category).where(_of(site_id))) or 0
    if count >= service.limits.categories:
        raise BusyError(f"there are {count} categories already", retry_after_s=3600)
    found = Category(site_id=site_id, name=name)
    session.add(found)
    session.flush()
    record(session, actor, "category.created", found.id, {"name": name, "site": site_id})
    return found


def find_category(session: Session, site_id: str | None, name: str) -> Category | None:
    """Return the category of a checked name, or None."""
    return session.scalar(select(Category).where(_of(site_id), Category.name == name))


def get_category(service: Service, actor: Actor, category_id: str) -> Category:
    """Return a category; raises NotFoundError where there is none for this actor."""
    with service.database.read() as session:
        return fetch(session, actor, Category, category_id)


def list_categories(
    service: Service, actor: Actor, site_id: str | None = None, *, common: bool = True
) -> Sequence[Category]:
    """Return the categories of a site by name, and the common ones after them; None: the common ones alone."""
    demand(actor, "read", site_id)
    wanted = _of(site_id) if site_id is None or not common else at_sites(actor, Category.site_id, site_id) | _of(None)
    query = select(Category).where(wanted).order_by(Category.site_id.is_(None), Category.name)
    with service.database.read() as session:
        return session.scalars(query).all()


def rename_category(
    service: Service, actor: Actor, category_id: str, name: str, *, version: int | None = None
) -> Category:
    """Give a category another name; models keep the names that they have learnt."""
    name = check_name("category", name)
    with service.database.write() as session:
        found = fetch(session, actor, Category, category_id, "write", lock=True)
        expect_version(found, version)
        other = find_category(session, found.site_id, name)
        if other is not None and other.id != found.id:
            raise ConflictError(f"there is a category called {name!r} already")
        was, found.name = found.name, name
        session.flush()
        record(session, actor, "category.renamed", found.id, {"was": was, "name": name})
    return found


def delete_category(service: Service, actor: Actor, category_id: str, *, version: int | None = None) -> None:
    """Remove a category that no image and no feedback names.

    Raises
    ------
    ConflictError
        Some do; the message says how many.
    """
    with service.database.write() as session:
        found = fetch(session, actor, Category, category_id, "write", lock=True)
        expect_version(found, version)
        for table in (Image, Feedback):
            count = session.scalar(select(func.count()).select_from(table).where(table.category_id == found.id)) or 0
            if count:
                what = "images" if table is Image else "pieces of feedback"
                raise ConflictError(f"{count} {what} have the category {found.name!r}; give them another first")
        session.delete(found)
        session.flush()
        record(session, actor, "category.deleted", found.id, {"name": found.name})


def may_write(session: Session, actor: Actor, site_id: str | None) -> Site | None:
    """Return a site that somebody may add things to, or (None) what is common to all; raise for others."""
    if site_id is not None:
        return fetch(session, actor, Site, site_id, "write")
    demand_everywhere(actor, "write")
    return None


def usable_category(session: Session, site_id: str | None, name: str) -> Category:
    """Return the category of a name among the site's own, then the common ones; raises NotFoundError."""
    name = check_name("category", name)
    found = find_category(session, site_id, name)
    if found is None and site_id is not None:
        found = find_category(session, None, name)
    if found is None:
        raise NotFoundError("category", name)
    return found


def _of(site_id: str | None) -> ColumnElement[bool]:
    return Category.site_id.is_(None) if site_id is None else Category.site_id == site_id
