"""How the compatibility routes are described in OpenAPI; they check requests themselves, to answer in their form."""

from __future__ import annotations

from typing import Any

from isotherm.workflows.compat.pictures import IMAGE_TYPES

_TEXT = {"type": "string"}
_NAME = {"type": "string", "minLength": 1, "maxLength": 128}
_IMAGE = {"type": "string", "description": "base64 (RFC 4648)"}
_TYPE = {"type": "string", "enum": list(IMAGE_TYPES)}
_NUMBER = {"type": "number", "minimum": 0, "maximum": 1}
_FLAGS = (
    "got_training_data_flag",
    "got_testing_data_flag",
    "made_model_architecture_flag",
    "trained_model_flag",
    "tested_model_flag",
    "saved_model_flag",
)


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _or_list(schema: dict[str, Any]) -> dict[str, Any]:
    return {"oneOf": [schema, {"type": "array", "items": schema}]}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _answer(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _route(summary: str, request: dict[str, Any], answer: dict[str, Any], refusal: int) -> dict[str, Any]:
    """Return the keyword arguments of a route."""
    return {
        "summary": summary,
        "response_model": None,
        "openapi_extra": _body(request),
        "responses": {
            200: _answer("Done", answer),
            refusal: _answer("Not done; error_msg says why", answer),
            401: _answer("A token is needed", answer),
            403: _answer("The token is not for this", answer),
            429: _answer("There is too much to do now; Retry-After says when to try again", answer),
        },
    }


_MESSAGES = {"type": "array", "items": _TEXT}
SAVE_DATA = _route(
    "Keep a labelled picture",
    _object(
        temple_id=_NAME,
        train_test={"type": "string", "enum": ["train", "test"]},
        category=_NAME,
        image=_IMAGE,
        image_type=_TYPE,
        image_name=_NAME,
    ),
    _object(error_msg=_TEXT) | {"additionalProperties": False},
    500,
)
MAKE_MODEL = _route(
    "Make a temple's model, and wait until it is made",
    _object(temple_id=_NAME, forceful={"type": "boolean"}),
    _object(error_msg=_MESSAGES, **{flag: {"type": "boolean"} for flag in _FLAGS}) | {"additionalProperties": False},
    400,
)
PREDICT = _route(
    "Name the category of one picture, or of a list of them",
    _object(temple_id=_NAME, image=_or_list(_IMAGE), image_name=_or_list(_NAME), image_type=_or_list(_TYPE)),
    _object(error_msg=_MESSAGES, image_class=_or_list(_TEXT), class_confidence=_or_list(_NUMBER))
    | {"additionalProperties": False},
    400,
)
