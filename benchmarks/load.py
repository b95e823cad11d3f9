"""Load on an HTTP server: clients that each send their next request as soon as the last one is answered.

    python benchmarks/load.py http://127.0.0.1:8000/v1/answer bodies.jsonl --clients 32 [--seconds 60] [--pid PID]

Each line of bodies.jsonl is the body of one POST. Every line is sent once, in order, by whichever client is free, until
all are answered or the time is up; what is under way then is still waited for. Requests are made before the clock
starts, and replies are read after it stops, so that the clients take little of the processor that they share with the
server: how much is in the result, which is one JSON object on standard output:

seconds       from the first byte sent to the last reply received; per_second: replies with status 200 in a second
statuses      how many requests ended how: an HTTP status, `lost` (the connection ended), `refused` (no connection),
              `timeout` (no reply within --timeout; as many as there are clients end the run), `hung up` (by --hang-up)
latency       milliseconds from sending to the whole reply, of those with status 200: median, p95, p99, max, mean
by_status     the same for each status
in_server     milliseconds in the server for each status, as its `Server-Timing: total;dur=` says
load          processor seconds of this process, and its share of the machine's processors
server        the same of the processes of --pid and below, and their resident megabytes over time
others        the share of the machine's processors that anything else took: near 0, or the figures are worth little
stolen        the share that the host of a virtual machine gave to other machines meanwhile: likewise

With --retry a request that got 429 or 503 is sent again after its Retry-After, exactly (1 s where there is none).
--hang-up N breaks off every N-th request, --hang-up-after seconds after it was sent, or with --hang-up-half after half
of it was sent. --records and --replies write what happened to each request, and the bodies of the replies. Uses nothing
but the standard library.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from serving_clients import Load, Plan, Record

__all__ = ["latencies", "percentile"]


def summary(records: Sequence[Record]) -> dict[str, Any]:
    by_status: dict[str, list[Record]] = {}
    for one in records:
        by_status.setdefault(one.status, []).append(one)
    answered = by_status.get("200", [])
    seconds = max((one.start + one.seconds for one in records), default=0.0)
    inside = {status: [r.server_ms for r in own if r.server_ms is not None] for status, own in by_status.items()}
    return {
        "seconds": seconds,
        "per_second": len(answered) / seconds if seconds else 0.0,
        "statuses": {status: len(own) for status, own in sorted(by_status.items())},
        "latency": latencies([1000 * one.seconds for one in answered]),
        "by_status": {status: latencies([1000 * one.seconds for one in own]) for status, own in by_status.items()},
        "in_server": {status: latencies(own) for status, own in inside.items() if own},
    }


def latencies(milliseconds: Sequence[float]) -> dict[str, float]:
    """Median, p95, p99, max and mean; empty for none."""
    if not milliseconds:
        return {}
    known = sorted(milliseconds)
    named = {"median": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {**{name: percentile(known, share) for name, share in named.items()}, "mean": sum(known) / len(known)}


def percentile(known: Sequence[float], share: float) -> float:
    """The smallest of the sorted values that is at least as large as this share of them."""
    return known[max(0, math.ceil(share * len(known)) - 1)]


def encode(url: str, headers: Sequence[str], bodies: Sequence[bytes]) -> list[bytes]:
    parts = urlsplit(url)
    own = "".join(f"{header}\r\n" for header in headers)
    head = f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n{own}"
    return [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="http://HOST:PORT/PATH")
    parser.add_argument("bodies", type=Path, help="the bodies, one a line")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, help="send only so many lines")
    parser.add_argument("--seconds", type=float, help="send nothing new after so long")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds that one request may take")
    parser.add_argument("--retry", action="store_true", help="send again after Retry-After")
    parser.add_argument("--hang-up", type=int, default=0, metavar="N", help="break off every N-th request")
    parser.add_argument("--hang-up-after", type=float, default=0.05, metavar="SECONDS")
    parser.add_argument("--hang-up-half", action="store_true", help="break off when half of it was sent")
    parser.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'")
    parser.add_argument("--pid", type=int, help="the server's process")
    parser.add_argument("--records", type=Path, help="write [line, start, seconds, status, server_ms] of each request")
    parser.add_argument("--replies", type=Path, help="write the body of the reply to each line; null where none came")
    options = parser.parse_args()
    bodies = options.bodies.read_bytes().splitlines()[: options.requests]
    parts = urlsplit(options.url)
    plan = Plan(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 80,
        clients=options.clients,
        seconds=options.seconds,
        timeout=options.timeout,
        retry=options.retry,
        hang_up=options.hang_up,
        hang_up_after=options.hang_up_after,
        hang_up_half=options.hang_up_half,
        pid=options.pid,
    )
    load = Load(plan, encode(options.url, options.header, bodies))
    used = asyncio.run(load.run())
    if options.records:
        rows = (json.dumps([r.line, r.start, r.seconds, r.status, r.server_ms]) for r in load.records)
        options.records.write_text("".join(f"{row}\n" for row in rows))
    if options.replies:
        options.replies.write_bytes(b"".join((reply or b"null") + b"\n" for reply in load.replies))
    result = {
        "clients": plan.clients,
        **summary(load.records),
        "load": {"cpu_seconds": used.clients, "share": used.clients_share},
        "server": {"cpu_seconds": used.server, "share": used.server_share, "rss_mb": used.rss_mb},
        "others": used.others_share,
        "stolen": used.stolen_share,
    }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
