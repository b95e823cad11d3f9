"""The measurements of serving.py, each with new processes for every round, the candidates in turn."""

from __future__ import annotations

import json
import statistics
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from peers import Measured
from serving_questions import Row, long_documents, write_bodies
from serving_servers import Server, Setting, finish, litserve, load, run_json, start_load, trifold
from serving_watch import wait_until_calm

__all__ = ["Bench", "Overload", "alone", "crowd", "long_beside_short", "overload", "sweep"]

WARM_UP = 32
TRIES = 4
WAITS = 600.0
"""Seconds that are waited at most until the machine is calm."""

LONG = 300_000
"""Bytes of a long document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all parts share.

    rows: distinct questions, those about different passages first. calm: the share of all cores that others may take;
    a run starts when they take no more, and is made again when they took more meanwhile.
    """

    scratch: Path
    rows: Sequence[Row]
    model: str
    questions: int
    clients: int
    rounds: int
    seconds: float
    peer: Path | None
    calm: float

    def bodies(self, name: str, rows: Sequence[Row]) -> Path:
        return write_bodies(self.scratch / f"{name}.jsonl", rows)

    def warm_up(self) -> Path:
        return self.bodies("warm-up", self.rows[-WARM_UP:])

    def run(self, name: str, measure: Callable[[], Measured]) -> Measured:
        """One run, made again up to TRIES times while others disturb it; the least disturbed."""
        runs = []
        for _ in range(TRIES):
            wait_until_calm(self.calm, WAITS)
            runs.append(measure())
            _say(name, runs[-1])
            if disturbance(runs[-1]) <= self.calm:
                break
        return min(runs, key=disturbance)


def disturbance(one: Measured) -> float:
    """The share of all cores that went to others during a run, here or elsewhere on the host."""
    return float(one["others"] + one["stolen"])


def crowd(bench: Bench, peers: Sequence[Setting], *, engine: bool) -> dict[str, list[Measured]]:
    """Questions of many clients at once: the engine alone, trifold, LitServe."""
    asked, warm_up = bench.bodies("asked", bench.rows[: bench.questions]), bench.warm_up()

    def alone() -> Measured:
        one = run_json("serving_alone.py", "engine", asked, "--warm-up", warm_up, "--model", bench.model)
        return one | {"per_second": bench.questions / one["seconds"]}

    def served() -> Measured:
        with trifold(bench.scratch, "--model", bench.model) as server:
            return _ask(bench, server, asked, warm_up) | {"hits": server.metrics("cache")}

    def peered(setting: Setting) -> Measured:
        with peer(bench, setting) as server:
            return _ask(bench, server, asked, warm_up)

    kinds: dict[str, Callable[[], Measured]] = {"engine": alone} if engine else {}
    kinds["trifold"] = served
    kinds |= {f"LitServe {setting}": partial(peered, setting) for setting in peers}
    return in_turn(bench, kinds)


def in_turn(bench: Bench, kinds: Mapping[str, Callable[[], Measured]]) -> dict[str, list[Measured]]:
    """Every kind once in each round."""
    runs: dict[str, list[Measured]] = {name: [] for name in kinds}
    for number in range(bench.rounds):
        for name, measure in kinds.items():
            runs[name].append(bench.run(f"round {number + 1}: {name}", measure))
    return runs


def peer(bench: Bench, setting: Setting) -> AbstractContextManager[Server]:
    assert bench.peer is not None
    return litserve(bench.peer, bench.scratch, setting, bench.model)


def _ask(bench: Bench, server: Server, asked: Path, warm_up: Path) -> Measured:
    load(server, warm_up, bench.clients)
    replies = bench.scratch / "replies.jsonl"
    measured = load(server, asked, bench.clients, "--replies", str(replies))
    found = [json.loads(line) for line in replies.read_text(encoding="utf-8").splitlines()]
    measured["answers"] = ["" if not one or not one["answers"] else one["answers"][0]["text"] for one in found]
    return measured


def sweep(bench: Bench) -> dict[Setting, Measured]:
    """LitServe at the settings that might be its best: first workers and batches, then the rest for the fastest."""
    quick = bench.rounds == 1
    asked, warm_up = bench.bodies("swept", bench.rows[: 100 if quick else 400]), bench.warm_up()
    first = [Setting(1), Setting(2), Setting(2, batch=4, wait=0.002)]
    if not quick:
        first += [Setting(3), Setting(4), Setting(1, threads=2), Setting(2, batch=4), Setting(2, batch=8, wait=0.01)]
        first += [Setting(1, batch=16, wait=0.01, threads=2, pad=True), Setting(2, batch=4, wait=0.002, pad=True)]
    found: dict[Setting, Measured] = {}

    def ask(setting: Setting) -> Measured:
        with peer(bench, setting) as server:
            load(server, warm_up, bench.clients, "--timeout", "20")
            return load(server, asked, bench.clients, "--timeout", "20")

    def measure(setting: Setting) -> None:
        found[setting] = bench.run(f"LitServe {setting}", partial(ask, setting))

    for setting in first:
        measure(setting)
    fastest = max(found, key=lambda one: float(found[one]["per_second"]))
    for api in (1, 2, 3):
        if api != fastest.workers and not quick:
            measure(Setting(fastest.workers, fastest.batch, fastest.wait, fastest.threads, fastest.pad, api))
    if not quick:
        measure(Setting(fastest.workers, fastest.batch, fastest.wait, fastest.threads, fastest.pad, None, True))
    return found


def alone(bench: Bench, questions: int) -> dict[str, list[Measured]]:
    """One question after another: `Reader.ask` in a process, one client of the server."""
    asked, warm_up = bench.bodies("asked", bench.rows[:questions]), bench.warm_up()

    def ask() -> Measured:
        return run_json("serving_alone.py", "ask", asked, "--warm-up", warm_up, "--model", bench.model)

    def served() -> Measured:
        with trifold(bench.scratch, "--model", bench.model) as server:
            load(server, warm_up, 1)
            return load(server, asked, 1)

    return in_turn(bench, {"Reader.ask": ask, "one client": served})


@dataclass(frozen=True, slots=True)
class Overload:
    """What became of far too many clients. live: milliseconds of /v2/health/live, or an error, every half second."""

    measured: Measured
    live: Sequence[float | str]
    after: dict[str, float]
    thirds: tuple[float, float]
    """Mean resident megabytes in the first and in the last third of the time."""
    sizes: Sequence[tuple[float, float]]
    """Seconds since the start, and resident megabytes then."""


def overload(bench: Bench, clients: int, seconds: float, deadline: float) -> Overload:
    """Many clients that honour Retry-After, and a small queue."""
    wait_until_calm(bench.calm, WAITS)
    asked = bench.bodies("all", bench.rows)
    options = ["--model", bench.model, "--max-queue", "32", "--deadline", str(deadline)]
    with trifold(bench.scratch, *options) as server:
        load(server, bench.warm_up(), 8)
        live: list[float | str] = []
        over = threading.Event()
        watcher = threading.Thread(target=_watch_live, args=(server, live, over))
        watcher.start()
        try:
            measured = load(server, asked, clients, "--retry", "--seconds", str(seconds), "--timeout", "30")
        finally:
            over.set()
            watcher.join()
        time.sleep(1)
        after = server.metrics("trifold_queue_depth") | server.metrics("trifold_requests_in_flight")
    sizes = [(when, size) for when, size in measured["server"]["rss_mb"] if when <= seconds]
    third = max(1, len(sizes) // 3)
    first, last = (statistics.mean(size for _, size in some) for some in (sizes[:third], sizes[-third:]))
    return Overload(measured, live, after, (first, last), sizes)


def _watch_live(server: Server, live: list[float | str], over: threading.Event) -> None:
    while not over.wait(0.5):
        began = time.perf_counter()
        try:
            with urllib.request.urlopen(f"{server.base}/v2/health/live", timeout=10):
                live.append(1000 * (time.perf_counter() - began))
        except OSError as error:
            live.append(str(error))


def long_beside_short(bench: Bench, peers: Sequence[Setting]) -> dict[str, list[Measured]]:
    """Short questions of 8 clients, with and without one client that sends long documents; LitServe under the same."""
    short = bench.bodies("all", bench.rows[:-WARM_UP])
    long = bench.bodies("long", long_documents(bench.rows, 200, LONG))
    warm_up, seconds = bench.warm_up(), ("--seconds", str(bench.seconds))

    def served() -> AbstractContextManager[Server]:
        return trifold(bench.scratch, "--model", bench.model)

    def short_alone() -> Measured:
        with served() as server:
            load(server, warm_up, 8)
            return load(server, short, 8, *seconds)

    def both(open_server: Callable[[], AbstractContextManager[Server]]) -> Measured:
        with open_server() as server:
            load(server, warm_up, 8)
            with start_load(server, long, 1, *seconds, "--timeout", "120") as beside:
                time.sleep(1)
                one = load(server, short, 8, "--seconds", str(bench.seconds - 1))
                other = finish(beside)
        return one | {"others": max(0.0, one["others"] - other["load"]["share"]), "long": other}

    kinds: dict[str, Callable[[], Measured]] = {"short alone": short_alone, "short beside long": partial(both, served)}
    kinds |= {f"LitServe {setting}": partial(both, partial(peer, bench, setting)) for setting in peers}
    return in_turn(bench, kinds)


def _say(name: str, one: Measured) -> None:
    parts = [f"{one['per_second']:.1f} q/s"] if "per_second" in one else []
    if one.get("latency"):
        parts.append(", ".join(f"{key} {one['latency'][key]:.0f}" for key in ("median", "p99", "max")) + " ms")
    if set(one.get("statuses", {"200": 0})) != {"200"}:
        parts.append(str(one["statuses"]))
    parts.append(f"others {one['others']:.1%}, stolen {one['stolen']:.1%}")
    print(f"{name}: {'; '.join(parts)}", flush=True)
