"""Health, information, metrics, and the models that are served."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from trifold import __version__
from trifold.engine.executor import threads
from trifold.engine.loaded import Loaded
from trifold.errors import InvalidInput, NotReady
from trifold.interfaces.http import describing
from trifold.interfaces.http.describing import OBJECT, add, described, reply_of
from trifold.interfaces.http.desk import Desk
from trifold.interfaces.http.replies import Refusal, json_reply
from trifold.interfaces.http.trace import trace_of
from trifold.models.folder import NAME

__all__ = ["administration", "health", "operations"]

_MODEL: dict[str, Any] = {
    "type": "object",
    "required": ["name", "version", "task", "precision", "sha256", "default"],
    "properties": {
        "name": {"type": "string", "description": "What requests call it."},
        "version": {"type": "string"},
        "task": {"type": "string"},
        "precision": {"type": ["string", "null"]},
        "sha256": {"type": "string", "description": "Over the model's files and precision."},
        "default": {"type": "boolean", "description": "Answers requests that name no model."},
    },
}
_NAME = describing.path_parameter("name", "The name that requests use.")


def health(desk: Desk) -> APIRouter:
    """The two health routes, which need no key."""
    router = APIRouter(tags=["health"])

    async def live(_: Request) -> Response:
        return json_reply({"live": True})

    async def ready(_: Request) -> Response:
        if desk.draining or not desk.ready:
            raise NotReady("shutting down." if desk.draining else "the models are still being loaded.")
        return json_reply({"ready": True, "live": True})

    add(
        router,
        "GET",
        "/v2/health/live",
        live,
        described(
            "Whether the process lives",
            {200: reply_of(OBJECT, "It does, however busy it is.", {"live": True})},
            operation="live",
        ),
    )
    add(
        router,
        "GET",
        "/v2/health/ready",
        ready,
        described(
            "Whether requests are answered",
            {200: reply_of(OBJECT, "All models are loaded and warm.", {"ready": True, "live": True})},
            operation="ready",
            text="503 while models are loaded, and from the moment the server was told to end.",
        ),
    )
    return router


def operations(desk: Desk) -> APIRouter:
    """What is served, with which limits, and how it goes."""
    router = APIRouter(tags=["operations"])

    async def models(_: Request) -> Response:
        served = desk.hosting.served
        return json_reply({"models": [_record(desk, name, loaded) for name, loaded in served.items()]})

    async def model(request: Request) -> Response:
        loaded = desk.model(request.path_params["name"])
        name = next(n for n, one in desk.hosting.served.items() if one is loaded)
        return json_reply(_record(desk, name, loaded))

    async def info(_: Request) -> Response:
        served = desk.hosting.served
        return json_reply(
            {
                "trifold": __version__,
                "models": [_record(desk, name, loaded) for name, loaded in served.items()],
                "threads": threads(),
                "corrections": bool(desk.keeping.tasks),
                "limits": desk.settings.public(),
            }
        )

    async def metrics(_: Request) -> Response:
        return Response(desk.metrics.text(), media_type="text/plain; version=0.0.4")

    listing = {"type": "object", "required": ["models"], "properties": {"models": {"type": "array", "items": _MODEL}}}
    text = {"description": "Prometheus text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    for path, handler, description in (
        ("/v1/models", models, described("The models", {200: reply_of(listing, "All of them.")}, operation="models")),
        (
            "/v1/models/{name}",
            model,
            described("A model", {200: reply_of(_MODEL, "It.")}, operation="model", parameters=[_NAME], also=(404,)),
        ),
        ("/info", info, described("Version, models and limits", {200: reply_of(OBJECT, "They.")}, operation="info")),
        ("/metrics", metrics, described("Prometheus metrics", {200: text}, operation="metrics")),
    ):
        add(router, "GET", path, handler, description)
    return router


def administration(desk: Desk) -> APIRouter:
    """Adding, exchanging and removing models while serving: for administrators."""
    router = APIRouter(tags=["administration"])

    async def put(request: Request) -> Response:
        _administrator(desk, request)
        body = await desk.body(request)
        name = request.path_params["name"]
        model = body.get("model")
        if not NAME.fullmatch(name):
            raise InvalidInput("name: expected a-z, 0-9, dot, dash and underscore, up to 64.", field="name")
        if not isinstance(model, str) or not model or body.keys() != {"model"} or "\0" in model:
            raise InvalidInput("expected a model.", 'Send {"model": "name@version"}, or its folder.', field="model")
        loaded, exchanged = await desk.load(name, model)
        return json_reply(_record(desk, name, loaded), 200 if exchanged else 201)

    async def delete(request: Request) -> Response:
        _administrator(desk, request)
        desk.hosting.remove(request.path_params["name"])
        return Response(status_code=204)

    add(
        router,
        "PUT",
        "/v1/models/{name}",
        put,
        described(
            "Answer for a name with this model from now on",
            {200: reply_of(_MODEL, "Exchanged."), 201: reply_of(_MODEL, "Added.")},
            operation="put_model",
            text="The model is loaded and warmed first; requests that were accepted before are answered by the old "
            "one. Needs an administrator's key.",
            body={
                "type": "object",
                "required": ["model"],
                "properties": {
                    "model": {
                        "type": "string",
                        "minLength": 1,
                        "pattern": "^[^\\x00]+$",
                        "description": "Name, name@version, folder or hub id.",
                    }
                },
                "additionalProperties": False,
            },
            examples={"The second version of mine": {"model": "mine@2"}},
            parameters=[_NAME],
            also=(404,),
        ),
    )
    add(
        router,
        "DELETE",
        "/v1/models/{name}",
        delete,
        described(
            "Answer for a name no more",
            {204: {"description": "Removed. Requests that were accepted before are answered."}},
            operation="delete_model",
            text="Needs an administrator's key.",
            parameters=[_NAME],
            also=(404, 422),
        ),
    )
    return router


def _administrator(desk: Desk, request: Request) -> None:
    if desk.settings.api_key_file is None:
        raise Refusal("forbidden", "administration needs an administrator's key: start with --api-key-file FILE.")
    holder = trace_of(request.scope).holder
    if holder is None or holder.role != "admin":
        raise Refusal("forbidden", "this needs an administrator's key.")


def _record(desk: Desk, name: str, loaded: Loaded) -> dict[str, Any]:
    first = next(iter(desk.hosting.served), None)
    return {
        "name": name,
        "version": loaded.version,
        "task": loaded.task.name,
        "precision": loaded.precision,
        "sha256": loaded.digest,
        "default": name == first,
    }
