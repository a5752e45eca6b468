"""One file looked at as its site wants it: hot spots found in a child, and what the site's models say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from isotherm.core.config import from_mapping, to_mapping
from isotherm.core.errors import TooLargeError
from isotherm.core.scene import SceneEdit
from isotherm.formats.lettering import can_read_print
from isotherm.formats.tags import can_read_codes
from isotherm.store.tables import Image, Site
from isotherm.workflows.service.examination import ExaminationSettings, Examined, Want
from isotherm.workflows.service.models import Active, active_classifier
from isotherm.workflows.service.scoring import Standing, detector_of
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import NO_TABLE, SiteSettings, settings_of

if TYPE_CHECKING:
    from isotherm.workflows.classify_model import Classified

EDIT = "edit"
"""In an image's facts, what its user has changed in its scene."""
UNSCORED = "no anomaly score: "
"""How the note of a result begins that says why the anomaly model could not score it."""


@dataclass(frozen=True)
class Looked:
    """What was found in a file.

    Parameters
    ----------
    examined
        What the rules say.
    active, said
        The classifier and its verdict; None where the site has none.
    standing
        What the anomaly model says; None where the site has none.
    """

    examined: Examined
    active: Active | None = None
    said: Classified | None = None
    standing: Standing | None = None

    @cached_property
    def result(self) -> dict[str, Any]:
        """The plain `isotherm.core.findings.ImageResult` of rules and anomaly model together."""
        plain, standing = self.examined.result, self.standing
        if standing is None:
            return plain
        notes = [f"{UNSCORED}{standing.error}"] if standing.error else []
        return {
            **plain,
            "anomaly": standing.result,
            "findings": [*plain["findings"], *standing.findings],
            "notes": [*plain["notes"], *notes],
        }

    @property
    def facts(self) -> dict[str, Any]:
        """What a gallery shows, with the findings of both."""
        return {**self.examined.facts, "findings": len(self.result["findings"])}


def look(
    service: Service,
    site: Site | None,
    data: bytes,
    name: str,
    *,
    edit: SceneEdit | None = None,
    want: Sequence[Want] = (),
) -> Looked:
    """Examine a file in a child and let the active models of its site judge it.

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
    detector = detector_of(service, site)
    wanted = (*want, "values") if active or detector else tuple(want)
    examined = service.examinations.examine(data, name, examination_settings(settings, edit), want=wanted)
    if examined.facts["width"] * examined.facts["height"] > service.limits.pixels:
        raise TooLargeError(f"the image has more than {service.limits.pixels} pixels, the most that are taken")
    if active is None and detector is None:
        return Looked(examined)
    picture = examined.thermogram()
    said = active.answers(service, [active.prepare(picture)], settings)[0] if active else None
    return Looked(examined, active, said, detector.stands(service, picture) if detector else None)


def examination_settings(settings: SiteSettings, edit: SceneEdit | None = None) -> ExaminationSettings:
    """Return how the files of a site are examined; `edit` goes before the site's own changes."""
    own = {} if edit is None else {name: value for name, value in to_mapping(edit).items() if value is not None}
    return ExaminationSettings(
        method=settings.hotspot_method,
        severity=None if settings.severity == NO_TABLE else settings.severity,
        edit=replace(settings.scene(), **own),  # type: ignore[arg-type]
        tags=settings.read_tags and can_read_codes(),
        letters=settings.read_labels and can_read_print(),
    )


def edit_of(image: Image) -> SceneEdit:
    """Return what a user has changed in the scene of an image."""
    changed: Mapping[str, Any] = image.facts.get(EDIT) or {}
    return from_mapping(SceneEdit, changed)
