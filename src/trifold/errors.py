"""Every exception that trifold raises on purpose.

    TrifoldError
    ├── UsageError              what the caller gave cannot be used (command line: exit code 2)
    │   ├── InvalidInput        a question, a passage or an option
    │   ├── DataError           a data file, as a whole
    │   ├── ModelNotFound       no model has that name
    │   ├── ModelDamaged        a model folder that is incomplete, altered or of another format
    │   ├── WrongTask           a model that does something else than what was asked of it
    │   └── MissingExtra        a feature whose optional packages are not installed
    ├── TooManyErrors           more rows of a batch job could not be answered than were allowed (exit code 1)
    ├── ServiceError            a service did not answer a request (exit code 1)
    │   ├── Overloaded          as many requests are waiting as may wait; try later
    │   ├── DeadlineExceeded    not answered within its time
    │   ├── NotReady            starting or shutting down; try later
    │   ├── AccessDenied        a key that is missing or wrong, or too little for what was asked
    │   ├── Conflict            what was to be changed is not any more what it was
    │   └── Unreachable         no service at that address, or something that is none
    └── EngineError             the computation itself failed (command line: exit code 1)

A message says what was expected, what was found and what to do. It never contains a whole passage.
"""

from __future__ import annotations

__all__ = [
    "AccessDenied",
    "Conflict",
    "DataError",
    "DeadlineExceeded",
    "EngineError",
    "InvalidInput",
    "MissingExtra",
    "ModelDamaged",
    "ModelNotFound",
    "NotReady",
    "Overloaded",
    "ServiceError",
    "TooManyErrors",
    "TrifoldError",
    "Unreachable",
    "UsageError",
    "WrongTask",
]


class TrifoldError(Exception):
    """Base of every error that trifold raises on purpose."""

    exit_code = 1


class UsageError(TrifoldError):
    """What the caller gave cannot be used as it is."""

    exit_code = 2


class InvalidInput(UsageError):
    """A question, a passage or an option that cannot be processed.

    `field` names the offending part of the request, for interfaces that point at it. `reason` is the message without
    the `remedy`, for interfaces that show them apart.
    """

    def __init__(self, reason: str, remedy: str = "", *, field: str | None = None) -> None:
        super().__init__(f"{reason} {remedy}" if remedy else reason)
        self.reason = reason
        self.remedy = remedy
        self.field = field


class DataError(UsageError):
    """A data file that cannot be read as what it should be."""


class ModelNotFound(UsageError):
    """No model has the given name."""


class ModelDamaged(UsageError):
    """A model folder that is incomplete, altered, or in a format this version does not read."""


class WrongTask(UsageError):
    """A model that was made for another task than the one asked of it."""


class MissingExtra(UsageError):
    """A feature whose optional packages are not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs packages that are not installed: pip install 'trifold[{extra}]'")


class TooManyErrors(TrifoldError):
    """More rows of a batch job could not be answered than were allowed."""


class ServiceError(TrifoldError):
    """A service did not answer a request that may be fine in itself."""


class Overloaded(ServiceError):
    """As many requests are waiting as may wait. `retry_after`: seconds after which another try may succeed."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeadlineExceeded(ServiceError):
    """Not answered within the time that the request or the service allows."""


class NotReady(ServiceError):
    """The service is starting or shutting down."""


class AccessDenied(ServiceError):
    """A key that is missing or wrong, or too little for what was asked."""


class Conflict(ServiceError):
    """What was to be changed is not any more what it was, since somebody else was there first."""


class Unreachable(ServiceError):
    """No service answers at that address, or what answers is none of trifold's."""


class EngineError(TrifoldError):
    """The computation of a model failed."""
