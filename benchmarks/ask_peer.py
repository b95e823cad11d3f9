"""One cold run of the transformers 4.57 pipeline, in an environment of its own; the same contract as ask_trifold.py."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any


def main(model: str, batch: str) -> None:
    import torch
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer, pipeline

    rows = json.load(sys.stdin)
    options = {"max_seq_len": 384, "doc_stride": 128, "max_answer_len": 30, "batch_size": int(batch)}
    network = AutoModelForQuestionAnswering.from_pretrained(model, torch_dtype=torch.float32)
    reader = pipeline("question-answering", model=network, tokenizer=AutoTokenizer.from_pretrained(model), device="cpu")

    def ask(questions: list[dict[str, str]]) -> list[dict[str, Any]]:
        pairs = [{"question": row["question"], "context": row["passage"]} for row in questions]
        found: list[dict[str, Any]] = reader(pairs, **options)
        return found

    ask(rows["warm_up"])
    began = time.perf_counter()
    answers = [answer["answer"] for answer in ask(rows["asked"])]
    seconds = time.perf_counter() - began
    status = Path("/proc/self/status").read_text()  # not getrusage, which counts the starting process too
    peak = int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024  # type: ignore[union-attr]
    json.dump({"answers": answers, "seconds": seconds, "peak_mb": peak}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
