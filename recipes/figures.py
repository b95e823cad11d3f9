"""The figures of a card: data sets of development, other forms of the same questions, strangers, and failures."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lessons import mistyped
from trifold.engine.loaded import open_model
from trifold.interfaces.console import Terminal
from trifold.models.folder import ModelFolder
from trifold.tasks.qa.data.examples import Example, read_examples
from trifold.tasks.qa.measuring.evaluation import Evaluation, Graded, evaluate, spread_over
from trifold.tasks.qa.measuring.metrics import best_over, f1
from trifold.tasks.qa.reader import Reader

DEV = [  # file, always answering, precision
    ("squad-dev-v1.1.json.gz", True, "int8"),
    ("squad-dev-v1.1.json.gz", True, "fp32"),
    ("squad-dev-v2.0.json.gz", False, "int8"),
    ("natural-questions-dev.jsonl.gz", False, "int8"),
    ("privacy-policies-dev.jsonl.gz", True, "int8"),
]
FAILING = "squad-dev-v2.0.json.gz"
SHOWN = 20
FORMS: dict[str, Callable[[str, random.Random], str]] = {
    "as they are": lambda text, _: text,
    "in capitals": lambda text, _: text.upper(),
    "without question marks": lambda text, _: text.rstrip(" ?"),
    "with a slip of the keys": mistyped,
    "with three slips": lambda text, chance: mistyped(mistyped(mistyped(text, chance), chance), chance),
}


def on_dev(
    folder: ModelFolder, data: Path, limit: int | None, terminal: Terminal
) -> tuple[list[dict[str, Any]], list[str]]:
    """The metrics of the manifest, and the failures of one file for the card."""
    metrics, shown = [], []
    for name, always, precision in DEV:
        examples = spread_over(read_examples(data / name), limit)
        found = measured(folder, examples, always, precision, f"{name} {precision}", terminal)
        figures = found.to_dict()
        for key in ("model", "questions_per_second"):
            del figures[key]
        metrics.append({"data": name, "always_answer": always, "precision": precision, **figures})
        terminal.err.print(
            f"{name} {precision}: F1 {figures['f1']:.2f}, EM {figures['exact']:.2f}, "
            f"has {figures['has_answer']['f1']}, no {figures['no_answer']['f1']}, "
            f"ECE {figures['ece']:.3f}, AUROC {figures['auroc']:.3f}"
        )
        if name == FAILING:
            shown = failures(examples, found.graded)
    return metrics, shown


def in_other_forms(folder: ModelFolder, examples: Sequence[Example], terminal: Terminal) -> list[dict[str, Any]]:
    """F1 of answered questions, always answering, when they are typed otherwise."""
    rows = []
    for form, typed in FORMS.items():
        chance = random.Random(0)
        asked = [replace(e, question=typed(e.question, chance) or e.question) for e in examples]
        figures = measured(folder, asked, True, "int8", form, terminal).to_dict()
        rows.append({"form": form, "n": figures["n"], "exact": figures["exact"], "f1": figures["f1"]})
        terminal.err.print(f"{form}: F1 {figures['f1']:.2f}")
    return rows


def silent_off_topic(folder: ModelFolder, examples: Sequence[Example], terminal: Terminal) -> dict[str, Any]:
    """How many of the questions about another passage get no answer."""
    asked = off_topic(examples)
    found = measured(folder, asked, False, "int8", "about another passage", terminal)
    share = float(np.mean([one.prediction == "" for one in found.graded]))
    terminal.err.print(f"about another passage: {share:.1%} silent of {len(asked):,}")
    return {"n": len(asked), "silent": round(share, 4)}


def measured(
    folder: ModelFolder, examples: Sequence[Example], always: bool, precision: str, title: str, terminal: Terminal
) -> Evaluation:
    with terminal.progress(title) as progress:
        return evaluate(Reader(open_model(folder, precision)), examples, always_answer=always, progress=progress)


def off_topic(examples: Sequence[Example]) -> list[Example]:
    """Each question with the passage of one far away in the list, which does not answer it."""
    far = len(examples) // 2
    pairs = zip(examples, [*examples[far:], *examples[:far]], strict=True)
    return [replace(e, passage=other.passage, golds=()) for e, other in pairs if e.passage != other.passage]


def failures(examples: Sequence[Example], graded: Sequence[Graded]) -> list[str]:
    """Wrong replies, evenly spaced over all wrong ones, a line of Markdown each."""
    wrong = [(e, one) for e, one in zip(examples, graded, strict=True) if one.f1 < 0.5]
    chosen = [wrong[i * len(wrong) // SHOWN] for i in range(min(SHOWN, len(wrong)))]
    return [
        f"“{e.question.strip()}” Right: {_quoted([g.text for g in e.golds])}. Said: {_quoted([one.prediction])}, "
        f"{one.score:.0%}. F1 {best_over(f1, one.prediction, [g.text for g in e.golds]):.2f}."
        for e, one in chosen
    ]


def _quoted(texts: Sequence[str]) -> str:
    return " or ".join(f"“{text}”" for text in texts if text) or "that the passage does not say"
