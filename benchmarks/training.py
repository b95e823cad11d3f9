"""What fine-tuning takes with torch's fused attention and with plain attention, in turn.

    python benchmarks/training.py [--rounds 5] [--batches 8]

Batches of 32 windows of the general questions that come with trifold, forward and backward, in bf16 where the processor
multiplies it fast. --give-back leaves the C library's allocator as it is.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np

from trifold.engine.loaded import open_model
from trifold.models.registry import find
from trifold.task import Unit
from trifold.tasks.qa.task import QaTask
from trifold.tasks.qa.training.general import general_questions
from trifold.tasks.qa.training.network import Network, bf16_is_fast
from trifold.training.batches import bucketed
from trifold.training.memory import keep_memory

BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--give-back", action="store_true")
    options = parser.parse_args()
    if not options.give_back:
        keep_memory()
    folder = find("default")
    task = open_model(folder).task
    assert isinstance(task, QaTask)
    units = [task.lay_out(e.question, e.passage)[1][0] for e in general_questions("replay")]
    chosen = bucketed([unit.cost for unit in units], BATCH, seed=0, epoch=0)[: options.batches]
    batches = [[units[i] for i in batch] for batch in chosen]
    network = Network(folder.path, device="cpu", bf16=bf16_is_fast("cpu"), seed=0, apart=task.settings.apart)
    times: dict[str, list[float]] = {"fused (sdpa)": [], "plain (eager)": []}
    for number in range(options.rounds + 1):
        for attention, found in times.items():
            network.model.set_attn_implementation(attention.split("(")[1][:-1])
            taken = seconds(network, batches)
            if number:  # the first round compiles
                found.append(taken)
    tokens = sum(unit.cost for batch in batches for unit in batch)
    for attention, found in times.items():
        print(f"{attention}: {tokens / np.median(found):,.0f} tokens a second")
    fused, plain = (np.array(found) for found in times.values())
    ratio = fused / plain
    print(f"plain is {np.median(ratio):.2f} times as fast ({ratio.min():.2f} to {ratio.max():.2f})")


def seconds(network: Network, batches: Sequence[Sequence[Unit]]) -> float:
    """Of the losses of all batches and their gradients."""
    began = time.perf_counter()
    for batch in batches:
        start, end = network.logits(batch)
        (start.logsumexp(1).mean() + end.logsumexp(1).mean()).backward()
        network.model.zero_grad(set_to_none=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
