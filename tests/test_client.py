"""The client of the REST API: what it asks, reads and refuses, with a stand-in for the server."""

from __future__ import annotations

import asyncio
import inspect
import logging
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service_stub import (
    MODEL,
    PASSAGE,
    QUICK,
    Both,
    Says,
    Stub,
    answered,
    free_port,
    questions,
    refused,
)
from trifold import (
    AccessDenied,
    AsyncClient,
    Client,
    DeadlineExceeded,
    EngineError,
    InvalidInput,
    ModelNotFound,
    Reader,
    Reply,
    ServiceError,
    TrifoldError,
    Unreachable,
    UsageError,
    WrongTask,
)
from trifold.remote.retries import Retries
from trifold.remote.served import ServedModel
from trifold.tasks.qa.records import Answer, Verdict

KEY = "a-key-that-nobody-may-read"


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as running:
        yield running


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, stub: Stub) -> Both:
    return Both(request.param, stub.url)


# What is asked and replied


def test_a_question_and_its_typed_reply(call: Both, stub: Stub) -> None:
    found = call("ask", "who?", PASSAGE)
    assert found == Reply("who?", (Answer("Ada", 26, 29, 0.75, 0),), 0.125, "default@1")
    (asked,) = stub.asked
    assert (asked.method, asked.path) == ("POST", "/v1/answer")
    assert asked.body["question"] == "who?"
    assert asked.body["passage"] == PASSAGE
    assert "authorization" not in asked.headers


def test_all_options_are_sent(call: Both, stub: Stub) -> None:
    call.options |= {"model": "mine"}
    call("ask", "who?", ["a", "b"], top_k=3, always_answer=True, max_answer_len=9)
    call("ask", "who?", "a", model="other")
    first, second = (asked.body for asked in stub.asked)
    assert first == {
        "question": "who?",
        "passages": ["a", "b"],
        "top_k": 3,
        "always_answer": True,
        "max_answer_len": 9,
        "model": "mine",
    }
    assert second["model"] == "other"


def test_the_replies_of_newer_and_older_servers(call: Both, stub: Stub) -> None:
    newer = answered("who?", warnings=["w"], verdict={"text": "yes", "score": 1, "why": 0}, tokens=12)
    newer["answers"][0]["colour"] = "red"
    older = {"question": "who?", "answers": [], "model": "m@1"}
    stub.say(Says(record=newer), Says(record=older))
    assert call("ask", "who?", PASSAGE).verdict == Verdict("yes", 1.0)
    assert call("ask", "who?", PASSAGE) == Reply("who?", (), None, "m@1")


def test_text_of_every_kind_arrives_as_it_is(call: Both, stub: Stub) -> None:
    text = 'é 東京 \0 \u2028 " \\ \U0001f600'
    call("ask", text, "half of a pair: \ud800")
    assert stub.asked[0].body["question"] == text
    assert stub.asked[0].body["passage"] == "half of a pair: \ud800"


@pytest.mark.parametrize(
    ("status", "record", "expected"),
    [
        (400, refused("malformed"), InvalidInput),
        (401, refused("unauthorized"), AccessDenied),
        (403, refused("forbidden"), AccessDenied),
        (404, refused("model_not_found"), ModelNotFound),
        (404, refused("not_found"), ServiceError),
        (413, refused("too_large"), InvalidInput),
        (422, refused("invalid_input", field="passages[1]"), InvalidInput),
        (422, refused("wrong_task"), WrongTask),
        (500, refused("internal_error"), EngineError),
        (504, refused("deadline_exceeded"), DeadlineExceeded),
    ],
)
def test_errors_are_those_of_a_reader_and_are_not_asked_again(
    call: Both, stub: Stub, status: int, record: dict[str, str], expected: type[TrifoldError]
) -> None:
    stub.say(Says(status, record, {"X-Request-ID": "r-17"}))
    with pytest.raises(expected, match=r"^No\.") as caught:
        call("ask", "who?", PASSAGE)
    assert type(caught.value) is expected
    assert getattr(caught.value, "field", None) == record.get("field")
    assert caught.value.__notes__ == [f"POST {stub.url}/v1/answer: status {status}, request r-17"]
    assert len(stub.asked) == 1


@pytest.mark.parametrize("value", [b"bytes", float("nan"), {"a", "set"}, object()])
def test_what_json_does_not_hold_names_its_field(call: Both, stub: Stub, value: Any) -> None:
    with pytest.raises(InvalidInput, match="question: expected a text") as caught:
        call("ask", value, PASSAGE)
    assert caught.value.field == "question"
    assert not stub.asked


def test_the_calls_are_those_of_a_reader() -> None:
    ours, theirs = (inspect.signature(kind.ask).parameters for kind in (Client, Reader))
    same = [name for name in theirs if name != "progress"]
    assert [ours[name] for name in same] == [theirs[name] for name in same]
    for name in (n for n in dir(Client) if not n.startswith("_") and n != "close"):
        member, twin = getattr(Client, name), getattr(AsyncClient, name)
        if callable(member) and name != "ask_many":
            assert inspect.signature(member).parameters == inspect.signature(twin).parameters, name


# Models, and whether the service is ready


def test_the_models_of_a_service(call: Both, stub: Stub) -> None:
    stub.say(Says(record={"models": [MODEL, {**MODEL, "precision": None, "loaded": 1}]}), Says(record=MODEL))
    expected = ServedModel("default", "default@1", "qa", "int8", "ab", True)
    first, second = call("models")
    assert (first, second.precision) == (expected, None)
    assert call("model", "org/a model@2") == expected
    assert [asked.path for asked in stub.asked] == ["/v1/models", "/v1/models/org/a%20model@2"]


def test_administrators_exchange_models(call: Both, stub: Stub) -> None:
    stub.say(Says(201, MODEL), Says(204), Says(403, refused("forbidden")))
    call("serve_model", "mine", "mine@2", timeout=77)
    call("remove_model", "mine")
    with pytest.raises(AccessDenied):
        call("remove_model", "mine")
    put, delete, _ = stub.asked
    assert (put.method, put.path, put.body) == ("PUT", "/v1/models/mine", {"model": "mine@2"})
    assert 70 < float(put.headers["x-timeout"]) <= 77
    assert (delete.method, delete.path) == ("DELETE", "/v1/models/mine")


def test_a_removal_whose_reply_was_lost_is_not_repeated(call: Both, stub: Stub) -> None:
    stub.say(Says(hang_up=True), Says(404, refused("model_not_found")))
    with pytest.raises(Unreachable):
        call("remove_model", "mine")
    assert len(stub.asked) == 1


@pytest.mark.parametrize("name", ["", "..", "a/../../b", "a//b", "\ud800"])
def test_names_that_would_be_another_path(call: Both, stub: Stub, name: str) -> None:
    with pytest.raises(InvalidInput, match="name: expected the name of a model"):
        call("remove_model", name)
    assert not stub.asked


@pytest.mark.parametrize(
    ("says", "ready"),
    [
        (Says(record={"ready": True}), True),
        (Says(text=""), True),
        (Says(record={"ready": False}), False),
        (Says(503, refused("not_ready"), {"Retry-After": "1"}), False),
        (Says(503, text="<html>"), False),
        (Says(hang_up=True), False),
    ],
)
def test_ready_asks_once(call: Both, stub: Stub, says: Says, ready: bool) -> None:
    stub.say(says)
    assert call("ready") is ready
    assert [asked.path for asked in stub.asked] == ["/v2/health/ready"]


def test_ready_says_when_something_else_is_there(call: Both, stub: Stub) -> None:
    stub.say(Says(text="<html>", headers={"Content-Type": "text/html; charset=utf-8"}))
    with pytest.raises(Unreachable, match="no reply of trifold's"):
        call("ready")


def test_nobody_there_is_not_ready(call: Both) -> None:
    call.url = f"http://127.0.0.1:{free_port()}"
    assert call("ready") is False


# Keys and addresses


def test_the_key_is_sent_and_never_shown(call: Both, stub: Stub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    call.options |= {"api_key": f" {KEY}\n", "retries": Retries(1, 0.001)}
    call("ask", "who?", PASSAGE)
    assert stub.asked[0].headers["authorization"] == f"Bearer {KEY}"
    stub.say(Says(401, refused("unauthorized")), Says(text="<html>"), Says(hang_up=True), Says(hang_up=True))
    shown = [repr(Client(stub.url, api_key=KEY)), caplog.text]
    for expected in (AccessDenied, Unreachable, Unreachable):
        with pytest.raises(expected) as caught:
            call("ask", "who?", PASSAGE)
        told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        shown += "".join(told.format()).partition("client.py")[1:]
        assert "/tasks/qa/client.py" in "".join(told.format())
    shown.append(caplog.text)
    assert "HTTP Request" in caplog.text
    assert not [text for text in shown if KEY in text]


def test_the_key_of_the_environment(call: Both, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIFOLD_API_KEY", KEY)
    call("ask", "who?", PASSAGE)
    call.options["api_key"] = ""
    call("ask", "who?", PASSAGE)
    assert [asked.headers.get("authorization") for asked in stub.asked] == [f"Bearer {KEY}", None]


@pytest.mark.parametrize(
    ("url", "options", "expected"),
    [
        ("localhost:8000", {}, "url: expected the address of a service, found 'localhost:8000'"),
        ("ftp://there", {}, "url: "),
        ("http://", {}, "url: "),
        ("http://there:99999", {}, "url: .*[Pp]ort"),
        ("http://[::1", {}, "url: "),
        ("http://the re", {}, "url: "),
        (f"http://me:{KEY}@there", {}, "Leave the user out"),
        (f"http://there/?key={KEY}", {}, "Leave out what follows"),
        (None, {}, "url: expected the address of a service, expected a text"),
        ("http://there", {"api_key": f"{KEY}\nsecond"}, "api_key: "),
        ("http://there", {"api_key": f"{KEY} ключ"}, "api_key: "),
        ("http://there", {"api_key": 7}, "api_key: "),
        ("http://there", {"timeout": 0}, "timeout: expected seconds over 0, found 0"),
        ("http://there", {"timeout": float("nan")}, "timeout: "),
        ("http://there", {"connect_timeout": None}, "connect_timeout: "),
        ("http://there", {"retries": -1}, "retries: "),
        ("http://there", {"retries": 1.5}, "retries: "),
        ("http://there", {"model": ""}, "model: "),
    ],
)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_settings_that_cannot_be_used(
    kind: Callable[..., object], url: Any, options: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InvalidInput, match=expected) as caught:
        kind(url, **options)
    assert KEY not in str(caught.value)


def test_retries_check_themselves() -> None:
    with pytest.raises(InvalidInput, match="longest_wait: expected seconds from 0, found -1"):
        Retries(longest_wait=-1)
    assert Retries(times=10**6).wait(10**6, 1.0) == 8.0


def test_an_address_with_a_path(call: Both, stub: Stub) -> None:
    call.url = f"{stub.url}/reader/"
    stub.say(Says(record=answered("who?")))
    call("ask", "who?", PASSAGE)
    assert stub.asked[0].path == "/reader/v1/answer"


def test_proxies_are_for_other_machines(call: Both, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Stub() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        call("ask", "who?", PASSAGE)
        call.url = f"http://localhost:{stub.port}"
        call("ask", "who?", PASSAGE)
        assert not proxy.asked
        call.url = "http://trifold.example:8000"
        proxy.say(Says(record=answered("who?")))
        call("ask", "who?", PASSAGE)
        assert proxy.asked[0].path == "http://trifold.example:8000/v1/answer"
    monkeypatch.setenv("HTTP_PROXY", "gopher://there")
    with pytest.raises(UsageError, match="Correct HTTP_PROXY"):
        call("ready")


def test_a_closed_client_says_so(stub: Stub) -> None:
    client = Client(stub.url)
    client.close()
    with pytest.raises(UsageError, match="this client is closed"):
        client.ask("who?", PASSAGE)

    async def run() -> None:
        other = AsyncClient(stub.url)
        await other.aclose()
        with pytest.raises(UsageError, match="this client is closed"):
            await other.ask("who?", PASSAGE)

    asyncio.run(run())


def test_one_client_for_many_threads(stub: Stub) -> None:
    replies: list[Reply] = []
    with Client(stub.url, retries=QUICK) as client:
        threads = [threading.Thread(target=lambda: replies.append(client.ask("who?", PASSAGE))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert questions(replies) == ["who?"] * 8


def test_the_package_does_not_import_the_network() -> None:
    code = "import sys, trifold; trifold.Client, trifold.AsyncClient; print('httpx2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
