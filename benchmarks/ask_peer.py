"""One cold run of the transformers 4.57 pipeline, in an environment of its own; see worker.py."""

from __future__ import annotations

import sys

from worker import Row, measure


def main(model: str, batch: str) -> None:
    import torch
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer, pipeline

    options = {"max_seq_len": 384, "doc_stride": 128, "max_answer_len": 30, "batch_size": int(batch)}
    network = AutoModelForQuestionAnswering.from_pretrained(model, torch_dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(model)
    reader = pipeline("question-answering", model=network, tokenizer=tokenizer, device="cpu")

    def ask(rows: list[Row]) -> list[str]:
        pairs = [{"question": row["question"], "context": row["passage"]} for row in rows]
        return [answer["answer"] for answer in reader(pairs, **options)]

    measure(ask)


if __name__ == "__main__":
    main(*sys.argv[1:])
