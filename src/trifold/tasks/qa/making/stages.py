"""A reader of BERT's kind as the modules of its graphs, written so that nothing is computed that is not read.

With layers apart (see `apart`) there are two. The first stage reads one part, question or passage, and is run on each.
It also makes the projections of the first layer that reads both together, since they too depend on one part alone.
The second stage does the rest.

In the last layer only some tokens ask: the null, and the candidates, those that the head would take for the likeliest
starts and ends by the states before it. The states of the others would be used for their own logits alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trifold.engine.session import PREFIX
from trifold.tasks.qa.making.attention import attend
from trifold.tasks.qa.settings import Apart

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "FIRST_INPUTS",
    "FIRST_OUTPUTS",
    "NOT_READ",
    "SECOND_INPUTS",
    "first_stage",
    "second_stage",
    "whole",
]

FIRST_INPUTS = ("input_ids", "position_ids", "token_type_ids")
FIRST_OUTPUTS = ("states", "query", "key", "value")
"""Each of shape (B, n, H)."""
SECOND_INPUTS = (*FIRST_OUTPUTS, *(PREFIX + name for name in FIRST_OUTPUTS))
NOT_READ = -1e4
"""The logits of tokens that are no candidates."""


def first_stage(reader: Any, apart: Apart) -> nn.Module:
    """From the tokens of one part, with positions and types, shape (B, n), to `FIRST_OUTPUTS`."""
    import torch

    class First(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.reader = reader

        def forward(self, ids: Tensor, positions: Tensor, types: Tensor) -> tuple[Tensor, ...]:
            hidden = self.reader.base_model.embeddings(input_ids=ids, position_ids=positions, token_type_ids=types)
            for layer in self.reader.base_model.encoder.layer[: apart.layers]:
                hidden = _rest(layer, hidden, *_projected(layer, hidden))
            return hidden, *_projected(self.reader.base_model.encoder.layer[apart.layers], hidden)

    return First().eval()


def second_stage(reader: Any, apart: Apart, asking: int | None) -> nn.Module:
    """From `SECOND_INPUTS`, the question's part and the passage's, to start and end logits of both, shape (B, n).

    asking: how many tokens ask in the last layer; None for all.
    """
    import torch

    class Second(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.reader = reader

        def forward(self, *arrays: Tensor) -> tuple[Tensor, Tensor]:
            layers = self.reader.base_model.encoder.layer[apart.layers :]
            hidden, query, key, value = (torch.cat(pair, 1) for pair in zip(arrays[:4], arrays[4:], strict=True))
            question = torch.ones_like(arrays[0][..., 0], dtype=torch.int64)
            passage = torch.ones_like(arrays[4][..., 0], dtype=torch.int64)
            types = torch.cat([question * 0, passage], 1)
            if len(layers) == 1:
                hidden = _rest(layers[0], hidden, query, key, value)
                return _logits(self.reader, hidden)
            hidden = _rest(layers[0], hidden, query, key, value)
            return _top(self.reader, layers[1:], hidden, types, asking)

    return Second().eval()


def whole(reader: Any, asking: int | None) -> nn.Module:
    """From token ids and types, shape (B, n), without padding, to start and end logits, in one graph."""
    import torch

    class Whole(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.reader = reader

        def forward(self, ids: Tensor, types: Tensor) -> tuple[Tensor, Tensor]:
            hidden = self.reader.base_model.embeddings(input_ids=ids, token_type_ids=types)
            return _top(self.reader, self.reader.base_model.encoder.layer, hidden, types, asking)

    return Whole().eval()


def _top(reader: Any, layers: Any, hidden: Tensor, types: Tensor, asking: int | None) -> tuple[Tensor, Tensor]:
    for layer in layers[:-1]:
        hidden = _rest(layer, hidden, *_projected(layer, hidden))
    inner = layers[-1].attention.self
    key, value = inner.key(hidden), inner.value(hidden)
    if asking is None:
        return _logits(reader, _rest(layers[-1], hidden, inner.query(hidden), key, value))
    chosen = _candidates(reader, hidden, types, asking)
    asked = hidden.gather(1, chosen[..., None].expand(-1, -1, hidden.shape[2]))
    start, end = _logits(reader, _rest(layers[-1], asked, inner.query(asked), key, value))
    empty = hidden[..., 0] * 0 + NOT_READ
    return empty.scatter(1, chosen, start), empty.scatter(1, chosen, end)


def _candidates(reader: Any, hidden: Tensor, types: Tensor, asking: int) -> Tensor:
    """Which tokens ask in the last layer: the first, which is the null, and the likeliest of the passage; (B, m)."""
    import torch

    likely = reader.qa_outputs(hidden).max(-1).values + (types - 1) * -NOT_READ
    first = torch.zeros_like(likely[:, :1], dtype=torch.int64)
    count = torch.minimum(torch.tensor(asking - 1), torch._shape_as_tensor(likely)[1] - 1)
    _, best = torch.topk(likely[:, 1:], count, dim=1, sorted=False)
    return torch.cat([first, best + 1], 1)


def _logits(reader: Any, hidden: Tensor) -> tuple[Tensor, Tensor]:
    start, end = reader.qa_outputs(hidden).unbind(-1)
    return start, end


def _projected(layer: Any, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    inner = layer.attention.self
    return inner.query(hidden), inner.key(hidden), inner.value(hidden)


def _rest(layer: Any, hidden: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """A layer from its projections on; `hidden` holds the rows that ask, beside `query`."""
    attended = attend(query, key, value, layer.attention.self.num_attention_heads)
    out: Tensor = layer.feed_forward_chunk(layer.attention.output(attended, hidden))
    return out
