"""The web page: its own files and those of the tasks' panels, read once and given out as they are.

The page uses nothing but the public REST API, so nothing here knows what it shows. It needs no build step: what the
browser gets are the files of the repository.
"""

from __future__ import annotations

import gzip
import hashlib
import html
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from trifold.interfaces.http.replies import Refusal, safely
from trifold.task import Panel

__all__ = ["pages"]

_HOME = Path(__file__).parent / "page"
_INDEX = "index.html"
_PANELS = "<!-- panels -->"
"""Where `index.html` gets the scripts of the panels."""

_TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
"""What is given out, by suffix; anything else in the folders stays unseen."""

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
_CLOSED = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "hid",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "serial",
    "usb",
)
_HEADERS: Mapping[str, str] = {
    # Asked for again each time, and not sent again while it is the same: a newer trifold is seen at once.
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{name}=()" for name in _CLOSED),
}


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it is sent. tag: the same for both forms, which say the same."""

    content: bytes
    zipped: bytes | None
    media_type: str
    tag: str


def pages(panels: Mapping[str, Panel]) -> APIRouter:
    """The page at `/` and its files at `/page/`; panels by the names of their tasks."""
    router = APIRouter(include_in_schema=False)
    files = {f"tasks/{task}/{name}": file for task, panel in panels.items() for name, file in _files(panel.files)}
    files |= _files(_HOME)
    index = _prepared(files.pop(_INDEX).content.replace(_PANELS.encode(), _scripts(panels).encode()), ".html")

    async def start(request: Request) -> Response:
        return _reply(index, request)

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            raise Refusal("not_found", f"the page has no file {name[:80]!r}.")
        return _reply(files[name], request)

    router.add_api_route("/", safely(start), methods=["GET"], response_model=None)
    router.add_api_route("/page/{name:path}", safely(file), methods=["GET"], response_model=None)
    return router


def _files(folder: Path) -> Iterator[tuple[str, _File]]:
    """The files of a folder by their paths in it. Requests look names up among these, so no path leads elsewhere."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in _TYPES and path.is_file():
            yield path.relative_to(folder).as_posix(), _prepared(path.read_bytes(), path.suffix)


def _prepared(content: bytes, suffix: str) -> _File:
    zipped = gzip.compress(content, mtime=0)
    tag = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
    return _File(content, zipped if len(zipped) < len(content) else None, _TYPES[suffix], tag)


def _scripts(panels: Mapping[str, Panel]) -> str:
    """Elements that load the panels; addresses are relative, so that the page can stand behind a prefix."""
    lines = []
    for task, panel in panels.items():
        base = f"page/tasks/{quote(task)}/"
        # All modules at once, where the browser would find each only in the one that needs it.
        modules = (quote(name) for name, _ in _files(panel.files) if name.endswith(".js") and name != panel.script)
        lines += [f'<link rel="modulepreload" href="{html.escape(base + name)}">' for name in modules]
        lines.append(f'<script type="module" src="{html.escape(base + quote(panel.script))}"></script>')
    return "\n".join(lines)


def _reply(file: _File, request: Request) -> Response:
    headers = {**_HEADERS, "ETag": file.tag}
    if _holds(request.headers.getlist("if-none-match"), file.tag):
        return Response(status_code=304, headers=headers)
    if file.zipped is None or not _unzips(request.headers.getlist("accept-encoding")):
        return Response(file.content, media_type=file.media_type, headers=headers)
    return Response(file.zipped, media_type=file.media_type, headers={**headers, "Content-Encoding": "gzip"})


def _holds(given: Iterable[str], tag: str) -> bool:
    """Whether `If-None-Match` names the tag, as RFC 9110 compares weakly."""
    tags = [one.strip() for line in given for one in line.split(",")]
    return "*" in tags or any(one.removeprefix("W/") == tag.removeprefix("W/") for one in tags)


def _unzips(given: Iterable[str]) -> bool:
    """Whether `Accept-Encoding` takes gzip."""
    codings = [one.strip().lower() for line in given for one in line.split(",")]
    return any(re.fullmatch(r"(x-)?gzip\s*(;\s*q=(1(\.0*)?|0\.0*[1-9]\d*))?", one) for one in codings)
