"""Whatever comes instead of a request is refused in one shape, and what stands before or behind it is answered."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Iterator

import pytest

from bare_requests import EXPECT, GOOD, HOST, LIVE, ONE, UPGRADE, Watch, answers, checked, chunked, get, post
from live_server import Serving, Wire


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with Serving("--header-timeout", "5", "--body-timeout", "5") as running:
        yield running


WEBSOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eHh4\r\n"
NOISE = b"what is this\r\n\r\n"
WIRE: dict[str, tuple[bytes, tuple[int, ...]]] = {
    # requests that are answered
    "one": (post(GOOD), (200,)),
    "in chunks": (chunked(GOOD), (200,)),
    "in chunks, with trailers that are no headers": (chunked(GOOD, end=b"0\r\nHost: evil.example\r\n\r\n"), (200,)),
    "expecting 100": (post(GOOD, ONE, EXPECT), (200,)),
    "pipelined": (post(GOOD) + LIVE + post(b"{") + LIVE, (200, 200, 400, 200)),
    "offering HTTP/2": (post(GOOD, ONE, UPGRADE) + LIVE, (200, 200)),
    "offering HTTP/2, in chunks": (chunked(GOOD, UPGRADE) + LIVE, (200, 200)),
    "offering HTTP/2 again and again": (post(GOOD, ONE, UPGRADE) * 3 + LIVE, (200, 200, 200, 200)),
    "offering HTTP/2, expecting 100": (post(GOOD, ONE, UPGRADE, EXPECT), (200,)),
    "offering WebSocket": (get(b"/v2/health/live", HOST, WEBSOCKET) + LIVE, (200, 200)),
    "a hundred ahead": (LIVE * 100, (200,) * 100),
    "HTTP/1.0": (get(b"/v2/health/live", HOST, version=b"HTTP/1.0"), (200,)),
    "HTTP/1.0 without a host": (get(b"/v2/health/ready", b"X: y\r\n", version=b"HTTP/1.0"), (200,)),
    "absolute form": (get(b"http://localhost/v2/health/live"), (200,)),
    "IPv6": (get(b"/v2/health/live", b"Host: [::1]:80\r\n"), (200,)),
    "its own origin": (post(GOOD, ONE, b"Origin: http://localhost\r\n"), (200,)),
    "a blank line first": (b"\r\n" + LIVE, (200,)),
    "many small headers": (get(b"/v2/health/live", HOST, b"X: y\r\n" * 900), (200,)),
    "a query of any bytes": (get(b"/v2/health/live?a=%ff&&&=%00;%zz"), (200,)),
    # what is no HTTP
    "good, then noise": (post(GOOD) + NOISE, (200, 400)),
    "good in chunks, then noise": (chunked(GOOD) + NOISE, (200, 400)),
    "good ones, then noise": (post(GOOD) + LIVE + post(GOOD) + NOISE, (200, 200, 200, 400)),
    "good, then a long header": (post(GOOD) + get(b"/v2", HOST, b"X: " + b"a" * 40_000 + b"\r\n"), (200, 431)),
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
    "compressed chunks": (chunked(GOOD).replace(b"g: chunked", b"g: gzip, chunked"), (400,)),
    "compressed chunks, in two headers": (chunked(GOOD, b"Transfer-Encoding: gzip\r\n"), (400,)),
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
    "no host, asking for health": (get(b"/v2/health/live", b"X: y\r\n"), (403,)),
    "no host, in HTTP/1.0": (get(b"/v1/models", b"X: y\r\n", version=b"HTTP/1.0"), (403,)),
    "another host, in HTTP/1.0": (get(b"/v2/health/live", b"Host: evil.example\r\n", version=b"HTTP/1.0"), (403,)),
    "a host with a query": (get(b"/v2", b"Host: localhost?\r\n"), (403,)),
    "a host with a fragment": (get(b"/v2", b"Host: localhost#\r\n"), (403,)),
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


PIECES: tuple[tuple[bytes, int], ...] = (
    (LIVE, 200),
    (post(GOOD), 200),
    (chunked(GOOD), 200),
    (chunked(GOOD, end=b"0\r\nX: y\r\n\r\n"), 200),
    (post(GOOD, ONE, UPGRADE), 200),
    (chunked(GOOD, UPGRADE), 200),
    (get(b"/v2/health/live", HOST, WEBSOCKET), 200),
    (post(LIVE * 3), 400),
    (post(b"\r\n\r\n" * 900), 400),
    (chunked(b"\r\n\r\n" * 900 + LIVE), 400),
    (post(LIVE, "/v1/nowhere"), 404),
    (get(b"/v2/health/live", HOST, b"Content-Length: %d\r\n" % len(LIVE)) + LIVE, 200),
    (b"\r\n" + LIVE, 200),
)


def test_requests_sent_ahead_are_answered_in_order_however_the_bytes_are_cut(server: Serving) -> None:
    rng = random.Random(7)
    for _ in range(60):
        chosen = rng.choices(PIECES, k=12)
        content = b"".join(piece for piece, _ in chosen) + NOISE
        cuts = sorted(rng.randrange(len(content)) for _ in range(rng.randrange(12)))
        with Wire(server) as wire:
            for begin, end in itertools.pairwise([0, *cuts, len(content)]):
                wire.send(content[begin:end])
            assert [wire.reply().status for _ in range(13)] == [*(status for _, status in chosen), 400]
            assert wire.hangs_up(2)


@pytest.mark.parametrize("headers", [(), (UPGRADE,), (WEBSOCKET,)])
def test_a_body_is_never_read_as_a_request(server: Serving, headers: tuple[bytes, ...]) -> None:
    """What comes after an offer to upgrade would be the next request, past whatever stands before us."""
    with Wire(server) as wire:
        wire.send(post(b"", ONE, *headers, size=len(LIVE)))
        time.sleep(0.1)
        wire.send(LIVE + get(b"/v2/health/ready"))
        checked(wire.reply(), (400,), "a body that is no JSON")
        assert json.loads(wire.reply().body)["ready"]


def test_head_is_answered_like_get_without_the_body(server: Serving) -> None:
    with Wire(server) as wire:
        for path in ("/v2/health/live", "/v2/health/ready", "/metrics", "/docs", "/openapi.json", "/v1/models"):
            wire.send(get(path.encode(), method=b"HEAD") + LIVE)
            head = wire.reply(bodiless=True)
            assert (head.status, int(head.headers["content-length"]) > 0) == (200, True), path
            assert json.loads(wire.reply().body) == {"live": True}
        wire.send(get(b"/v1/answer", method=b"HEAD") + LIVE)
        assert (wire.reply(bodiless=True).status, wire.reply().status) == (405, 200)
    status, headers, _ = server.send("DELETE", "/info")
    assert (status, headers["allow"]) == (405, "GET, HEAD")


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
