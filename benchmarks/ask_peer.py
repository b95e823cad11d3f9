"""The transformers 4.57 pipeline, in an environment of its own; see worker.py. The setting is the batch size."""

from __future__ import annotations

import sys
from typing import Any

from worker import Row, measure


def main(model: str, batch: str, precision: str = "fp32") -> None:
    import torch
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer, pipeline

    options: dict[str, Any] = {"max_seq_len": 384, "doc_stride": 128, "max_answer_len": 30, "batch_size": int(batch)}
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    network = AutoModelForQuestionAnswering.from_pretrained(model, torch_dtype=dtype)
    tokenizer = AutoTokenizer.from_pretrained(model)
    reader = pipeline("question-answering", model=network, tokenizer=tokenizer, device="cpu")

    def ask(rows: list[Row]) -> list[str]:
        pairs = [{"question": row["question"], "context": row["passage"]} for row in rows]
        found = reader(pairs, **options)
        return [answer["answer"] for answer in (found if isinstance(found, list) else [found])]

    measure(ask, lambda setting: options.update(batch_size=int(setting)))


if __name__ == "__main__":
    main(*sys.argv[1:])
