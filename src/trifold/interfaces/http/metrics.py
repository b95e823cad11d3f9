"""Prometheus metrics of the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from trifold.engine.calls import Outcome
from trifold.engine.hosting import Hosting
from trifold.engine.loaded import Loaded
from trifold.interfaces.http.trace import Trace
from trifold.task import Tabular

if TYPE_CHECKING:
    from trifold.engine.service import Service

__all__ = ["Metrics"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_FAST = (0.0001, 0.00025, 0.0005, *_SECONDS[:10])
_COSTS = (64, 128, 256, 384, 512, 768, 1024, 2048, 4096, 8192, 16384)
_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Everything that is counted. `model` is the version that did the work."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, with its time of birth
        self._registry = own = CollectorRegistry()
        ProcessCollector(registry=own)
        self._requests = Counter("trifold_requests", "HTTP requests.", ["route", "status"], registry=own)
        self._seconds = Histogram(
            "trifold_request_seconds", "Time in the server.", ["route"], registry=own, buckets=_SECONDS
        )
        self.in_flight = Gauge("trifold_requests_in_flight", "HTTP requests being handled.", registry=own)
        self._rejected = Counter("trifold_rejected", "Requests that were refused.", ["reason"], registry=own)
        self._dropped = Counter("trifold_dropped", "Work that nobody waited for.", ["model", "reason"], registry=own)
        self._replies = Counter("trifold_replies", "Replies, by where from.", ["model", "source"], registry=own)
        self._failed = Counter("trifold_failed", "Requests that got an error for a reply.", ["model"], registry=own)
        self._no_answer = Counter("trifold_no_answer", "Replies without an answer.", ["model"], registry=own)
        self._preparing = Histogram(
            "trifold_preparing_seconds", "Checking and tokenising a request.", ["model"], registry=own, buckets=_FAST
        )
        self._waiting = Histogram(
            "trifold_queue_seconds", "Waiting in the queue.", ["model"], registry=own, buckets=_SECONDS
        )
        self._computing = Histogram(
            "trifold_inference_seconds", "Computing a batch.", ["model"], registry=own, buckets=_SECONDS
        )
        self._windows = Histogram(
            "trifold_request_windows", "Windows of a request.", ["model"], registry=own, buckets=_COUNTS
        )
        self._batch_cost = Histogram(
            "trifold_batch_tokens", "Tokens of a batch.", ["model"], registry=own, buckets=_COSTS
        )
        self._batch_units = Histogram(
            "trifold_batch_windows", "Windows of a batch.", ["model"], registry=own, buckets=_COUNTS
        )

    def watch(self, service: Service, hosting: Hosting) -> None:
        """Tell the state of a service whenever somebody looks."""
        self._registry.register(_State(service, hosting))

    def text(self) -> bytes:
        """The metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def finished(self, route: str, status: int, trace: Trace, *, rejected: bool = True) -> None:
        """A request has its reply. rejected: whether a reason not to answer it counts as a refusal."""
        self._requests.labels(route, status).inc()
        self._seconds.labels(route).observe(trace.seconds)
        if trace.reason is not None and rejected:
            self._rejected.labels(trace.reason).inc()

    def prepared(self, loaded: Loaded, seconds: float, units: int) -> None:
        self._preparing.labels(loaded.version).observe(seconds)
        self._windows.labels(loaded.version).observe(units)

    def computed(self, loaded: Loaded, seconds: float, units: int, cost: int) -> None:
        self._computing.labels(loaded.version).observe(seconds)
        self._batch_cost.labels(loaded.version).observe(cost)
        self._batch_units.labels(loaded.version).observe(units)

    def replied(self, outcome: Outcome) -> None:
        version, task = outcome.loaded.version, outcome.loaded.task
        if isinstance(outcome.reply, Exception):
            self._failed.labels(version).inc()
            return
        self._replies.labels(version, outcome.source).inc()
        if outcome.source == "computed":
            self._waiting.labels(version).observe(outcome.waiting)
        if isinstance(task, Tabular) and not task.cells(outcome.reply)[task.columns({}).answer]:
            self._no_answer.labels(version).inc()

    def dropped(self, loaded: Loaded, reason: str) -> None:
        self._dropped.labels(loaded.version, reason).inc()


class _State(Collector):
    """Gauges that are read rather than kept."""

    def __init__(self, service: Service, hosting: Hosting) -> None:
        self._service, self._hosting = service, hosting

    def collect(self) -> Iterator[Metric]:
        answers, size = self._service.remembered
        for name, text, value in (
            ("trifold_queue_calls", "Calls that wait or are worked on.", self._service.calls),
            ("trifold_queue_depth", "Questions that wait for their first computation.", self._service.waiting),
            ("trifold_queue_bytes", "Bytes of text of the calls in the queue.", self._service.size),
            ("trifold_cache_answers", "Answers that are remembered.", answers),
            ("trifold_cache_bytes", "Bytes of the answers that are remembered.", size),
        ):
            yield GaugeMetricFamily(name, text, value)
        models = GaugeMetricFamily(
            "trifold_model_info", "Models that are served.", labels=["name", "version", "sha256"]
        )
        for name, loaded in self._hosting.served.items():
            models.add_metric([name, loaded.version, loaded.digest], 1)
        yield models
