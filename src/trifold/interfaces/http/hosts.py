"""Who may be spoken to and from where: against DNS rebinding and requests of foreign web pages."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from trifold.errors import UsageError
from trifold.interfaces.http.settings import is_loopback

__all__ = ["Hosts"]

_HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.%]+)\]|(?P<name>[A-Za-z0-9._~-]+))(?::(?P<port>[0-9]{0,5}))?")


class Hosts:
    """The hosts and origins that are let in.

    A page of another site can make a browser send requests here under that site's own name (DNS rebinding). So `Host`
    must be a name that is known here: on a loopback address, loopback's names; elsewhere also any IP address, which no
    such trick can use, and the names that were allowed. A request with an `Origin` must come from a page of this very
    host, or from an allowed origin.
    """

    def __init__(self, listening: str, allowed: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        """Raises UsageError for an origin that is none."""
        self._loopback = is_loopback(listening)
        self._names = {name.lower().rstrip(".") for name in allowed}
        if not self._loopback and not _is_address(listening):
            self._names.add(listening.lower())
        self._origins = {_origin(origin) for origin in origins}

    def knows(self, host: str) -> bool:
        """Whether the value of a `Host` header names this server."""
        name = _name(host)
        if name is None:
            return False
        if name in self._names or name == "localhost" or name.endswith(".localhost"):
            return True
        return is_loopback(name) if self._loopback else _is_address(name)

    def welcomes(self, origin: str, host: str, scheme: str) -> bool:
        """Whether a page of this origin may ask. host: of the same request.

        Behind an allowed name there may be a proxy that speaks TLS with browsers and plain HTTP with this server.
        """
        origin = origin.lower()
        own = {f"{scheme}://{host}".lower()}
        if _name(host) in self._names:
            own.add(f"https://{host}".lower())
        return origin in self._origins or origin in own


def _name(host: str) -> str | None:
    """The host's name without its port, lower case; None when it is no host."""
    found = _HOST.fullmatch(host)
    if found is None or int(found["port"] or 0) > 65_535:
        return None
    return (found["address"] or found["name"]).lower().rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/") or parts.query:
        raise UsageError(f"--cors-origin: expected an origin such as https://example.org, found {value!r}.")
    return f"{parts.scheme}://{parts.netloc}".lower()
