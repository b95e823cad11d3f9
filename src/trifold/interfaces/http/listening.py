"""Where the server listens, and how many it can hear at once."""

from __future__ import annotations

import errno
import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress

from trifold.errors import UsageError
from trifold.interfaces.http.crowd import GUESTS

__all__ = ["BACKLOG", "connections_that_fit", "listen", "waiting"]

BACKLOG = 2048
_OTHER_FILES = 128
"""Files beside connections: models that are loaded, the key file, the loop's own."""

_log = logging.getLogger("trifold.serve")


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises UsageError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise UsageError(f"--host {host}: {error.strerror}. Give an address of this machine.") from None
    family, _, _, _, address = found[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"port {port} is in use. Give another with --port, or 0 for a free one.") from None
        raise UsageError(f"cannot listen at {host} port {port}: {error.strerror}.") from None
    listener.setblocking(False)
    return listener


def waiting(listener: socket.socket) -> Iterator[socket.socket]:
    """Connections that were made and not let in yet."""
    with suppress(OSError):  # there are no more
        while True:
            yield listener.accept()[0]


def connections_that_fit(most: int) -> int:
    """How many connections there can be, up to a number, by the files that a process may open.

    The limit is raised where it may be; where that does not do, the log has a warning.
    """
    if sys.platform == "win32":
        return most
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = most + GUESTS + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return most
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if allowed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed >= needed:
        return most
    fit = max(1, allowed - GUESTS - _OTHER_FILES)
    _log.warning(
        "this process may open %d files: that is enough for %d connections, not for --max-connections %d. "
        "Raise the limit (ulimit -n).",
        allowed,
        fit,
        most,
    )
    return fit
