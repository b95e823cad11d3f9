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
from trifold.errors import EngineError, MissingExtra, ModelDamaged, TrifoldError
from trifold.task import Unit
from trifold.tasks.qa.making.quiet import quiet_transformers

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["export_reader"]

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_OUTPUTS = ("start_logits", "end_logits")
_OPSET = 17
_EXACT = 1e-4
"""Share of the largest logit by which the graph may differ from torch: the order of additions differs."""
_PROBE_TOLERANCE = 0.5
"""In logits: wide enough for a processor that rounds otherwise, too narrow for one whose sums saturate."""


def export_reader(folder: Path, windows: Sequence[Unit], probe: Unit, *, int8: bool = True) -> list[dict[str, Any]]:
    """Write `model.fp32.onnx` and, with int8, `model.int8.onnx` with a probe, beside a checkpoint.

    folder: holds config.json and model.safetensors. windows: a few hundred windows of training text, from which the
    int8 graph learns what its activations look like. probe: a window whose contents may be published.

    Returns the `graphs` of the manifest. Raises ModelDamaged when the weights lack some of the architecture's,
    EngineError when it cannot be exported or the graph does not compute what torch computes, MissingExtra.
    """
    try:
        import onnx

        from trifold.models.quantise import quantise
        from trifold.models.sharing import share_weights

        reader = _load(folder)
        exact = _fused(reader)
    except ImportError as error:
        raise MissingExtra("exporting a model", "train") from error
    except TrifoldError:
        raise
    except Exception as error:  # whatever torch and transformers meet in a checkpoint of any age and kind
        raise EngineError(
            f"{folder}: it cannot be exported ({type(error).__name__}: {_first_line(error)}). Choose another model."
        ) from error
    graphs = [(exact, "model.fp32.onnx")]
    if int8:
        fast = type(exact)()
        fast.CopyFrom(exact)
        quantise(fast, [_feeds(unit, exact) for unit in windows])
        graphs.append((fast, "model.int8.onnx"))
    for model, name in graphs:
        share_weights(model, folder)
        onnx.save(model, folder / name)
    _compare(reader, Session(folder / "model.fp32.onnx"), folder)
    written = [{"file": "model.fp32.onnx", "precision": "fp32"}]
    if int8:
        _record_probe(folder / "model.int8.onnx", folder / "probe.json", probe)
        written.insert(0, {"file": "model.int8.onnx", "precision": "int8", "probe": "probe.json"})
    return written


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")[:200]


def _feeds(unit: Unit, model: ModelProto) -> dict[str, np.ndarray[Any, Any]]:
    return {entry.name: unit.arrays[entry.name][np.newaxis] for entry in model.graph.input}


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


def _load(folder: Path) -> Any:
    """The checkpoint as a module of transformers, in fp32 and ready to compute."""
    import torch
    from transformers import AutoModelForQuestionAnswering

    with quiet_transformers():
        reader, report = AutoModelForQuestionAnswering.from_pretrained(
            folder,
            dtype=torch.float32,
            attn_implementation="eager",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    if report["missing_keys"]:
        raise ModelDamaged(
            f"{folder}: its weights lack {sorted(report['missing_keys'])[0]} and would answer at random. "
            "Choose a model that was trained to answer questions, or fine-tune this one."
        )
    return reader.eval()


def _inputs(reader: Any) -> tuple[str, ...]:
    """The inputs that the architecture takes. Types of tokens are one where it knows no two of them."""
    import inspect

    taken = inspect.signature(reader.forward).parameters
    typed = "token_type_ids" in taken and getattr(reader.config, "type_vocab_size", 2) > 1
    return _INPUTS if typed else _INPUTS[:2]


def _example(reader: Any, rows: int, length: int, padding: int) -> dict[str, Any]:
    """Random windows, the last of them padded by zeros as `Session` does."""
    import torch

    drawn = torch.Generator().manual_seed(length)
    ids = torch.randint(5, reader.config.vocab_size, (rows, length), generator=drawn)
    mask = torch.ones_like(ids)
    ids[-1, length - padding :] = 0
    mask[-1, length - padding :] = 0
    types = (torch.arange(length) >= length // 2).long().expand_as(ids) * mask
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


def _compare(reader: Any, session: Session, folder: Path) -> None:
    """Hold the graph against torch at lengths and batch sizes that it was not traced at, padded."""
    import torch

    for rows, length, padding in ((1, 9, 0), (3, 60, 13)):
        example = _example(reader, rows, length, padding)
        with torch.no_grad():
            out = reader(**{name: example[name] for name in _inputs(reader)})
        lengths = [length] * (rows - 1) + [length - padding]
        units = [
            Unit({name: array[row, :n].numpy() for name, array in example.items()}, n) for row, n in enumerate(lengths)
        ]
        for row, (n, found) in enumerate(zip(lengths, session.run(units), strict=True)):
            for name in _OUTPUTS:
                expected = out[name][row, :n].numpy()
                margin = _EXACT * max(1.0, float(np.abs(expected).max()))
                if not np.allclose(found[name], expected, rtol=0, atol=margin):
                    raise EngineError(
                        f"{folder}: the exported graph does not compute what torch computes ({length} tokens, {rows} "
                        f"windows). Models of the type {reader.config.model_type!r} cannot be exported; choose another."
                    )


def _fused(reader: Any) -> ModelProto:
    """A module as one fp32 graph with ONNX Runtime's fused operators, weights inline.

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

    inputs = _inputs(reader)

    class Logits(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.reader = reader

        def forward(self, *arrays: Any) -> tuple[Any, Any]:
            out = self.reader(**dict(zip(inputs, arrays, strict=True)))
            return out.start_logits, out.end_logits

    example = _example(reader, 2, 16, 6)  # padded, so that the mask is traced as one
    options = FusionOptions("bert")
    options.use_multi_head_attention = True
    options.enable_embed_layer_norm = False
    with tempfile.TemporaryDirectory() as scratch, torch.no_grad(), warnings.catch_warnings():
        # The tracer warns of every size that it fixes; the graph is held against torch at other sizes.
        warnings.simplefilter("ignore")
        path = str(Path(scratch) / "plain.onnx")
        torch.onnx.export(
            Logits().eval(),
            tuple(example[name] for name in inputs),
            path,
            input_names=list(inputs),
            output_names=list(_OUTPUTS),
            dynamic_axes={name: {0: "batch", 1: "length"} for name in (*inputs, *_OUTPUTS)},
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
