"""The candidates of speed.py, each in a process and an environment of its own, and the measuring of one run."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from peers import Measured
from serving_watch import CORES, cpu_seconds, family, machine_seconds, stolen_seconds, wait_until_calm
from trifold.tasks.qa.data.examples import Example

__all__ = ["PEER", "Candidate", "Worker", "calmest", "candidates", "disturbance", "exported", "peaks"]

HERE = Path(__file__).parent
PEER = "transformers fp32"
BATCHES = ("1", "4", "8", "16", "32")
STREAMS = ("streams 1", "streams 4", "streams 8")
WAITS = 8.0
"""Seconds that are waited at most until the machine is calm, before a disturbed run is made again."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """precision: whose peak it is held against. settings: those to sweep; none where there is nothing to choose.

    other: whether it is another model than the rest.
    """

    name: str
    precision: str
    command: tuple[str, ...]
    settings: tuple[str, ...] = ()
    other: bool = False


def candidates(folder: str, graph: Path, pythons: dict[str, Path], also: dict[str, str]) -> list[Candidate]:
    """All of them, the peer that the ratios are of first.

    pythons: of the peers `peer`, `onnxruntime`, `openvino`. also: folders of other models of trifold, by their names.
    """

    def trifold(precision: str, name: str = "trifold", folder: str = folder) -> Candidate:
        command = (sys.executable, str(HERE / "ask_trifold.py"), folder, precision)
        return Candidate(f"{name} {precision}", precision, command, other=name != "trifold")

    def pipeline(precision: str) -> Candidate:
        command = (str(pythons["peer"]), str(HERE / "ask_peer.py"), folder, "8", precision)
        return Candidate(f"transformers {precision}", precision, command, BATCHES)

    def plain(runtime: str, name: str, precision: str, more: tuple[str, ...]) -> Candidate:
        command = (str(pythons[runtime]), str(HERE / "ask_plain.py"), runtime, precision, folder, str(graph))
        return Candidate(f"{name} {precision}", precision, command, STREAMS + more)

    every = [pipeline("fp32"), trifold("int8"), *(trifold("int8", name, path) for name, path in also.items())]
    every += [trifold("fp32"), pipeline("bf16")]
    every.append(plain("onnxruntime", "ONNX Runtime", "fp32", ("together 8", "together 32")))
    every.extend(plain("openvino", "OpenVINO", one, ("streams 1 by 32", "streams 8 by 32")) for one in ("fp32", "bf16"))
    return every


class Worker:
    """A running process of a candidate, loaded once it has answered its first request."""

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            candidate.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )

    def run(self, warm_up: Sequence[Example], asked: Sequence[Example], setting: str | None) -> Measured:
        """What worker.py reports, and `others` and `stolen`: the shares of all cores that the candidate did not get."""
        rows = {
            name: [{"question": e.question, "passage": e.passage} for e in examples]
            for name, examples in (("warm_up", warm_up), ("asked", asked))
        }
        self._send({"warm_up": rows["warm_up"], "asked": rows["warm_up"][:1], "setting": setting})
        before = self._clocks()
        measured = self._send({"warm_up": [], "asked": rows["asked"]})
        own, machine, stolen = (now - then for now, then in zip(self._clocks(), before, strict=True))
        cores = CORES * measured["seconds"]
        return {**measured, "others": max(0.0, machine - own) / cores, "stolen": stolen / cores, "setting": setting}

    def _clocks(self) -> tuple[float, float, float]:
        return cpu_seconds(family(self._process.pid)), machine_seconds(), stolen_seconds()

    def _send(self, request: Measured) -> Measured:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({k: v for k, v in request.items() if v is not None}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._process.wait()
            self._errors.seek(0)
            sys.exit(f"{self._candidate.name} failed:\n{self._errors.read()}")
        reply: Measured = json.loads(line)
        return reply

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._errors.close()


def disturbance(one: Measured) -> float:
    return float(one["others"] + one["stolen"])


def calmest(
    candidate: Candidate, worker: Worker, rows: tuple[list[Example], list[Example]], setting: str | None, calm: float
) -> Measured:
    """A run; where the machine was not calm, another in a new process, and the less disturbed of the two."""
    runs = [worker.run(*rows, setting)]
    if disturbance(runs[0]) > calm:
        wait_until_calm(calm, WAITS)
        again = Worker(candidate)
        runs.append(again.run(*rows, setting))
        again.stop()
    return min(runs, key=disturbance)


def exported(python: Path, folder: str, scratch: Path) -> Path:
    """The plain graph of the same weights."""
    graph = scratch / "plain.onnx"
    subprocess.run([str(python), str(HERE / "export_plain.py"), folder, str(graph)], check=True, capture_output=True)
    return graph


def peaks(pythons: dict[str, Path]) -> dict[str, float]:
    """GFLOP/s of the matrix product in each precision."""
    found: dict[str, float] = {}
    for runtime, python in (("onnxruntime", pythons["onnxruntime"]), ("torch", pythons["peer"])):
        command = [str(python), str(HERE / "speed_peak.py"), runtime]
        found |= json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found
