"""What a served model says of itself: its card, and the facts of its manifest that are for everybody."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from trifold.interfaces.http.describing import add, described, path_parameter, reply_of
from trifold.interfaces.http.desk import Desk
from trifold.interfaces.http.replies import json_reply
from trifold.models.folder import ModelFolder

__all__ = ["cards", "without_paths"]

_CARD = "README.md"
_LARGEST = 1_000_000
_FACTS = (
    *("description", "license", "base", "training", "data", "calibration_data", "metrics", "libraries", "command"),
    *("git_commit", "python", "created", "task_settings", "graphs", "files"),
)
"""What is told of a manifest; what later versions add to it is told when it was thought about."""

_QUOTED = re.compile(r"""(?P<quote>['"`])(?:file:/+|[A-Za-z]:[\\/]|~?[\\/])(?P<path>[^'"`\n]*)(?P=quote)""")
_BARE = re.compile(r"""(?<![\w.:/\\<-])(?:file:/+|[A-Za-z]:[\\/]|~?/)(?P<path>[^\s'"`,;)\]]+)""")

_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["name", "version", "task", "card", "facts"],
    "properties": {
        "name": {"type": "string", "description": "What requests call it."},
        "version": {"type": "string"},
        "task": {"type": "string"},
        "card": {"type": ["string", "null"], "description": "Markdown, with the front matter of Hugging Face's hub."},
        "facts": {
            "type": "object",
            "properties": {
                "metrics": {
                    "type": ["array", "null"],
                    "items": {"type": "object"},
                    "description": "What it was measured on, and how good it was. `reliability`, where it is there, "
                    "has up to 15 bins of equal mass: the mean score and the share right of `n` replies.",
                },
                "task_settings": {"type": "object"},
                "graphs": {"type": "array", "items": {"type": "object"}},
                "files": {"type": "object", "description": "Size and SHA-256 of each."},
            },
        },
    },
}


def cards(desk: Desk) -> APIRouter:
    """The route of the cards."""
    router = APIRouter(tags=["operations"])

    async def card(request: Request) -> Response:
        loaded = desk.model(request.path_params["name"])
        name = next((n for n, one in desk.hosting.served.items() if one is loaded), loaded.version)
        folder = loaded.folder
        text = None if folder is None else await asyncio.to_thread(_text, folder)
        facts = {} if folder is None else {key: folder.manifest[key] for key in _FACTS if key in folder.manifest}
        reply = {"name": name, "version": loaded.version, "task": loaded.task.name, "card": text, "facts": facts}
        return json_reply(without_paths(reply))

    add(
        router,
        "GET",
        "/v1/models/{name}/card",
        card,
        described(
            "What a model says of itself",
            {200: reply_of(_SCHEMA, "Its card and its facts.")},
            operation="model_card",
            parameters=[path_parameter("name", "The name that requests use.")],
            also=(404,),
        ),
    )
    return router


def _text(folder: ModelFolder) -> str | None:
    try:
        with (folder.path / _CARD).open("rb") as stream:
            return stream.read(_LARGEST).decode("utf-8", errors="replace")
    except OSError:
        return None


def without_paths(value: Any) -> Any:
    """JSON in which places of a disk are shortened to the last name: who trained a model did so at home, perhaps."""
    if isinstance(value, str):
        return _BARE.sub(lambda found: _last(found["path"]), _QUOTED.sub(_requoted, value))
    if isinstance(value, Mapping):
        return {key: without_paths(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(inner) for inner in value]
    return value


def _requoted(found: re.Match[str]) -> str:
    return f"{found['quote']}{_last(found['path'])}{found['quote']}"


def _last(path: str) -> str:
    return Path(path.replace("\\", "/")).name or "…"
