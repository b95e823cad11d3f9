"""Trains a reader whose lower layers read question and passage apart, by distillation from the undivided one.

    python recipes/layers_apart.py --layers 2 --out FOLDER [--questions 16000] [--resume]
    python recipes/layers_apart.py --layers 2 --out FOLDER --weights FOLDER     measures and exports trained weights

A short run for a number of layers, to choose by: the student begins with the teacher's weights and learns the teacher's
start and end distributions and its last states (Cao et al. 2020) on questions of SQuAD's training set; no label is
looked at. Titles held out for choosing are left out, and F1 is measured on them: the teacher may have seen them, so the
loss is rather overstated. FOLDER becomes a model folder with both precisions, uncalibrated, to measure by:

    python benchmarks/speed.py --only trifold --mix squad,five,shared --also "2 apart=FOLDER"

Needs TRIFOLD_DATA. Training takes about twenty minutes on a core that multiplies bf16 fast (AMX), else hours.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from trifold.engine.loaded import open_model
from trifold.interfaces.console import Terminal
from trifold.models.folder import read_folder, write_manifest
from trifold.task import Unit
from trifold.tasks.qa.calibration import Calibration
from trifold.tasks.qa.data.examples import Example, read_examples
from trifold.tasks.qa.making.apart import last_states
from trifold.tasks.qa.measuring.evaluation import evaluate, spread_over
from trifold.tasks.qa.reader import Reader
from trifold.tasks.qa.settings import Apart, QaSettings
from trifold.tasks.qa.task import QaTask
from trifold.tasks.qa.tokens import QaTokenizer
from trifold.tasks.qa.training.losses import distillation_loss
from trifold.tasks.qa.training.network import Network, apart_feeds, bf16_is_fast
from trifold.tasks.qa.training.publish import copy_tokenizer, write_graphs
from trifold.tasks.qa.training.splits import kept_for_choosing
from trifold.tasks.qa.windows import WindowSize
from trifold.training.batches import bucketed
from trifold.training.checkpoints import Checkpoints
from trifold.training.loop import Epoch, Plan, train

SQUAD = "squad-train-v2.0.json.gz"
QUANTISED_ON = 300
BATCH = 32
STATES = 1.0
"""Weight of the distance between the last states, in units of the teacher's variance."""


class Distillation:
    """Implements `training.loop.Learner`: windows with the teacher's last states, which the student is to reach."""

    watched = "agreement"

    def __init__(self, network: Network, apart: Apart, units: Sequence[Unit], seed: int) -> None:
        self._network, self._apart, self._seed = network, apart, seed
        self._units, self._taught = units, len(units) - len(units) // 20
        self._lengths = [unit.cost for unit in units[: self._taught]]
        network.model.eval()  # no dropout
        self._teacher = {n: p.detach().clone() for n, p in network.model.qa_outputs.named_parameters()}
        with torch.no_grad():
            self._targets = self._teach()

    def _teach(self) -> list[Tensor]:
        """The undivided reader's last states of each window, before anything is learnt."""
        found: dict[int, Tensor] = {}
        order = sorted(range(len(self._units)), key=lambda i: self._units[i].cost)
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            states = self._states([self._units[i] for i in batch], undivided=True)
            found.update({i: states[row, : self._units[i].cost].half() for row, i in enumerate(batch)})
        return [found[i] for i in range(len(self._units))]

    @property
    def steps(self) -> int:
        return len(bucketed(self._lengths, BATCH, seed=self._seed, epoch=0))

    def trainable(self) -> Mapping[str, torch.nn.Parameter]:
        return self._network.trainable()

    def losses(self, epoch: int, step: int) -> Iterator[Tensor]:
        batch = bucketed(self._lengths, BATCH, seed=self._seed, epoch=epoch)[step]
        yield self._loss(batch)[0]

    def validate(self) -> Mapping[str, float]:
        """How often the likeliest start and end of windows that are not learnt from are the teacher's."""
        total = 0.0
        with torch.no_grad():
            for first in range(self._taught, len(self._units), BATCH):
                batch = range(first, min(first + BATCH, len(self._units)))
                total += self._loss(batch)[1] * len(batch)
        return {self.watched: total / (len(self._units) - self._taught)}

    def _loss(self, batch: Sequence[int]) -> tuple[Tensor, float]:
        hidden = self._states([self._units[i] for i in batch])
        target = torch.zeros_like(hidden)
        mask = torch.zeros(hidden.shape[:2], dtype=torch.bool)
        for row, i in enumerate(batch):
            target[row, : len(self._targets[i])] = self._targets[i].float()
            mask[row, : len(self._targets[i])] = True
        student = self._network.model.qa_outputs(hidden)
        teacher = torch.nn.functional.linear(target, self._teacher["weight"], self._teacher["bias"])
        apart = distillation_loss(student[..., 0], student[..., 1], teacher[..., 0], teacher[..., 1], mask).mean()
        states = ((hidden - target)[mask] ** 2).mean() / (target[mask].var() + 1e-9)
        tops = [logits.masked_fill(~mask[..., None], -1e4).argmax(1) for logits in (student, teacher)]
        return apart + STATES * states, float((tops[0] == tops[1]).all(1).float().mean())

    def _states(self, units: Sequence[Unit], *, undivided: bool = False) -> Tensor:
        """Last states of a padded batch, float32, shape (batch, padded length, width)."""
        feeds = apart_feeds(units)
        model = self._network.model
        with torch.autocast("cpu", torch.bfloat16, enabled=self._network.bf16):
            if not undivided:
                return last_states(model, self._apart, **feeds).float()
            out = model.base_model(
                input_ids=feeds["ids"], attention_mask=(feeds["parts"] >= 0).long(), token_type_ids=feeds["types"]
            )
            return out.last_hidden_state.float()


def first_unit(task: QaTask, example: Example) -> Unit:
    """The first window of a question."""
    return task.lay_out(example.question, example.passage)[1][0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(os.environ.get("TRIFOLD_DATA") or "../shared/data")
    parser.add_argument("--layers", type=int, required=True)
    parser.add_argument("--questions", type=int, default=16_000)
    parser.add_argument("--measured", type=int, default=1_500)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--teacher", type=Path, default=root.parent / "models" / "minilm-squad-trial")
    parser.add_argument("--begin", type=Path, help="a student to go on with, on other questions")
    parser.add_argument("--weights", type=Path, help="a checkpoint that was trained already")
    parser.add_argument("--data", type=Path, default=root / "qa")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    if (options.out / "trifold.json").exists():
        sys.exit(f"{options.out} is a model already.")
    terminal = Terminal()
    apart = Apart(options.layers)
    settings = QaSettings(WindowSize(384, 128), True, ("en",), frozenset({"Latin"}), Calibration(), apart=apart)
    task = QaTask("student", QaTokenizer.from_file(options.teacher / "tokenizer.json"), settings)
    answered = [e for e in read_examples(options.data / SQUAD) if e.golds]
    kept = [e for e in answered if kept_for_choosing(e.title)]
    lessons = [e for e in answered if not kept_for_choosing(e.title)]
    examples = list(spread_over(lessons[options.begin is not None :], options.questions))
    random.Random(0).shuffle(examples)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.weights is None:
        taught(options, terminal, apart, [first_unit(task, example) for example in examples])
    else:
        for name in ("config.json", "model.safetensors"):
            shutil.copyfile(options.weights / name, options.out / name)
    copy_tokenizer(options.teacher, options.out)
    terminal.err.print("export")
    graphs = write_graphs(options.out, task, [first_unit(task, example) for example in examples[:QUANTISED_ON]])
    facts: dict[str, Any] = {"task": "qa", "name": "apart", "version": str(options.layers), "graphs": graphs}
    folder = write_manifest(options.out, {**facts, "task_settings": settings.to_dict()})
    measured_beside = [("teacher", read_folder(options.teacher))] if (options.teacher / "trifold.json").exists() else []
    for name, found in [*measured_beside, (f"{options.layers} apart", folder)]:
        with terminal.progress(name) as progress:
            reader = Reader(open_model(found))
            measured = evaluate(reader, spread_over(kept, options.measured), always_answer=True, progress=progress)
        figures = measured.to_dict()
        print(f"{name}: F1 {figures['f1']:.2f} on {figures['n']} questions of titles held out, {reader.precision}")


def taught(options: argparse.Namespace, terminal: Terminal, apart: Apart, units: Sequence[Unit]) -> None:
    """Write the trained weights to the folder."""
    network = Network(options.teacher, device="cpu", bf16=bf16_is_fast("cpu"), seed=0, apart=apart)
    network.freeze_words()
    learner = Distillation(network, apart, units, seed=0)
    if options.begin is not None:
        network.model.load_state_dict(load_file(options.begin / "model.safetensors"))
    job: dict[str, Any] = {"layers": apart.layers, "questions": len(units), "rate": options.learning_rate}
    checkpoints = Checkpoints(options.out / "checkpoints", job)

    def say(epoch: Epoch) -> None:
        terminal.err.print(f"{apart.layers} apart, epoch {epoch.epoch}: {epoch.train_loss} {dict(epoch.figures)}")

    with terminal.progress(f"{apart.layers} layers apart") as progress:
        plan = Plan(learner.steps, 1, options.learning_rate)
        train(learner, plan, checkpoints, resume=options.resume, progress=progress, on_epoch=say)
    network.save(options.out)
    shutil.rmtree(checkpoints.folder)


if __name__ == "__main__":
    main()
