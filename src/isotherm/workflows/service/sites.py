"""Sites: places with cameras, each with its own categories, images and models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from isotherm.classification import CLASSIFIERS
from isotherm.core.config import from_mapping, setting, to_mapping, validate
from isotherm.core.errors import BusyError, ConfigError, ConflictError, NotFoundError
from isotherm.core.scene import SceneEdit
from isotherm.formats.tags import need_code_reader, need_print_reader
from isotherm.hotspots import HOTSPOT_METHODS
from isotherm.measurement.severity import SEVERITY_TABLES
from isotherm.runtime.backbones import BACKBONES
from isotherm.store.tables import Site
from isotherm.workflows.service.access import Actor, at_sites, demand, demand_everywhere, expect_version, fetch
from isotherm.workflows.service.audit import record
from isotherm.workflows.service.names import check_name
from isotherm.workflows.service.paging import USUAL, Page, read_page
from isotherm.workflows.service.removal import remove_site
from isotherm.workflows.service.service import Service

LONGEST_NOTE = 10_000
NO_TABLE = "none"


@dataclass(frozen=True)
class SiteSettings:
    """How the images of a site are judged and its models are trained."""

    min_confidence: float = setting(0.5, "least probability for a verdict of the classifier, 0 to 1", low=0, high=1)
    hotspot_method: str = setting("region_growing", "how hot spots are found")
    severity: str = setting("neta-similar", "severity table, or none")
    emissivity: float | None = setting(None, "emissivity in place of the files', 0.01 to 1", low=0.01, high=1)
    reflected_c: float | None = setting(
        None, "reflected temperature in place of the files' [°C]", low=-273.15, high=3000
    )
    method: str = setting("logistic", "classifier that is trained")
    backbone: str = setting("efficientnet_lite0", "network whose features the logistic classifier sees")
    open_set: bool = setting(False, "give no category to images that are unlike all that was learnt")
    activate: Literal["always", "better", "never"] = setting(
        "always", "whether a new model takes over: always, only where it is better on the test images, never"
    )
    read_tags: bool = setting(False, "look for QR and bar codes of assets in the pictures and their photos")
    read_labels: bool = setting(False, "read the tags of assets that are printed on labels in the photos (OCR)")

    def __post_init__(self) -> None:
        validate(self)
        HOTSPOT_METHODS.row(self.hotspot_method)
        CLASSIFIERS.row(self.method)
        BACKBONES.row(self.backbone)
        if self.severity != NO_TABLE and self.severity not in SEVERITY_TABLES:
            raise ConfigError(
                f"severity must be {NO_TABLE} or one of {', '.join(SEVERITY_TABLES)}, not {self.severity!r}"
            )

    def scene(self) -> SceneEdit:
        """Return what is changed in the scene of each image."""
        return SceneEdit(emissivity=self.emissivity, reflected_c=self.reflected_c)


def settings_of(site: Site) -> SiteSettings:
    """Return the settings of a site; what was stored by another version and is not known is left out."""
    known = SiteSettings.__dataclass_fields__
    return from_mapping(SiteSettings, {name: value for name, value in site.settings.items() if name in known})


def create_site(
    service: Service, actor: Actor, name: str, *, note: str = "", settings: Mapping[str, Any] | None = None
) -> Site:
    """Make a site; needs the scope admin for all sites.

    Raises
    ------
    ConfigError, ConflictError
        The name breaks a rule or a setting is wrong; the name is taken.
    """
    demand_everywhere(actor, "admin")
    site = Site(name=check_name("site", name), note=check_note(note), settings=_settings({}, settings or {}))
    with service.database.write() as session:
        if (session.scalar(select(func.count()).select_from(Site)) or 0) >= service.limits.sites:
            raise BusyError(f"there are {service.limits.sites} sites already", retry_after_s=3600)
        _check_free(session, site.name)
        session.add(site)
        session.flush()
        record(session, actor, "site.created", site.id, {"name": site.name})
    return site


def get_site(service: Service, actor: Actor, site_id: str) -> Site:
    """Return a site; raises NotFoundError where there is none for this actor."""
    with service.database.read() as session:
        return fetch(session, actor, Site, site_id)


def site_named(service: Service, actor: Actor, name: str) -> Site:
    """Return a site by its name; raises NotFoundError where there is none for this actor."""
    with service.database.read() as session:
        site = session.scalar(select(Site).where(Site.name == check_name("site", name)))
    if site is None or not actor.sees(site.id):
        raise NotFoundError("site", name)
    demand(actor, "read", site.id)
    return site


def list_sites(
    service: Service, actor: Actor, *, after: Sequence[object] | None = None, limit: int = USUAL
) -> Page[Site]:
    """Return the sites of this actor, newest first."""
    with service.database.read() as session:
        query = select(Site).where(at_sites(actor, Site.id))
        return read_page(session, query, [Site.id], after=after, limit=limit)


def update_site(
    service: Service,
    actor: Actor,
    site_id: str,
    *,
    name: str | None = None,
    note: str | None = None,
    settings: Mapping[str, Any] | None = None,
    version: int | None = None,
) -> Site:
    """Change a site's name, note or some of its settings; needs the scope admin.

    Raises
    ------
    ChangedError
        `version` is given and is not the site's.
    """
    with service.database.write() as session:
        site = fetch(session, actor, Site, site_id, "admin", lock=True)
        expect_version(site, version)
        if name is not None and name != site.name:
            site.name = _check_free(session, check_name("site", name))
        if note is not None:
            site.note = check_note(note)
        if settings is not None:
            site.settings = _settings(site.settings, settings)
        session.flush()
        record(session, actor, "site.changed", site.id, {"name": site.name, "settings": site.settings})
    return site


def delete_site(service: Service, actor: Actor, site_id: str, *, version: int | None = None) -> None:
    """Remove a site with all it has; needs the scope admin for all sites. Refused while one of its jobs runs."""
    demand_everywhere(actor, "admin")
    with service.database.write() as session:
        site = fetch(session, actor, Site, site_id, "admin", lock=True)
        expect_version(site, version)
        remove_site(session, site)
        record(session, actor, "site.deleted", site_id, {"name": site.name, "images": site.images})


def check_note(text: object) -> str:
    """Return a remark that people typed; raises ConfigError where it is none."""
    if not isinstance(text, str) or len(text) > LONGEST_NOTE or "\0" in text:
        raise ConfigError(f"a note must be text of at most {LONGEST_NOTE} characters without NUL")
    return text.encode("utf-8", "replace").decode()


def _settings(stored: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    settings = from_mapping(SiteSettings, {**stored, **changes})
    if settings.read_tags:
        need_code_reader()
    if settings.read_labels:
        need_print_reader()
    return to_mapping(settings)


def _check_free(session: Session, name: str) -> str:
    if session.scalar(select(Site.id).where(Site.name == name)) is not None:
        raise ConflictError(f"there is a site called {name!r} already")
    return name
