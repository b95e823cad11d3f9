"""A plain fp32 graph of a reader, by torch's exporter alone; runs in the peer's environment.

.venv-peer/bin/python benchmarks/export_plain.py FOLDER GRAPH
"""

from __future__ import annotations

import sys


def main(folder: str, graph: str) -> None:
    import torch
    from transformers import AutoModelForQuestionAnswering

    network = AutoModelForQuestionAnswering.from_pretrained(
        folder, torch_dtype=torch.float32, attn_implementation="eager"
    ).eval()
    names = ["input_ids", "attention_mask", "token_type_ids"]
    example = torch.ones(2, 24, dtype=torch.int64)
    outputs = ["start_logits", "end_logits"]
    torch.onnx.export(
        network,
        (example, example, example),
        graph,
        input_names=names,
        output_names=outputs,
        dynamic_axes={name: {0: "windows", 1: "tokens"} for name in (*names, *outputs)},
        opset_version=17,
        dynamo=False,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
