"""What is known of one request while it is handled."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from trifold.engine.calls import Outcome
from trifold.interfaces.http.keys import Holder

__all__ = ["Trace", "trace_of"]

_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_PLACE = "trifold.trace"


@dataclass(slots=True)
class Trace:
    """One request. began: on the clock of `time.monotonic`. The id only names it in logs and replies."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    began: float = field(default_factory=time.monotonic)
    holder: Holder | None = None
    models: set[str] = field(default_factory=set)
    reason: str | None = None
    parts: dict[str, float] = field(default_factory=dict)
    source: str | None = None

    @staticmethod
    def begin(scope: Mapping[str, Any], given: bytes | None) -> Trace:
        """The trace of a new request, with the id that the client gave, if it is harmless."""
        trace = Trace(given.decode()) if given is not None and _ID.fullmatch(given) else Trace()
        cast("dict[str, Any]", scope)[_PLACE] = trace
        return trace

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def note(self, outcomes: Iterable[Outcome]) -> None:
        """Where the time of the answers went, and which models gave them."""
        prepare = queue = compute = 0.0
        for outcome in outcomes:
            self.models.add(outcome.loaded.version)
            self.source = outcome.source if self.source in (None, outcome.source) else "mixed"
            if outcome.source == "computed":
                prepare += outcome.preparing
                compute += outcome.computing
                queue = max(queue, outcome.waiting)
        self.parts = {"tokenise": prepare, "queue": queue, "compute": compute}

    def facts(self, method: str, path: str, status: int) -> dict[str, object]:
        """What the log says of it."""
        facts: dict[str, object] = {
            "method": method,
            "path": path[:200],
            "status": status,
            "ms": round(1000 * self.seconds, 1),
            "id": self.id,
        }
        if self.models:
            facts["model"] = ",".join(sorted(self.models))
        if self.holder is not None:
            facts["key"] = self.holder.name
        if self.reason is not None:
            facts["refused"] = self.reason
        return facts

    def server_timing(self) -> str:
        """The value of the `Server-Timing` header, in milliseconds."""
        parts = {**self.parts, "total": self.seconds}
        source = f", cache;desc={self.source}" if self.source in ("shared", "recent") else ""
        return ", ".join(f"{name};dur={1000 * value:.2f}" for name, value in parts.items()) + source


def trace_of(scope: Mapping[str, Any]) -> Trace:
    """The trace that the guard began."""
    return cast("Trace", scope[_PLACE])
