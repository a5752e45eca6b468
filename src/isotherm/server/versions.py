"""``ETag`` and ``If-Match``: nobody overwrites what they have not seen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Request, Response

from isotherm.core.errors import ChangedError
from isotherm.server.problems import UnconditionalError

R = TypeVar("R", bound=Any)
NO_MODEL = '"none"'
_TAG = re.compile(r'"v(\d{1,9})"')


def tag(response: Response, row: R) -> R:
    """Say in the answer's header which version of a row it shows; returns the row."""
    response.headers["etag"] = f'"v{row.version}"'
    return row


IfMatch = Annotated[
    str | None, Header(max_length=200, description='The `ETag` that was read, such as `"v3"`; `*` for whichever.')
]


def expected_version(if_match: IfMatch = None) -> int | None:
    """Return the version that a change is made to; None for whichever.

    Raises
    ------
    UnconditionalError, ChangedError
        There is no ``If-Match``; it can be none of ours.
    """
    if if_match is None:
        raise UnconditionalError('a change needs the header If-Match with the ETag that was read, such as "v3"')
    if if_match.strip() == "*":
        return None
    found = _TAG.fullmatch(if_match.strip())
    if found is None:
        raise ChangedError("If-Match names another version than there is; read it again")
    return int(found[1])


async def _version_asked(if_match: IfMatch = None) -> int | None:
    return expected_version(if_match)


ExpectedVersion = Annotated[int | None, Depends(_version_asked)]
"""The version in ``If-Match`` as a parameter of a route."""


def unchanged(request: Request, response: Response, etag: str, *, for_ever: bool = True) -> bool:
    """Say in the answer's header which content this is, and return whether the client has it.

    Parameters
    ----------
    for_ever
        The address never shows another content, so that it may be kept for a day; else each use asks whether it has
        changed.
    """
    response.headers["etag"] = f'"{etag}"'
    response.headers["cache-control"] = "private, max-age=86400" if for_ever else "private, no-cache"
    return f'"{etag}"' in request.headers.get("if-none-match", "")


@dataclass(frozen=True)
class ActiveModel:
    """The model version that a client believes to be active: its id, None for none; or whichever."""

    model_id: str | None = None
    whichever: bool = False

    def keyword(self) -> dict[str, str | None]:
        """Return it as the parameter of `isotherm.workflows.service.models.activate`."""
        return {} if self.whichever else {"expected": self.model_id}

    def check(self, active: str | None) -> None:
        """Raise ChangedError where another one is active."""
        if not self.whichever and active != self.model_id:
            raise ChangedError("another model has been made active since this was read; read it again")


async def expected_model(if_match: IfMatch = None) -> ActiveModel:
    """Return the model that a switch starts from, by its ``ETag``.

    Raises
    ------
    UnconditionalError, ChangedError
        There is no ``If-Match``; it can be none of ours.
    """
    if if_match is None:
        raise UnconditionalError("a switch needs the header If-Match with the ETag of models/active, or *")
    text = if_match.strip()
    if text == "*":
        return ActiveModel(whichever=True)
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        raise ChangedError("If-Match names another model than is active; read models/active again")
    return ActiveModel(None if text == NO_MODEL else text[1:-1])


ExpectedModel = Annotated[ActiveModel, Depends(expected_model)]
"""The active model in ``If-Match`` as a parameter of a route."""


def tag_model(response: Response, active: str | None, answer: R) -> R:
    """Say in the answer's header which model is active; returns the answer."""
    response.headers["etag"] = f'"{active}"' if active else NO_MODEL
    return answer
