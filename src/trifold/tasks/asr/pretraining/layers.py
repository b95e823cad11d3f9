"""Residual layers of dilated convolutions over frames: what both small networks are made of.

Shapes: B pieces, T frames, W channels. Their receptive field is bounded, so that long recordings can be heard in
windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["EPSILON", "layers"]

_FRONT, _KERNEL = 5, 3
EPSILON = 1e-5
"""Of each norm."""


def layers(inputs: int, width: int, dilations: Sequence[int], stride: int = 1) -> nn.Module:
    """From (B, T, inputs) to (B, T / stride, W), rounded up, each frame with mean 0 and variance 1 at first.

    dilations: frames from one that each layer sees to the next, of three. Its parts: `front`, `layers` and `norm`.
    """
    import torch
    from torch.nn import Conv1d, LayerNorm, Linear

    class Layer(torch.nn.Module):  # type: ignore[misc]
        """Adds to each frame what it is told by those around; nothing at first."""

        def __init__(self, dilation: int) -> None:
            super().__init__()
            self.norm = LayerNorm(width, EPSILON)
            around = dilation * (_KERNEL // 2)
            self.around = Conv1d(width, width, _KERNEL, padding=around, dilation=dilation)
            self.out = Linear(width, width)
            torch.nn.init.zeros_(self.out.weight)
            torch.nn.init.zeros_(self.out.bias)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.out(self.around(self.norm(x).transpose(1, 2)).relu().transpose(1, 2))

    class Layers(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.front = Conv1d(inputs, width, _FRONT, stride=stride, padding=_FRONT // 2)
            self.layers = torch.nn.ModuleList(Layer(dilation) for dilation in dilations)
            self.norm = LayerNorm(width, EPSILON)

        def forward(self, frames: Tensor) -> Tensor:
            x = self.front(frames.transpose(1, 2)).transpose(1, 2)
            for layer in self.layers:
                x = layer(x)
            return self.norm(x)

    return Layers()
