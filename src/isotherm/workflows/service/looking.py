"""One file looked at as its site wants it: hot spots found in a child, and the verdict of the site's model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from isotherm.core.config import from_mapping, to_mapping
from isotherm.core.errors import TooLargeError
from isotherm.core.scene import SceneEdit
from isotherm.formats.tags import can_read_codes
from isotherm.store.tables import Image, Site
from isotherm.workflows.service.examination import ExaminationSettings, Examined, Want
from isotherm.workflows.service.models import Active, active_classifier
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import NO_TABLE, SiteSettings, settings_of

if TYPE_CHECKING:
    from isotherm.workflows.classify_model import Classified

EDIT = "edit"
"""In an image's facts, what its user has changed in its scene."""


@dataclass(frozen=True)
class Looked:
    """What was found in a file, by which model, and its verdict (both None where the site has no model)."""

    examined: Examined
    active: Active | None = None
    said: Classified | None = None


def look(
    service: Service,
    site: Site | None,
    data: bytes,
    name: str,
    *,
    edit: SceneEdit | None = None,
    want: Sequence[Want] = (),
) -> Looked:
    """Examine a file in a child and let the active model of its site judge it.

    Parameters
    ----------
    site
        None for what is common to all sites, which no model judges.
    data, name
        The file; its own name.
    edit
        What is changed in its scene, beside what the site's settings change.
    want
        What is asked for beside the findings; see `isotherm.workflows.service.examination.Want`.

    Raises
    ------
    FormatError, TooLargeError, DataError
        It is no image that can be inspected.
    BusyError
        Too many files are being decoded.
    """
    settings = settings_of(site) if site else SiteSettings()
    active = active_classifier(service, site.id) if site and site.active_model else None
    wanted = (*want, "values") if active else tuple(want)
    examined = service.examinations.examine(data, name, examination_settings(settings, edit), want=wanted)
    if examined.facts["width"] * examined.facts["height"] > service.limits.pixels:
        raise TooLargeError(f"the image has more than {service.limits.pixels} pixels, the most that are taken")
    said = judged(service, active, examined, settings) if active else None
    return Looked(examined, active, said)


def judged(service: Service, active: Active, examined: Examined, settings: SiteSettings) -> Classified:
    """Return what a model says about a picture whose values were asked for."""
    return active.answers(service, [active.prepare(examined.thermogram())], settings)[0]


def examination_settings(settings: SiteSettings, edit: SceneEdit | None = None) -> ExaminationSettings:
    """Return how the files of a site are examined; `edit` goes before the site's own changes."""
    own = {} if edit is None else {name: value for name, value in to_mapping(edit).items() if value is not None}
    return ExaminationSettings(
        method=settings.hotspot_method,
        severity=None if settings.severity == NO_TABLE else settings.severity,
        edit=replace(settings.scene(), **own),  # type: ignore[arg-type]
        tags=settings.read_tags and can_read_codes(),
    )


def edit_of(image: Image) -> SceneEdit:
    """Return what a user has changed in the scene of an image."""
    changed: Mapping[str, Any] = image.facts.get(EDIT) or {}
    return from_mapping(SceneEdit, changed)
