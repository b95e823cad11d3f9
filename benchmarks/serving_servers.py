"""Servers in processes of their own, load on them, and what they say of themselves."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers import Measured

__all__ = ["Server", "Setting", "finish", "litserve", "load", "run_json", "start_load", "trifold"]

HERE = Path(__file__).parent
READY_WITHIN = 120.0
STOPS_WITHIN = 40.0


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready. path: where single questions are posted."""

    base: str
    path: str
    pid: int
    log: Path

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.base + path, timeout=10) as reply:
            return str(reply.read().decode())

    def metrics(self, word: str) -> dict[str, float]:
        """The Prometheus series whose name has this word."""
        found = {}
        for line in self.get("/metrics").splitlines():
            name, _, value = line.rpartition(" ")
            if not line.startswith("#") and word in name.partition("{")[0]:
                found[name] = float(value)
        return found


@dataclass(frozen=True, slots=True)
class Setting:
    """How LitServe is set; see litserve_app.py."""

    workers: int = 1
    batch: int = 1
    wait: float = 0.0
    threads: int = 1
    pad: bool = False
    api: int | None = None
    fast_queue: bool = False

    def __str__(self) -> str:
        parts = [f"{self.workers} workers, {self.api or self.workers} APIs"]
        if self.threads > 1:
            parts.append(f"{self.threads} ORT threads")
        if self.batch > 1:
            parts.append(f"batch {self.batch}, {1000 * self.wait:.0f} ms{', padded' if self.pad else ''}")
        return ", ".join([*parts, "fast queue"] if self.fast_queue else parts)

    def arguments(self) -> list[str]:
        numbers = {"workers": self.workers, "batch": self.batch, "wait": self.wait, "threads": self.threads}
        if self.api is not None:
            numbers["api"] = self.api
        switches = [f"--{name}" for name, on in (("pad", self.pad), ("fast-queue", self.fast_queue)) if on]
        return [*(part for name, value in numbers.items() for part in (f"--{name}", str(value))), *switches]


@contextmanager
def trifold(scratch: Path, *options: str) -> Iterator[Server]:
    """`trifold serve` on a free port."""
    command = [sys.executable, "-m", "trifold", "serve", "--port", "0", *options]
    with _process(command, scratch) as (process, log):
        base = _address(process, log)
        _ready(process, f"{base}/v2/health/ready", log)
        yield Server(base, "/v1/answer", process.pid, log)


@contextmanager
def litserve(python: Path, scratch: Path, setting: Setting, model: str) -> Iterator[Server]:
    """litserve_app.py on a free port."""
    port = _free_port()
    command = [str(python), str(HERE / "litserve_app.py"), "--port", str(port), "--model", model, *setting.arguments()]
    with _process(command, scratch) as (process, log):
        base = f"http://127.0.0.1:{port}"
        _ready(process, f"{base}/health", log)
        yield Server(base, "/predict", process.pid, log)


def load(server: Server, bodies: Path, clients: int, *options: str, limit: float = 600.0) -> Measured:
    """What load.py reports. limit: seconds after which the run counts as hanging."""
    with start_load(server, bodies, clients, *options) as process:
        return finish(process, limit)


def start_load(server: Server, bodies: Path, clients: int, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE / "load.py"), server.base + server.path, str(bodies)]
    command += ["--clients", str(clients), "--pid", str(server.pid), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str], limit: float = 600.0) -> Measured:
    """The JSON that a process writes. Ends the program where it fails or takes longer than `limit` seconds."""
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        sys.exit(f"{process.args!r} has not ended within {limit:.0f} s.")
    if process.returncode or err:
        sys.exit(f"{process.args!r} failed ({process.returncode}):\n{err}")
    result: Measured = json.loads(out)
    return result


def run_json(script: str, *arguments: str | Path) -> Measured:
    """What another script of this folder writes."""
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        return finish(process)


@contextmanager
def _process(command: Sequence[str], scratch: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A process group that ends with the block, first asked to and then killed."""
    log = scratch / f"server-{time.monotonic_ns()}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True, cwd=scratch)
    try:
        yield process, log
    finally:
        process.terminate()
        try:
            process.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            print(f"{command[:4]} has not ended {STOPS_WITHIN:.0f} s after SIGTERM and was killed.", flush=True)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address that the server names."""
    for _ in _until(READY_WITHIN, process, log):
        if found := re.search(r"http://[\w.\[\]:]+:\d+", log.read_text(errors="replace")):
            return found[0]
    raise AssertionError


def _ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in _until(READY_WITHIN, process, log):
        try:
            with urllib.request.urlopen(url, timeout=5) as reply:
                if reply.status == 200:
                    return
        except OSError:
            continue


def _until(seconds: float, process: subprocess.Popen[bytes], log: Path) -> Iterator[None]:
    """Again and again, until the time is up or the process has ended, which both end the program."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        yield
        time.sleep(0.05)
    sys.exit(f"{process.args!r} is not ready after {seconds:.0f} s, or has ended:\n{log.read_text(errors='replace')}")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: Any = one.getsockname()[1]
        return int(port)
