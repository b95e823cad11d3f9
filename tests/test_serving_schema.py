"""The description of the API is true: schemathesis asks whatever it allows and forbids; its examples are answered."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doubles import qa_folder
from live_server import Serving

DOCUMENT = Path(__file__).parents[1] / "docs" / "openapi.json"
ADMIN = "a-key-of-an-administrator"
CONFIG = """
[checks.not_a_server_error]
# 504 is right for an X-Timeout of 1e-300 seconds.
expected-statuses = ["2xx", "3xx", "4xx", "504"]

[checks.negative_data_rejection]
# 413 is right for an item too many.
expected-statuses = ["400", "401", "403", "404", "405", "413", "415", "422", "429", "431", "504"]

[[operations]]
include-operation-id = "delete_model"
# 422 is right for the last model that is left.
checks.positive_data_acceptance.enabled = false

[[operations]]
include-tag = "corrections"
# Which positions an answer has is said by the passage, and which revision is the right one by the correction.
checks.positive_data_acceptance.enabled = false

[[operations]]
include-operation-id = "v1_answers"
# An item that does not fit gets an error in its place, within a 200.
checks.negative_data_rejection.enabled = false

[[operations]]
include-operation-id = "v1_extract"
# Which bytes are a file with a text is not for a schema to say.
checks.positive_data_acceptance.enabled = false

[[operations]]
include-tag = "KServe v2"
# Which tensors a model wants is said by its metadata, and options by its task.
checks.positive_data_acceptance.enabled = false
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with Serving() as running:
        yield running


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Serving]:
    """A server with keys, and with a model `mine@2` to be had."""
    keys = tmp_path / "keys"
    keys.write_text(f"admin root {ADMIN}\n")
    qa_folder(tmp_path / "models" / "mine@2", {})
    with Serving("--api-key-file", str(keys), env={"TRIFOLD_HOME": str(tmp_path)}) as running:
        yield running


def explore(server: Serving, folder: Path, *words: str) -> None:
    """Have schemathesis ask; what it finds fails the test."""
    (folder / "schemathesis.toml").write_text(CONFIG)
    code = "from schemathesis.cli import schemathesis; schemathesis()"
    arguments = ["run", f"{server.url}/openapi.json", "--generation-database", "none", "--no-color", *words]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True, timeout=1500
    )
    found = "\n".join(line[:500] for line in done.stdout.splitlines())
    assert done.returncode == 0, f"{found[-12000:]}\n{done.stderr[-2000:]}"


QUICK = ("--seed", "1", "--phases", "coverage,fuzzing", "--max-examples", "25")
LONG = ("--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure", "--max-examples")


def test_requests_of_anybody_get_what_is_described(server: Serving, tmp_path: Path) -> None:
    explore(server, tmp_path, *QUICK)
    status, _, reply = server.ask()
    assert (status, reply["answers"][0]["text"]) == (200, "Ada Lovelace")


def test_requests_of_an_administrator_get_what_is_described(guarded: Serving, tmp_path: Path) -> None:
    words = ("--include-tag", "administration", "--include-tag", "operations", "--include-tag", "KServe v2")
    explore_as_admin(guarded, tmp_path, *QUICK, *words)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_many_requests_of_anybody_get_what_is_described(server: Serving, tmp_path: Path) -> None:
    explore(server, tmp_path, *LONG, "600")


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_many_requests_of_an_administrator_get_what_is_described(guarded: Serving, tmp_path: Path) -> None:
    explore_as_admin(guarded, tmp_path, *LONG, "300")


def explore_as_admin(server: Serving, folder: Path, *words: str) -> None:
    """The same with a key that may exchange models; whatever is then served, the server stays sound."""
    (folder / "schemathesis").mkdir()
    explore(server, folder / "schemathesis", *words, "-H", f"X-API-Key: {ADMIN}")
    status, _, reply = server.get("/v1/models", headers={"X-API-Key": ADMIN})
    assert status == 200
    assert reply["models"]


def test_the_document_in_the_repository_is_what_the_server_says(server: Serving) -> None:
    _, _, described = server.get("/openapi.json")
    assert json.loads(DOCUMENT.read_text("utf-8")) == described, "make openapi writes it anew"


def examples() -> list[Any]:
    """Every example of a request: method, path, body."""
    found = []
    for path, operations in json.loads(DOCUMENT.read_text("utf-8"))["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for name, example in content.get("examples", {}).items():
                found.append(pytest.param(method.upper(), path, example["value"], id=f"{method} {path} {name}"))
    return found


def test_every_path_with_a_body_shows_an_example() -> None:
    document = json.loads(DOCUMENT.read_text("utf-8"))
    bodies = [
        operation
        for operations in document["paths"].values()
        for operation in operations.values()
        if "requestBody" in operation
    ]
    assert len(bodies) >= 6
    for operation in bodies:
        content = operation["requestBody"]["content"]
        assert any(kind.get("examples") for kind in content.values()), operation["operationId"]


@pytest.mark.parametrize(("method", "path", "body"), [e for e in examples() if e.values[0] == "POST"])
def test_every_example_is_answered(server: Serving, method: str, path: str, body: object) -> None:
    status, headers, reply = server.ask(body, path.format(model="default", version="1"))
    assert status in (200, 201), reply
    assert headers["content-type"] == "application/json"
    for item in reply.get("items", ()):
        assert "error" not in item, item


def test_the_example_of_exchanging_a_model_is_carried_out(guarded: Serving) -> None:
    put = [(e.values[1], e.values[2]) for e in examples() if e.values[0] == "PUT"]
    ((path, body),) = [(path, body) for path, body in put if str(path).startswith("/v1/models/")]
    status, _, reply = guarded.send("PUT", str(path).format(name="other"), body, headers={"X-API-Key": ADMIN})
    assert (status, reply["name"], reply["version"]) == (201, "other", "mine@2")


def test_examples_of_replies_are_true(server: Serving) -> None:
    found = 0
    for path, operations in json.loads(DOCUMENT.read_text("utf-8"))["paths"].items():
        content = operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        if (example := content.get("application/json", {}).get("example")) is not None:
            assert server.get(path)[2] == example
            found += 1
    assert found >= 2
