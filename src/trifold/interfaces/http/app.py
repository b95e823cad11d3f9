"""Puts the server together: the routes of all tasks behind one door."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from importlib.util import find_spec
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from trifold import __version__
from trifold.interfaces.http.answering import answering, hugging
from trifold.interfaces.http.cards import cards
from trifold.interfaces.http.correcting import correcting
from trifold.interfaces.http.describing import ERROR
from trifold.interfaces.http.desk import Desk
from trifold.interfaces.http.documentation import documentation
from trifold.interfaces.http.extracting import extracting
from trifold.interfaces.http.guard import Door, Guard
from trifold.interfaces.http.hosts import Hosts
from trifold.interfaces.http.keys import Keys
from trifold.interfaces.http.kserve import kserve
from trifold.interfaces.http.operations import administration, health, operations
from trifold.interfaces.http.pages import pages
from trifold.interfaces.http.queries import QUERY
from trifold.interfaces.http.replies import Refusal, refused
from trifold.plugins import installed
from trifold.task import Paneled, Route, Servable
from trifold.wire import STATUS

__all__ = ["api", "application"]

_ABOUT = """The answer to a question, quoted word for word from a passage, with its position and the probability that it
is right; or the passage does not say.

Every error is `{"error", "error_type"}`. `X-Request-ID` is honoured or made, and echoed. Where keys are in use, send
`Authorization: Bearer KEY` or `X-API-Key: KEY`."""


def application(desk: Desk, keys: Keys | None) -> ASGIApp:
    """The whole server. Raises UsageError for settings that cannot be."""
    settings = desk.settings
    hosts = Hosts(settings.host, settings.allowed_hosts, settings.cors_origins)
    app: ASGIApp = Door(_traced(api(desk)), keys)
    if settings.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=[origin.rstrip("/").lower() for origin in settings.cors_origins],
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "Server-Timing", "Retry-After"],
        )
    return Guard(app, desk, hosts)


def api(desk: Desk) -> FastAPI:
    """The routes, with their description at `/openapi.json`."""
    app = FastAPI(
        title="trifold",
        version=__version__,
        description=_ABOUT,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if desk.settings.docs else None,
        exception_handlers={HTTPException: _unmatched},
        redirect_slashes=False,
    )
    routes: dict[str, Route] = {}
    for name, plugin in installed().items():
        if isinstance(plugin, Servable):
            for route in plugin.routes():
                routes.setdefault(name, route)
                app.include_router(answering(desk, name, route))
    for router in (hugging(desk, routes), extracting(desk), correcting(desk), kserve(desk)):
        app.include_router(router)
    for router in (health(desk), operations(desk), cards(desk), administration(desk)):
        app.include_router(router)
    if desk.settings.docs:
        app.include_router(documentation())
    if desk.settings.web:
        panels = {name: one.panel() for name, one in installed().items() if isinstance(one, Paneled)}
        app.include_router(pages(panels))
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Have the document name the error and the keys that all paths share."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            components = document.setdefault("components", {})
            components.setdefault("schemas", {})["Error"] = ERROR
            components["securitySchemes"] = {
                "key": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            }
            document["security"] = [{}, {"key": []}, {"header": []}]
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


_KINDS: Mapping[int, str] = {404: "not_found", 405: "method_not_allowed"}


async def _unmatched(request: Request, error: Exception) -> Response:
    """A path or a method that is none of ours."""
    assert isinstance(error, HTTPException)
    kind = _KINDS.get(error.status_code, "malformed")
    message = f"{HTTPStatus(STATUS[kind]).phrase.lower()}: {request.method} {request.url.path[:200]}. See /docs."
    headers = {"Allow": ", ".join(_methods(request))} if kind == "method_not_allowed" else error.headers
    return refused(Refusal(kind, message, headers=headers), request.scope)


_METHODS = ("DELETE", "GET", "POST", "PUT")


def _methods(request: Request) -> list[str]:
    """Everything that the path of a request can be asked with; a router names only those of its first match."""

    def fits(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    methods = [method for method in _METHODS if fits(method)]
    return sorted([*methods, "HEAD"] if "GET" in methods else methods)


def _traced(app: FastAPI) -> ASGIApp:
    """An app whose requests OpenTelemetry traces, where its instrumentation is installed; nothing is sent unless an
    exporter is set up.
    """
    packages = ("opentelemetry", "opentelemetry.instrumentation", "opentelemetry.instrumentation.fastapi")
    if not all(map(find_spec, packages)):  # in this order: to look for a package within one that is missing fails
        return app
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    FastAPIInstrumentor.instrument_app(
        app,
        excluded_urls=r"//[^/]*/v2/health/,//[^/]*/metrics$",  # of whole addresses: a host or model may be called so
        exclude_spans=["receive", "send"],
    )

    async def traced(scope: Scope, receive: Receive, send: Send) -> None:
        scope[QUERY] = scope["query_string"]
        scope["query_string"] = b""  # words that are looked for, or a key that was put there, are not for others to see
        await app(scope, receive, send)

    return traced
