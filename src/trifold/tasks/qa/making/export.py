"""From a question-answering checkpoint of Hugging Face to the graphs of a model folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from trifold.engine.graph import Graph, Named
from trifold.engine.session import Session
from trifold.errors import EngineError, MissingExtra, ModelDamaged, TrifoldError
from trifold.task import Arrays, Unit
from trifold.tasks.qa.making.bert_graphs import (
    apart_as_torch,
    first_feeds,
    is_bert,
    second_feeds,
    stage_graphs,
    whole_graph,
)
from trifold.tasks.qa.making.fusing import fused
from trifold.tasks.qa.settings import Apart
from trifold.training.quiet import quiet_transformers

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["export_reader"]

Indices: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_OUTPUTS = ("start_logits", "end_logits")
_EXACT = 1e-4
"""Share of the largest logit by which the graph may differ from torch: the order of additions differs."""
_COMPARED = 60
_SAME = 0.99
"""Share of the windows whose answer may not move because few tokens ask."""
_PROBE_TOLERANCE = 0.5
"""In logits: wide enough for a processor that rounds otherwise, too narrow for one whose sums saturate."""


def export_reader(
    folder: Path,
    windows: Sequence[Unit],
    probe: Unit,
    *,
    int8: bool = True,
    apart: Apart | None = None,
    asking: int | None = None,
) -> list[dict[str, Any]]:
    """Write `model.fp32.onnx` and, with int8, `model.int8.onnx` with a probe, beside a checkpoint.

    apart: for a reader whose lower layers read question and passage apart; then `first.fp32.onnx` and
    `first.int8.onnx` are its first stage and the others its second, and the windows have two parts.

    asking: how many tokens ask in the last layer of the int8 form, where that moves no answer of the windows; see
    `stages`. None for all.

    folder: holds config.json and model.safetensors. windows: a few hundred windows of training text, from which the
    int8 graph learns what its activations look like. probe: a window whose contents may be published, of no more
    tokens than ask: which of many are the last to ask would depend on the processor's rounding.

    Returns the `graphs` of the manifest. Raises ModelDamaged when the weights lack some of the architecture's,
    EngineError when it cannot be exported or the graph does not compute what torch computes, MissingExtra.
    """
    try:
        import onnx  # noqa: F401

        reader = _load(folder)
        stages = (_reader_graph(reader),) if apart is None else stage_graphs(reader, apart, None)
        fast = _fast_stages(reader, apart, asking, stages, windows) if int8 else ()
    except ImportError as error:
        raise MissingExtra("exporting a model", "train") from error
    except TrifoldError:
        raise
    except Exception as error:  # whatever torch and transformers meet in a checkpoint of any age and kind
        raise EngineError(
            f"{folder}: it cannot be exported ({type(error).__name__}: {_first_line(error)}). Choose another model."
        ) from error
    files = ("model",) if apart is None else ("first", "model")
    _write(stages, files, "fp32", folder)
    _compare(reader, _session(folder, "fp32", apart), folder, apart)
    written = [_entry("fp32", apart)]
    if int8:
        _quantise(fast, windows, folder)
        _write(fast, files, "int8", folder)
        _record_probe(_session(folder, "int8", apart), folder / "probe.json", probe)
        written.insert(0, {**_entry("int8", apart), "probe": "probe.json"})
    return written


def _entry(precision: str, apart: Apart | None) -> dict[str, Any]:
    """What the manifest says of a graph."""
    entry = {"file": f"model.{precision}.onnx", "precision": precision}
    return entry if apart is None else {**entry, "first": f"first.{precision}.onnx"}


def _session(folder: Path, precision: str, apart: Apart | None) -> Session:
    return Session(folder / f"model.{precision}.onnx", None if apart is None else folder / f"first.{precision}.onnx")


def _write(stages: Iterable[ModelProto], files: Sequence[str], precision: str, folder: Path) -> None:
    import onnx

    from trifold.models.sharing import share_weights

    for name, graph in zip(files, stages, strict=True):
        share_weights(graph, folder)
        onnx.save(graph, folder / f"{name}.{precision}.onnx")


def _quantise(stages: Sequence[ModelProto], windows: Sequence[Unit], folder: Path) -> None:
    """Quantise each stage on what reaches it of the windows in fp32. folder: holds the fp32 graphs."""
    from trifold.models.quantise import quantise

    if len(stages) == 1:
        return quantise(stages[0], [_feeds(unit, stages[0]) for unit in windows])
    first, second = stages
    quantise(first, first_feeds(windows))
    quantise(second, list(second_feeds(Graph(folder / "first.fp32.onnx"), windows)))
    return None


def _fast_stages(
    reader: Any, apart: Apart | None, asking: int | None, exact: Sequence[ModelProto], windows: Sequence[Unit]
) -> Sequence[ModelProto]:
    """What the int8 graphs are made of: nothing is computed that is not read, if the reader is of a kind for that."""
    if not is_bert(reader):
        return [_copied(stage) for stage in exact]
    if asking is not None:
        few = (whole_graph(reader, asking),) if apart is None else stage_graphs(reader, apart, asking)
        if _same_answers(few, exact, windows[:_COMPARED]):
            return few
    return (whole_graph(reader, None),) if apart is None else [_copied(stage) for stage in exact]


def _same_answers(few: Sequence[ModelProto], exact: Sequence[ModelProto], windows: Sequence[Unit]) -> bool:
    """Whether the likeliest starts and ends of nearly all windows are those of the exact graphs."""
    with tempfile.TemporaryDirectory() as scratch:
        sessions = [_saved(stages, Path(scratch), name) for stages, name in ((few, "few"), (exact, "exact"))]
        tops = [[_tops(session, window) for window in windows] for session in sessions]
    same = sum(one == other for one, other in zip(*tops, strict=True))
    return bool(same >= _SAME * len(windows))


def _saved(stages: Sequence[ModelProto], folder: Path, name: str) -> Session:
    import onnx

    paths = [folder / f"{name}.{number}.onnx" for number in range(len(stages))]
    for stage, path in zip(stages, paths, strict=True):
        onnx.save(stage, path)
    return Session(paths[-1], paths[0] if len(paths) > 1 else None)


def _tops(session: Session, unit: Unit) -> tuple[int, ...]:
    """The likeliest start and end in the passage."""
    (output,) = session.run([unit])
    parts = (unit.arrays,) if unit.prefix is None else (unit.arrays, unit.prefix.arrays)
    passage = np.concatenate([part["token_type_ids"] for part in parts]) == 1
    return tuple(int(np.where(passage, output[name], -np.inf).argmax()) for name in _OUTPUTS)


def _copied(model: ModelProto) -> ModelProto:
    copy = type(model)()
    copy.CopyFrom(model)
    return copy


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")[:200]


def _feeds(unit: Unit, model: ModelProto) -> dict[str, np.ndarray[Any, Any]]:
    return {entry.name: unit.arrays[entry.name][np.newaxis] for entry in model.graph.input}


def _record_probe(session: Session, probe: Path, window: Unit) -> None:
    """Keep what the graphs compute here, for `Session.agrees_with` to compare where they are used."""
    (output,) = session.run([window])
    record = {"inputs": _lists(window.arrays)}
    if window.prefix is not None:
        record["prefix"] = _lists(window.prefix.arrays)
    record["outputs"] = {name: [round(float(value), 4) for value in output[name]] for name in _OUTPUTS}
    probe.write_text(json.dumps({**record, "tolerance": _PROBE_TOLERANCE}) + "\n", encoding="utf-8")


def _lists(arrays: Arrays) -> dict[str, list[Any]]:
    return {name: array.tolist() for name, array in arrays.items()}


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


def _compare(reader: Any, session: Session, folder: Path, apart: Apart | None) -> None:
    """Hold the graph against torch at lengths and batch sizes that it was not traced at, padded where it can be."""
    for units, expected in _as_torch(reader) if apart is None else apart_as_torch(reader, apart):
        for unit, (logits, read), found in zip(units, expected, session.run(units), strict=True):
            for name in _OUTPUTS:
                margin = _EXACT * max(1.0, float(np.abs(logits[name][read]).max()))
                if not np.allclose(found[name][read], logits[name][read], rtol=0, atol=margin):
                    raise EngineError(
                        f"{folder}: the exported graph does not compute what torch computes ({unit.cost} tokens, "
                        f"{len(units)} windows). Models of the type {reader.config.model_type!r} cannot be exported; "
                        "choose another."
                    )


def _as_torch(reader: Any) -> Iterator[tuple[list[Unit], list[tuple[Named, Indices]]]]:
    """Batches of windows, and of each the logits by torch and the tokens to compare."""
    import torch

    for rows, length, padding in ((1, 9, 0), (3, 60, 13)):
        example = _example(reader, rows, length, padding)
        with torch.no_grad():
            out = reader(**{name: example[name] for name in _inputs(reader)})
        lengths = [length] * (rows - 1) + [length - padding]
        units = [
            Unit({name: array[row, :n].numpy() for name, array in example.items()}, n) for row, n in enumerate(lengths)
        ]
        yield (
            units,
            [({name: out[name][row, :n].numpy() for name in _OUTPUTS}, np.arange(n)) for row, n in enumerate(lengths)],
        )


def _reader_graph(reader: Any) -> ModelProto:
    import torch

    inputs = _inputs(reader)

    class Logits(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.reader = reader

        def forward(self, *arrays: Any) -> tuple[Any, Any]:
            out = self.reader(**dict(zip(inputs, arrays, strict=True)))
            return out.start_logits, out.end_logits

    example = _example(reader, 2, 16, 6)  # padded, so that the mask is traced as one
    feeds = {name: example[name] for name in inputs}
    return fused(Logits(), feeds, dict.fromkeys((*inputs, *_OUTPUTS), "length"), _OUTPUTS, reader.config)
