"""Corrections over REST: what a page needs to keep, look through, change, delete and take away what people say."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import trifold
from bare_requests import HOST, checked, post
from conftest import ECHO, Call
from doubles import echo_folder, qa_folder
from live_server import Serving, Wire, is_error
from trifold.interfaces.http.cards import without_paths
from trifold.tasks.qa.training.material import read_sound
from trifold.wire import error_from, error_record

ADA = "The report was written by Ada Lovelace in 1843."
GOOD: dict[str, Any] = {
    "question": "Who wrote it?",
    "passage": ADA,
    "answers": [{"text": "Ada Lovelace", "start": 26, "end": 38}],
    "predicted": {"text": "Ada", "score": 0.3},
    "model": "default@1",
}
ALL = "/v1/corrections"
ADMIN, USER = "a-key-of-an-administrator", "a-key-of-somebody"
_NUMBER = iter(range(10**9))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corrections")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Serving]:
    with Serving("--corrections", str(folder)) as running:
        yield running


def keep(server: Serving, **changes: Any) -> dict[str, Any]:
    """A new correction."""
    status, _, record = server.ask({**GOOD, "question": f"Who wrote {next(_NUMBER)}?", **changes}, ALL)
    assert status == 201, record
    return dict(record)


def without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


def test_a_correction_is_kept_read_changed_and_deleted(server: Serving) -> None:
    status, headers, made = server.ask({**GOOD, "note": "full name"}, ALL)
    assert status == 201
    assert headers["location"] == f"corrections/{made['id']}"
    assert (made["revision"], made["task"], made["replaced"], made["warnings"]) == (1, "qa", False, [])
    assert made["created"] == made["changed"]
    assert without(made, "id", "revision", "task", "created", "changed", "replaced", "warnings") == {
        **GOOD,
        "note": "full name",
    }
    one = f"{ALL}/{made['id']}"
    assert server.get(one)[::2] == (200, without(made, "replaced", "warnings"))
    edit = {"question": GOOD["question"], "passage": ADA, "answers": [], "revision": 1}
    status, _, changed = server.send("PUT", one, edit)
    assert (status, changed["revision"], changed["answers"], changed["note"]) == (200, 2, [], None)
    assert changed["changed"] > changed["created"]
    assert server.send("DELETE", f"{one}?revision=2")[::2] == (204, "")
    for method, body, query in (("GET", None, ""), ("PUT", edit, ""), ("DELETE", None, "?revision=2")):
        status, _, error = server.send(method, one + query, body)
        assert (status, error["error_type"]) == (404, "not_found")


def test_the_same_question_again_replaces_and_says_so(server: Serving) -> None:
    first = keep(server, question="Who, again?")
    again = {**GOOD, "question": "Who, again?", "answers": [{"text": "Ada ", "start": 26, "end": 30}]}
    status, headers, second = server.ask(again, ALL)
    assert (status, second["replaced"], second["id"], second["revision"]) == (200, True, first["id"], 2)
    assert "location" not in headers
    assert second["answers"] == [{"text": "Ada", "start": 26, "end": 29}]
    assert second["warnings"] == ["answers[0]: blanks at its ends were left out; it stands at 26 to 29."]


def test_an_edit_over_a_newer_one_is_refused(server: Serving) -> None:
    one = keep(server)
    path, edit = f"{ALL}/{one['id']}", {**GOOD, "question": one["question"]}
    assert server.send("PUT", path, {**edit, "revision": 1})[0] == 200
    for method, query, body in (("PUT", "", {**edit, "revision": 1}), ("DELETE", "?revision=1", None)):
        status, _, error = server.send(method, path + query, body)
        assert (status, error["error_type"]) == (409, "conflict")
        assert "its revision is 2, not 1" in error["error"]
    other = keep(server)
    status, _, error = server.send("PUT", f"{ALL}/{other['id']}", {**edit, "revision": 1})
    assert (status, error["error_type"]) == (409, "conflict")
    assert one["id"] in error["error"]
    for revision in (None, 0, "2", True, 2.5, 10**20):
        status, _, error = server.send("PUT", path, {**edit, "revision": revision})
        assert (status, error["field"]) == (422, "revision")
    for query in (
        "",
        "?revision=",
        "?revision=x",
        "?revision=0",
        "?revision=1&revision=1",
        "?revision=1&x=2",
        "?x=%ff",
    ):
        assert server.send("DELETE", path + query)[0] in (400, 422), query


def test_what_does_not_fit_is_refused_with_its_field(server: Serving) -> None:
    for changes, field in (
        ({"question": " "}, "question"),
        ({"passage": "x" * 1_000_001}, "passage"),
        ({"passage": "\ud800"}, "passage"),
        ({"answers": [{"text": "Ada", "start": 25, "end": 28}]}, "answers[0]"),
        ({"predicted": 5}, "predicted"),
        ({"task": "asr"}, "task"),
        ({"answer": "Ada"}, "answer"),
        ({"question": "why " * 2000}, "question"),  # no model has room for it, and a training would stumble
    ):
        status, _, error = server.ask({**GOOD, **changes}, ALL)
        assert is_error(status, error)
        assert (status, error["field"]) == (422, field), error
    assert server.ask({**GOOD, "question": "Who, by task?", "task": "qa"}, ALL)[0] == 201


def test_malformed_bodies_get_what_is_documented(server: Serving) -> None:
    rng = random.Random(7)
    junk: tuple[Any, ...] = (
        None,
        0,
        -1,
        1e300,
        True,
        "",
        "\0",
        [],
        {},
        [[]],
        [{}],
        {"a": 1},
        "x" * 70_000,
        [None] * 2000,
    )
    with Wire(server) as wire:
        for _ in range(300):
            body = {**GOOD, "note": None, rng.choice([*GOOD, "note", "task", "x"]): rng.choice(junk)}
            if rng.random() < 0.3:
                body["answers"] = [{**GOOD["answers"][0], rng.choice(["text", "start", "end", "x"]): rng.choice(junk)}]
            content = json.dumps(body).encode()
            if rng.random() < 0.1:
                content = content[: rng.randrange(len(content))]
            wire.send(post(content, ALL))
            checked(wire.reply(), (200, 201, 400, 422), content[:2000])
        wire.send(b"DELETE /v1/corrections HTTP/1.1\r\n" + HOST + b"\r\n")
        assert wire.reply().headers["allow"] == "GET, HEAD, POST"


def test_listing_goes_page_by_page_and_searches(server: Serving, folder: Path) -> None:
    made = [keep(server, question=f"Which of the seven, {n}?", note="Siebenschläfer") for n in range(7)]
    status, _, reply = server.get(f"{ALL}?query={quote('SIEBENSCHLÄFER')}&limit=3")
    assert status == 200
    assert [one["id"] for one in reply["corrections"]] == [one["id"] for one in made[:-4:-1]]
    assert (reply["total"], reply["next_offset"], reply["task"]) == (7, 3, "qa")
    assert reply["corrections"][0] == without(made[-1], "replaced", "warnings")
    last = server.get(f"{ALL}?query=siebenschl%C3%A4fer&limit=3&offset=6&task=qa")[2]
    assert [one["id"] for one in last["corrections"]] == [made[0]["id"]]
    assert last["next_offset"] is None
    assert server.get(f"{ALL}?offset=100000")[2]["corrections"] == []
    for n in range(3):
        keep(server, passage=f"{ADA} {n}")
    everything = server.get(ALL)[2]
    path = folder / "qa.json"
    assert everything["file"] == {
        "path": str(path),
        "bytes": path.stat().st_size,
        "max_bytes": 100_000_000,
        "download": "v1/corrections.json",
    }
    assert everything["command"] == f"trifold finetune {path} --name corrected"
    for query in ("limit=0", "limit=101", "limit=", "limit=1&limit=2", "offset=-1", "task=x", "words=x", "query=%ff"):
        status, _, error = server.get(f"{ALL}?{query}")
        assert is_error(status, error)
        assert status in (400, 422), query
    assert server.get(f"{ALL}?query={'x' * 1001}")[0] == 422


def test_a_long_reply_is_cut_and_says_where_it_goes_on(server: Serving) -> None:
    texts = [f"{n} " + "long " * 180_000 for n in range(11)]
    ids = [keep(server, passage=text, answers=[], note="lang")["id"] for text in texts]
    found: list[str] = []
    offset: int | None = 0
    replies = 0
    while offset is not None:
        reply = server.get(f"{ALL}?query=lang&offset={offset}")[2]
        found += [one["id"] for one in reply["corrections"]]
        offset, replies = reply["next_offset"], replies + 1
        assert sum(len(one["passage"]) for one in reply["corrections"]) < 8_000_000
    assert (found, replies) == (ids[::-1], 2)
    for name in ids:
        assert server.send("DELETE", f"{ALL}/{name}?revision=1")[0] == 204


def test_the_data_set_is_given_out_as_it_is_trained_on(
    server: Serving, folder: Path, tmp_path: Path, call: Call
) -> None:
    keep(server, passage="👩‍👩‍👧 went to 🇫🇷.", answers=[{"text": "🇫🇷", "start": 14, "end": 16}])
    status, headers, document = server.get("/v1/corrections.json?task=qa")
    assert status == 200
    assert headers["content-disposition"] == 'attachment; filename="corrections-qa.json"'
    assert headers["content-type"] == "application/json"
    (tmp_path / "corrections-qa.json").write_text(json.dumps(document))
    assert call("check", str(tmp_path / "corrections-qa.json"))[0] == 0
    assert read_sound(tmp_path / "corrections-qa.json") == read_sound(folder / "qa.json")
    assert document == json.loads((folder / "qa.json").read_bytes())
    assert server.get("/v1/corrections.json?task=x")[0] == 422


def test_the_log_has_no_word_of_it(server: Serving) -> None:
    made = keep(server, note="Geheimnis")
    server.get(f"{ALL}?query=Geheimnis")
    server.get(f"{ALL}/{made['id']}")
    log = server.log()
    assert made["id"] in log
    assert "Geheimnis" not in log
    assert "Lovelace" not in log


def test_two_servers_on_one_folder_lose_nothing_and_a_restart_keeps_all(tmp_path: Path) -> None:
    def write(one: Serving, name: str) -> None:
        for n in range(8):
            assert one.ask({**GOOD, "question": f"{name} {n}?"}, ALL)[0] == 201

    env = {"TRIFOLD_CORRECTIONS": str(tmp_path)}
    with Serving(env=env) as first, Serving(env=env) as second:
        threads = [
            threading.Thread(target=write, args=(one, f"{number} {word}"))
            for number, one in enumerate((first, second))
            for word in "abc"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [one.get(ALL)[2]["total"] for one in (first, second)] == [48, 48]
        kept = first.get("/v1/corrections.json")[2]
    with Serving(env=env) as third:
        assert third.get("/v1/corrections.json")[2] == kept
        assert len(read_sound(tmp_path / "qa.json")) == 48


def test_without_corrections_their_paths_are_not_there(server: Serving) -> None:
    with Serving("--no-corrections") as other:
        for method, path in (("GET", ALL), ("POST", ALL), ("GET", f"{ALL}/1"), ("GET", "/v1/corrections.json")):
            status, _, error = other.send(method, path, GOOD if method == "POST" else None)
            assert (status, error["error_type"]) == (404, "not_found")
        assert other.get("/info")[2]["corrections"] is False
        assert not any("correct" in path for path in other.get("/openapi.json")[2]["paths"])
    assert server.get("/info")[2]["corrections"] is True
    assert "path" not in json.dumps(server.get("/info")[2])


def test_with_keys_everybody_corrects_and_only_administrators_learn_where_the_file_lies(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"admin root {ADMIN}\nuser somebody {USER}\n")
    folder = tmp_path / "my corrections"
    user, admin = {"X-API-Key": USER}, {"X-API-Key": ADMIN}
    words = ("--api-key-file", str(keys), "--corrections", str(folder), "--max-corrections-mb", "0.003")
    with Serving(*words) as guarded:
        assert guarded.ask(GOOD, ALL)[0] == 401
        empty = guarded.get(ALL, headers=user)[2]
        assert (empty["corrections"], empty["total"], empty["command"], empty["file"]["bytes"]) == ([], 0, None, 0)
        assert guarded.get("/v1/corrections.json", headers=user)[2] == {"version": "v2.0", "data": []}
        assert not folder.exists()
        assert "about 3 passages" in empty["missing"]
        for n in range(3):
            assert guarded.ask({**GOOD, "answers": [], "passage": f"{ADA} {n}"}, ALL, headers=user)[0] == 201
        silent = guarded.get(ALL, headers=user)[2]
        assert (silent["command"], silent["total"]) == (None, 3)
        assert "with an answer" in silent["missing"]
        made = guarded.ask(GOOD, ALL, headers=user)[2]
        mine, all_of_it = (guarded.get(ALL, headers=headers)[2] for headers in (user, admin))
        assert mine["file"]["path"] is mine["missing"] is None
        assert mine["command"] == "trifold finetune corrections-qa.json --name corrected"
        assert all_of_it["file"]["path"] == str(folder / "qa.json")
        assert all_of_it["command"] == f"trifold finetune '{folder / 'qa.json'}' --name corrected"
        full = [guarded.ask({**GOOD, "question": f"{n}?"}, ALL, headers=user) for n in range(10)][-1]
        assert (full[0], full[2]["error_type"]) == (413, "too_large")
        assert "--max-corrections-mb" in full[2]["error"]
        assert guarded.send("DELETE", f"{ALL}/{made['id']}?revision=1", headers=user)[0] == 204
        (folder / "qa.json").write_text((folder / "qa.json").read_text().replace('"text": "Ada L', '"text": "Eve L'))
        for headers, place in ((user, "qa.json does not fit"), (admin, f"{folder / 'qa.json'} does not fit")):
            for reply in (guarded.ask(GOOD, ALL, headers=headers), guarded.get(ALL, headers=headers)):
                assert (reply[0], reply[2]["error_type"]) == (500, "internal_error")
                assert reply[2]["error"].startswith(place)
                assert "It is left as it is" in reply[2]["error"]
        assert "Love" not in guarded.log()


def test_the_command_goes_on_from_the_model_that_was_corrected(tmp_path: Path) -> None:
    qa_folder(tmp_path / "models" / "mine@2", {})
    elsewhere = qa_folder(tmp_path / "elsewhere" / "mine@2", {}).path
    for word, base in (("mine", "mine@2"), (str(elsewhere), str(elsewhere))):
        home = tmp_path if word == "mine" else tmp_path / "another home"
        with Serving("--model", word, env={"TRIFOLD_HOME": str(home)}) as running:
            for n in range(3):
                assert running.ask({**GOOD, "passage": f"{ADA} {n}"}, ALL)[0] == 201
            reply = running.get(ALL)[2]
            assert str(home / "corrections" / "qa.json") == reply["file"]["path"]
            assert reply["command"].endswith(f"--base {base} --name mine")


def test_the_corrections_of_another_task_are_kept_beside(tmp_path: Path) -> None:
    echo_folder(tmp_path / "models" / "echo@0")
    flags = ("--model", "default", "--model", "echo")
    with Serving(*flags, env={"TRIFOLD_HOME": str(tmp_path), "PYTHONPATH": str(ECHO)}) as running:
        status, _, made = running.ask({"text": "hello", "echo": "olleh", "task": "echo"}, ALL)
        assert (status, made["task"], made["text"], made["echo"]) == (201, "echo", "hello", "olleh")
        assert running.ask({**GOOD, "task": None}, ALL)[2]["task"] == "qa", "that of the default model"
        assert running.ask(GOOD | {"task": "echo"}, ALL)[0] == 422
        one = f"{ALL}/{made['id']}"
        assert running.get(one)[2]["echo"] == "olleh"
        assert running.send("PUT", one, {"text": "hello", "echo": "HELLO", "revision": 1, "task": "qa"})[0] == 422
        assert running.send("PUT", one, {"text": "hello", "echo": "HELLO", "revision": 1})[2]["revision"] == 2
        listed = [running.get(f"{ALL}{query}")[2] for query in ("", "?task=qa", "?task=echo")]
        assert [(reply["task"], reply["total"]) for reply in listed] == [("qa", 1), ("qa", 1), ("echo", 1)]
        assert listed[2]["file"]["download"] == "v1/corrections.json?task=echo"
        file = tmp_path / "corrections" / "echo.json"
        assert listed[2]["command"] == f"trifold echo learn {file} echo"
        (element,) = running.get("/v1/corrections.json?task=echo")[2]["data"]
        assert element["echo"] == "HELLO"
        assert running.send("DELETE", f"{one}?revision=2")[0] == 204
        schemas = running.get("/openapi.json")[2]["paths"][ALL]["post"]["requestBody"]["content"]["application/json"]
        assert len(schemas["schema"]["anyOf"]) == 2


def test_others_are_answered_while_a_large_data_set_is_read(tmp_path: Path) -> None:
    entries = [{"question": f"{n}?", "answers": [{"text": "Ada", "answer_start": 26}]} for n in range(20)]
    articles = [
        {"paragraphs": [{"context": f"{ADA} {n}", "qas": [{"id": f"{n} {i}", **e} for i, e in enumerate(entries)]}]}
        for n in range(400)
    ]
    (tmp_path / "qa.json").write_text(json.dumps({"version": "v2.0", "data": articles}))
    with Serving("--corrections", str(tmp_path)) as running:
        replies: list[int] = []
        writer = threading.Thread(target=lambda: replies.append(running.ask(GOOD, ALL)[0]))
        writer.start()
        answered = 0
        while writer.is_alive():
            answered += running.get("/v2/health/live")[0] == 200
        writer.join()
        assert replies == [201]
        assert answered > 5
        assert running.get(f"{ALL}?limit=1&query=1843.%20399")[2]["total"] == 20


def test_the_client_corrects(server: Serving) -> None:
    with trifold.Client(server.url) as client:
        reply = client.ask("Who wrote it?", ADA)
        made = client.correct("Who, says the client?", ADA, [reply.answers[0], (26, 29)], reply=reply, note="either")
        assert (made.answers, made.revision, made.model, made.note) == (((26, 38), (26, 29)), 1, "default@1", "either")
        assert made.predicted == "Ada Lovelace"
        assert list(client.corrections("SAYS THE CLIENT")) == [made]
        silent = client.correct("Who, says the client?", ADA, [])
        assert (silent.id, silent.revision, silent.answers, silent.predicted) == (made.id, 2, (), None)
        many = [client.correct(f"Number {n}, says the client?", ADA, []) for n in range(101)]
        assert [one.id for one in client.corrections("says the client")] == [one.id for one in [silent, *many][::-1]]
        for answers in ([(5, 5)], [(-1, 3)], [(40, 400)]):
            with pytest.raises(trifold.InvalidInput, match="expected places in the passage"):
                client.correct("Who?", ADA, answers)
        with pytest.raises(trifold.InvalidInput, match="question"):
            client.correct(" ", ADA, [])

    async def ask() -> list[str]:
        async with trifold.AsyncClient(server.url) as client:
            await client.correct("Who, says the other client?", ADA, [(26, 29)])
            return [one.question async for one in client.corrections("the other client")]

    assert asyncio.run(ask()) == ["Who, says the other client?"]


def test_a_conflict_is_one_for_clients_too() -> None:
    error = error_from({"error": "it was changed meanwhile.", "error_type": "conflict"})
    assert isinstance(error, trifold.Conflict)
    assert error_record(error) == {"error": "it was changed meanwhile.", "error_type": "conflict"}


def test_a_model_says_what_it_is(server: Serving) -> None:
    status, _, card = server.get("/v1/models/default/card")
    assert (status, card["name"], card["version"], card["task"]) == (200, "default", "default@1", "qa")
    assert "# default@1" in card["card"]
    facts = card["facts"]
    assert facts["license"] == "Apache-2.0"
    assert facts["task_settings"]["window"] == {"length": 384, "stride": 128}
    assert facts["files"]["model.int8.onnx"]["bytes"] > 1_000_000
    assert {metric["data"] for metric in facts["metrics"]} >= {"squad-dev-v1.1.json.gz", "squad-dev-v2.0.json.gz"}
    assert all(len(metric["reliability"]) == 15 for metric in facts["metrics"])
    assert server.get("/v1/models/default@1/card")[2] == card
    assert server.get("/v1/models/nobody/card")[2]["error_type"] == "model_not_found"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("trifold finetune /home/ada/secret/mine.jsonl --name mine", "trifold finetune mine.jsonl --name mine"),
        ("trifold finetune '/home/ada/my rows.csv' --name x", "trifold finetune 'my rows.csv' --name x"),
        ("--eval=/srv/a/b.json", "--eval=b.json"),
        ("given as '~/models/base'", "given as 'base'"),
        ("`C:\\Users\\Ada\\base`", "`base`"),
        ("see D:\\data\\x.json.", "see x.json."),
        ("file:///home/ada/x", "x"),
        ("https://huggingface.co/deepset/roberta, EM/F1, 1 / 2, <b>x</b>, and/or", None),
        ({"files": ["/a/b/c"], "n": 3, "none": None}, {"files": ["c"], "n": 3, "none": None}),
    ],
)
def test_places_of_a_disk_are_not_told(text: Any, shown: Any) -> None:
    assert without_paths(text) == (text if shown is None else shown)
