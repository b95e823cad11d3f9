"""A reader with layers apart as the modules of its two graphs; see `apart`.

The first stage reads one part, question or passage, and is run on each. It also makes the projections of the first
layer that reads both together, since they too depend on one part alone. The second stage does the rest. In the last
layer only the tokens that are read, the null and the passage, ask for anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trifold.engine.session import PREFIX
from trifold.tasks.qa.making.attention import attend
from trifold.tasks.qa.settings import Apart

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["FIRST_INPUTS", "FIRST_OUTPUTS", "NOT_READ", "SECOND_INPUTS", "first_stage", "second_stage"]

FIRST_INPUTS = ("input_ids", "position_ids", "token_type_ids")
FIRST_OUTPUTS = ("states", "query", "key", "value")
"""Each of shape (B, n, H)."""
SECOND_INPUTS = (*FIRST_OUTPUTS, *(PREFIX + name for name in FIRST_OUTPUTS))
NOT_READ = -1e4
"""The logits of the question's own tokens, which no candidate uses."""


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


def second_stage(reader: Any, apart: Apart) -> nn.Module:
    """From `SECOND_INPUTS`, the question's part and the passage's, to start and end logits of both, shape (B, n)."""
    import torch

    class Second(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.reader = reader

        def forward(self, *arrays: Tensor) -> tuple[Tensor, Tensor]:
            question = arrays[0]
            layers = self.reader.base_model.encoder.layer[apart.layers :]
            *made, key, value = self._both(arrays, last=len(layers) == 1)
            hidden = _rest(layers[0], made[0], made[1], key, value)
            for layer in layers[1:]:
                query, key, value = _projected(layer, hidden)
                if layer is layers[-1]:
                    hidden, query = _read(hidden, question), _read(query, question)
                hidden = _rest(layer, hidden, query, key, value)
            logits = self.reader.qa_outputs(hidden)
            gap = torch.zeros_like(question[:, 1:, :2]) + NOT_READ
            start, end = torch.cat([logits[:, :1], gap, logits[:, 1:]], 1).unbind(-1)
            return start, end

        def _both(self, arrays: tuple[Tensor, ...], *, last: bool) -> list[Tensor]:
            """`FIRST_OUTPUTS` of both parts together; in the last layer only the tokens that are read ask."""
            pairs = list(zip(arrays[:4], arrays[4:], strict=True))
            asking = [torch.cat([own[:, :1] if last else own, passage], 1) for own, passage in pairs[:2]]
            return [*asking, *(torch.cat(pair, 1) for pair in pairs[2:])]

    return Second().eval()


def _read(both: Tensor, question: Tensor) -> Tensor:
    """Of all rows those of the null, the first, and of the passage."""
    import torch

    return torch.cat([both[:, :1], both[:, question.shape[1] :]], 1)


def _projected(layer: Any, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    inner = layer.attention.self
    return inner.query(hidden), inner.key(hidden), inner.value(hidden)


def _rest(layer: Any, hidden: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """A layer from its projections on; `hidden` holds the rows that ask, beside `query`."""
    attended = attend(query, key, value, layer.attention.self.num_attention_heads)
    out: Tensor = layer.feed_forward_chunk(layer.attention.output(attended, hidden))
    return out
