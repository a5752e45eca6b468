"""Which versions of a site's anomaly models give the same scores: those that differ in their threshold alone."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from isotherm.store.tables import ModelVersion
from isotherm.workflows.service.models import ANOMALY

SCORES_OF = "scores_of"
"""Where in the card of a version stands which one it has its scores from; only its threshold is another."""


def first_of(version: ModelVersion) -> str:
    """Return the id of the version whose scores a version gives, perhaps its own."""
    return str(version.card.get(SCORES_OF) or version.id)


def firsts(session: Session, site_id: str) -> dict[str, str]:
    """Return for each anomaly model of a site the id of the version whose scores it gives."""
    origin = ModelVersion.card[SCORES_OF].as_string()
    query = select(ModelVersion.id, origin).where(ModelVersion.site_id == site_id, ModelVersion.kind == ANOMALY)
    return {model_id: first or model_id for model_id, first in session.execute(query)}


def same_scores(session: Session, version: ModelVersion) -> frozenset[str]:
    """Return the ids of all versions whose scores mean the same as those of a version, its own among them."""
    first = first_of(version)
    return frozenset(each for each, origin in firsts(session, version.site_id).items() if origin == first)
