"""Requests byte by byte, and what must hold of whatever comes back."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Collection

from live_server import ASK, Reply, Serving, Wire, is_error

__all__ = [
    "EXPECT",
    "GOOD",
    "HOST",
    "HUGGING",
    "INFER",
    "JSON",
    "LIVE",
    "MANY",
    "ONE",
    "UPGRADE",
    "Watch",
    "answers",
    "checked",
    "chunked",
    "get",
    "post",
]

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
GOOD = json.dumps(ASK).encode()
LIVE = b"GET /v2/health/live HTTP/1.1\r\n" + HOST + b"\r\n"
EXPECT = b"Expect: 100-continue\r\n"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
ONE, MANY, HUGGING, INFER = "/v1/answer", "/v1/answers", "/models/default", "/v2/models/default/infer"


def post(body: bytes, path: str = ONE, *headers: bytes, kind: bytes = JSON, size: int | None = None) -> bytes:
    """The bytes of a request. kind: its Content-Type line. size: another length than the body's."""
    length = b"Content-Length: %d\r\n" % (len(body) if size is None else size)
    return b"POST %s HTTP/1.1\r\n" % path.encode() + HOST + kind + b"".join(headers) + length + b"\r\n" + body


def get(path: bytes, *headers: bytes, version: bytes = b"HTTP/1.1", method: bytes = b"GET") -> bytes:
    return b"%s %s %s\r\n" % (method, path, version) + b"".join(headers or (HOST,)) + b"\r\n"


def chunked(body: bytes, *headers: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    start = b"POST /v1/answer HTTP/1.1\r\n" + HOST + JSON + b"".join(headers) + b"Transfer-Encoding: chunked\r\n\r\n"
    return start + b"%x\r\n" % len(body) + body + b"\r\n" + end


def checked(reply: Reply, expected: Collection[int], about: object) -> None:
    """That a reply has an expected status and, where it is an error, the shape of errors."""
    assert reply.status in expected, (reply.status, reply.body[:300], about)
    if reply.status not in (200, 201, 204):
        assert reply.headers["content-type"] == "application/json", about
        assert is_error(reply.status, json.loads(reply.body)), (reply.body, about)


def answers(server: Serving, seconds: float = 2) -> None:
    """That a good question is answered well and soon."""
    began = time.monotonic()
    status, _, reply = server.ask()
    assert (status, reply["answers"][0]["text"]) == (200, "Ada Lovelace")
    assert time.monotonic() - began < seconds


class Watch:
    """Asks all the while whether the server lives. worst: the longest that it took, in seconds."""

    def __init__(self, server: Serving) -> None:
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.worst = 0.0
        self.replies = Counter[int]()

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        with Wire(self._server) as wire:
            while not self._over.wait(0.05):
                began = time.monotonic()
                wire.send(LIVE)
                self.replies[wire.reply().status] += 1
                self.worst = max(self.worst, time.monotonic() - began)
