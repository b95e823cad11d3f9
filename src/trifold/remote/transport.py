"""Drives a `Flow` over the network: with threads, or with asyncio."""

from __future__ import annotations

import asyncio
import math
import os
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from trifold.errors import UsageError
from trifold.remote.exchange import Failed, Flow, Received, Send
from trifold.remote.settings import Settings

if TYPE_CHECKING:
    import httpx2

__all__ = ["AsyncTransport", "Transport"]

T = TypeVar("T")
Http = TypeVar("Http")

_MOST_BYTES = 1 << 26
"""Of a reply, at most."""
_CONNECTIONS = 100
_KEEPALIVE = 4.0
"""Seconds: fewer than the five after which common servers hang up, so that no request meets a closing connection."""
_SHOWN = 300
_CLOSED = "this client is closed. Make another one."


class _LeftEarly(Exception):
    """Whoever wanted the reply has gone."""


class Transport:
    """Requests of any number of threads to one service, over connections that are kept.

    The time limit is exact but for a service that sends its headers, or a piece of its reply, byte by byte.
    """

    def __init__(self, settings: Settings) -> None:
        import httpx2

        self._settings = settings
        self._http: httpx2.Client = _made(httpx2.Client, settings)
        self._closed = threading.Event()
        self._under_way = 0
        self._lock = threading.Lock()

    def run(self, flow: Flow[T], left: threading.Event | None = None) -> T:
        """What a flow returns or raises. left: once it is set, nothing more is begun for this flow."""
        gone = left or self._closed
        try:
            step = next(flow)
            while True:
                if gone.is_set():
                    raise UsageError(_CLOSED) if self._closed.is_set() else _LeftEarly
                if isinstance(step, Send):
                    step = flow.send(self._send(step))
                else:
                    gone.wait(min(step.seconds, threading.TIMEOUT_MAX))
                    step = next(flow)
        except StopIteration as end:
            value: T = end.value
            return value

    def close(self) -> None:
        """Begin no more requests, and close all connections, once those under way in other threads have ended."""
        with self._lock:
            self._closed.set()
            idle = not self._under_way
        if idle:
            self._http.close()

    def _send(self, send: Send) -> Received | Failed:
        import httpx2

        with self._lock:
            if self._closed.is_set():
                raise UsageError(_CLOSED)
            self._under_way += 1
        body = bytearray()
        try:
            with self._http.stream(send.method, send.url, **_options(send, self._settings)) as response:
                for chunk in response.iter_bytes():
                    body += chunk
                    if failed := _too_much(body, send):
                        return failed
                return Received(response.status_code, response.headers, bytes(body))
        except (httpx2.RequestError, httpx2.InvalidURL, UnicodeError) as error:
            return _failed(error, self._settings)
        finally:
            with self._lock:
                self._under_way -= 1
                last = self._closed.is_set() and not self._under_way
            if last:
                self._http.close()


class AsyncTransport:
    """Requests of any number of tasks of one event loop to one service, over connections that are kept."""

    def __init__(self, settings: Settings) -> None:
        import httpx2

        self._settings = settings
        self._http: httpx2.AsyncClient = _made(httpx2.AsyncClient, settings)

    async def run(self, flow: Flow[T]) -> T:
        """What a flow returns or raises."""
        try:
            step = next(flow)
            while True:
                if self._http.is_closed:
                    raise UsageError(_CLOSED)
                if isinstance(step, Send):
                    step = flow.send(await self._send(step))
                else:
                    await asyncio.sleep(step.seconds)
                    step = next(flow)
        except StopIteration as end:
            value: T = end.value
            return value

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _send(self, send: Send) -> Received | Failed:
        import httpx2

        body = bytearray()
        left = send.left()
        try:
            async with (
                asyncio.timeout(left if math.isfinite(left) else None),
                self._http.stream(send.method, send.url, **_options(send, self._settings)) as response,
            ):
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if failed := _too_much(body, send):
                        return failed
                return Received(response.status_code, response.headers, bytes(body))
        except TimeoutError:
            return Failed("late")
        except (httpx2.RequestError, httpx2.InvalidURL, UnicodeError) as error:
            return _failed(error, self._settings)


def _made(kind: Callable[..., Http], settings: Settings) -> Http:
    """An HTTP client. Proxies of the environment are for other machines only. Raises UsageError for unusable ones."""
    import httpx2

    verify: ssl.SSLContext | bool = settings.ssl_context or True
    if settings.loopback and settings.ssl_context is None:
        # Without TLS, the certificates of the system need not be read.
        verify = httpx2.create_ssl_context() if settings.url.startswith("https:") else False
    limits = httpx2.Limits(
        max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS, keepalive_expiry=_KEEPALIVE
    )
    try:
        return kind(verify=verify, trust_env=not settings.loopback, limits=limits, follow_redirects=False)
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        raise UsageError(
            f"the proxy that the environment names cannot be used ({_shown(error)}). Correct HTTP_PROXY, HTTPS_PROXY "
            "or ALL_PROXY, or name the service's host in NO_PROXY."
        ) from None


def _options(send: Send, settings: Settings) -> dict[str, Any]:
    timeout = _TimeLeft(send.left, settings.connect_timeout)
    return {"headers": dict(send.headers), "content": send.body, "extensions": {"timeout": timeout}}


class _TimeLeft(Mapping[str, "float | None"]):
    """Time limits as httpx2 takes them, counted anew for each step: all steps together get the time that is left."""

    _STEPS = ("connect", "read", "write", "pool")
    _LEAST = 0.001

    def __init__(self, left: Callable[[], float], connect: float) -> None:
        self._left, self._connect = left, connect

    def __getitem__(self, step: str) -> float | None:
        if step not in self._STEPS:
            raise KeyError(step)
        left = max(self._left(), self._LEAST)
        if step == "connect":
            return min(left, self._connect)
        return left if math.isfinite(left) else None

    def __iter__(self) -> Iterator[str]:
        return iter(self._STEPS)

    def __len__(self) -> int:
        return len(self._STEPS)


def _too_much(body: bytearray, send: Send) -> Failed | None:
    if len(body) > _MOST_BYTES:
        return Failed("unusable", f"its reply has more than {_MOST_BYTES >> 20} MiB")
    return Failed("late") if send.left() <= 0 else None


def _failed(error: Exception, settings: Settings) -> Failed:
    """What an error of httpx2 means."""
    import httpx2

    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            remedy = "Give the certificates to trust: ssl_context=ssl.create_default_context(cafile=...)."
            return Failed("unusable", f"its certificate is not trusted ({cause.verify_message})", remedy)
        if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
            return Failed("unusable", "it does not speak TLS", "Write http:// where the service has no certificate.")
    if isinstance(error, httpx2.ConnectTimeout):
        return Failed("absent", f"no connection within {settings.connect_timeout:g} s")
    if isinstance(error, httpx2.TimeoutException):
        return Failed("late")
    system = [os.strerror(c.errno) for c in causes if isinstance(c, OSError) and c.errno is not None and c.errno > 0]
    reason = system[-1] if system else _shown(error)
    if isinstance(error, httpx2.ConnectError):
        return Failed("absent", reason)
    if isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError):
        return Failed("lost", reason)
    return Failed("unusable", reason)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _shown(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:_SHOWN]
