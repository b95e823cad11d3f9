"""Computes the units of a batch so that the failure of one never touches another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trifold.engine.session import Session
from trifold.errors import EngineError, TrifoldError
from trifold.task import Arrays, Task, Unit

__all__ = ["as_item_error", "compute", "decode"]


def compute(session: Session | None, units: Sequence[Unit]) -> list[Arrays | Exception]:
    """The outputs of each unit, or its own error; a batch that fails as a whole is tried unit by unit."""
    assert session is not None, "a task whose models have no graph gave work to compute"
    try:
        return list(session.run(units))
    except Exception as error:
        if len(units) == 1:
            return [as_item_error(error)]
    return [compute(session, [unit])[0] for unit in units]


def decode(task: Task[Any, Any], request: Any, memo: Any, outputs: Sequence[Arrays | Exception]) -> Any:
    """The reply to a request, or the exception that stands for it."""
    arrays: list[Arrays] = []
    for output in outputs:
        if isinstance(output, Exception):
            return output
        arrays.append(output)
    try:
        return task.decode(request, memo, arrays)
    except BaseException as error:
        return as_item_error(error)


def as_item_error(error: BaseException) -> Exception:
    """The error to report for one item; what must stop the whole program is raised again.

    tokenizers reports some failures as `pyo3_runtime.PanicException`, which derives from BaseException: it too
    belongs to one item.
    """
    if isinstance(error, TrifoldError):
        return error
    if isinstance(error, Exception) or type(error).__name__ == "PanicException":
        wrapped = EngineError(f"this item could not be processed ({type(error).__name__}: {error}).")
        wrapped.__cause__ = error
        return wrapped
    raise error
