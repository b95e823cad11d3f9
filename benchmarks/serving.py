"""What `trifold serve` holds under load: against its own engine, and against LitServe with the same model.

    python benchmarks/serving.py --peer .venv-litserve/bin/python [--part a,b,c,d,e] [--rounds 3] [--quick]

--peer names a Python with litserve 0.2.19 and trifold (`pip install litserve==0.2.19 .`). Needs TRIFOLD_DATA: the
questions are distinct ones of SQuAD 1.1 dev, at first each about a passage of its own. Every run is in new processes,
so that caches are cold, and the candidates take turns. The parts, each with its goal:

a  32 clients that ask single questions, against the engine alone (`Runner.map`): at least 0.85 of its questions/s
b  one client against `Reader.ask`, one question after the other: the median at most 4 ms more
c  LitServe at the settings that a sweep finds fastest, 32 clients: at least its throughput, p99 at most 0.7 of its own
d  300 clients for 60 s (--overload) that honour Retry-After, `--max-queue 32 --deadline 10`: each request ends with 200
   or 429, none hangs or is lost; memory stays flat; p99 of the 429s in the server at most 50 ms; accepted ones keep the
   deadline
e  one client with 300 kB documents beside 8 with short questions: what it costs the short ones; with c, LitServe too

The table also has the share of all cores that the clients took, that everything else on the machine took, and that the
host of a virtual machine gave to others. Where these two come to more than --calm, a run is made again, up to four
times, and the least disturbed counts.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from batch import processor
from peers import Measured
from serving_parts import Bench, Overload, alone, crowd, long_beside_short, overload, sweep
from serving_questions import distinct
from serving_servers import Setting

PARTS = "abcde"
ENGINE, LATER, P99, REFUSED, FLAT = 0.85, 4.0, 0.7, 50.0, 1.05


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # not without stopping the servers
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="Python with litserve 0.2.19 and trifold; for part c")
    parser.add_argument("--part", default=",".join(PARTS), help="which parts, such as a,d")
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="default")
    parser.add_argument("--calm", type=float, default=0.05, help="share of all cores that others may take meanwhile")
    parser.add_argument("--overload", type=float, default=60, help="seconds of part d")
    parser.add_argument("--quick", action="store_true", help="one small round, to see that everything runs")
    options = parser.parse_args()
    parts = set(options.part.split(","))
    if not parts <= set(PARTS):
        parser.error(f"--part: expected some of {PARTS}, found {options.part!r}")
    if "c" in parts and options.peer is None:
        parser.error("--part c needs --peer")
    if not os.environ.get("TRIFOLD_DATA"):
        sys.exit("TRIFOLD_DATA is not set to a folder with the data (SQuAD 1.1 dev is asked).")
    rows = distinct(Path(os.environ["TRIFOLD_DATA"]) / "qa" / "squad-dev-v1.1.json.gz")
    print(f"{processor()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f} before", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(
            scratch=Path(scratch),
            rows=rows,
            model=options.model,
            questions=200 if options.quick else options.questions,
            clients=options.clients,
            rounds=1 if options.quick else options.rounds,
            seconds=10 if options.quick else 40,
            peer=options.peer and options.peer.absolute(),  # not resolve(): the link is what makes it an environment
            calm=1.0 if options.quick else options.calm,
        )
        table = Table()
        peers = finalists(bench) if "c" in parts else []
        if parts & {"a", "c"}:
            of_crowd(table, bench, crowd(bench, peers, engine="a" in parts), peers)
        if "b" in parts:
            of_alone(table, alone(bench, 50 if options.quick else 300))
        if "d" in parts:
            seconds, deadline = (10.0 if options.quick else options.overload), 10.0
            of_overload(table, overload(bench, 300, seconds, deadline), deadline)
        if "e" in parts:
            of_long(table, long_beside_short(bench, peers))
        print(f"\n{table}")


def finalists(bench: Bench) -> list[Setting]:
    """LitServe's fastest setting, and the one with the lowest p99 where that is another."""
    found = {setting: one for setting, one in sweep(bench).items() if set(one["statuses"]) == {"200"}}
    fastest = max(found, key=lambda one: float(found[one]["per_second"]))
    steadiest = min(found, key=lambda one: float(found[one]["latency"]["p99"]))
    return list(dict.fromkeys((fastest, steadiest)))


class Table:
    """Lines with a median, its spread over the rounds, and a goal."""

    def __init__(self) -> None:
        self._lines = [f"{'':58}{'median':>9}{'lowest':>9}{'highest':>9}  goal"]

    def add(self, name: str, values: Sequence[float], unit: str = "", goal: str = "", met: bool | None = None) -> None:
        middle = statistics.median(values)
        digits = 3 if unit == "" else 1
        figures = "".join(f"{value:9.{digits}f}" for value in (middle, min(values), max(values)))
        verdict = "" if met is None else f"  {goal}: {'yes' if met else 'NO'}"
        self._lines.append(f"{name + (f' [{unit}]' if unit else ''):58}{figures}{verdict}")

    def note(self, text: str) -> None:
        self._lines.append(text)

    def __str__(self) -> str:
        return "\n".join(self._lines)


def of_crowd(table: Table, bench: Bench, runs: dict[str, list[Measured]], peers: Sequence[Setting]) -> None:
    table.note(f"{bench.clients} clients, {bench.questions:,} distinct questions, {bench.rounds} rounds")
    for name, own in runs.items():
        table.add(f"  {name}", [one["per_second"] for one in own], "q/s")
        used = [one["cpu_seconds"] if name == "engine" else one["server"]["cpu_seconds"] for one in own]
        table.add("    processor time of a question", [1000 * one / bench.questions for one in used], "ms")
        if name == "engine":
            disturbed(table, own)
        else:
            table.add("    p99", [one["latency"]["p99"] for one in own], "ms")
            table.add("    median", [one["latency"]["median"] for one in own], "ms")
            shares(table, own)
    mine = runs["trifold"]
    if "engine" in runs:
        ratios = ratio(mine, runs["engine"], "per_second")
        table.add("a trifold / engine", ratios, "", f">= {ENGINE}", statistics.median(ratios) >= ENGINE)
        same = [
            statistics.mean(a == b for a, b in zip(x["answers"], y["answers"], strict=True))
            for x, y in zip(mine, runs["engine"], strict=True)
        ]
        table.add("  answers that are the engine's", same)
    for place, setting in enumerate(peers):
        other = runs[f"LitServe {setting}"]
        faster = ratio(mine, other, "per_second")
        sooner = [a["latency"]["p99"] / b["latency"]["p99"] for a, b in zip(mine, other, strict=True)]
        label = "its fastest" if place == 0 else "its steadiest"
        table.add(f"c throughput / LitServe's, {label}", faster, "", ">= 1", statistics.median(faster) >= 1)
        table.add(f"c p99 / LitServe's, {label}", sooner, "", f"<= {P99}", statistics.median(sooner) <= P99)
    table.note(f"  caches of trifold after the last round: {mine[-1]['hits']}")


def ratio(upper: Sequence[Measured], lower: Sequence[Measured], key: str) -> list[float]:
    """Round by round."""
    return [a[key] / b[key] for a, b in zip(upper, lower, strict=True)]


def shares(table: Table, own: Sequence[Measured]) -> None:
    for name, values in (
        ("clients' share of all cores", [100 * one["load"]["share"] for one in own]),
        ("the server's", [100 * one["server"]["share"] for one in own]),
    ):
        table.add(f"    {name}", values, "%")
    disturbed(table, own)


def disturbed(table: Table, own: Sequence[Measured]) -> None:
    table.add("    anything else's share of all cores", [100 * one["others"] for one in own], "%")
    table.add("    stolen by the host", [100 * one["stolen"] for one in own], "%")


def of_alone(table: Table, runs: dict[str, list[Measured]]) -> None:
    table.note("one question after the other")
    for name, own in runs.items():
        table.add(f"  {name}, median", [one["latency"]["median"] for one in own], "ms")
        table.add(f"  {name}, p99", [one["latency"]["p99"] for one in own], "ms")
        disturbed(table, own)
    pairs = zip(runs["one client"], runs["Reader.ask"], strict=True)
    more = [a["latency"]["median"] - b["latency"]["median"] for a, b in pairs]
    table.add("b one client more than Reader.ask", more, "ms", f"<= {LATER:.0f}", statistics.median(more) <= LATER)


def of_overload(table: Table, found: Overload, deadline: float) -> None:
    one = found.measured
    table.note(f"{one['clients']} clients and a queue of 32 for {one['seconds']:.0f} s")
    ended = set(one["statuses"]) <= {"200", "429"}
    table.note(f"d requests by their end: {one['statuses']}  only 200 and 429: {'yes' if ended else 'NO'}")
    table.add("  answered", [one["per_second"]], "q/s")
    late = one["latency"].get("max", 0.0)
    table.add("d slowest answer", [late], "ms", f"<= {deadline:.0f} s", late <= 1000 * deadline)
    source = "in the server" if "429" in one["in_server"] else "seen by the clients: the server gives no total"
    refused = one["in_server"].get("429") or one["by_status"].get("429")
    if refused:
        met = refused["p99"] <= REFUSED
        table.add(f"d p99 of 429, {source}", [refused["p99"]], "ms", f"<= {REFUSED:.0f}", met)
        table.add("  p99 of 429, seen by the clients", [one["by_status"]["429"]["p99"]], "ms")
    first, last = found.thirds
    table.note(f"  resident: {first:.1f} MB in the first third of the time, {last:.1f} MB in the last")
    tenths = ", ".join(
        f"{size:.1f} MB after {when:.0f} s" for when, size in found.sizes[:: max(1, len(found.sizes) // 10)]
    )
    table.note(f"  resident over time: {tenths}")
    table.add("d memory, last third / first", [last / first], "", f"<= {FLAT}", last / first <= FLAT)
    errors = [one for one in found.live if isinstance(one, str)]
    times = [one for one in found.live if not isinstance(one, str)]
    table.note(f"d /v2/health/live: {len(times)} times 200, failures: {errors or 'none'}")
    table.add("  slowest of these", [max(times, default=0.0)], "ms")
    table.note(f"  a second after the end: {found.after}")
    shares(table, [one])


def of_long(table: Table, runs: dict[str, list[Measured]]) -> None:
    table.note("8 clients with short questions, with and without one that sends 300 kB documents")
    for name in runs:
        for key in ("median", "p99", "max"):
            table.add(f"  {name}, {key}", [one["latency"][key] for one in runs[name]], "ms")
        table.add(f"  {name}", [one["per_second"] for one in runs[name]], "q/s")
        disturbed(table, runs[name])
    for key in ("median", "p99"):
        pairs = zip(runs["short beside long"], runs["short alone"], strict=True)
        table.add(f"e {key} beside / alone", [a["latency"][key] / b["latency"][key] for a, b in pairs])
    for name in runs:
        if longs := [one["long"] for one in runs[name] if "long" in one]:
            table.add(f"  {name}, long documents answered", [one["statuses"].get("200", 0) for one in longs], "")
            table.add("    median of these", [one["latency"].get("median", 0.0) for one in longs], "ms")


if __name__ == "__main__":
    main()
