"""From a question-answering checkpoint of Hugging Face to the graphs of a model folder."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trifold.engine.session import Session
from trifold.errors import MissingExtra
from trifold.task import Unit

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["export_reader"]

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_OUTPUTS = ("start_logits", "end_logits")
_OPSET = 17
_PROBE_TOLERANCE = 0.5
"""In logits: wide enough for a processor that rounds otherwise, too narrow for one whose sums saturate."""


def export_reader(folder: Path, windows: Sequence[Unit], probe: Unit) -> list[dict[str, Any]]:
    """Write `model.fp32.onnx` and `model.int8.onnx`, with a probe for the latter, beside a checkpoint.

    folder: holds config.json and model.safetensors. windows: a few hundred windows of training text, from which the
    int8 graph learns what its activations look like. probe: a window whose contents may be published.

    Returns the `graphs` of the manifest. Raises MissingExtra.
    """
    try:
        import onnx

        from trifold.models.quantise import quantise
        from trifold.models.sharing import share_weights

        exact = _fused(folder)
    except ImportError as error:
        raise MissingExtra("exporting a model", "train") from error
    fast = type(exact)()
    fast.CopyFrom(exact)
    quantise(fast, [_feeds(unit) for unit in windows])
    for model, name in ((exact, "model.fp32.onnx"), (fast, "model.int8.onnx")):
        share_weights(model, folder)
        onnx.save(model, folder / name)
    _record_probe(folder / "model.int8.onnx", folder / "probe.json", probe)
    return [
        {"file": "model.int8.onnx", "precision": "int8", "probe": "probe.json"},
        {"file": "model.fp32.onnx", "precision": "fp32"},
    ]


def _feeds(unit: Unit) -> dict[str, np.ndarray[Any, Any]]:
    return {name: unit.arrays[name][np.newaxis] for name in _INPUTS}


def _record_probe(graph: Path, probe: Path, window: Unit) -> None:
    """Keep what the graph computes here, for `Session.agrees_with` to compare where it is used."""
    (output,) = Session(graph).run([window])
    record = {
        "inputs": {name: window.arrays[name].tolist() for name in _INPUTS},
        "outputs": {name: [round(float(value), 4) for value in output[name]] for name in _OUTPUTS},
        "tolerance": _PROBE_TOLERANCE,
    }
    probe.write_text(json.dumps(record) + "\n", encoding="utf-8")


def _split_layer_norms(model: ModelProto) -> None:
    """Take SkipLayerNormalization apart again: attention is fused by its help, and then it only costs time.

    In ONNX Runtime 1.32's own profile, on AVX2, the fused operator takes several times as long as Add and
    LayerNormalization together.
    """
    from onnx import helper

    nodes = []
    for node in model.graph.node:
        if node.op_type != "SkipLayerNormalization" or any(node.output[1:]):
            nodes.append(node)
            continue
        left, skip, gamma, beta, *bias = node.input
        out = node.output[0]
        terms = [left, *bias, skip]
        for number, term in enumerate(terms[1:]):
            nodes.append(helper.make_node("Add", [left, term], [f"{out}.sum{number}"]))
            left = f"{out}.sum{number}"
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-12)
        nodes.append(helper.make_node("LayerNormalization", [left, gamma, beta], [out], axis=-1, epsilon=epsilon))
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _fused(folder: Path) -> ModelProto:
    """The checkpoint as one fp32 graph with ONNX Runtime's fused operators, weights inline.

    Eager attention through the TorchScript exporter, because ONNX Runtime's attention fusion knows that pattern and
    not the dynamo exporter's arithmetic on masks. MultiHeadAttention rather than Attention: its projections stay
    plain products, which match the stored weights by value and can be quantised. EmbedLayerNormalization is left
    unfused: it needs the word table in fp32, 47 MB more. An architecture that the fusion does not know passes
    through unfused: slower, and as exact.
    """
    import torch
    from onnx import helper
    from onnxruntime.transformers.fusion_options import FusionOptions
    from onnxruntime.transformers.optimizer import optimize_model
    from transformers import AutoModelForQuestionAnswering

    reader = AutoModelForQuestionAnswering.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", use_safetensors=True, local_files_only=True
    ).eval()

    class Logits(torch.nn.Module):  # type: ignore[misc]
        def forward(self, ids: Any, mask: Any, types: Any) -> tuple[Any, Any]:
            out = reader(input_ids=ids, attention_mask=mask, token_type_ids=types)
            return out.start_logits, out.end_logits

    module = Logits()
    module.reader = reader
    ids = torch.randint(5, reader.config.vocab_size, (2, 16))
    mask = torch.ones_like(ids)
    mask[1, 10:] = 0  # so that the mask is traced as one
    options = FusionOptions("bert")
    options.use_multi_head_attention = True
    options.enable_embed_layer_norm = False
    with tempfile.TemporaryDirectory() as scratch, torch.no_grad(), warnings.catch_warnings():
        # The tracer warns of every size that it fixes; the tests hold the graph against torch at other sizes.
        warnings.simplefilter("ignore")
        path = str(Path(scratch) / "plain.onnx")
        torch.onnx.export(
            module,
            (ids, mask, torch.zeros_like(ids)),
            path,
            input_names=list(_INPUTS),
            output_names=list(_OUTPUTS),
            dynamic_axes={name: {0: "batch", 1: "length"} for name in _INPUTS + _OUTPUTS},
            dynamo=False,
            opset_version=_OPSET,
        )
        fused: ModelProto = optimize_model(
            path,
            "bert",
            num_heads=reader.config.num_attention_heads,
            hidden_size=reader.config.hidden_size,
            optimization_options=options,
            opt_level=0,
        ).model
    for node in list(fused.graph.node):
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            value = node.attribute[0].t
            value.name = node.output[0]
            fused.graph.initializer.append(value)
            fused.graph.node.remove(node)
    _split_layer_norms(fused)
    if all(opset.domain != "com.microsoft" for opset in fused.opset_import):
        fused.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return fused
