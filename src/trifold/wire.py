"""How errors travel between a service and its clients: `{"error", "error_type", "field"?}` with an HTTP status.

| status | error_type | exception |
|---|---|---|
| 400 | malformed | InvalidInput |
| 401 | unauthorized | AccessDenied |
| 403 | forbidden | AccessDenied |
| 404 | not_found, model_not_found | ServiceError, ModelNotFound |
| 405 | method_not_allowed | ServiceError |
| 408 | slow_request | ServiceError |
| 409 | conflict | Conflict |
| 413 | too_large | InvalidInput |
| 415 | unsupported_media_type | ServiceError |
| 422 | invalid_input, wrong_task | InvalidInput, WrongTask |
| 429 | overloaded | Overloaded |
| 431 | headers_too_large | ServiceError |
| 500 | internal_error | EngineError |
| 503 | not_ready | NotReady |
| 504 | deadline_exceeded | DeadlineExceeded |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trifold.errors import (
    AccessDenied,
    Conflict,
    DeadlineExceeded,
    EngineError,
    InvalidInput,
    ModelNotFound,
    NotReady,
    Overloaded,
    ServiceError,
    TrifoldError,
    UsageError,
    WrongTask,
)

__all__ = ["STATUS", "error_from", "error_record", "error_type"]

STATUS: Mapping[str, int] = {
    "malformed": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "model_not_found": 404,
    "method_not_allowed": 405,
    "slow_request": 408,
    "conflict": 409,
    "too_large": 413,
    "unsupported_media_type": 415,
    "invalid_input": 422,
    "wrong_task": 422,
    "overloaded": 429,
    "headers_too_large": 431,
    "internal_error": 500,
    "not_ready": 503,
    "deadline_exceeded": 504,
}
"""HTTP status of each error_type."""

_TYPES: tuple[tuple[type[TrifoldError], str], ...] = (
    (InvalidInput, "invalid_input"),
    (ModelNotFound, "model_not_found"),
    (WrongTask, "wrong_task"),
    (UsageError, "invalid_input"),
    (Overloaded, "overloaded"),
    (DeadlineExceeded, "deadline_exceeded"),
    (NotReady, "not_ready"),
    (Conflict, "conflict"),
    (TrifoldError, "internal_error"),
)
_EXCEPTIONS: Mapping[str, type[TrifoldError]] = {
    "unauthorized": AccessDenied,
    "forbidden": AccessDenied,
    "model_not_found": ModelNotFound,
    "conflict": Conflict,
    "wrong_task": WrongTask,
    "internal_error": EngineError,
    "not_ready": NotReady,
    "deadline_exceeded": DeadlineExceeded,
}
_INPUT = ("malformed", "too_large", "invalid_input")
_DEFAULT_WAIT = 1.0


def error_type(error: TrifoldError) -> str:
    """The word by which an error travels."""
    return next(word for kind, word in _TYPES if isinstance(error, kind))


def error_record(error: TrifoldError) -> dict[str, Any]:
    """An error as JSON types."""
    record = {"error": str(error), "error_type": error_type(error)}
    if isinstance(error, InvalidInput) and error.field is not None:
        record["field"] = error.field
    return record


def error_from(record: Mapping[str, Any], retry_after: float | None = None) -> TrifoldError:
    """The exception of a record, as the other side raised it.

    retry_after: seconds, from the header of the reply, where it has one.
    """
    message, word, field = (record.get(key) for key in ("error", "error_type", "field"))
    text = message if isinstance(message, str) else "the service reported an error without saying which."
    if word in _INPUT:
        return InvalidInput(text, field=field if isinstance(field, str) else None)
    if word == "overloaded":
        return Overloaded(text, retry_after=_DEFAULT_WAIT if retry_after is None else retry_after)
    return _EXCEPTIONS.get(str(word), ServiceError)(text)
