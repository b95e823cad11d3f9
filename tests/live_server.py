"""`trifold serve` in a process of its own, and conversations with it down to the bytes."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from trifold.wire import STATUS

__all__ = ["ASK", "Reply", "Serving", "Wire", "is_error"]

ASK: dict[str, Any] = {"question": "Who wrote it?", "passage": "The report was written by Ada Lovelace in 1843."}
"""A good question."""

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_ADDRESS = re.compile(r"listens at (http://(\S+):(\d+))")


class Serving:
    """A server on a free port of loopback, ended with SIGTERM.

    flags: of `trifold serve`. env: variables beside this process's own, of which none of trifold's are kept. check:
    whether the end asserts exit code 0 and a log without tracebacks. ready: whether to wait for the models. files: how
    many files it may open, and how many it may allow itself.
    """

    def __init__(
        self,
        *flags: str,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        ready: bool = True,
        files: tuple[int, int] | None = None,
    ) -> None:
        self._flags = flags
        self._env = dict(env or {})
        self._check = check
        self._ready = ready
        self._files = files
        self.url = ""
        self.port = 0

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="serving")
        self._log = Path(self._folder.name) / "log"
        own = {name: value for name, value in os.environ.items() if not name.startswith("TRIFOLD_")}
        environment = {**own, "TRIFOLD_HOME": self._folder.name, **self._env}
        with self._log.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "trifold", "serve", "--port", "0", *self._flags],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=environment,
            )
        if self._files is not None:  # before it has read its own limits, which takes it a second
            resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, self._files)
        try:
            self._start()
        except BaseException:
            self.process.kill()
            self.process.wait()
            self._folder.cleanup()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            code = self.stop()
            log = self.log()
        finally:
            self._folder.cleanup()
        if self._check and error is None:
            assert code == 0, f"exit code {code}:\n{log[-4000:]}"
            assert "Traceback" not in log, log[-8000:]

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self, seconds: float = 60) -> int:
        """Ask the server to end; its exit code. It is killed where it does not within these seconds."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def log(self) -> str:
        """Everything that the server has written."""
        return self._log.read_text("utf-8", errors="backslashreplace")

    @property
    def files(self) -> int:
        """How many files it has open, connections among them."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    @property
    def seconds(self) -> float:
        """Processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, *, peak: bool = False) -> float:
        """Resident memory in MB of 10^6 bytes, now or at its highest so far."""
        status = Path(f"/proc/{self.pid}/status").read_text("ascii")
        found = re.search(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024 / 1e6

    def ask(
        self,
        body: object = None,
        path: str = "/v1/answer",
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 20,
    ) -> tuple[int, dict[str, str], Any]:
        """POST of JSON, by default of a good question: status, headers by lower-case name, body."""
        return self.send("POST", path, ASK if body is None else body, headers=headers, timeout=timeout)

    def get(
        self, path: str, *, headers: Mapping[str, str] | None = None, timeout: float = 20
    ) -> tuple[int, dict[str, str], Any]:
        """GET: status, headers by lower-case name, body."""
        return self.send("GET", path, headers=headers, timeout=timeout)

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 20,
    ) -> tuple[int, dict[str, str], Any]:
        """One request on a connection of its own: status, headers by lower-case name, body (parsed where it is JSON).

        body: as JSON types; None for none. timeout: seconds.
        """
        content = None if body is None else json.dumps(body).encode()
        own = {} if body is None else {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, content, {**own, **(headers or {})}, method=method)
        try:
            with _DIRECT.open(request, timeout=timeout) as reply:
                return reply.status, _lower(reply.headers), _read(reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _lower(error.headers), _read(error.read())

    def _start(self) -> None:
        limit = time.monotonic() + 60
        while (found := _ADDRESS.search(self.log())) is None:
            self._wait(limit)
        self.url, self.port = found[1], int(found[3])
        while self._ready and self.get("/v2/health/ready")[0] != 200:
            self._wait(limit)

    def _wait(self, limit: float) -> None:
        assert self.process.poll() is None, f"the server ended at once:\n{self.log()[-4000:]}"
        assert time.monotonic() < limit, f"the server did not start:\n{self.log()[-4000:]}"
        time.sleep(0.02)


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _read(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode()


class Reply(NamedTuple):
    """Of a bare connection. headers: by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes


def is_error(status: int, body: Any) -> bool:
    """Whether a reply is an error as the contract has it: with a sentence, and the word that belongs to its status."""
    return (
        isinstance(body, dict)
        and isinstance(body.get("error"), str)
        and bool(body["error"])
        and STATUS.get(body.get("error_type", "")) == status
        and body.keys() <= {"error", "error_type", "field"}
    )


class Wire:
    """A bare connection to a server, for requests given byte by byte."""

    def __init__(self, server: Serving, timeout: float = 20) -> None:
        """timeout: seconds to wait for the server's next byte."""
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def reply(self, *, bodiless: bool = False) -> Reply:
        """The next reply that is final. bodiless: to a HEAD request.

        Raises EOFError when the server hangs up instead, OSError when it does so rudely or says nothing.
        """
        status, headers = self.head()
        size = 0 if bodiless or status == 204 else int(headers["content-length"])
        return Reply(status, headers, self.read(size))

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the next reply that is final; raises as `reply`."""
        status = 100
        while status < 200:
            first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            status = int(first.split()[1])
        return status, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def read(self, size: int) -> bytes:
        """So many bytes of a body; raises as `reply`."""
        while len(self._received) < size:
            self._more()
        body, self._received = self._received[:size], self._received[size:]
        return body

    def within(self, seconds: float) -> Self:
        """Itself, from now on waiting for the server's next byte no longer than this."""
        self.socket.settimeout(seconds)
        return self

    def hangs_up(self, seconds: float) -> bool:
        """Whether the server ends the connection within these seconds; whatever it says until then is not kept."""
        limit = time.monotonic() + seconds
        while (left := limit - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                if not self.socket.recv(65_536):
                    return True
            except TimeoutError:
                return False
            except ConnectionError:
                return True
        return False

    def _until(self, end: bytes) -> bytes:
        while end not in self._received:
            self._more()
        found, _, self._received = self._received.partition(end)
        return found

    def _more(self) -> None:
        part = self.socket.recv(65_536)
        if not part:
            raise EOFError("the server hung up")
        self._received += part
