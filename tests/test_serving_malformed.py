"""Whatever the body, the server says what is wrong in one shape, forgets it, and goes on answering."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest

from bare_requests import HOST, HUGGING, INFER, MANY, ONE, Watch, answers, checked, post
from live_server import ASK, Serving, Wire


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with Serving("--header-timeout", "5", "--body-timeout", "5") as running:
        yield running


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
