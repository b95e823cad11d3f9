"""What the OpenAPI document says of each path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter

from trifold.interfaces.http.replies import Handler, safely
from trifold.task import Payload, Route
from trifold.wire import STATUS

__all__ = [
    "ERROR",
    "OBJECT",
    "SECONDS",
    "TIMEOUT",
    "Description",
    "add",
    "described",
    "many",
    "one",
    "path_parameter",
    "payloads",
    "reply_of",
]

OBJECT: Mapping[str, Any] = {"type": "object"}
ERROR: Mapping[str, Any] = {
    "type": "object",
    "required": ["error", "error_type"],
    "properties": {
        "error": {"type": "string", "description": "What was expected, what was found, what to do."},
        "error_type": {"enum": list(STATUS)},
        "field": {"type": "string", "description": "The field that does not fit."},
    },
}
_ALWAYS = (400, 401, 403, 405, 408, 429, 431, 500, 503)
_WITH_BODY = (413, 415, 422)

Description = Mapping[str, Any]


def add(router: APIRouter, method: str, path: str, handler: Handler, description: Description) -> None:
    """Serve a path, and describe it."""
    router.add_api_route(path, safely(handler), methods=[method], response_model=None, **description)


def reply_of(schema: Mapping[str, Any], text: str, example: Any = None) -> dict[str, Any]:
    """A JSON reply."""
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"description": text, "content": {"application/json": content}}


def described(
    summary: str,
    replies: Mapping[int, Mapping[str, Any]],
    *,
    operation: str,
    text: str = "",
    body: Mapping[str, Any] | None = None,
    examples: Mapping[str, Any] | None = None,
    parameters: Sequence[Mapping[str, Any]] = (),
    also: Sequence[int] = (),
) -> Description:
    """What FastAPI is told of a path.

    replies: by status, those that are no errors. body: JSON Schema. examples: bodies by what they show. also: statuses
    of errors beyond those that every path, or every path with a body, may reply.
    """
    errors = {*_ALWAYS, *also, *(_WITH_BODY if body is not None else ())}
    responses: dict[int | str, Any] = {}
    responses.update({status: replies[status] for status in replies})
    for status in sorted(errors):
        words = ", ".join(f"`{kind}`" for kind, code in STATUS.items() if code == status)
        responses[status] = reply_of(
            {"$ref": "#/components/schemas/Error"}, f"{HTTPStatus(status).phrase} ({words}).", None
        )
        if status in (429, 503):
            responses[status]["headers"] = {
                "Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds."}
            }
    extra: dict[str, Any] = {}
    if body is not None:
        content: dict[str, Any] = {"schema": body}
        if examples:
            content["examples"] = {name: {"summary": name, "value": value} for name, value in examples.items()}
        extra["requestBody"] = {"required": True, "content": {"application/json": content}}
    if parameters:
        extra["parameters"] = list(parameters)
    return {
        "summary": summary,
        "description": text,
        "responses": responses,
        "openapi_extra": extra,
        "operation_id": operation,
    }


def path_parameter(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": "string"}}


SECONDS = r"^([0-9]*[1-9][0-9]*(\.[0-9]+)?|[0-9]+\.[0-9]*[1-9][0-9]*)$"
"""A positive number without an exponent, as `X-Timeout` has it."""

TIMEOUT: Mapping[str, Any] = {
    "name": "X-Timeout",
    "in": "header",
    "required": False,
    "description": "Seconds that the client will wait, without an exponent; shortens the server's own deadline.",
    "schema": {"type": "string", "pattern": SECONDS, "maxLength": 40, "examples": ["2.5"]},
}


def one(route: Route) -> Description:
    """A single request."""
    return described(
        route.summary,
        {200: reply_of(route.reply, "The reply.")},
        operation=_operation(route.one),
        text=route.description,
        body=_with_model(route.request),
        examples=route.examples,
        parameters=[TIMEOUT],
        also=(404, 504),
    )


def many(route: Route, most: int) -> Description:
    """A list of requests."""
    item = _with_model(route.request)
    request = {
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": {"type": "array", "items": item, "maxItems": most},
            "model": {**_MODEL, "description": "Of the items that name none."},
        },
        "additionalProperties": False,
    }
    outcome = {"anyOf": [route.reply, {"$ref": "#/components/schemas/Error"}]}
    reply = {"type": "object", "required": ["items"], "properties": {"items": {"type": "array", "items": outcome}}}
    return described(
        f"{route.summary}, many at once",
        {200: reply_of(reply, "A reply or an error for each item, in order.")},
        operation=_operation(route.many),
        text="The items are batched over all cores. An item that cannot be answered gets an error in its place.",
        body=request,
        examples={"All examples of the single path": {"items": list(route.examples.values())}},
        parameters=[TIMEOUT],
        also=(404, 504),
    )


def payloads(known: Sequence[Payload]) -> Description:
    """Hugging Face's form."""
    return described(
        "Hugging Face's inference payload",
        {200: reply_of(_either([p.response for p in known]), "As the transformers pipeline gave it.")},
        operation="hugging_face",
        text="What `huggingface_hub.InferenceClient(model='http://.../models/default')` sends.",
        body=_either([p.request for p in known]),
        examples={"A question": known[0].example},
        parameters=[path_parameter("model", "Name or version of a model."), TIMEOUT],
        also=(404, 504),
    )


_MODEL: Mapping[str, Any] = {
    "type": ["string", "null"],
    "description": "Name or version of a model; by default the first.",
}


def _with_model(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {**schema, "properties": {**schema["properties"], "model": _MODEL}}


def _either(schemas: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}


def _operation(path: str) -> str:
    return path.strip("/").replace("/", "_")
