"""A stand-in for the server of the REST API, on loopback, that replies as it is told."""

from __future__ import annotations

import asyncio
import inspect
import json
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from trifold import (
    AsyncClient,
    Client,
    Reply,
)
from trifold.remote.retries import Retries

QUICK = Retries(times=5, first_wait=0.005, longest_wait=0.02)
MODEL = {"name": "default", "version": "default@1", "task": "qa", "precision": "int8", "sha256": "ab", "default": True}
PASSAGE = "The report was written by Ada Lovelace in 1843."


def answered(question: str, **more: Any) -> dict[str, Any]:
    answer = {"text": "Ada", "start": 26, "end": 29, "score": 0.75, "passage": 0}
    return {"question": question, "answers": [answer], "no_answer_score": 0.125, "model": "default@1", **more}


def refused(word: str, message: str = "No.", **more: str) -> dict[str, str]:
    return {"error": message, "error_type": word, **more}


@dataclass
class Asked:
    """A request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    at: float


@dataclass
class Says:
    """A reply to be sent. text: instead of JSON."""

    status: int = 200
    record: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None
    after: float = 0.0
    hang_up: bool = False


def obliging(asked: Asked) -> Says:
    """What the real server would say, if every question is about Ada."""
    if asked.path == "/v1/answer":
        return Says(record=answered(asked.body["question"]))
    if asked.path == "/v1/answers":
        return Says(record={"items": [answered(item["question"]) for item in asked.body["items"]]})
    return Says(404, refused("not_found"))


class Stub:
    """A server that replies as the script says, then as `otherwise` does."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.script: deque[Says] = deque()
        self.otherwise: Callable[[Asked], Says] = obliging
        self.left = threading.Event()
        stub, self._lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True

            def _reply(self) -> None:
                length = int(self.headers.get("content-length", 0))
                body = self.rfile.read(length)
                if len(body) < length:  # whoever asked has left
                    self.close_connection = True
                    return
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, json.loads(body) if body else None, time.monotonic())
                with stub._lock:
                    stub.asked.append(asked)
                    says = stub.script.popleft() if stub.script else None
                self._say(says or stub.otherwise(asked))

            def _say(self, says: Says) -> None:
                if says.after and select.select([self.connection], [], [], says.after)[0]:
                    stub.left.set()
                    self.close_connection = True
                    return
                if says.hang_up:
                    self.close_connection = True
                    return
                text = json.dumps(says.record) if says.text is None else says.text
                body = b"" if says.status == 204 else text.encode()
                self.send_response(says.status)
                for name, value in says.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = _reply  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False  # closing waits for its threads
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Stub:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def say(self, *replies: Says) -> None:
        self.script.extend(replies)


class Both:
    """The same call with `Client` or with `AsyncClient`."""

    def __init__(self, kind: str, url: str) -> None:
        self.kind, self.url = kind, url
        self.options: dict[str, Any] = {"retries": QUICK, "timeout": 10.0}

    def __call__(self, method: str, *args: Any, **options: Any) -> Any:
        """What the method returns; of `ask_many`, a list."""
        if self.kind == "sync":
            with Client(self.url, **self.options) as client:
                result = getattr(client, method)(*args, **options)
                return list(result) if isinstance(result, Generator) else result

        async def run() -> Any:
            async with AsyncClient(self.url, **self.options) as client:
                result = getattr(client, method)(*args, **options)
                return await result if inspect.iscoroutine(result) else [reply async for reply in result]

        return asyncio.run(run())

    def until_it_breaks(self, source: Any) -> tuple[list[Any], Exception | None]:
        """The replies to many rows, and the error that ended them."""
        taken: list[Any] = []

        async def run() -> None:
            async with AsyncClient(self.url, **self.options) as client:
                async for reply in client.ask_many(source):
                    taken.append(reply)

        try:
            if self.kind == "async":
                asyncio.run(run())
            else:
                with Client(self.url, **self.options) as client:
                    taken.extend(client.ask_many(source))
        except Exception as error:
            return taken, error
        return taken, None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def rows(number: int) -> list[dict[str, Any]]:
    return [{"question": f"who {i}?", "passage": PASSAGE} for i in range(number)]


def questions(replies: list[Any]) -> list[str]:
    return [reply.question if isinstance(reply, Reply) else type(reply).__name__ for reply in replies]
