"""No body takes the server's time from those who ask beside it, and all are read as JSON is meant."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("fastapi", reason="needs trifold[serve]")

from bare_requests import MANY, ONE, Watch, checked, post
from live_server import ASK, Serving, Wire, is_error
from trifold.interfaces.http.parsing import object_in
from trifold.interfaces.http.replies import Refusal

SIZE = 7_900_000


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with Serving() as running:
        yield running


def filled(block: bytes, key: bytes = b"x") -> bytes:
    """An object with one list of equal blocks, as large as a body may be."""
    return b'{"%s":[%s%s]}' % (key, (block + b",") * (SIZE // (len(block) + 1)), block)


def texts(*values: str, count: int = 1) -> bytes:
    return json.dumps({"question": "Who wrote it?", "passages": [value * count for value in values]}).encode()


HEAVY: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "lists": (filled(b"[]"), (413,)),
    "lists in lists": (filled(b"[[]]"), (413,)),
    "lists for items": (filled(b"[]", b"items"), (413,)),
    "strings": (filled(b'""'), (413,)),
    "fractions": (filled(b"1.5e300"), (413,)),
    "keys": (b"{" + b",".join(b'"%d":1' % number for number in range(700_000)) + b"}", (413,)),
    "fewer keys": (b"{" + b",".join(b'"%070d":1' % number for number in range(45_000)) + b"}", (422,)),
    "long numbers": (filled(b"9" * 4299), (400,)),
    "numbers": (filled(b"9" * 390), (422,)),
    "a question": (json.dumps({**ASK, "question": "Who wrote it, " * 57_000}).encode(), (422,)),
    "questions": (json.dumps({"items": [{**ASK, "question": "Who? " * 1500}] * 980}).encode(), (200,)),
    "a text of quotes": (texts('\\"', count=900_000), (422,)),
    "passages": (texts(*["It was, they say, Ada. "] * 8, count=42_000), (504,)),
}


@pytest.mark.parametrize("name", HEAVY)
def test_the_server_answers_beside_a_heavy_body(server: Serving, name: str) -> None:
    body, expected = HEAVY[name]
    path = MANY if b'"items"' in body[:20] else ONE
    with Watch(server) as watch, Wire(server) as wire:
        limit = time.monotonic() + 0.8
        while time.monotonic() < limit:
            wire.send(post(body, path, b"X-Timeout: 1.5\r\n"))
            checked(wire.reply(), expected, name)
    assert set(watch.replies) == {200}
    assert watch.worst < 0.5


def test_as_many_items_and_passages_as_may_be_are_read(server: Serving) -> None:
    odd = '{"a": [1, 2], "b\\\\": "\\"[,"}'  # a passage of signs
    items = [{"question": "", "passages": [odd] * 90, "id": number} for number in range(999)]
    status, _, reply = server.ask({"items": [ASK, *items]}, MANY)
    assert (status, len(reply["items"])) == (200, 1000)
    assert reply["items"][0]["answers"][0]["text"] == "Ada Lovelace"
    assert {item["field"] for item in reply["items"][1:]} == {"question"}


BAD: dict[bytes, str] = {
    b'{"a": %s}' % (b"9" * 5000): "the body is not JSON: a number of 5,000 digits, where at most 400 are read.",
    b'{"a": -%s}' % (b"9" * 400): "the body is not JSON: a number of 401 digits, where at most 400 are read.",
    b'\xef\xbb\xbf{"a": 1}': "the body is not JSON: it begins with a byte order mark.",
    b'{"a": NaN}': "the body is not JSON: NaN is no JSON value.",
    b'{"a": "\xff"}': "the body is not UTF-8 (byte 7).",
    b'{"a":' * 20_000: "the body is nested too deeply to be read.",
    b"[{}]": "the body is JSON, but no object. Send an object such as {...}.",
    b"[[[[[[[[[[,": "the body holds more than 10 values. Send less at once.",
    b'["", "", "", "", "", "", "", "", "", "", "", ""': "the body holds more than 10 values. Send less at once.",
}


@pytest.mark.parametrize("content", BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_said_in_our_words(content: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        object_in(content, 10 if b"10 values" in BAD[content].encode() else 100_000)
    assert caught.value.message == BAD[content]


def test_the_largest_numbers_are_read() -> None:
    assert object_in(b'{"a": %s, "a": [-0, 1e999]}' % (b"9" * 400), 100) == {"a": [0, float("inf")]}


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
strings = st.text() | st.text('\\"[]{},:a', max_size=12)
values = st.recursive(
    scalars | strings, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(strings, inner, max_size=4)
)


def count(value: Any) -> int:
    """Values and keys within a value."""
    if isinstance(value, dict):
        return sum(1 + 1 + count(inner) for inner in value.values())
    return sum(1 + count(inner) for inner in value) if isinstance(value, list) else 0


@given(st.dictionaries(strings, values, max_size=6), st.booleans())
def test_any_object_is_read_as_it_was_written_and_one_of_too_many_values_refused(
    value: dict[str, Any], plain: bool
) -> None:
    content = json.dumps(value, ensure_ascii=plain).encode("utf-8", "surrogatepass")
    if plain or "\\ud" not in ascii(value):
        opened = sum(content.count(sign) for sign in (b"[", b"{"))  # an empty list has a sign, but no value
        assert object_in(content, count(value) + opened + 1) == value
    if count(value) > 1:
        with pytest.raises(Refusal, match="values"):
            object_in(content, count(value) // 2)


TIMES = (
    "1_000",
    "1e3",
    "1E3",
    "inf",
    "nan",
    "+5",
    "-5",
    "5.",
    ".5",
    "0x5",
    "٥",
    "5 5",
    "5,5",
    "",
    "0",
    "0.000",
    "9" * 41,
)


@pytest.mark.parametrize("given", TIMES)
def test_a_time_that_is_no_plain_number_is_refused(server: Serving, given: str) -> None:
    with Wire(server) as wire:
        wire.send(post(json.dumps(ASK).encode(), ONE, b"X-Timeout: %s\r\n" % given.encode()))
        reply = wire.reply()
    record = json.loads(reply.body)
    assert reply.status == 422
    assert is_error(reply.status, record)
    assert record["field"] == "X-Timeout"


@pytest.mark.parametrize("given", ["5", "2.5", "007", "0.900", "100000", " 5 "])
def test_a_time_that_is_one(server: Serving, given: str) -> None:
    assert server.ask(headers={"X-Timeout": given})[0] == 200
