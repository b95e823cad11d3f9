"""What every service of trifold's is asked beside its task: which models it serves, and whether it is ready."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from trifold.errors import DeadlineExceeded, InvalidInput, NotReady, Overloaded, TrifoldError
from trifold.remote.batches import encode
from trifold.remote.exchange import Call, Flow, exchange, fetch, misfit
from trifold.remote.retries import Retries
from trifold.remote.settings import Settings
from trifold.remote.shapes import Misread, entry, listed, record

__all__ = ["ServedModel", "model_of", "models_of", "ready_at", "remove_at", "serve_at"]

_MODELS = "/v1/models"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that a service answers with.

    name: by which requests name it. version: what it is, such as `mine@3`. precision: `int8` or `fp32`, None for a
    model that computes nothing. sha256: equal where models are. default: it answers requests that name none.
    """

    name: str
    version: str
    task: str
    precision: str | None
    sha256: str
    default: bool


def models_of(settings: Settings) -> Flow[tuple[ServedModel, ...]]:
    """All models."""
    return fetch(Call("GET", _MODELS), settings, _all)


def model_of(settings: Settings, name: str) -> Flow[ServedModel]:
    """One model. Raises ModelNotFound."""
    return fetch(Call("GET", _path(name)), settings, _one)


def serve_at(settings: Settings, name: str, model: str, timeout: float | None) -> Flow[ServedModel]:
    """Let a name be answered by a model from now on."""
    return fetch(Call("PUT", _path(name), encode({"model": model})), settings, _one, timeout=timeout)


def remove_at(settings: Settings, name: str) -> Flow[None]:
    """Let a name be answered no more. When the reply is lost it may be gone or not: nothing is asked again."""
    return fetch(Call("DELETE", _path(name), repeatable=False), settings, lambda _: None)


def ready_at(settings: Settings) -> Flow[bool]:
    """Whether requests are answered now. Asks once, for the time of a connection at most.

    Raises Unreachable when something else answers.
    """
    call = Call("GET", "/v2/health/ready")
    outcome = yield from exchange(call, settings, settings.tries(settings.connect_timeout, retries=Retries(0)))
    value = outcome.value
    if outcome.again or isinstance(value, NotReady | DeadlineExceeded | Overloaded):
        return False
    if isinstance(value, TrifoldError):
        raise value
    try:
        return value is None or record(value, "the reply").get("ready") is not False
    except Misread as error:
        raise misfit(settings.url + call.path, error) from None


def _path(name: str) -> str:
    if not isinstance(name, str) or any(part in ("", ".", "..") for part in name.split("/")):
        raise InvalidInput(f"name: expected the name of a model, found {name!r}. Try 'default'.", field="name")
    try:
        return f"{_MODELS}/{quote(name, safe='/@')}"
    except UnicodeEncodeError:
        raise InvalidInput(
            f"name: expected the name of a model, found {name!r}. Try 'default'.", field="name"
        ) from None


def _all(value: object) -> tuple[ServedModel, ...]:
    return tuple(_one(item) for item in listed(record(value, "the reply").get("models"), "models"))


def _one(value: object) -> ServedModel:
    found = record(value, "a model")
    return ServedModel(
        entry(found, "name", str),
        entry(found, "version", str),
        entry(found, "task", str),
        None if found.get("precision") is None else entry(found, "precision", str),
        entry(found, "sha256", str),
        entry(found, "default", bool),
    )
