"""What OpenTelemetry is told of requests, and what it is not told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="needs opentelemetry-sdk")
pytest.importorskip("opentelemetry.instrumentation.fastapi", reason="needs opentelemetry-instrumentation-fastapi")

from live_server import ASK, Serving

KEY = "the-key-of-somebody"
EXPORTER = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

out = open({path!r}, "a", encoding="utf-8")
exporter = ConsoleSpanExporter(out=out, formatter=lambda span: span.to_json(indent=None) + "\\n")
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
"""


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, Path]]:
    """A server whose spans are written to a file."""
    folder = tmp_path_factory.mktemp("tracing")
    spans, keys = folder / "spans", folder / "keys"
    (folder / "sitecustomize.py").write_text(EXPORTER.format(path=str(spans)))
    keys.write_text(f"user somebody {KEY}\n")
    with Serving("--api-key-file", str(keys), env={"PYTHONPATH": str(folder)}) as server:
        yield server, spans


def spans_in(path: Path, *, least: int = 0) -> list[dict[str, Any]]:
    """The spans so far. least: how many to wait for, since they end after the reply."""
    limit = time.monotonic() + 5
    while True:
        lines = path.read_text("utf-8").splitlines(keepends=True)
        found = [json.loads(line) for line in lines if line.endswith("\n")]
        if len(found) >= least or time.monotonic() > limit:
            return found
        time.sleep(0.01)


def status(span: dict[str, Any]) -> int:
    """By the older or the newer name."""
    found = span["attributes"]
    return int(found.get("http.status_code", found.get("http.response.status_code")))


def test_each_request_is_one_span_and_probes_are_none(traced: tuple[Serving, Path]) -> None:
    server, path = traced
    before = len(spans_in(path))
    key = {"X-API-Key": KEY}
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    assert server.ask(headers={**key, "traceparent": f"00-{trace}-00f067aa0ba902b7-01"})[0] == 200
    assert server.ask({**ASK, "question": ""}, headers=key)[0] == 422
    for probe in ("/v2/health/live", "/v2/health/ready", "/metrics"):
        assert server.get(probe, headers=key)[0] == 200
    assert server.get("/v2/models/metrics", headers=key)[0] == 404
    answered, refused, unknown = spans_in(path, least=before + 3)[before:]
    assert (answered["name"], answered["attributes"]["http.route"]) == ("POST /v1/answer", "/v1/answer")
    assert (status(answered), status(refused), status(unknown)) == (200, 422, 404)
    assert answered["context"]["trace_id"] == f"0x{trace}"
    assert unknown["attributes"]["http.route"] == "/v2/models/{model}"


def test_spans_hold_no_texts_and_no_keys(traced: tuple[Serving, Path]) -> None:
    server, path = traced
    before = len(spans_in(path))
    body = {"question": "Who wrote the secret report?", "passage": "The secret was written by Ada Lovelace."}
    assert server.ask(body, headers={"Authorization": f"Bearer {KEY}"})[0] == 200
    assert server.ask({**body, "secret": 1}, headers={"X-API-Key": KEY})[0] == 422
    assert server.ask(body, f"/v1/answer?key={KEY}&question=secret", headers={"X-API-Key": KEY})[0] == 200
    found = spans_in(path, least=before + 3)[before:]
    assert len(found) == 3
    text = json.dumps(found).lower()
    assert not any(word in text for word in ("secret", "lovelace", KEY))
