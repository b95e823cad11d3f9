"""The server's log: one line for each request and event, never a passage, a question or a key."""

from __future__ import annotations

import json
import logging
import sys
import time

from trifold.printable import printable

__all__ = ["LEVELS", "log_request", "set_up"]

LEVELS = ("debug", "info", "warning", "error")

_log = logging.getLogger("trifold.serve")
_REQUEST = "trifold_request"


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, _REQUEST, None)
        message = record.getMessage()
        if facts is not None:
            rest = " ".join(f"{name}={value}" for name, value in facts.items() if name not in _SHOWN)
            message = f"{facts['method']} {facts['path']} {facts['status']} {facts['ms']} ms {rest}"
        text = f"{_time(record)} {record.levelname:7} {printable(message)}".replace("\n", " ")
        return text + (f"\n{self.formatException(record.exc_info)}" if record.exc_info else "")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, _REQUEST, None)
        entry = {
            "time": _time(record),
            "level": record.levelname.lower(),
            **(facts or {"message": record.getMessage()}),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)


_SHOWN = ("method", "path", "status", "ms")


def set_up(*, json_lines: bool, level: str) -> None:
    """Send the logs of the server, and the warnings of uvicorn, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if json_lines else _Plain())
    for name, least in (("trifold.serve", level.upper()), ("uvicorn.error", "WARNING")):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(least)
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate = [], False


def log_request(facts: dict[str, object], *, quietly: bool = False) -> None:
    """The line of one request: method, path, status, milliseconds, id, and what else is known.

    quietly: at the level of debugging, for what balancers ask every few seconds.
    """
    _log.log(logging.DEBUG if quietly else logging.INFO, "request", extra={_REQUEST: facts})


def _time(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03}Z"
