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
from trifold.tasks.qa.reader import Reader

DEV = [  # file, always answering, precision
    ("squad-dev-v1.1.json.gz", True, "int8"),
    ("squad-dev-v2.0.json.gz", False, "int8"),
    ("natural-questions-dev.jsonl.gz", True, "int8"),
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


def in_other_forms(folder: ModelFolder, examples: Sequence[Example], terminal: Terminal) -> str:
    """A section of the card: answered questions, always answering, when they are typed otherwise."""
    rows = []
    for form, precision in [("as they are", "fp32"), *((form, "int8") for form in FORMS)]:
        chance, typed = random.Random(0), FORMS[form]
        asked = [replace(e, question=typed(e.question, chance) or e.question) for e in examples]
        figures = measured(folder, asked, True, precision, form, terminal).to_dict()
        rows.append(f"| {form} | {precision} | {figures['exact']:.1f} | {figures['f1']:.1f} |")
        terminal.err.print(f"{form}: F1 {figures['f1']:.2f}")
    return "\n".join(
        [
            "## The same questions typed otherwise",
            "",
            f"{len(examples):,} answered questions of SQuAD's training set, of titles that were not taught, always "
            "answering:",
            "",
            "| questions | graph | exact match | F1 |",
            "|---|---|---|---|",
            *rows,
        ]
    )


def silent_off_topic(folder: ModelFolder, name: str, examples: Sequence[Example], terminal: Terminal) -> str:
    """A section of the card: how many questions about another passage get no answer."""
    asked = off_topic(examples)
    found = measured(folder, asked, False, "int8", "about another passage", terminal)
    share = float(np.mean([one.prediction == "" for one in found.graded]))
    terminal.err.print(f"about another passage: {share:.1%} silent of {len(asked):,}")
    return (
        "## Questions about something else\n\n"
        f"{len(asked):,} questions of {name}, each with a passage of another title: {share:.1%} got the reply that the "
        "passage does not say."
    )


def failing_section(shown: Sequence[str]) -> str:
    """A section of the card: wrong replies."""
    return "\n".join(
        [
            "## Where it fails",
            "",
            f"{len(shown)} wrong replies of {FAILING}, evenly spaced over all with an F1 under 0.5, with their scores "
            "(questions and answers: CC BY-SA 4.0, SQuAD 2.0):",
            "",
            *(f"{i}. {text}" for i, text in enumerate(shown, 1)),
        ]
    )


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
        f"*{e.question.strip()}* Right: {_quoted([g.text for g in e.golds])}. Said: {_quoted([one.prediction])} "
        f"({one.score:.0%})."
        for e, one in chosen
    ]


def _quoted(texts: Sequence[str]) -> str:
    found = " or ".join(f"“{' '.join(text.split())}”" for text in dict.fromkeys(texts) if text)
    return found or "the passage does not say"
