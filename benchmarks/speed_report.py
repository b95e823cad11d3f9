"""The tables of speed.py."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from peers import Measured, quality
from plain import cut
from speed_peak import SIDE
from speed_workers import PEER, Candidate
from trifold.engine.loaded import open_model
from trifold.engine.planner import length
from trifold.models.registry import find
from trifold.task import Limits
from trifold.tasks.qa.data.examples import Example
from trifold.tasks.qa.settings import QaSettings
from trifold.tasks.qa.training.publish import asking

__all__ = ["operations", "print_mix", "print_peaks"]


def print_peaks(peak: dict[str, float]) -> None:
    print(f"\npeaks of products of {SIDE} x {SIDE} matrices, all cores, GFLOP/s: ", end="")
    print(", ".join(f"{name} {value:.0f}" for name, value in peak.items()))
    print("  int8, fp32: ONNX Runtime's MatMulInteger and MatMul, one on each core; bf16: torch; the best of all tries")


def operations(windows: Sequence[int], hidden: int, layers: int, asking: int | None = None) -> float:
    """Multiplications and additions of an encoder whose inner layer is 4 times as wide as the others.

    windows: tokens of each. For a token and a layer: 2 (4 H^2 + 2 H 4H) of the six matrices, and 4 n H of attention to
    n tokens. asking: of how many tokens the last layer computes more than the two matrices of keys and values.
    """
    token, kept = 2 * (4 * hidden**2 + 2 * hidden * 4 * hidden), 2 * 2 * hidden**2
    total = 0.0
    for n in windows:
        last = min(n, asking or n)
        total += (layers - 1) * n * (token + 4 * n * hidden) + n * kept + last * (token - kept + 4 * n * hidden)
    return total


def own_windows(folder: str, asked: Sequence[Example]) -> list[int]:
    """Tokens of the windows that trifold reads."""
    task = open_model(find(folder)).task
    requests = [task.check({"question": e.question, "passage": e.passage}, Limits()) for e in asked]
    return [length(unit) for request in requests for unit in task.encode(request).units]


def plain_windows(folder: str, asked: Sequence[Example]) -> list[int]:
    """Tokens of the windows that the peers read."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    rows = [{"question": e.question, "passage": e.passage} for e in asked]
    return [len(window.ids) for windows in cut(tokenizer, rows) for window in windows]


def print_mix(
    name: str,
    what: str,
    folder: str,
    asked: Sequence[Example],
    chosen: Sequence[Candidate],
    runs: dict[str, list[Measured]],
    peak: dict[str, float],
) -> None:
    """Speeds, ratios to the peer round by round, F1, work done and its share of the peak, for each candidate."""
    config = json.loads((Path(folder) / "config.json").read_text("utf-8"))
    count, passages = len(asked), len({e.passage for e in asked})
    windows = {"trifold": own_windows(folder, asked), "peers": plain_windows(folder, asked)}
    size = config["hidden_size"], config["num_hidden_layers"]
    work = {who: operations(own, *size) for who, own in windows.items()}
    settings = QaSettings.from_dict(find(folder).task_settings)
    work["trifold int8"] = operations(windows["trifold"], *size, asking(settings))
    print(f"\n{name}: {what}; {count} questions about {passages} passages, {len(runs[PEER])} rounds")
    for who, own in windows.items():
        print(
            f"  {who}: {len(own) / count:.2f} windows and {sum(own) / count:.1f} tokens a question, "
            f"{work[who] / count / 1e9:.2f} GFLOP"
        )
    print(
        "  (GFLOP: for each layer, token and window of n tokens 2 (4 H^2 + 2 H 4H) + 4 n H; no padding, no embeddings)"
    )
    print(
        f"  trifold int8: {work['trifold int8'] / count / 1e9:.2f} GFLOP, since {asking(settings)} tokens ask in the"
        " last layer; what models of two stages compute is not counted"
    )
    print(
        f"{'':19}{'q/s':>8}{'lowest':>8}{'highest':>8}{'ratio':>7}{'lowest':>8}{'highest':>8}{'F1':>7}{'GFLOP/s':>9}"
        f"{'of peak':>9}{'peak MB':>9}{'others':>8}  setting"
    )
    base = [one["seconds"] for one in runs[PEER]]
    for one in chosen:
        own_runs = runs[one.name]
        speeds = [count / run["seconds"] for run in own_runs]
        ratios = [before / run["seconds"] for before, run in zip(base, own_runs, strict=True)]
        median = statistics.median(speeds)
        per_question = work.get(one.name, work["trifold" if one.name.startswith("trifold") else "peers"]) / count / 1e9
        done = per_question * median
        print(
            f"{one.name:19}{median:8.2f}{min(speeds):8.2f}{max(speeds):8.2f}"
            f"{statistics.median(ratios):7.2f}{min(ratios):8.2f}{max(ratios):8.2f}"
            f"{quality(own_runs[0]['answers'], asked):7.2f}"
            + (f"{'':18}" if one.other else f"{done:9.0f}{done / peak[one.precision]:9.1%}")
            + f"{max(run['peak_mb'] for run in own_runs):9.0f}"
            f"{max(run['others'] + run['stolen'] for run in own_runs):8.1%}  {own_runs[0]['setting'] or ''}"
        )
        for cache, (hits, lookups) in own_runs[0]["hits"].items():
            print(f"  {one.name}, cache {cache}: {hits:,} hits in {lookups:,} look-ups since the process began")
    if not any(run["hits"] for own_runs in runs.values() for run in own_runs):
        print("  caches: no candidate has any")
