"""Tokens a second in training, with the embedded model's shape and the defaults of `trifold finetune`.

    python benchmarks/training.py [--steps 24]

Needs `trifold[train]`. Trains on the general questions that come with trifold, half as rows to learn and half as
replay; counts the tokens that the network reads, padding apart. The first steps, which compile their shapes, are left
out. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import time

import torch

from trifold.engine.loaded import open_model
from trifold.models.registry import find
from trifold.tasks.qa.task import QaTask
from trifold.tasks.qa.training.features import labelled_windows
from trifold.tasks.qa.training.general import general_questions
from trifold.tasks.qa.training.learner import ReaderLearner
from trifold.tasks.qa.training.network import Network, bf16_is_fast
from trifold.tasks.qa.training.settings import TrainingSettings
from trifold.training.batches import bucketed

WARMUP = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=24)
    options = parser.parse_args()
    folder = find("default")
    task = open_model(folder).task
    assert isinstance(task, QaTask)
    windows = [w for example in general_questions("replay") for w in labelled_windows(task, example)]
    half = len(windows) // 2
    bf16 = bf16_is_fast("cpu")
    network = Network(folder.path, device="cpu", bf16=bf16, seed=0)
    network.freeze_words()
    settings = TrainingSettings()
    learner = ReaderLearner(
        network, settings, "one", domain=windows[:half], replay=windows[half:], validation=windows[:1], general=(),
        null=task.null, longest=30,
    )  # fmt: skip
    optimiser = torch.optim.AdamW(learner.trainable().values(), lr=1e-5)
    mean = sum(window.unit.cost for window in windows[half:]) / (len(windows) - half)
    batches = bucketed([window.unit.cost for window in windows[:half]], settings.batch, seed=settings.seed, epoch=0)
    tokens = 0.0
    began = time.perf_counter()
    for step in range(WARMUP + options.steps):
        if step == WARMUP:
            began, tokens = time.perf_counter(), 0.0
        for loss in learner.losses(0, step):
            loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        tokens += sum(windows[i].unit.cost for i in batches[step]) + settings.batch * settings.replay * mean
    seconds = time.perf_counter() - began
    kind = "bf16" if bf16 else "fp32"
    print(f"{tokens / seconds:,.0f} tokens/s over {options.steps} steps, {torch.get_num_threads()} threads, {kind}")


if __name__ == "__main__":
    main()
