"""What goes back: JSON, and every error in one shape."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Scope

from trifold.errors import NotReady, Overloaded, TrifoldError
from trifold.interfaces.http.trace import trace_of
from trifold.jsontext import to_json
from trifold.wire import STATUS, error_record, error_type

__all__ = ["CLIENT_LEFT", "Handler", "Refusal", "json_reply", "refused", "safely"]

CLIENT_LEFT = 499
"""Status in logs and metrics of a request whose client has left, as nginx has it."""

Handler = Callable[[Request], Awaitable[Response]]

_log = logging.getLogger("trifold.serve")


class Refusal(Exception):
    """A request that is not answered. kind: an error_type of `trifold.wire`; headers go with the reply."""

    def __init__(
        self, kind: str, message: str, *, field: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.field = field
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        return STATUS[self.kind]

    @property
    def record(self) -> dict[str, Any]:
        """The body of the reply."""
        field = {} if self.field is None else {"field": self.field}
        return {"error": self.message, "error_type": self.kind, **field}


def json_reply(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(to_json(value).encode(), status, headers, "application/json")


def refused(error: Exception, scope: Scope) -> Response:
    """The reply to a request that failed with this error. What is a defect of ours goes to the log in full."""
    refusal = _refusal(error)
    trace = trace_of(scope)
    trace.reason = refusal.kind
    if refusal.status == 500 and not isinstance(error, Refusal):
        _log.error("request %s failed", trace.id, exc_info=error)
    return json_reply(refusal.record, refusal.status, refusal.headers)


def safely(handler: Handler) -> Handler:
    """A handler whose every exception is a reply."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except ClientDisconnect:
            return Response(status_code=CLIENT_LEFT)  # nobody reads it
        except asyncio.CancelledError:  # only the end of the server cancels requests, after its grace time
            return refused(NotReady("the server has ended before it could answer. Ask again."), request.scope)
        except Exception as error:
            return refused(error, request.scope)

    return handle


def _refusal(error: Exception) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if not isinstance(error, TrifoldError):
        return Refusal("internal_error", "the server failed to handle this request; its log says more.")
    record = error_record(error)
    wait = error.retry_after if isinstance(error, Overloaded) else 1.0 if isinstance(error, NotReady) else None
    headers = {} if wait is None else {"Retry-After": str(math.ceil(wait))}
    return Refusal(error_type(error), record["error"], field=record.get("field"), headers=headers)
