"""The graphs of a reader of BERT's kind, from the modules of `stages`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from trifold.engine.graph import Graph, Named
from trifold.engine.session import PREFIX
from trifold.task import Prefix, Unit
from trifold.tasks.qa.making.apart import check_apart, last_states
from trifold.tasks.qa.making.fusing import fused
from trifold.tasks.qa.making.stages import FIRST_INPUTS, FIRST_OUTPUTS, SECOND_INPUTS, first_stage, second_stage, whole
from trifold.tasks.qa.settings import Apart

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor

__all__ = ["apart_as_torch", "first_feeds", "is_bert", "second_feeds", "stage_graphs", "whole_graph"]

Indices: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

_WHOLE_INPUTS = ("input_ids", "token_type_ids")
_OUTPUTS = ("start_logits", "end_logits")


def is_bert(reader: Any) -> bool:
    """Whether the modules of `stages` compute what the reader does."""
    config = reader.config
    absolute = getattr(config, "position_embedding_type", "absolute") in (None, "absolute")
    return bool(config.model_type == "bert" and config.type_vocab_size >= 2 and absolute and not config.is_decoder)


def whole_graph(reader: Any, asking: int | None) -> ModelProto:
    """The reader as one graph without a mask: it takes no padding. asking: see `stages`."""
    ids = _example(reader, 64)
    feeds = dict(zip(_WHOLE_INPUTS, (ids, (ids > 9).long()), strict=True))
    lengths = dict.fromkeys((*_WHOLE_INPUTS, *_OUTPUTS), "length")
    return fused(whole(reader, asking), feeds, lengths, _OUTPUTS, reader.config)


def stage_graphs(reader: Any, apart: Apart, asking: int | None) -> tuple[ModelProto, ModelProto]:
    """Both stages as fp32 graphs, weights inline. Raises InvalidInput for a reader that cannot be divided so."""
    import torch

    check_apart(reader, apart)
    ids = _example(reader, 64)
    places = torch.arange(64).expand_as(ids).contiguous()
    example = dict(zip(FIRST_INPUTS, (ids, places, torch.ones_like(ids)), strict=True))
    lengths = dict.fromkeys((*FIRST_INPUTS, *FIRST_OUTPUTS), "length")
    first = fused(first_stage(reader, apart), example, lengths, FIRST_OUTPUTS, reader.config)
    width = reader.config.hidden_size
    states = {name: torch.randn(2, 64 if name.startswith(PREFIX) else 9, width) for name in SECOND_INPUTS}
    lengths = {name: "prefix" if name.startswith(PREFIX) else "length" for name in SECOND_INPUTS}
    lengths |= dict.fromkeys(_OUTPUTS, "both")
    return first, fused(second_stage(reader, apart, asking), states, lengths, _OUTPUTS, reader.config)


def _example(reader: Any, length: int) -> Tensor:
    import torch

    return torch.randint(5, reader.config.vocab_size, (2, length), generator=torch.Generator().manual_seed(0))


def first_feeds(windows: Sequence[Unit]) -> list[Named]:
    """What the first stage reads of some windows: question and passage of each."""
    return [{name: part[name][np.newaxis] for name in FIRST_INPUTS} for window in windows for part in _parts(window)]


def second_feeds(first: Graph, windows: Sequence[Unit]) -> Iterator[Named]:
    """What the second stage reads of some windows, as a graph of the first makes it."""
    for window in windows:
        own, shared = (first.run(feeds) for feeds in first_feeds([window]))
        yield own | {PREFIX + name: array for name, array in shared.items()}


def apart_as_torch(reader: Any, apart: Apart) -> Iterator[tuple[list[Unit], list[tuple[Named, Indices]]]]:
    """Batches of random windows, and of each the logits by torch, in one pass over both parts, and where to compare."""
    alone, pair = [_random_unit(reader, apart, 9, 31)], [_random_unit(reader, apart, 14, size) for size in (60, 60, 41)]
    for units in (alone, pair):
        yield units, [_by_torch(reader, apart, unit) for unit in units]


def _random_unit(reader: Any, apart: Apart, own: int, shared: int) -> Unit:
    """So many tokens in the question's part and in the passage's."""
    chance = np.random.default_rng(shared)

    def inputs(count: int, kind: int, position: int) -> Named:
        ids = chance.integers(5, reader.config.vocab_size, count)
        return dict(zip(FIRST_INPUTS, (ids, np.arange(position, position + count), np.full(count, kind)), strict=True))

    part = inputs(shared, 1, apart.position)
    return Unit(inputs(own, 0, 0), own + shared, Prefix(part["input_ids"].tobytes(), part))


def _by_torch(reader: Any, apart: Apart, unit: Unit) -> tuple[Named, Indices]:
    """Start and end logits, shape (n,), and at which tokens they are read."""
    import torch

    parts = _parts(unit)
    ids, places, types = (
        torch.from_numpy(np.concatenate([part[name] for part in parts]))[None] for name in FIRST_INPUTS
    )
    own = len(parts[0]["input_ids"])
    which = (torch.arange(unit.cost)[None] >= own).long()
    with torch.no_grad():
        logits = reader.qa_outputs(last_states(reader, apart, ids, places, types, which))[0].numpy()
    return dict(zip(_OUTPUTS, logits.T, strict=True)), np.array([0, *range(own, unit.cost)])


def _parts(window: Unit) -> tuple[Any, Any]:
    assert window.prefix is not None, "a window of one part was given to a reader of two stages"
    return window.arrays, window.prefix.arrays
