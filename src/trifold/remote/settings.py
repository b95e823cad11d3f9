"""Where a service is and how it is spoken with, checked before anything is sent."""

from __future__ import annotations

import ipaddress
import math
import os
import random
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from trifold.errors import InvalidInput
from trifold.remote.retries import Retries, Tries

__all__ = ["API_KEY", "Settings", "seconds", "settings", "whole"]

API_KEY = "TRIFOLD_API_KEY"
"""The environment variable with the key, where none is given."""

_EXAMPLE = "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True)
class Settings:
    """What all requests to one service have in common.

    url: without a slash at its end. loopback: it is this machine. api_key: never shown. timeout: seconds for a call
    with all its repetitions, None for as long as it takes. connect_timeout: seconds for one connection.
    """

    url: str
    loopback: bool
    timeout: float | None
    connect_timeout: float
    retries: Retries
    api_key: str | None = field(default=None, repr=False)
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    chance: Callable[[], float] = field(default=random.random, repr=False)

    def tries(self, timeout: float | None = None, *, retries: Retries | None = None) -> Tries:
        """The tries of a call that begins now. timeout, retries: instead of those of all calls."""
        left = self.timeout if timeout is None else seconds(timeout, "timeout")
        return Tries(retries or self.retries, left, clock=self.clock, chance=self.chance)


def settings(
    url: str,
    *,
    api_key: str | None,
    timeout: float | None,
    connect_timeout: float,
    retries: int | Retries,
    ssl_context: ssl.SSLContext | None,
) -> Settings:
    """Check what a caller gave. Without a key, the environment's is taken; an empty one stands for none.

    Raises InvalidInput, which never repeats a key.
    """
    address, loopback = _address(url)
    return Settings(
        address,
        loopback,
        None if timeout is None else seconds(timeout, "timeout"),
        seconds(connect_timeout, "connect_timeout"),
        retries if isinstance(retries, Retries) else Retries(retries),
        _key(os.environ.get(API_KEY, "") if api_key is None else api_key),
        ssl_context,
    )


def seconds(value: float, name: str) -> float:
    """A number of seconds, found well-formed. Raises InvalidInput."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InvalidInput(f"{name}: expected seconds over 0, found {value!r}.", field=name)
    return float(value)


def whole(value: int, name: str) -> int:
    """A whole number from 1, found well-formed. Raises InvalidInput."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInput(f"{name}: expected a whole number from 1, found {value!r}.", field=name)
    return value


def _address(url: str) -> tuple[str, bool]:
    """An address without its last slash, and whether it is this machine's."""
    if not isinstance(url, str):
        raise _unusable(f"expected a text, found a {type(url).__name__}")
    # What could hold a secret (a password before an @, a key in a query) is not repeated.
    if "@" in url:
        raise _unusable("found one with an @", "Leave the user out, and give the key as api_key.")
    if "?" in url or "#" in url:
        raise _unusable("found one with a query or fragment", "Leave out what follows the ? or #.")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise _unusable(f"found {url[:200]!r} ({error})") from None
    if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url or "\\" in url:
        raise _unusable(f"found {url[:200]!r}")
    return url.rstrip("/"), _is_loopback(host)


def _unusable(found: str, remedy: str = f"Give one such as {_EXAMPLE}.") -> InvalidInput:
    return InvalidInput(f"url: expected the address of a service, {found}.", remedy, field="url")


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
        return address.is_loopback or address.is_unspecified
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _key(value: str) -> str | None:
    if not isinstance(value, str):
        raise InvalidInput(f"api_key: expected a text, found a {type(value).__name__}.", field="api_key")
    key = value.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidInput(
            "api_key: found characters that no key has (blanks, line ends, letters beyond ASCII).",
            f"Give the key alone, as it stands in the service's key file. It is read from {API_KEY} where none is "
            "given.",
            field="api_key",
        )
    return key or None
