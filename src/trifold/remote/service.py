"""A service of trifold's as an object, with threads or with asyncio. A task adds what its models are asked."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import aclosing, closing
from typing import Any, Self, TypeVar

from trifold.errors import InvalidInput, TrifoldError
from trifold.remote.ahead import ahead, ahead_async
from trifold.remote.batches import Answered, Cutter, Route, Row, answer_batch, cut, cut_async
from trifold.remote.exchange import Flow, misfit
from trifold.remote.files import ExtractedText, File, extract_at, opened
from trifold.remote.retries import Retries
from trifold.remote.served import ServedModel, model_of, models_of, ready_at, remove_at, serve_at
from trifold.remote.settings import Settings, settings, whole
from trifold.remote.shapes import Misread
from trifold.remote.transport import AsyncTransport, Transport

__all__ = ["AsyncService", "Service"]

T = TypeVar("T")


class _Addressed:
    """What both kinds of service are made of."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        model: str | None = None,
        timeout: float | None = 60.0,
        connect_timeout: float = 5.0,
        retries: int | Retries = 5,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        if model is not None and (not isinstance(model, str) or not model):
            raise InvalidInput(f"model: expected a name, found {model!r}. Try 'default'.", field="model")
        self._settings: Settings = settings(
            url,
            api_key=api_key,
            timeout=timeout,
            connect_timeout=connect_timeout,
            retries=retries,
            ssl_context=ssl_context,
        )
        self._model = model
        self._open()

    def _open(self) -> None:
        raise NotImplementedError

    @property
    def url(self) -> str:
        """The address of the service, without a slash at its end."""
        return self._settings.url

    def __repr__(self) -> str:
        model = "" if self._model is None else f", model={self._model!r}"
        return f"{type(self).__name__}({self.url!r}{model})"

    def _typed(self, answered: Answered, path: str, read: Callable[[dict[str, Any]], T]) -> Iterator[T | TrifoldError]:
        """The records of a batch, and what stops all after it."""
        for reply in answered.replies:
            if isinstance(reply, TrifoldError):
                yield reply
                continue
            try:
                yield read(reply)
            except Misread as error:
                raise misfit(self.url + path, error) from None
        if answered.fatal is not None:
            raise answered.fatal


class Service(_Addressed):
    """A service, for any number of threads."""

    def _open(self) -> None:
        self._transport = Transport(self._settings)

    def models(self) -> tuple[ServedModel, ...]:
        """The models that the service answers with."""
        return self._run(models_of(self._settings))

    def model(self, name: str) -> ServedModel:
        """One model of the service. Raises ModelNotFound."""
        return self._run(model_of(self._settings, name))

    def ready(self) -> bool:
        """Whether the service answers requests now. Asks once, for `connect_timeout` seconds at most.

        Raises Unreachable when something else than trifold answers there.
        """
        return self._run(ready_at(self._settings))

    def extract(self, file: File, *, name: str | None = None, timeout: float | None = None) -> ExtractedText:
        """The text of a file: plain text, Markdown, HTML, PDF or Word.

        file: a path, or the bytes. name: helps to tell forms of text apart; by default that of the path. timeout:
        instead of the client's. Raises DataError for a path that cannot be read; InvalidInput for a file that is
        damaged, locked, too large or without text, ServiceError for a kind that is not read; AccessDenied,
        Overloaded, DeadlineExceeded, NotReady, Unreachable.
        """
        return self._run(extract_at(self._settings, *opened(file, name), timeout))

    def serve_model(self, name: str, model: str, *, timeout: float | None = None) -> ServedModel:
        """For administrators: from now on the service answers `name` with this model, which it loads first.

        model: as in `trifold.load`, on the service's machine. timeout: seconds, where loading takes longer than other
        calls may. No request fails meanwhile. Raises ModelNotFound, AccessDenied.
        """
        return self._run(serve_at(self._settings, name, model, timeout))

    def remove_model(self, name: str) -> None:
        """For administrators: the service answers `name` no more. Raises ModelNotFound, AccessDenied."""
        self._run(remove_at(self._settings, name))

    def close(self) -> None:
        """Close the connections. What is asked later raises UsageError."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, flow: Flow[T]) -> T:
        return self._transport.run(flow)

    def _many(
        self, rows: Iterable[Mapping[str, Any]], route: Route, read: Callable[[dict[str, Any]], T], in_flight: int
    ) -> Generator[T | TrifoldError, None, None]:
        """The replies to many rows. in_flight: requests at a time. Raises InvalidInput at once."""
        most = whole(in_flight, "in_flight")
        cutter = Cutter()

        def work(batch: list[Row], left: threading.Event) -> Answered:
            return self._transport.run(answer_batch(batch, route, self._settings, cutter), left)

        def replies() -> Generator[T | TrifoldError, None, None]:
            with closing(ahead(cut(rows, cutter), work, most)) as batches:
                for answered in batches:
                    yield from self._typed(answered, route.path, read)

        return replies()


class AsyncService(_Addressed):
    """A service, for any number of tasks of one event loop."""

    def _open(self) -> None:
        self._transport = AsyncTransport(self._settings)

    async def models(self) -> tuple[ServedModel, ...]:
        """The models that the service answers with."""
        return await self._run(models_of(self._settings))

    async def model(self, name: str) -> ServedModel:
        """One model of the service. Raises ModelNotFound."""
        return await self._run(model_of(self._settings, name))

    async def ready(self) -> bool:
        """Whether the service answers requests now: see `Service.ready`."""
        return await self._run(ready_at(self._settings))

    async def extract(self, file: File, *, name: str | None = None, timeout: float | None = None) -> ExtractedText:
        """The text of a file: see `Service.extract`."""
        content, called = await asyncio.to_thread(opened, file, name)
        return await self._run(extract_at(self._settings, content, called, timeout))

    async def serve_model(self, name: str, model: str, *, timeout: float | None = None) -> ServedModel:
        """For administrators: let `name` be answered by a model: see `Service.serve_model`."""
        return await self._run(serve_at(self._settings, name, model, timeout))

    async def remove_model(self, name: str) -> None:
        """For administrators: the service answers `name` no more. Raises ModelNotFound, AccessDenied."""
        await self._run(remove_at(self._settings, name))

    async def aclose(self) -> None:
        """Close the connections. What is asked later raises UsageError."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _run(self, flow: Flow[T]) -> T:
        return await self._transport.run(flow)

    def _many(
        self,
        rows: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
        route: Route,
        read: Callable[[dict[str, Any]], T],
        in_flight: int,
    ) -> AsyncGenerator[T | TrifoldError, None]:
        """The replies to many rows. in_flight: requests at a time. Raises InvalidInput at once."""
        most = whole(in_flight, "in_flight")
        cutter = Cutter()

        async def work(batch: list[Row]) -> Answered:
            return await self._transport.run(answer_batch(batch, route, self._settings, cutter))

        async def replies() -> AsyncGenerator[T | TrifoldError, None]:
            async with aclosing(ahead_async(cut_async(rows, cutter), work, most)) as batches:
                async for answered in batches:
                    for reply in self._typed(answered, route.path, read):
                        yield reply

        return replies()
