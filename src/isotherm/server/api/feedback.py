"""What people say of verdicts."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from isotherm.server.api.answers import CREATE, PathId, problems
from isotherm.server.api.routing import api_router
from isotherm.server.idempotency import OnceRoute, documented
from isotherm.server.paging import PageAsked
from isotherm.server.schemas import FeedbackIn, FeedbackOut, Id, PageOut
from isotherm.server.security import CurrentActor
from isotherm.store.tables import Feedback
from isotherm.workflows.service import feedback
from isotherm.workflows.service.service import Service


def router(service: Service) -> APIRouter:
    """Return the routes of feedback."""
    routes = api_router("feedback", OnceRoute)

    @routes.get("/feedback", response_model=PageOut[FeedbackOut], summary="List feedback, newest first")
    def list_feedback(
        actor: CurrentActor,
        page: PageAsked,
        site_id: Id | None = None,
        unused: bool = False,
    ) -> object:
        found = feedback.list_feedback(
            service, actor, site_id=site_id, unused=unused, after=page.after, limit=page.limit
        )
        return page.answer(found.items, found.next)

    @routes.post(
        "/inspections/{inspection_id}/feedback",
        response_model=FeedbackOut,
        status_code=201,
        responses=CREATE,
        dependencies=[Depends(documented)],
        summary="Say what a verdict should have been; again replaces what was said",
    )
    def give_feedback(inspection_id: PathId, said: FeedbackIn, actor: CurrentActor) -> Feedback:
        return feedback.give_feedback(service, actor, inspection_id, said.category, note=said.note)

    @routes.delete(
        "/feedback/{feedback_id}",
        status_code=204,
        responses=problems(409, 507),
        summary="Take feedback back that no model has learnt from",
    )
    def withdraw(feedback_id: PathId, actor: CurrentActor) -> None:
        feedback.withdraw_feedback(service, actor, feedback_id)

    return routes
