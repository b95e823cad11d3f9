"""From a module of torch to one ONNX graph with ONNX Runtime's fused operators."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["fused"]

_OPSET = 17


def fused(
    module: Any, feeds: Mapping[str, Any], lengths: Mapping[str, str], outputs: Sequence[str], config: Any
) -> ModelProto:
    """A module as one fp32 graph with ONNX Runtime's fused operators, weights inline.

    feeds: an example of its inputs, in order. lengths: the name of each input's and output's axis 1, axis 0 being the
    batch. config: that of a model of transformers with the module's layers.

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

    options = FusionOptions("bert")
    options.use_multi_head_attention = True
    options.enable_embed_layer_norm = False
    with tempfile.TemporaryDirectory() as scratch, torch.no_grad(), warnings.catch_warnings():
        # The tracer warns of every size that it fixes; the graph is held against torch at other sizes.
        warnings.simplefilter("ignore")
        path = str(Path(scratch) / "plain.onnx")
        torch.onnx.export(
            module.eval(),
            tuple(feeds.values()),
            path,
            input_names=list(feeds),
            output_names=list(outputs),
            dynamic_axes={name: {0: "batch", 1: length} for name, length in lengths.items()},
            dynamo=False,
            opset_version=_OPSET,
        )
        graph: ModelProto = optimize_model(
            path,
            "bert",
            num_heads=config.num_attention_heads,
            hidden_size=config.hidden_size,
            optimization_options=options,
            opt_level=0,
        ).model
    for node in list(graph.graph.node):
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            value = node.attribute[0].t
            value.name = node.output[0]
            graph.graph.initializer.append(value)
            graph.graph.node.remove(node)
    _split_layer_norms(graph)
    if all(opset.domain != "com.microsoft" for opset in graph.opset_import):
        graph.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return graph


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
