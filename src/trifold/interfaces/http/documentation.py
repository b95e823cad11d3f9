"""`/docs`: the API to read and try, without the network."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import Response

from trifold.interfaces.http.replies import Refusal, safely

__all__ = ["documentation"]

_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}


def documentation() -> APIRouter:
    """Swagger UI from the package fastapi-offline, which carries its files."""
    router = APIRouter(include_in_schema=False)
    place = files("fastapi_offline") / "static"
    contents = {name: (place / name).read_bytes() for name in _FILES}  # once: whoever reads slowly holds no copy

    async def page(_: Request) -> Response:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title="trifold: the API",
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="docs/favicon.png",
            swagger_ui_parameters={"tryItOutEnabled": True, "validatorUrl": None},
        )

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _FILES:
            raise Refusal("not_found", f"no such file: {name[:80]!r}.")
        headers = {"Cache-Control": "public, max-age=86400"}
        return Response(contents[name], media_type=_FILES[name], headers=headers)

    router.add_api_route("/docs", safely(page), methods=["GET"], response_model=None)
    router.add_api_route("/docs/{name}", safely(asset), methods=["GET"], response_model=None)
    return router
