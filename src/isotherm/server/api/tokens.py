"""Tokens, for administrators of all sites."""

from __future__ import annotations

from fastapi import APIRouter

from isotherm.server.api.answers import PathId, problems
from isotherm.server.api.routing import api_router
from isotherm.server.schemas import NewToken, PageOut, TokenIn, TokenOut
from isotherm.server.security import CurrentActor
from isotherm.store.tables import Token
from isotherm.workflows.service import tokens
from isotherm.workflows.service.service import Service


def router(service: Service) -> APIRouter:
    """Return the routes of tokens."""
    routes = api_router("tokens")

    @routes.get("/tokens", response_model=PageOut[TokenOut], summary="List tokens, without their secrets")
    def list_tokens(actor: CurrentActor) -> object:
        return {"items": tokens.list_tokens(service, actor), "next": None}

    @routes.post(
        "/tokens",
        response_model=NewToken,
        status_code=201,
        responses=problems(507),
        summary="Issue a token; its text is in this answer and never again",
    )
    def issue(new: TokenIn, actor: CurrentActor) -> object:
        token, text = tokens.issue_token(
            service, actor, new.name, scopes=new.scopes, sites=new.sites, expires_at=new.expires_at
        )
        return {**TokenOut.model_validate(token).model_dump(), "token": text}

    @routes.delete(
        "/tokens/{token_id}", response_model=TokenOut, responses=problems(507), summary="Revoke a token at once"
    )
    def revoke(token_id: PathId, actor: CurrentActor) -> Token:
        return tokens.revoke_token(service, actor, token_id)

    return routes
