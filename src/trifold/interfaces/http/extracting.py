"""The route that takes a file and gives its text."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from trifold.documents.document import KINDS, Bounds, Document, Unreadable, Why
from trifold.documents.process import Parsing
from trifold.documents.reading import read_document
from trifold.engine.executor import threads
from trifold.errors import InvalidInput, Overloaded
from trifold.interfaces.http.describing import TIMEOUT, Description, add, described, reply_of
from trifold.interfaces.http.desk import Desk
from trifold.interfaces.http.queries import parameters_in
from trifold.interfaces.http.replies import Refusal, json_reply
from trifold.interfaces.http.trace import trace_of

__all__ = ["extracting"]

_PATH = "/v1/extract"
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_TYPES = (
    "application/octet-stream",
    "text/plain",
    "text/markdown",
    "text/x-markdown",
    "text/html",
    "application/xhtml+xml",
    "application/pdf",
    _WORD,
)
_MOST_AT_ONCE = 4
"""Processes that parse, however many cores there are: each may take up to `Bounds.memory`."""
_MOST_WAITING = 16
_LONGEST_NAME = 255
_KIND_OF_REFUSAL: Mapping[Why, str] = {
    "unknown": "unsupported_media_type",
    "too_large": "too_large",
    "unreadable": "invalid_input",
}


def extracting(desk: Desk) -> APIRouter:
    """`POST /v1/extract`."""
    router = APIRouter(tags=["files"])
    parsers = _Parsers()
    bounds = Bounds(text=desk.settings.limits.text_bytes, text_flag="--max-passage-mb")

    async def extract(request: Request) -> Response:
        name = parameters_in(request.scope, ("name",)).get("name")
        if name is not None and not 0 < len(name) <= _LONGEST_NAME:
            raise InvalidInput(f"name: expected 1 to {_LONGEST_NAME} characters.", field="name")
        desk.seconds(request)  # refuses a time that is none before there is work
        async with desk.file(request, _TYPES) as content:
            document = await parsers.read(desk, request, content, bounds, name)
        named = {} if name is None else {"name": name}
        return json_reply({"text": document.text, "kind": document.kind, **named, "warnings": document.warnings})

    add(router, "POST", _PATH, extract, _description())
    return router


class _Parsers:
    """How many files are parsed at once."""

    def __init__(self) -> None:
        self._most = min(threads(), _MOST_AT_ONCE)
        self._turn = asyncio.Semaphore(self._most)
        self._pool = ThreadPoolExecutor(self._most, thread_name_prefix="trifold-extract")
        self._waiting = 0
        self._seconds = 0.2  # that a file took lately

    async def read(self, desk: Desk, request: Request, content: bytes, bounds: Bounds, name: str | None) -> Document:
        """The text of a file. Raises Refusal, Overloaded, DeadlineExceeded, MissingExtra; ClientDisconnect when the
        client has left, whose work is then ended.
        """
        if self._waiting >= _MOST_WAITING + self._most:
            wait = math.ceil(self._seconds * self._waiting / self._most)
            raise Overloaded("as many files are being read as may wait. Try again later.", retry_after=max(1, wait))
        parsing = Parsing()
        media_type = request.headers.get("content-type")

        def parse() -> Document:
            return read_document(content, bounds, name=name, media_type=media_type, parsing=parsing)

        async def work() -> Document:
            async with self._turn:
                began = time.monotonic()
                document = await asyncio.get_running_loop().run_in_executor(self._pool, parse)
                took = time.monotonic() - began
                self._seconds += 0.2 * (took - self._seconds)
                trace_of(request.scope).parts = {"extract": took}
                return document

        answer = asyncio.ensure_future(work())

        def stop(_: str) -> None:
            parsing.end()
            answer.cancel()

        self._waiting += 1
        try:
            return await desk.wait(request, answer, stop)
        except Unreadable as error:
            raise Refusal(_KIND_OF_REFUSAL[error.why], str(error)) from None
        finally:
            self._waiting -= 1


def _description() -> Description:
    reply = {
        "type": "object",
        "required": ["text", "kind", "warnings"],
        "properties": {
            "text": {"type": "string", "description": "Every passage may be such a text."},
            "kind": {"enum": list(KINDS), "description": "What the file turned out to be."},
            "name": {"type": "string", "description": "As it was given."},
            "warnings": {
                "type": "array",
                "items": {"type": "string"},
                "description": "What may be missing or otherwise than it was.",
            },
        },
    }
    name = {
        "name": "name",
        "in": "query",
        "required": False,
        "description": "Of the file.",
        "schema": {"type": "string", "minLength": 1, "maxLength": _LONGEST_NAME},
    }
    description = described(
        "The text of a file",
        {200: reply_of(reply, "Its text.")},
        operation="v1_extract",
        text="Plain text in any encoding, Markdown, HTML, PDF and Word (.docx), told apart by content, then by name, "
        "then by `Content-Type`. The lines of a paragraph are put together. Text in pictures is not recognised. "
        "Nothing is kept.",
        parameters=[name, TIMEOUT],
        also=(413, 415, 422, 504),
    )
    example = {"summary": "A sentence", "value": "The report was written by Ada Lovelace in 1843."}
    content: dict[str, Any] = {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        "text/plain": {"schema": {"type": "string", "minLength": 1}, "examples": {"A sentence": example}},
    }
    extra = {**description["openapi_extra"], "requestBody": {"required": True, "content": content}}
    return {**description, "openapi_extra": extra}
