"""Clients of an HTTP server that send their next request when the last one is answered; see load.py.

One asyncio protocol for each connection, requests as ready bytes, and of a reply's head only what is counted: the less
the clients take of the processor that they share with the server, the more the figures say about the server. Uses
nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import gc
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from serving_watch import CORES, cpu_seconds, family, machine_seconds, rss_mb, stolen_seconds

__all__ = ["Load", "Plan", "Record", "Used"]

WATCH_EVERY = 0.25
NO_SERVER = 10.0
"""Seconds without any connection, after which there is no server any more."""

RETRIED = ("429", "503")

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_AFTER = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_TOTAL = re.compile(rb"\r\nserver-timing:[^\r]*\btotal;dur=([\d.]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be sent. seconds: when no new request is sent any more. timeout: for one request, in seconds."""

    host: str
    port: int
    clients: int
    seconds: float | None = None
    timeout: float = 60.0
    retry: bool = False
    hang_up: int = 0
    hang_up_after: float = 0.05
    hang_up_half: bool = False
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One request: its line, when it was sent (seconds after the start), how long it took, how it ended.

    server_ms: as the server says, None where it does not.
    """

    line: int
    start: float
    seconds: float
    status: str
    server_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Used:
    """What was used meanwhile: processor seconds of the clients and of the server, shares of all cores, megabytes.

    others_share: of anything else on the machine. stolen_share: of other machines on the same host.
    rss_mb: of the server, (seconds after the start, megabytes) about once a second.
    """

    clients: float
    clients_share: float
    server: float
    server_share: float
    others_share: float
    stolen_share: float
    rss_mb: list[tuple[float, float]] = field(default_factory=list)


class Client(asyncio.Protocol):
    """One keep-alive connection, with at most one request under way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._line: int | None = None
        self._sent = 0.0
        self._reply = bytearray()
        self._end = 0
        """Where the reply ends; 0 while its head is incomplete."""

    async def connect(self) -> None:
        """Connect, or try again in a while."""
        plan = self._load.plan
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, plan.host, plan.port)
        except OSError:
            if self._load.began:
                self._load.record(Record(-1, self._load.now(), 0.0, "refused"))
            self._later(0.1, self._reconnect)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._load.began:
            self.go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._line is not None and self._sent:
            self._done("lost")
        self._reconnect()

    def data_received(self, data: bytes) -> None:
        if not self._sent:
            return  # an answer to nothing, such as 408 before an idle connection is closed
        self._reply += data
        if not self._end:
            head = self._reply.find(b"\r\n\r\n")
            if head < 0:
                return
            length = _LENGTH.search(self._reply[: head + 2])
            self._end = head + 4 + (int(length[1]) if length else 0)
        if len(self._reply) >= self._end:
            self._answered()

    def go_on(self) -> None:
        """Send the request that waits to be sent again, or the next one."""
        if self._transport is None or self._sent or self._pause is not None:
            return
        if self._line is None:
            self._line = self._load.take()
        if self._line is None:
            return
        plan, data = self._load.plan, self._load.requests[self._line]
        breaks = plan.hang_up and self._line % plan.hang_up == plan.hang_up - 1
        self._sent = time.perf_counter()
        self._transport.write(data[: len(data) // 2] if breaks and plan.hang_up_half else data)
        if breaks:
            self._later(plan.hang_up_after, lambda: self._break_off("hung up"))

    def watch(self, now: float) -> None:
        """Give up a request that has taken too long."""
        if self._sent and now - self._sent > self._load.plan.timeout:
            self._break_off("timeout")

    @property
    def connected(self) -> bool:
        return self._transport is not None

    @property
    def busy(self) -> bool:
        """Whether a request is under way, or waits to be sent again."""
        return self._line is not None

    def stop(self) -> None:
        """Send nothing again."""
        if not self._sent:
            self._line = None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _answered(self) -> None:
        line, end = self._line, self._reply.find(b"\r\n\r\n") + 2
        assert line is not None
        head = bytes(self._reply[:end])  # what is found in it must outlive the buffer
        status, total, after = head[9:12].decode("latin-1"), _TOTAL.search(head), _AFTER.search(head)
        if status == "200":
            self._load.replies[line] = bytes(self._reply[end + 2 : self._end])
        self._done(status, float(total[1]) if total else None)
        if status in RETRIED and self._load.plan.retry and self._load.running:
            self._line = line
            self._later(float(after[1]) if after else 1.0, self.go_on)
        if _CLOSE.search(head):
            self.close()  # goes on when connected again
        elif self._line is None:
            self.go_on()

    def _done(self, status: str, server_ms: float | None = None) -> None:
        """The request is over, one way or another."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        line, sent = self._line, self._sent
        assert line is not None
        self._line, self._sent, self._end = None, 0.0, 0
        self._reply.clear()
        self._load.record(Record(line, sent - self._load.began, time.perf_counter() - sent, status, server_ms))

    def _break_off(self, status: str) -> None:
        if self._sent:
            self._done(status)
            self.close()

    def _reconnect(self) -> None:
        if not self._load.over:
            self._load.keep(asyncio.get_running_loop().create_task(self.connect()))

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        def fire() -> None:
            self._pause = None
            what()

        self._pause = asyncio.get_running_loop().call_later(seconds, fire)


class Load:
    """All clients, and what has come of their requests."""

    def __init__(self, plan: Plan, requests: Sequence[bytes]) -> None:
        """requests: head and body, as they are sent."""
        self.plan = plan
        self.requests = requests
        self.records: list[Record] = []
        self.replies: list[bytes | None] = [None] * len(requests)
        self.began = 0.0
        self.running = False
        self.over = False
        self._next = 0
        self._timeouts = 0
        self._clients = [Client(self) for _ in range(plan.clients)]
        self._tasks: set[asyncio.Task[None]] = set()
        self._rss: list[tuple[float, float]] = []

    def now(self) -> float:
        return time.perf_counter() - self.began

    def take(self) -> int | None:
        """The next line; None where nothing is to be sent any more."""
        if not self.running or self._next >= len(self.requests):
            return None
        self._next += 1
        return self._next - 1

    def record(self, record: Record) -> None:
        self.records.append(record)
        if record.status == "timeout":
            self._timeouts += 1
            if self._timeouts >= len(self._clients):
                self.running = False  # nobody is there

    def keep(self, task: asyncio.Task[None]) -> None:
        """Hold a task, which asyncio itself does not."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run(self) -> Used:
        """Send everything and wait for what is under way."""
        await asyncio.gather(*(client.connect() for client in self._clients))
        pids = family(self.plan.pid) if self.plan.pid is not None else []
        gc.collect()
        gc.disable()
        machine, stolen = machine_seconds(), stolen_seconds()
        server, own = cpu_seconds(pids), time.process_time()
        self.began, self.running = time.perf_counter(), True
        for client in self._clients:
            client.go_on()
        await self._watch(pids)
        self.over = True
        wall = self.now()
        own, server = time.process_time() - own, cpu_seconds(pids) - server
        others, stolen = machine_seconds() - machine - own - server, stolen_seconds() - stolen
        gc.enable()
        for client in self._clients:
            client.close()
        cores = wall * CORES
        return Used(own, own / cores, server, server / cores, max(0.0, others) / cores, stolen / cores, self._rss)

    async def _watch(self, pids: Sequence[int]) -> None:
        """Until every request has ended; timeouts see to it that this comes."""
        connected = self.began
        while True:
            ending = not self.running or self._next >= len(self.requests)
            await asyncio.sleep(WATCH_EVERY / 10 if ending else WATCH_EVERY)
            now = time.perf_counter()
            if pids and (not self._rss or self.now() - self._rss[-1][0] >= 1):
                self._rss.append((round(self.now(), 2), round(rss_mb(pids), 1)))
            if any(client.connected for client in self._clients):
                connected = now
            elif now - connected > NO_SERVER:
                return
            if self.plan.seconds is not None and self.now() >= self.plan.seconds:
                self.running = False
            for client in self._clients:
                client.watch(now)
                if not self.running:
                    client.stop()
            if ending and not any(client.busy for client in self._clients):
                return
