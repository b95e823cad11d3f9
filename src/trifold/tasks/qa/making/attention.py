"""Attention as torch computes it, which an export writes as ONNX Runtime's one fused operator."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["attend"]


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """softmax(Q K' / sqrt(H / heads)) V for each head; all of shape (B, n, H), where the query's n may differ."""
    out: Tensor = _attention().apply(query, key, value, heads)
    return out


@cache
def _attention() -> Any:
    import torch

    class Attention(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(_: Any, query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
            parts = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value))
            return torch.nn.functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)

        @staticmethod
        def symbolic(graph: Any, query: Any, key: Any, value: Any, heads: int) -> Any:
            fused = graph.op("com.microsoft::MultiHeadAttention", query, key, value, num_heads_i=heads)
            fused.setType(query.type())
            return fused

    return Attention
