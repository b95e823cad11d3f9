"""The Open Inference Protocol (KServe), version 2, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from trifold import __version__
from trifold.engine.loaded import Loaded
from trifold.errors import InvalidInput, ModelNotFound, WrongTask
from trifold.interfaces.http.binary import EXTENSION, LENGTH, OCTETS, binary_reply, body_in, outputs_in_bytes
from trifold.interfaces.http.describing import OBJECT, Description, add, described, path_parameter, reply_of
from trifold.interfaces.http.desk import JSON, Desk
from trifold.interfaces.http.replies import json_reply
from trifold.interfaces.http.tensors import inputs_of, outputs_of, requests_in, tensors_of
from trifold.task import Tabular

__all__ = ["kserve"]

_NAMED = path_parameter("model", "Name or version of a model.")
_VERSION = path_parameter("version", "The part of a model's version after the @.")
_TENSOR: dict[str, Any] = {
    "type": "object",
    "required": ["name", "shape", "datatype", "data"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"type": "string"},
        "data": {"type": "array"},
    },
}
_STRING = {"type": "string"}
_INPUT: dict[str, Any] = {
    **_TENSOR,
    "properties": {
        "name": {"type": "string", "description": "One of the inputs in the model's metadata."},
        "shape": {"type": "array", "items": {"type": "integer"}, "description": "[n], [n, 1] or [1, n]."},
        "datatype": {"const": "BYTES"},
        "data": {"type": "array", "items": {"anyOf": [_STRING, {"type": "array", "items": _STRING}]}, "minItems": 1},
    },
}
_REQUEST: dict[str, Any] = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": {"type": "array", "items": _INPUT, "minItems": 1},
        "outputs": {
            "type": "array",
            "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        },
    },
}
_RESPONSE: dict[str, Any] = {
    "type": "object",
    "required": ["model_name", "model_version", "outputs"],
    "properties": {
        "id": {"type": "string"},
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "outputs": {"type": "array", "items": _TENSOR},
    },
}
_INFER = f"""The first request that cannot be answered fails the whole call, as the protocol has it. Tensors may also
travel as bytes, with `binary_data_size`, `binary_data` or `binary_data_output` among their parameters and
`{LENGTH}` among the headers: the extension `{EXTENSION}`."""
_EXAMPLE = {
    "inputs": [
        {"name": "question", "shape": [1], "datatype": "BYTES", "data": ["Who wrote it?"]},
        {"name": "passage", "shape": [1], "datatype": "BYTES", "data": ["The report was written by Ada Lovelace."]},
    ]
}


def kserve(desk: Desk) -> APIRouter:
    """All routes of the protocol but the health of the server."""
    router = APIRouter(tags=["KServe v2"])

    async def server(_: Request) -> Response:
        return json_reply({"name": "trifold", "version": __version__, "extensions": [EXTENSION]})

    async def metadata(request: Request) -> Response:
        loaded = _find(desk, request)
        columns = _tabular(loaded).columns({})
        return json_reply(
            {
                "name": request.path_params["model"],
                "versions": [loaded.version.rpartition("@")[2]],
                "platform": f"trifold_{loaded.task.name}",
                "inputs": inputs_of(columns),
                "outputs": outputs_of(columns),
            }
        )

    async def ready(request: Request) -> Response:
        _find(desk, request)
        return json_reply({"name": request.path_params["model"], "ready": True})

    async def infer(request: Request) -> Response:
        parse = partial(
            body_in,
            length=request.headers.get(LENGTH),
            values=desk.most_values,
            elements=desk.settings.max_items,
        )
        body = await desk.parsed(request, parse, (JSON, OCTETS))
        loaded = _find(desk, request)
        identifier, wanted = _addressing(body)
        tabular = _tabular(loaded)
        raws = requests_in(body, tabular.columns({}), desk.settings.max_items)
        columns = tabular.columns({k: v for k, v in raws[0].items() if k in tabular.columns({}).options})
        tensors = tensors_of([], columns, wanted)  # names that are unknown are refused before anything is computed
        in_bytes = outputs_in_bytes(body)
        outcomes = await desk.ask(request, [desk.asked(loaded, raw) for raw in raws])
        for outcome in outcomes:
            if isinstance(outcome.reply, Exception):
                raise outcome.reply
        rows = [{**tabular.cells(outcome.reply), "model": loaded.version} for outcome in outcomes]
        reply = {
            **({} if identifier is None else {"id": identifier}),
            "model_name": request.path_params["model"],
            "model_version": loaded.version.rpartition("@")[2],
            "outputs": tensors_of(rows, columns, wanted),
        }
        if any(in_bytes(tensor["name"]) for tensor in tensors):
            return binary_reply(reply, in_bytes)
        return json_reply(reply)

    add(router, "GET", "/v2", server, _described("The server", "server", also=()))
    for path, word, parameters in (
        ("/v2/models/{model}", "", [_NAMED]),
        ("/v2/models/{model}/versions/{version}", "_version", [_NAMED, _VERSION]),
    ):
        add(router, "GET", path, metadata, _described("A model's tensors", f"metadata{word}", parameters))
        add(
            router,
            "GET",
            f"{path}/ready",
            ready,
            _described("Whether a model answers", f"model_ready{word}", parameters),
        )
        add(
            router,
            "POST",
            f"{path}/infer",
            infer,
            described(
                "Infer: one element of each tensor for each request",
                {200: _inferred()},
                operation=f"infer{word}",
                text=_INFER,
                body=_REQUEST,
                examples={"A question": _EXAMPLE},
                parameters=parameters,
                also=(404, 504),
            ),
        )
    return router


def _inferred() -> dict[str, Any]:
    reply = reply_of(_RESPONSE, 'One element of each tensor for each reply; empty cells are "" or -1.')
    reply["content"][OCTETS] = {"schema": {"type": "string", "format": "binary"}}
    return reply


def _described(
    summary: str, operation: str, parameters: list[dict[str, Any]] | None = None, also: Any = (404, 422)
) -> Description:
    return described(
        summary, {200: reply_of(OBJECT, "It.")}, operation=operation, parameters=parameters or (), also=also
    )


def _find(desk: Desk, request: Request) -> Loaded:
    name, version = request.path_params["model"], request.path_params.get("version")
    loaded = desk.model(name)
    if version is None or loaded.version.rpartition("@")[2] == version:
        return loaded
    base = loaded.version.partition("@")[0]
    for other in desk.hosting.served.values():
        if other.version == f"{base}@{version}":
            return other
    raise ModelNotFound(
        f"{name[:80]!r} is served in version {loaded.version.rpartition('@')[2]}, not {version[:80]!r}."
    )


def _tabular(loaded: Loaded) -> Tabular:
    if not isinstance(loaded.task, Tabular):
        raise WrongTask(f"{loaded.version} is a model for {loaded.task.name!r}, whose requests are no tensors.")
    return loaded.task


def _addressing(body: Mapping[str, Any]) -> tuple[str | None, list[str] | None]:
    """The id of a request and the outputs that it wants."""
    identifier, outputs = body.get("id"), body.get("outputs")
    if identifier is not None and (not isinstance(identifier, str) or len(identifier) > 1000):
        raise InvalidInput("id: expected a string of at most 1,000 characters.", field="id")
    if outputs is None or outputs == []:
        return identifier, None
    if not isinstance(outputs, list) or not all(
        isinstance(o, dict) and isinstance(o.get("name"), str) for o in outputs
    ):
        raise InvalidInput("outputs: expected a list of objects with a name.", field="outputs")
    return identifier, [output["name"] for output in outputs]
