"""The audit trail, for administrators of all sites."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from isotherm.server.api.routing import api_router
from isotherm.server.paging import PageAsked
from isotherm.server.schemas import AuditOut, PageOut, Text
from isotherm.server.security import CurrentActor
from isotherm.workflows.service import audit
from isotherm.workflows.service.service import Service


class Verified(BaseModel):
    """Whether the chain of the audit trail is whole, and where it is not."""

    whole: bool
    flaws: list[str]


def router(service: Service) -> APIRouter:
    """Return the routes of the audit trail."""
    routes = api_router("audit")

    @routes.get("/audit", response_model=PageOut[AuditOut], summary="List who did what, newest first")
    def list_audit(
        actor: CurrentActor,
        page: PageAsked,
        action: Annotated[Text, Query(max_length=64)] = "",
    ) -> object:
        place = page.after
        rows = audit.list_audit(service, actor, action=action, after=place[0] if place else None, limit=page.limit)
        return page.answer(rows, [rows[-1].number] if len(rows) == page.limit else None)

    @routes.get("/audit/verification", response_model=Verified, summary="Check the chain of the audit trail")
    def verify(actor: CurrentActor) -> Verified:
        flaws = [str(flaw) for flaw in audit.verify_audit(service, actor)]
        return Verified(whole=not flaws, flaws=flaws)

    return routes
