"""trifold: train a model once, use it three ways.

>>> import trifold
>>> reader = trifold.load("default")
>>> reply = reader.ask("Who wrote it?", "The report was written by Ada Lovelace in 1843.")
>>> reply.answers[0].text, reply.answers[0].start, reply.answers[0].end
('Ada Lovelace', 26, 38)
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from trifold.errors import (
    AccessDenied,
    Conflict,
    DataError,
    DeadlineExceeded,
    EngineError,
    InvalidInput,
    MissingExtra,
    ModelDamaged,
    ModelNotFound,
    NotReady,
    Overloaded,
    ServiceError,
    TrifoldError,
    Unreachable,
    UsageError,
    WrongTask,
)

if TYPE_CHECKING:
    from trifold.task import Limits
    from trifold.tasks.qa.client import AsyncClient, Client
    from trifold.tasks.qa.pipeline import pipeline
    from trifold.tasks.qa.reader import Reader, load
    from trifold.tasks.qa.records import Answer, Reply

__all__ = [
    "AccessDenied",
    "Answer",
    "AsyncClient",
    "Client",
    "Conflict",
    "DataError",
    "DeadlineExceeded",
    "EngineError",
    "InvalidInput",
    "Limits",
    "MissingExtra",
    "ModelDamaged",
    "ModelNotFound",
    "NotReady",
    "Overloaded",
    "Reader",
    "Reply",
    "ServiceError",
    "TrifoldError",
    "Unreachable",
    "UsageError",
    "WrongTask",
    "__version__",
    "load",
    "pipeline",
]

__version__ = "0.1.0"

# ONNX Runtime would otherwise keep a record of its use, with an identifier of the device, in the user's cache folder.
# It looks when it is imported. Whoever wants the record sets 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Imported at first use: `trifold --help` and `import trifold` need neither numpy nor the inference runtime.
_LAZY = {
    "Answer": "trifold.tasks.qa.records",
    "AsyncClient": "trifold.tasks.qa.client",
    "Client": "trifold.tasks.qa.client",
    "Limits": "trifold.task",
    "Reader": "trifold.tasks.qa.reader",
    "Reply": "trifold.tasks.qa.records",
    "load": "trifold.tasks.qa.reader",
    "pipeline": "trifold.tasks.qa.pipeline",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'trifold' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
