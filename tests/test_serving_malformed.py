"""Whatever is sent, the server says what is wrong in one shape, forgets it, and goes on answering."""

from __future__ import annotations

import copy
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from conftest import Run
from live_server import ASK, Reply, Serving, Wire, is_error
from trifold.errors import UsageError
from trifold.interfaces.http.keys import Keys

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
GOOD = json.dumps(ASK).encode()
LIVE = b"GET /v2/health/live HTTP/1.1\r\n" + HOST + b"\r\n"
ONE, MANY, HUGGING, INFER = "/v1/answer", "/v1/answers", "/models/default", "/v2/models/default/infer"
OLD, NEW, ADMIN, WRONG = "the-old-key-of-alice", "the-new-key-of-alice", "the-key-of-the-admin", "a-key-nobody-has-got"


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with Serving("--header-timeout", "5", "--body-timeout", "5") as running:
        yield running


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


# ---- ten thousand bodies


def good(path: str) -> dict[str, Any]:
    """A request that a path answers."""
    if path == MANY:
        return {"items": [ASK, {"question": "Where?", "passages": ["In Paris.", "In Rome."], "top_k": 2}]}
    if path == HUGGING:
        return {"inputs": {"question": "Who?", "context": "Ada did."}, "parameters": {"top_k": 2}}
    if path == INFER:
        texts = {"question": ["Who?", "Where?"], "passage": ["Ada did.", "In Rome."]}
        inputs = [{"name": n, "shape": [2], "datatype": "BYTES", "data": data} for n, data in texts.items()]
        return {"id": "7", "inputs": inputs, "parameters": {"always_answer": True}, "outputs": [{"name": "score"}]}
    return {**ASK, "top_k": 1, "always_answer": False, "max_answer_len": 10, "model": "default", "id": 1}


JUNK: tuple[str, ...] = (
    *("null", "true", "false", "0", "-0", "-1", "1.5", "1e999", "-1e999", "1e-999", "9" * 400, "9" * 4200, "[]", "{}"),
    *(
        '""',
        '" "',
        '"\\u0000"',
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\\uffff"',
        '"' + "\u202e\U0001f600e\u0301" * 9 + '"',
    ),
    *(
        "[null]",
        "[[]]",
        "[{}]",
        '[""]',
        '["a", 1]',
        '{"a": 1}',
        '{"": {}}',
        "[" * 400 + "]" * 400,
        "[0" + ",0" * 3000 + "]",
    ),
    *(
        '{"a":' * 300 + "1" + "}" * 300,
        '"' + "a" * 70_000 + '"',
        '"' + "?" * 3000 + '"',
        '"default@9"',
        '"../../etc/passwd"',
    ),
)
HOLE = "\ue000"
NUMBERS = (b"NaN", b"Infinity", b"-Infinity", b"9" * 5000, b"01", b"+1", b".5", b"1e", b"0x10")
NO_UTF8 = (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xe2\x82")
NO_OBJECTS = (b"", b" ", b"null", b"1", b"[]", b'"a"', b"true", b"[{}]", b"\0" * 99, b"{,}", b"{}{}", b"\xef\xbb\xbf")
BROKEN: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    lambda rng, body: body[: rng.randrange(len(body))],
    lambda rng, body: body + rng.choice((b"}", b",", b"{}", b"\0", b"//", body)),
    lambda rng, body: b"\xef\xbb\xbf" + body,
    lambda rng, body: body.decode().encode(rng.choice(("utf-16", "utf-32", "utf-16-le"))),
    lambda rng, body: put_in(rng, body, rng.choice(NO_UTF8)),
    lambda rng, body: body[:-1] + b',"x":' + rng.choice(NUMBERS) + b"}",
    lambda rng, body: body[:-1] + b',"x":' + b"[" * (n := rng.randrange(1000, 90_000)) + b"]" * n + b"}",
    lambda rng, body: b'{"a":' * rng.randrange(1000, 30_000),
    lambda rng, body: body.replace(b'"', b"'"),
    lambda rng, body: rng.choice(NO_OBJECTS),
    lambda rng, body: rng.randbytes(rng.randrange(1, 600)) + b"\xff",
)
KINDS = (
    b"text/plain",
    b"application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=x",
    b"application/jsonx",
    b"?",
)
CODINGS = (b"gzip", b"deflate", b"br", b"identity, gzip", b"x" * 3000)


def put_in(rng: random.Random, body: bytes, what: bytes) -> bytes:
    place = rng.randrange(len(body))
    return body[:place] + what + body[place:]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value within a value."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


def spoilt(rng: random.Random, path: str) -> bytes:
    """A good request with one or two of its values exchanged, doubled, removed, or in company of unknown ones."""
    value = copy.deepcopy(good(path))
    for _ in range(rng.choice((1, 1, 2))):
        *way, last = rng.choice(list(places(value))[1:] or [("items",)])
        holder: Any = value
        for key in way:
            holder = holder[key]
        action = rng.randrange(4)
        if action == 0 and isinstance(holder, dict):
            holder[rng.choice(("x", "", "questions", "\0", "model", "passages", "context", "\U0001f600"))] = HOLE
        elif action == 1 and len(value) > 1:
            del holder[last]
        else:
            holder[last] = HOLE
    text = json.dumps(value)
    while json.dumps(HOLE) in text:
        text = text.replace(json.dumps(HOLE), rng.choice(JUNK), 1)
    if rng.random() < 0.1:  # a field twice
        text = text[:-1] + ', "question": ' + rng.choice(("1", '"Who?"', "null")) + "}"
    return text.encode()


def malformed(rng: random.Random) -> tuple[bytes, Collection[int]]:
    """A request, and the statuses that may answer it."""
    path = rng.choice((ONE, ONE, MANY, HUGGING, INFER))
    body = json.dumps(good(path), ensure_ascii=False).encode()
    form = rng.random()
    if form < 0.6:
        return post(spoilt(rng, path), path), (200, 400, 404, 413, 422)
    if form < 0.9:
        return post(rng.choice(BROKEN)(rng, body), path), (400,)
    if form < 0.92:
        return post(body, path, kind=b"Content-Type: %s\r\n" % rng.choice(KINDS)), (415,)
    if form < 0.94:
        return post(body, path, b"Content-Encoding: %s\r\n" % rng.choice(CODINGS)), (415,)
    if form < 0.96:
        given = rng.choice((b"", b"x", b"-1", b"nan", b"inf", b"1e999", b"0", b"1,2", b"\xff"))
        return post(body, path, b"X-Timeout: %s\r\n" % given), (422,)
    if form < 0.98:
        known = rng.choice(
            (b"evil.example", b"localhost.evil.example", b"127.0.0.1.evil.example", b"[::2]", b"[", b"a b")
        )
        return post(body, path).replace(HOST, b"Host: %s\r\n" % known), (403,)
    origin = rng.choice((b"null", b"http://evil.example", b"https://localhost", b"", b"\xff", b"http://localhost.evil"))
    return post(body, path, b"Origin: %s\r\n" % origin), (403,)


def test_ten_thousand_malformed_requests(server: Serving) -> None:
    rng = random.Random(5)
    seen: Counter[int] = Counter()
    settled = 0.0
    with Watch(server) as watch:
        while (number := sum(seen.values())) < 10_000:
            with Wire(server) as wire:
                for _ in range(200):
                    content, expected = malformed(rng)
                    wire.send(content)
                    reply = wire.reply()
                    checked(reply, expected, content[:2000])
                    seen[reply.status] += 1
                    if reply.headers.get("connection") == "close":
                        assert wire.hangs_up(5)
                        break
            if number < 3000:
                settled = server.memory()
    assert min(seen[status] for status in (200, 400, 403, 404, 415, 422)) > 50, seen
    assert server.memory() - settled < 60
    assert set(watch.replies) == {200}
    assert watch.worst < 1
    answers(server)


# ---- the protocol beneath

UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
EXPECT = b"Expect: 100-continue\r\n"
WIRE: dict[str, tuple[bytes, tuple[int, ...]]] = {
    # requests that are answered
    "one": (post(GOOD), (200,)),
    "in chunks": (chunked(GOOD), (200,)),
    "in chunks, with trailers that are no headers": (chunked(GOOD, end=b"0\r\nHost: evil.example\r\n\r\n"), (200,)),
    "expecting 100": (post(GOOD, ONE, EXPECT), (200,)),
    "pipelined": (post(GOOD) + LIVE + post(b"{") + LIVE, (200, 200, 400, 200)),
    "offering HTTP/2": (post(GOOD, ONE, UPGRADE) + LIVE, (400,)),
    "HTTP/1.0": (get(b"/v2/health/live", HOST, version=b"HTTP/1.0"), (200,)),
    "absolute form": (get(b"http://localhost/v2/health/live"), (200,)),
    "IPv6": (get(b"/v2/health/live", b"Host: [::1]:80\r\n"), (200,)),
    "its own origin": (post(GOOD, ONE, b"Origin: http://localhost\r\n"), (200,)),
    "a blank line first": (b"\r\n" + LIVE, (200,)),
    "many small headers": (get(b"/v2/health/live", HOST, b"X: y\r\n" * 900), (200,)),
    "a query of any bytes": (get(b"/v2/health/live?a=%ff&&&=%00;%zz"), (200,)),
    # what is no HTTP
    "noise": (b"\0\1\2\3\r\n\r\n", (400,)),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), (400,)),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400,)),
    "a version to come": (get(b"/v2", version=b"HTTP/7.0"), (400,)),
    "an unknown method": (get(b"/v2", method=b"BREW2"), (400,)),
    "CONNECT": (get(b"localhost:80", method=b"CONNECT"), (400,)),
    "a header without a colon": (get(b"/v2", HOST, b"what\r\n"), (400,)),
    "a header without a name": (get(b"/v2", HOST, b": x\r\n"), (400,)),
    "a header over two lines": (get(b"/v2", HOST, b"X: a\r\n b\r\n"), (400,)),
    "a blank before the colon": (get(b"/v2", HOST, b"X-API-Key : a\r\n"), (400,)),
    "NUL in a header": (get(b"/v2", HOST, b"X: \0\r\n"), (400,)),
    "bare line feeds": (LIVE.replace(b"\r", b""), (400,)),
    "bytes in a path": (get("/café".encode()), (400,)),
    # lengths
    "two lengths": (post(GOOD, ONE, b"Content-Length: 1\r\n"), (400,)),
    "length and chunks": (chunked(GOOD, b"Content-Length: 5\r\n"), (400,)),
    "length below zero": (post(b"", size=-1), (400,)),
    "length with a sign": (post(b"").replace(b"Length: 0", b"Length: +5"), (400,)),
    "length past counting": (post(b"", size=10**30), (400,)),
    "length in letters": (post(b"").replace(b"Length: 0", b"Length: many"), (400,)),
    "chunks of no size": (chunked(b"")[:-8] + b"zz\r\n", (400,)),
    "chunk too long": (chunked(GOOD).replace(b"\r\n0\r\n", b"excess\r\n0\r\n"), (400,)),
    "chunks last but one": (chunked(GOOD).replace(b"g: chunked", b"g: chunked, gzip"), (400,)),
    "an unknown coding": (chunked(GOOD).replace(b"g: chunked", b"g: x-chunked"), (400,)),
    "no length": (post(b"").replace(b"Content-Length: 0\r\n", b""), (400,)),
    # too much
    "a long path": (get(b"/" + b"a" * 40_000), (431,)),
    "a long header": (get(b"/v2", HOST, b"X: " + b"a" * 40_000 + b"\r\n"), (431,)),
    "many headers": (get(b"/v2", HOST, b"X-Some: header\r\n" * 3000), (431,)),
    "9 MB": (post(b"a" * 9_000_000), (413,)),
    "9 MB announced, waiting for 100": (post(b"", ONE, EXPECT, size=9_000_000), (413,)),
    "8 MB of another kind": (post(b"a" * 8_000_000, kind=b"Content-Type: text/plain\r\n"), (415,)),
    "8 MB nowhere": (post(b"a" * 8_000_000, "/v1/nowhere"), (404,)),
    # where to
    "nowhere": (get(b"/v1/nowhere") + LIVE, (404, 200)),
    "percent signs": (get(b"/%ff%00%zz%") + LIVE, (404, 200)),
    "dots": (get(b"/docs/../../etc/passwd") + get(b"/docs/%2e%2e%2f%2e%2e%2fetc%2fpasswd"), (404, 404)),
    "doubled slashes": (get(b"//v2/health/live"), (404,)),
    "another method": (get(b"/v1/answer") + get(b"/v2", method=b"TRACE") + LIVE, (405, 405, 200)),
    "the whole server": (get(b"*", method=b"OPTIONS"), (404,)),
    # from where
    "no host": (get(b"/v2", b"X: y\r\n"), (403,)),
    "an empty host": (get(b"/v2", b"Host: \r\n"), (403,)),
    "another host": (get(b"/v2", b"Host: evil.example\r\n"), (403,)),
    "another address": (get(b"/v2", b"Host: 10.0.0.1\r\n"), (403,)),
    "a port that is none": (get(b"/v2", b"Host: localhost:99999\r\n"), (403,)),
    "a name before the host": (get(b"/v2", b"Host: localhost@evil.example\r\n"), (403,)),
    "two hosts": (get(b"/v2", b"Host: localhost\r\nHost: evil.example\r\n"), (400,)),
    "two hosts, the good one last": (get(b"/v2", b"Host: evil.example\r\nHost: localhost\r\n"), (400,)),
    "another origin": (get(b"/v2", HOST, b"Origin: http://evil.example\r\n"), (403,)),
    "a secret origin": (get(b"/v2", HOST, b"Origin: null\r\n"), (403,)),
}


@pytest.mark.parametrize("name", WIRE)
def test_the_wire(server: Serving, name: str) -> None:
    content, statuses = WIRE[name]
    with Wire(server) as wire:
        wire.send(content)
        for status in statuses:
            checked(wire.reply(), (status,), name)
    answers(server)


def test_a_body_is_never_read_as_a_request(server: Serving) -> None:
    """A body that comes after an offer to upgrade would be the next request, past whatever stands before us."""
    with Wire(server) as wire:
        wire.send(post(b"", ONE, UPGRADE, size=len(LIVE)))
        time.sleep(0.2)
        wire.send(LIVE)
        assert wire.hangs_up(5)


@pytest.mark.parametrize("form", ["length", "chunks", "no reader"])
def test_a_hundred_megabytes(server: Serving, form: str) -> None:
    block, count = b"a" * 1_000_000, 100
    before = server.memory()
    with Watch(server) as watch, Wire(server) as wire:
        if form == "chunks":
            wire.send(chunked(b"{}", end=b""))
        else:
            path = ONE if form == "length" else "/v1/nowhere"
            wire.send(post(b"", path, size=count * len(block)))
        for _ in range(count):
            wire.send(b"%x\r\n" % len(block) + block + b"\r\n" if form == "chunks" else block)
        if form == "chunks":
            wire.send(b"0\r\n\r\n")
        checked(wire.reply(), (404,) if form == "no reader" else (413,), form)
    assert server.memory() - before < 30
    assert watch.worst < 1
    answers(server)


def test_a_body_that_ends_early(server: Serving) -> None:
    for content in (post(GOOD, size=5000), chunked(GOOD, end=b""), post(GOOD)[:60], b"GET"):
        with Wire(server) as wire:
            wire.send(content)
    answers(server)


# ---- slow senders


@pytest.fixture(scope="module")
def impatient() -> Iterator[Serving]:
    with Serving("--header-timeout", "0.5", "--body-timeout", "0.5", "--max-connections", "40") as running:
        yield running


def drip(wire: Wire, content: bytes, seconds: float) -> None:
    """Send byte by byte over so many seconds, or until the server has had enough."""
    for byte in content:
        try:
            wire.send(bytes([byte]))
        except OSError:
            return
        time.sleep(seconds / len(content))


SLOW: dict[str, tuple[bytes, bytes]] = {
    "headers": (b"", LIVE[:30]),
    "headers after a blank line": (b"\r\n", LIVE[:30]),
    "a body": (post(b"", size=1000), GOOD[:30]),
    "a body in chunks": (chunked(GOOD, end=b""), b"1\r\n \r\n" * 6),
}


@pytest.mark.parametrize("name", SLOW)
def test_who_sends_slowly_is_told_and_left(impatient: Serving, name: str) -> None:
    start, rest = SLOW[name]
    began = time.monotonic()
    with Wire(impatient, 5) as wire:
        wire.send(start)
        drip(wire, rest, 1.5)
        checked(wire.reply(), (408,), name)
        assert wire.hangs_up(1)
    assert time.monotonic() - began < 4


HELD: dict[str, tuple[bytes, bytes]] = {
    "silence": (b"", b""),
    "blank lines after a reply": (LIVE, b"\r\n"),
    "half a request after a reply": (LIVE, b"GET"),
    "a body that nobody reads": (get(b"/v2/health/live", HOST, b"Content-Length: 100\r\n"), b"a"),
    "a body that nobody reads, in chunks": (get(b"/v2/health/live", HOST, b"Transfer-Encoding: chunked\r\n"), b"1\r\n"),
    "a body for nobody": (post(b"", "/v1/nowhere", size=100), b"a"),
    "an offer to upgrade": (get(b"/v2/health/live", HOST, UPGRADE), b"\r\n"),
    "nothing after 413": (post(b"", ONE, EXPECT, size=9_000_000), b""),
}


def test_no_connection_is_held_for_ever(impatient: Serving) -> None:
    with ExitStack() as stack:
        wires = {name: stack.enter_context(Wire(impatient, 5)) for name in HELD}
        for name, (start, more) in HELD.items():
            if start:
                wires[name].send(start)
                wires[name].reply()
            if more:
                wires[name].send(more)
        limit = time.monotonic() + 3
        held = [name for name, wire in wires.items() if not wire.hangs_up(max(0.01, limit - time.monotonic()))]
    assert held == []


def test_a_crowd_of_slow_senders(impatient: Serving) -> None:
    """More than may be connected: what was connected before is answered meanwhile, and everybody soon after."""
    with Watch(impatient) as watch, Wire(impatient) as friend, ExitStack() as stack:
        friend.send(post(GOOD))
        checked(friend.reply(), (200,), "before")
        crowd = [stack.enter_context(Wire(impatient, 5)) for _ in range(120)]
        for number, wire in enumerate(crowd):
            with suppress(OSError):
                wire.send((LIVE[:20], post(b"", size=1000) + b"{", b"")[number % 3])
        for number in range(20):
            friend.send(post(GOOD[:-1] + b', "id": %d}' % number))
            checked(friend.reply(), (200,), "meanwhile")
        status, headers, reply = impatient.ask()
        assert status == 200 or (is_error(status, reply) and status == 503 and int(headers["retry-after"]) > 0)
        assert all(wire.hangs_up(5) for wire in crowd)
        answers(impatient)
    assert set(watch.replies) == {200}
    assert watch.worst < 1


@pytest.mark.xfail(reason="known: no common bound on what connections hold yet", strict=False)
def test_bodies_that_stop_halfway_do_not_fill_the_memory(impatient: Serving) -> None:
    before = impatient.memory(peak=True)
    with ExitStack() as stack:
        crowd = [stack.enter_context(Wire(impatient, 5)) for _ in range(30)]
        for wire in crowd:
            with suppress(OSError):
                wire.send(post(b"a" * 7_000_000, size=8_000_000))
        for wire in crowd:
            checked(wire.reply(), (408, 429, 503), "stopped")
    assert impatient.memory(peak=True) - before < 150
    answers(impatient)


@pytest.mark.xfail(reason="known: no common bound on what connections hold yet", strict=False)
def test_who_never_reads_the_replies_does_not_fill_the_memory(impatient: Serving) -> None:
    before = impatient.memory()
    with Watch(impatient) as watch, ExitStack() as stack:
        for _ in range(4):
            wire = stack.enter_context(Wire(impatient, 0.5))
            with suppress(OSError):
                wire.send(get(b"/openapi.json") * 100_000)
        answers(impatient)
        assert impatient.memory() - before < 60
    assert watch.worst < 1


# ---- keys


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"# who may ask\nuser alice {OLD}\nadmin root {ADMIN}\n")
    return path


def ask(server: Serving, key: str, header: str = "X-API-Key") -> tuple[int, Any]:
    status, _, reply = server.ask(headers={header: f"Bearer {key}" if header == "Authorization" else key})
    return status, reply


@pytest.mark.parametrize("flags", [(), ("--log-json",)])
def test_keys_are_never_shown(keys: Path, flags: tuple[str, ...]) -> None:
    shown = []
    with Serving("--api-key-file", str(keys), "--log-level", "debug", *flags) as server:
        for key, expected in ((OLD, 200), (ADMIN, 200), (WRONG, 401)):
            for headers in (
                {"X-API-Key": key},
                {"Authorization": f"Bearer {key}"},
                {"Authorization": f"BEARER  {key} "},
            ):
                status, given, reply = server.ask(headers=headers)
                assert status == expected
                shown += [str(given), str(reply)]
            for path in ("/metrics", "/info", "/v1/models", "/v1/nowhere", f"/info?key={key}&api_key={key}"):
                _, given, reply = server.get(path, headers={"X-API-Key": key})
                shown += [str(given), str(reply)]
            for header in ("Authorization", "Cookie", "X-Timeout", "Content-Type", "User-Agent", "Referer"):
                server.ask(headers={header: key})
            server.ask(path=f"{ONE}?key={key}", headers={"X-API-Key": key, "X-Request-ID": key})
        with Wire(server) as wire:
            wire.send(post(GOOD, ONE, b"X-API-Key: %s\r\n" % OLD.encode(), b"bad header\r\n"))
            checked(wire.reply(), (400,), "bad header")
        shown.append(server.log())
    assert len("".join(shown)) > 20_000
    for key in (OLD, ADMIN, WRONG):
        assert not any(key in text for text in shown)


def test_a_key_is_taken_from_the_headers_alone(keys: Path) -> None:
    with Serving("--api-key-file", str(keys)) as server, Wire(server) as wire:
        key = b"X-API-Key: %s\r\n" % OLD.encode()
        wire.send(chunked(GOOD, end=b"0\r\n" + key + b"\r\n"))
        checked(wire.reply(), (401,), "a trailer")
        for query in (f"?key={OLD}", f"?api_key={OLD}", f"?X-API-Key={OLD}"):
            assert server.ask(path=ONE + query)[0] == 401


def test_keys_are_read_again_when_they_change(keys: Path) -> None:
    with Serving("--api-key-file", str(keys)) as server:
        assert (ask(server, OLD)[0], ask(server, NEW)[0]) == (200, 401)
        keys.write_text(f"user alice {NEW}\n")
        time.sleep(1.1)
        assert (ask(server, OLD)[0], ask(server, NEW, "Authorization")[0]) == (401, 200)
        keys.write_text(f"user alice {WRONG}\nnonsense\n")
        time.sleep(1.1)
        assert (ask(server, NEW)[0], ask(server, WRONG)[0]) == (200, 401)
        assert "the API keys stay as they were" in server.log()
        assert not any(key in server.log() for key in (OLD, NEW, WRONG))


def test_what_is_no_file_of_keys_leaves_the_old_ones(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trifold.interfaces.http.keys._EVERY", 0)
    known = Keys(keys)
    for broken in (b"user alice short\n", b"\xff\xfe\n", b"", f"user alice {WRONG}\nnonsense\n".encode(), None):
        keys.unlink() if broken is None else keys.write_bytes(broken)
        holder = known.holder(OLD)
        assert holder is not None
        assert (holder.name, holder.role) == ("alice", "user")
        assert known.holder(WRONG) is None
    keys.write_text(f"admin bob {NEW}\n")
    assert (known.holder(OLD), getattr(known.holder(NEW), "name", None)) == (None, "bob")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "no keys in it"),
        (b"# nothing but this\n", "no keys in it"),
        (b"user alice 123456789012345\n", "line 1: expected .*at least 16"),
        (b"user alice\n", "line 1: expected"),
        (f"user alice {OLD}\nuser bob {OLD}\n".encode(), "line 2: this key stands there twice"),
        (f"user alice {OLD}\nowner bob {NEW}\n".encode(), "line 2: expected"),
        (f"user alice {OLD} more\n".encode(), "line 1: expected"),
        (b"user alice \xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\n", "not a text file"),
        ("user alice пароль-пароль-пароль\n".encode(), "line 1: expected"),
        (b"user alice " + b"a" * 600 + b"\n", "line 1: expected"),
        (f"user alice {OLD}\n".encode() + b"#" * 1_000_001, "larger than 1 MB"),
    ],
)
def test_a_file_of_keys_that_is_none(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        Keys(path)
    assert OLD not in str(caught.value)
    assert NEW not in str(caught.value)


def test_a_server_without_its_keys_does_not_start(run: Run, keys: Path) -> None:
    keys.write_text("user alice short-key\n")
    done = run("serve", "--port", "0", "--api-key-file", str(keys))
    assert done.returncode == 2
    assert "line 1: expected `user NAME KEY`" in done.stderr
    assert "short-key" not in done.stderr
    assert "Traceback" not in done.stderr
