"""The routes of tasks: one request, many requests, and Hugging Face's payload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from trifold.engine.calls import Asked
from trifold.engine.loaded import Loaded
from trifold.errors import InvalidInput, TrifoldError, WrongTask
from trifold.interfaces.http import describing
from trifold.interfaces.http.desk import Desk
from trifold.interfaces.http.replies import Refusal, json_reply
from trifold.task import Route
from trifold.wire import error_record

__all__ = ["answering", "hugging"]


def answering(desk: Desk, task: str, route: Route) -> APIRouter:
    """The two native paths of a task."""
    router = APIRouter(tags=[task])

    async def one(request: Request) -> Response:
        body = await desk.body(request)
        loaded, raw = _addressed(desk, task, body, None)
        (outcome,) = await desk.ask(request, [desk.asked(loaded, raw)])
        return json_reply(_rendered(route, outcome.reply))

    async def many(request: Request) -> Response:
        body = await desk.body(request)
        items = _items(body, desk.settings.max_items)
        default = body.get("model")
        _named(desk, task, default)  # a model that is none fails the whole call, not each item
        asked: list[Asked] = []
        places: list[dict[str, Any] | None] = []  # the error of an item that is not even asked
        for item in items:
            try:
                loaded, raw = _addressed(desk, task, item, default)
                asked.append(desk.asked(loaded, raw))
                places.append(None)
            except TrifoldError as error:
                places.append(error_record(error))
        outcomes = iter(await desk.ask(request, asked)) if asked else iter(())
        replies = [_item(route, next(outcomes).reply) if place is None else place for place in places]
        return json_reply({"items": replies})

    describing.add(router, "POST", route.one, one, describing.one(route))
    describing.add(router, "POST", route.many, many, describing.many(route, desk.settings.max_items))
    return router


def hugging(desk: Desk, routes: Mapping[str, Route]) -> APIRouter:
    """Hugging Face's payload, for the tasks that have one. routes: by task."""
    router = APIRouter(tags=["Hugging Face"])
    payloads = {task: route.payload for task, route in routes.items() if route.payload is not None}

    async def infer(request: Request) -> Response:
        body = await desk.body(request)
        loaded = desk.model(request.path_params["model"])
        payload = payloads.get(loaded.task.name)
        if payload is None:
            raise WrongTask(f"{loaded.version} is a model for {loaded.task.name!r}, which this form does not know.")
        (outcome,) = await desk.ask(request, [desk.asked(loaded, payload.read(body))])
        return json_reply(payload.write(body, _good(outcome.reply)))

    if payloads:
        describing.add(router, "POST", "/models/{model:path}", infer, describing.payloads(list(payloads.values())))
    return router


def _items(body: Mapping[str, Any], most: int) -> list[Any]:
    if unknown := sorted(body.keys() - {"items", "model"}):
        raise InvalidInput(
            f"unknown field {unknown[0]!r:.60}.", "Send {'items': [...], 'model'?}.", field=unknown[0][:60]
        )
    items = body.get("items")
    if not isinstance(items, list):
        raise InvalidInput("items: expected a list of requests.", "Send {'items': [...]}.", field="items")
    if len(items) > most:
        raise Refusal("too_large", f"items: at most {most:,} in one call, found {len(items):,}.", field="items")
    return items


def _addressed(desk: Desk, task: str, item: Any, default: Any) -> tuple[Loaded, Mapping[str, Any]]:
    """The model that a request names, and the request without the name."""
    if not isinstance(item, dict):
        raise InvalidInput("expected an object for each request.", "Send {'items': [{...}, ...]}.")
    loaded = _named(desk, task, item.get("model") if item.get("model") is not None else default)
    return loaded, {key: value for key, value in item.items() if key != "model"}


def _named(desk: Desk, task: str, name: Any) -> Loaded:
    """The model of a name; for None the first that does this task."""
    if name is not None and not isinstance(name, str):
        raise InvalidInput("model: expected a name.", "GET /v1/models lists them.", field="model")
    first = next((m for m in desk.hosting.served.values() if m.task.name == task), None) if name is None else None
    loaded = first or desk.model(name)
    if loaded.task.name != task:
        raise WrongTask(f"{loaded.version} is a model for {loaded.task.name!r}; this path needs one for {task!r}.")
    return loaded


def _rendered(route: Route, reply: Any) -> Mapping[str, Any]:
    return route.render(_good(reply))


def _good(reply: Any) -> Any:
    if isinstance(reply, Exception):
        raise reply
    return reply


def _item(route: Route, reply: Any) -> Mapping[str, Any]:
    return error_record(reply) if isinstance(reply, TrifoldError) else route.render(reply)
