"""The REST API as its users meet it: a real server, a real model."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import trifold
from live_server import ASK, Serving
from trifold import Reader
from trifold.interfaces.http.settings import Settings
from trifold.interfaces.serve import serve

KEYS = "user alice alice-key-0123456789\nadmin ops ops-key-0123456789abc\n"
LONG = "The lighthouse stands at the edge of the harbour and is painted white. " * 3000


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with Serving() as running:
        yield running


def post(
    server: Serving, path: str, body: Any, *, method: str = "POST", **headers: str
) -> tuple[int, Any, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        sent = {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        reply = connection.getresponse()
        content = reply.read()
        return reply.status, json.loads(content) if content else None, reply.headers
    finally:
        connection.close()


def metric(server: Serving, name: str) -> float:
    """The sum of a metric over its labels."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def test_the_reply_is_that_of_the_reader(server: Serving, reader: Reader) -> None:
    texts = (Path(__file__).parents[1] / "examples").glob("*.txt")
    for passage in [text.read_text(encoding="utf-8") for text in texts] + ["Ünïcødé 👩‍👩‍👧 wrote it in 1843."]:
        for options in ({}, {"top_k": 3, "always_answer": True}):
            status, found, _ = post(server, "/v1/answer", {"question": "When?", "passage": passage, **options})
            expected = reader.ask("When?", passage, **options).to_dict()  # type: ignore[arg-type]
            assert status == 200
            assert [a["text"] for a in found["answers"]] == [a["text"] for a in expected["answers"]]
            assert all(passage[a["start"] : a["end"]] == a["text"] for a in found["answers"])
            assert found["no_answer_score"] == pytest.approx(expected["no_answer_score"], abs=1e-4)
            assert found.keys() == expected.keys()


def test_many_at_once_are_answered_in_order_with_errors_in_their_places(server: Serving) -> None:
    items = [ASK, {"question": " ", "passage": "x"}, {**ASK, "model": "nobody"}, 7, ASK]
    status, found, headers = post(server, "/v1/answers", {"items": items})
    assert status == 200
    first, blank, unknown, number, last = found["items"]
    assert first == last
    assert first["answers"][0]["text"] == "Ada Lovelace"
    assert (blank["error_type"], blank["field"]) == ("invalid_input", "question")
    assert unknown["error_type"] == "model_not_found"
    assert number["error_type"] == "invalid_input"
    assert "compute;dur=" in headers["Server-Timing"]


def test_a_request_keeps_its_id_and_tells_where_its_time_went(server: Serving) -> None:
    asked = {"question": "Who wrote the letter?", "passage": "The letter was written by Mary Somerville."}
    _, _, headers = post(server, "/v1/answer", asked, X_Request_ID="mine-1")
    assert headers["X-Request-ID"] == "mine-1"
    parts = dict(part.split(";dur=") for part in headers["Server-Timing"].split(", "))
    assert float(parts["compute"]) > 0
    assert float(parts["total"]) >= float(parts["compute"])
    _, _, again = post(server, "/v1/answer", asked)
    assert again["Server-Timing"].endswith("cache;desc=recent")
    assert again["X-Request-ID"] != "mine-1"


def test_hugging_faces_client_is_answered(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import InferenceClient, constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # it would refuse loopback too
    client = InferenceClient(model=f"{server.url}/models/default", timeout=30)
    one: Any = client.question_answering(question=ASK["question"], context=ASK["passage"])
    assert (one.answer, one.start, one.end) == ("Ada Lovelace", 26, 38)
    several: Any = client.question_answering(question=ASK["question"], context=ASK["passage"], top_k=3)
    assert several[0].answer == "Ada Lovelace"
    assert len(several) == 3


def test_kserve_takes_tensors_of_strings(server: Serving) -> None:
    _, about, _ = post(server, "/v2/models/default", None, method="GET")
    assert [tensor["name"] for tensor in about["inputs"]] == ["question", "passage"]
    inputs = [
        {"name": "question", "shape": [2], "datatype": "BYTES", "data": ["Who wrote it?", "When was it written?"]},
        {"name": "passage", "shape": [2, 1], "datatype": "BYTES", "data": [[ASK["passage"]], [ASK["passage"]]]},
    ]
    body = {"id": "7", "inputs": inputs, "parameters": {"always_answer": True}, "outputs": [{"name": "answer"}]}
    status, found, _ = post(server, "/v2/models/default/versions/1/infer", body)
    assert status == 200
    assert (found["id"], found["model_version"]) == ("7", "1")
    assert found["outputs"] == [{"name": "answer", "datatype": "BYTES", "shape": [2], "data": ["Ada Lovelace", "1843"]}]
    status, found, _ = post(server, "/v2/models/default/infer", {"inputs": inputs[:1]})
    assert (status, found["error_type"]) == (422, "invalid_input")


def test_the_client_and_the_reader_say_the_same(server: Serving, reader: Reader) -> None:
    rows = [{**ASK, "question": f"Who wrote it, take {n}?"} for n in range(40)]
    rows[20] = {"question": "", "passage": "x"}
    with trifold.Client(server.url) as client:
        assert client.ready()
        found = list(client.ask_many(rows))
        with pytest.raises(trifold.ModelNotFound):
            client.ask("Who?", "It was Ada.", model="nobody")
    for own, theirs in zip(reader.ask_many(rows), found, strict=True):
        if isinstance(own, trifold.Reply):
            assert isinstance(theirs, trifold.Reply)
            assert [a.text for a in theirs.answers] == [a.text for a in own.answers]
        else:
            assert isinstance(theirs, trifold.InvalidInput)


def test_the_work_of_a_client_that_left_is_dropped(server: Serving) -> None:
    before = metric(server, "trifold_dropped_total")
    body = json.dumps({"question": "What colour is it?", "passage": LONG}).encode()
    head = (
        b"POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    )
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(head % len(body) + body)
            time.sleep(0.3)
    limit = time.monotonic() + 20
    while metric(server, "trifold_queue_calls") > 0 and time.monotonic() < limit:
        time.sleep(0.05)
    assert metric(server, "trifold_queue_calls") == 0
    assert metric(server, "trifold_dropped_total") > before


def test_a_deadline_is_kept(server: Serving) -> None:
    began = time.monotonic()
    status, found, _ = post(server, "/v1/answer", {"question": "What stands there?", "passage": LONG}, X_Timeout="0.2")
    assert (status, found["error_type"]) == (504, "deadline_exceeded")
    assert time.monotonic() - began < 5


def test_a_full_queue_refuses_and_says_when_to_come_again() -> None:
    with Serving("--max-queue", "2", "--cache-mb", "0") as server:
        statuses: Counter[int] = Counter()
        waits: list[int] = []

        def ask(number: int) -> None:
            for turn in range(6):
                asked = {"question": f"Who is number {number}-{turn}?", "passage": LONG[:6000]}
                status, found, headers = post(server, "/v1/answer", asked)
                statuses[status] += 1
                if status == 429:
                    assert found["error_type"] == "overloaded"
                    waits.append(int(headers["Retry-After"]))
                alive = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
                alive.request("GET", "/v2/health/live")
                assert alive.getresponse().status == 200
                alive.close()

        in_threads(ask, 12)
        assert set(statuses) == {200, 429}
        assert sum(statuses.values()) == 72
        assert min(waits) >= 1
        assert metric(server, "trifold_rejected_total") == statuses[429]


def test_what_was_accepted_is_answered_after_sigterm() -> None:
    with Serving() as server:
        ended = threading.Event()
        outcomes: list[Any] = []

        def ask(number: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            for turn in range(10_000):
                asked = json.dumps({"question": f"Who is {number}-{turn}?", "passage": LONG[:3000]})
                try:
                    connection.request("POST", "/v1/answer", asked, {"Content-Type": "application/json"})
                except ConnectionError:
                    outcomes.append("not accepted")  # the listener is closed, or the idle connection was
                    return
                try:
                    reply = connection.getresponse()
                    reply.read()
                    outcomes.append(reply.status)
                except (http.client.HTTPException, ConnectionError) as error:
                    outcomes.append(error)
                    return
                if reply.status == 503:
                    return

        def end() -> None:
            time.sleep(1.5)
            os.kill(server.process.pid, signal.SIGTERM)
            ended.set()

        ending = threading.Thread(target=end)
        ending.start()
        in_threads(ask, 8)
        ending.join()
        assert ended.is_set()
        counted = Counter(str(outcome) for outcome in outcomes)
        assert set(counted) <= {"200", "503", "not accepted"}, counted
        assert counted["200"] > 8
        assert counted["503"] + counted["not accepted"] == 8


def test_a_model_is_exchanged_under_load_without_a_failed_request(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(KEYS)
    other = tmp_path / "other@1"
    copy_model(other)
    with Serving("--api-key-file", str(keys), "--cache-mb", "0") as server:
        running = True
        seen: Counter[tuple[int, str]] = Counter()

        def ask(number: int) -> None:
            turn = 0
            while running:
                turn += 1
                asked = {"question": f"Who is {number}-{turn}?", "passage": ASK["passage"]}
                status, found, _ = post(server, "/v1/answer", asked, X_API_Key="alice-key-0123456789")
                seen[status, found.get("model", "")] += 1

        workers = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
        for worker in workers:
            worker.start()
        try:
            administrator = {"Authorization": "Bearer ops-key-0123456789abc"}
            refused, _, _ = post(
                server, "/v1/models/default", {"model": "x"}, method="PUT", X_API_Key="alice-key-0123456789"
            )
            for model in (str(other), "default@1", str(other)):
                status, record, _ = post(server, "/v1/models/default", {"model": model}, method="PUT", **administrator)
                assert status == 200
                time.sleep(0.4)
            added, _, _ = post(server, "/v1/models/second", {"model": "default"}, method="PUT", **administrator)
            removed, _, _ = post(server, "/v1/models/second", None, method="DELETE", **administrator)
        finally:
            running = False
            for worker in workers:
                worker.join()
        assert (refused, added, removed) == (403, 201, 204)
        assert record["version"] == "other@1"
        assert {status for status, _ in seen} == {200}
        assert {model for _, model in seen} == {"default@1", "other@1"}


_OTHERWISE = {"open_": "open", "no_docs": "docs", "no_web": "web", "no_corrections": "keep_corrections"}


def test_the_flags_have_the_settings_defaults_and_twins_in_the_environment() -> None:
    own = {entry.name: entry.default for entry in fields(Settings)}
    for option in serve.params:
        name = _OTHERWISE.get(str(option.name), str(option.name))
        assert name in own, name
        if not getattr(option, "multiple", False) and not getattr(option, "is_flag", False):
            assert option.default == own[name] or own[name] is None, name
        flag = max(option.opts, key=len)
        assert option.envvar == "TRIFOLD_" + flag[2:].upper().replace("-", "_")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--host", "0.0.0.0"], "--api-key-file"),
        (["--model", "nobody"], "no model is called 'nobody'"),
        (["--max-passage-mb", "9"], "does not fit in --max-body-mb"),
        (["--cors-origin", "example"], "expected an origin"),
        (["--open", "--host", "no.such.host.invalid"], "address of this machine"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_line(run: Any, flags: list[str], message: str) -> None:
    done = run("serve", "--port", "0", *flags)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_told(server: Serving, run: Any) -> None:
    done = run("serve", "--port", str(server.port))
    assert (done.returncode, f"port {server.port} is in use" in done.stderr) == (2, True)


def in_threads(work: Any, count: int) -> None:
    """Run work(0), work(1), ... at once; its first error is raised here."""
    failed: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failed.append(error)

    workers = [threading.Thread(target=guarded, args=(n,)) for n in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failed:
        raise failed[0]


def copy_model(target: Path) -> None:
    """The embedded model under another name."""
    import shutil

    from trifold.models.folder import MANIFEST
    from trifold.models.registry import find

    shutil.copytree(find("default").path, target)
    manifest = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
    manifest["name"], manifest["version"] = "other", "1"
    (target / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
