"""How `trifold.pipeline` compares with the pipeline that transformers removed.

    python benchmarks/pipeline_parity.py

First its answers beside those recorded in tests/fixtures/pipeline_outputs.json.gz. Then, for passages of several
windows, what trifold's rule is worth: the same questions are answered from the same logits by a softmax of each
window, as the removed pipeline did, and by evidence. The passages of squad-train-v2.0 are read in windows of 128
tokens, and joined with their neighbours to documents of nine passages in windows of 384. Needs TRIFOLD_DATA.
"""

from __future__ import annotations

import gzip
import json
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import trifold
from trifold.task import Arrays
from trifold.tasks.qa import pipeline_spans
from trifold.tasks.qa.data.examples import Example, read_examples
from trifold.tasks.qa.measuring.evaluation import spread_over
from trifold.tasks.qa.measuring.metrics import best_over, exact_match, f1
from trifold.tasks.qa.pipeline_inputs import Options
from trifold.tasks.qa.pipeline_spans import Tokens, Windows, merge_spans, score_spans

RECORDED = Path(__file__).parents[1] / "tests/fixtures/pipeline_outputs.json.gz"
QUESTIONS = 400
NEIGHBOURS = 4


def main() -> None:
    if not os.environ.get("TRIFOLD_DATA"):
        sys.exit("TRIFOLD_DATA is not set to a folder with the data (SQuAD is asked).")
    folder = Path(os.environ["TRIFOLD_DATA"]) / "qa"
    compare_with_recorded(folder)
    data = read_examples(folder / "squad-train-v2.0.json.gz")
    passages = list(dict.fromkeys(example.passage for example in data))
    place = {passage: index for index, passage in enumerate(passages)}
    asked = spread_over([example for example in data if example.golds], QUESTIONS)

    def document(example: Example) -> str:
        here = place[example.passage]
        return "\n".join(passages[max(0, here - NEIGHBOURS) : here + NEIGHBOURS + 1])

    report("passages in windows of 128", asked, [example.passage for example in asked], max_seq_len=128)
    report("documents in windows of 384", asked, [document(example) for example in asked])


def compare_with_recorded(folder: Path) -> None:
    """For each recorded set, how many rows have the same answers in the same places, and how far scores differ."""
    answer = trifold.pipeline("question-answering", dtype="float32")
    for entry in json.loads(gzip.decompress(RECORDED.read_bytes()))["sets"]:
        asked = {example.id: example for example in read_examples(folder / entry["file"])}
        rows = [{"question": asked[i].question, "context": asked[i].passage} for i, _ in entry["outputs"]]
        pairs = [
            (wanted, found if isinstance(found, list) else [found])
            for (_, wanted), found in zip(entry["outputs"], answer(rows, **entry["options"]), strict=True)
        ]
        same = [(w, f) for w, f in pairs if [x[:2] for x in w] == [[a["start"], a["end"]] for a in f]]
        apart = max(abs(x[2] - a["score"]) for w, f in same for x, a in zip(w, f, strict=True))
        print(
            f"{entry['name']:30} the same {len(same):4} of {len(rows):4}, scores at most {apart:.1e} apart", flush=True
        )


def report(name: str, asked: Sequence[Example], contexts: Sequence[str], **options: int) -> None:
    """Exact match and F1 by both rules, over the questions of several windows."""
    old: list[dict[str, Any]] = []
    several: list[int] = []
    find_answers = pipeline_spans.find_answers

    def both(
        text: str, tokens: Tokens, windows: Windows, outputs: Sequence[Arrays], options: Options, *, null: bool
    ) -> list[dict[str, Any]]:
        several.append(len(outputs))
        old.append(by_softmax(text, tokens, windows, outputs, options))
        return find_answers(text, tokens, windows, outputs, options, null=null)

    pipeline_spans.find_answers = both
    try:
        answer = trifold.pipeline("question-answering", dtype="float32")
        new = answer([{"question": e.question, "context": c} for e, c in zip(asked, contexts, strict=True)], **options)
    finally:
        pipeline_spans.find_answers = find_answers
    kept = [i for i, count in enumerate(several) if count > 1]
    print(f"{name}: {len(kept)} questions, {statistics.mean(several[i] for i in kept):.1f} windows each")
    for rule, answers in (("a softmax of each window", old), ("their evidence", new)):
        scores = [
            100 * statistics.mean(best_over(m, answers[i]["answer"], [g.text for g in asked[i].golds]) for i in kept)
            for m in (exact_match, f1)
        ]
        print(f"  {rule:25} EM {scores[0]:.1f}  F1 {scores[1]:.1f}")


def by_softmax(
    text: str, tokens: Tokens, windows: Windows, outputs: Sequence[Arrays], options: Options
) -> dict[str, Any]:
    """The best answer as the removed pipeline found it."""
    spans: list[tuple[float, int, int]] = []
    for place, output in zip(windows.places, outputs, strict=True):
        spans += score_spans(replace(windows, places=(place,)), [output], options, null=True)[0]
    return merge_spans(text, tokens, spans, 0.0, options)[0]


if __name__ == "__main__":
    main()
