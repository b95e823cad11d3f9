"""Tensors as bytes behind the JSON of a request and of a reply, as KServe's clients send them by default."""

from __future__ import annotations

import json
import random
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs trifold[serve]")

from bare_requests import INFER, answers, checked, post
from live_server import Reply, Serving, Wire

QUESTIONS = ["Who wrote it?", "Who wrote it in Orléans?"]
PASSAGES = ["Ada Lovelace wrote it.", "Zoë Müller wrote it in Orléans."]
OCTETS = b"Content-Type: application/octet-stream\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with Serving("--max-items", "50") as running:
        yield running


def strings(*values: str | bytes) -> bytes:
    """The elements of a tensor as bytes."""
    contents = [value.encode() if isinstance(value, str) else value for value in values]
    return b"".join(struct.pack("<I", len(content)) + content for content in contents)


def tensor(name: str, count: int, size: Any, **more: Any) -> dict[str, Any]:
    parameters = {"binary_data_size": size}
    return {"name": name, "datatype": "BYTES", "shape": [count], "parameters": parameters, **more}


def request(*parts: bytes, inputs: Any = None, header: Any = None, kind: bytes = OCTETS, **more: Any) -> bytes:
    """A request with these parts behind its JSON, by default of the two tensors. header: its value, if a wrong one."""
    parts = parts or (strings(*QUESTIONS), strings(*PASSAGES))
    count = len(QUESTIONS)
    if inputs is None:
        inputs = [tensor(n, count, len(p)) for n, p in zip(("question", "passage"), parts, strict=False)]
    content = json.dumps({"inputs": inputs, **more}).encode()
    length = f"Inference-Header-Content-Length: {len(content) if header is None else header}\r\n".encode()
    return post(content + b"".join(parts), INFER, length, kind=kind)


def sent(server: Serving, content: bytes) -> Reply:
    with Wire(server) as wire:
        wire.send(content)
        return wire.reply()


def read(reply: Reply) -> dict[str, Any]:
    """The outputs of a reply by name, whichever way they came."""
    size = int(reply.headers.get("inference-header-content-length", len(reply.body)))
    rest, found = reply.body[size:], {}
    for output in json.loads(reply.body[:size])["outputs"]:
        if "data" in output:
            found[output["name"]] = output["data"]
            continue
        taken = output["parameters"]["binary_data_size"]
        part, rest = rest[:taken], rest[taken:]
        if output["datatype"] == "BYTES":
            texts = []
            while part:
                stop = 4 + int.from_bytes(part[:4], "little")
                texts.append(part[4:stop].decode())
                part = part[stop:]
            found[output["name"]] = texts
        else:
            letter = {"INT64": "q", "FP64": "d"}[output["datatype"]]
            found[output["name"]] = list(struct.unpack(f"<{output['shape'][0]}{letter}", part))
    assert not rest
    return found


@pytest.fixture(scope="module")
def expected(server: Serving) -> dict[str, Any]:
    """The outputs as JSON."""
    texts = {"question": QUESTIONS, "passage": PASSAGES}
    inputs = [{"name": n, "datatype": "BYTES", "shape": [2], "data": data} for n, data in texts.items()]
    status, _, reply = server.ask({"inputs": inputs, "parameters": {"always_answer": True}}, INFER)
    assert status == 200
    return {output["name"]: output["data"] for output in reply["outputs"]}


ALWAYS = {"always_answer": True}
ALL = {**ALWAYS, "binary_data_output": True}


@pytest.mark.parametrize("kind", [OCTETS, b"Content-Type: application/json\r\n", b""])
def test_strings_are_read_as_bytes(server: Serving, expected: dict[str, Any], kind: bytes) -> None:
    reply = sent(server, request(parameters=ALWAYS, kind=kind))
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert read(reply) == expected
    assert expected["answer"][1] == "Zoë Müller"


def test_outputs_are_written_as_bytes(server: Serving, expected: dict[str, Any]) -> None:
    reply = sent(server, request(parameters=ALL, id="7"))
    assert (reply.status, reply.headers["content-type"]) == (200, "application/octet-stream")
    size = int(reply.headers["inference-header-content-length"])
    about = json.loads(reply.body[:size])
    assert (about["id"], about["model_name"]) == ("7", "default")
    assert all(output["parameters"]["binary_data_size"] and "data" not in output for output in about["outputs"])
    assert read(reply) == expected


def test_each_output_comes_as_it_is_wanted(server: Serving, expected: dict[str, Any]) -> None:
    names = {"score": {"binary_data": False}, "answer": {"binary_data": True}, "start": {}, "model": None}
    outputs = [{"name": name, "parameters": flags} for name, flags in names.items()]
    for parameters, in_bytes in ((ALWAYS, {"answer"}), (ALL, {"answer", "start", "model"})):
        reply = sent(server, request(outputs=outputs, parameters=parameters))
        size = int(reply.headers["inference-header-content-length"])
        written = json.loads(reply.body[:size])["outputs"]
        assert {output["name"] for output in written if "data" not in output} == in_bytes
        assert read(reply) == {name: expected[name] for name in names}


def test_one_tensor_as_bytes_and_one_as_json(server: Serving, expected: dict[str, Any]) -> None:
    part = strings(*PASSAGES)
    asked = {"name": "question", "datatype": "BYTES", "shape": [2, 1], "data": QUESTIONS}
    reply = sent(server, request(part, inputs=[tensor("passage", 2, len(part)), asked], parameters=ALWAYS))
    assert read(reply) == expected


def test_the_server_says_that_it_reads_bytes(server: Serving) -> None:
    assert server.get("/v2")[2]["extensions"] == ["binary_tensor_data"]


Q, P = strings(*QUESTIONS), strings(*PASSAGES)
BOTH = [tensor("question", 2, len(Q)), tensor("passage", 2, len(P))]
SIZES: tuple[Any, ...] = (-1, 1.5, "9", None, True, [])
BAD: Mapping[str, tuple[bytes, int, str]] = {
    "too few bytes": (request(Q, P[:-1], inputs=BOTH), 400, "the bytes of the tensors end before those of 'passage'"),
    "too many bytes": (request(Q, P, b"ab", inputs=BOTH), 400, "2 bytes follow those of the last tensor"),
    "an element without its end": (request(Q[:-1], P), 400, "'question': the bytes end within element 1"),
    "half a length": (request(Q + b"\1\0", P), 400, "'question': the bytes end within element 2"),
    "a giant": (request(b"\xff\xff\xff\xff" + Q, P), 400, "'question': the bytes end within element 0"),
    "no UTF-8": (request(strings(b"\xff\xfe", "a"), P), 400, "'question': element 0 is not UTF-8"),
    "a surrogate": (request(Q, strings("a", b"\xed\xa0\x80")), 400, "'passage': element 1 is not UTF-8"),
    "no elements": (request(b"", P, inputs=[tensor("question", 0, 0), BOTH[1]]), 422, "1 to 50 strings"),
    "too many elements": (request(strings(*["a"] * 60), P), 422, "1 to 50 strings"),
    "empty elements without end": (request(b"\0" * 4_000_000, P), 422, "1 to 50 strings"),
    "another shape": (request(strings("a"), P), 422, "the shape is not that of its 1 strings"),
    "an empty question": (request(strings("a", ""), P), 422, "question: expected a text, found an empty one"),
    "numbers": (request(Q, P, inputs=[{**BOTH[0], "datatype": "FP32"}, BOTH[1]]), 422, "expected datatype BYTES"),
    "data as well": (request(Q, P, inputs=[{**BOTH[0], "data": QUESTIONS}, BOTH[1]]), 422, "and no data"),
    "no header": (post(json.dumps({"inputs": BOTH}).encode() + Q + P, INFER, kind=OCTETS), 400, "Extra data"),
    "no header, nor bytes": (post(json.dumps({"inputs": BOTH}).encode(), INFER), 422, "strings as data"),
    "flags that are none": (request(parameters={"binary_data_output": 1}), 422, "binary_data_output: expected true"),
    "an output's flag": (
        request(outputs=[{"name": "score", "parameters": {"binary_data": "yes"}}]),
        422,
        "binary_data: expected true",
    ),
    **{
        f"size {size!r}": (request(Q, P, inputs=[tensor("question", 2, size), BOTH[1]]), 422, "a number of bytes")
        for size in SIZES
    },
    **{
        f"header {header}": (request(header=header), 400, "Inference-Header-Content-Length: expected at most")
        for header in ("-1", "x", "1e2", "99999", "9" * 5000, "1_0", "")
    },
    "header 0": (request(header=0), 400, "the body is not JSON"),
    "a header that cuts": (request(header=20), 400, "the body is not JSON"),
    "no list": (request(Q, P, inputs={"a": 1}), 400, "bytes follow"),
}


@pytest.mark.parametrize("name", BAD)
def test_bytes_that_are_none_are_refused(server: Serving, name: str) -> None:
    content, status, says = BAD[name]
    reply = sent(server, content)
    checked(reply, (status,), name)
    assert says in json.loads(reply.body)["error"]


def test_a_thousand_broken_requests(server: Serving) -> None:
    rng = random.Random(3)
    good = request(parameters=ALL)
    start = good.index(b"\r\n\r\n") + 4
    size = int(good.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    seen = Counter[int]()
    with Wire(server) as wire:
        for _ in range(1000):
            body = bytearray(good[start:])
            for _ in range(rng.choice((1, 1, 3))):
                body[rng.randrange(len(body))] = rng.choice((0, 1, 4, 34, 57, 125, 255, rng.randrange(256)))
            length = f"Inference-Header-Content-Length: {size + rng.choice((0, 0, 0, 1, -1, 7))}\r\n".encode()
            wire.send(post(bytes(body), INFER, length, kind=OCTETS))
            reply = wire.reply()
            checked(reply, (200, 400, 404, 422), bytes(body))
            seen[reply.status] += 1
    assert min(seen[status] for status in (200, 400, 422)) > 10, seen
    answers(server)
