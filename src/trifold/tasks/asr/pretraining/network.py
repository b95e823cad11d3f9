"""The network: residual layers of dilated convolutions over log-mel bands, a frame every 10 ms; and as a graph.

Shapes: B pieces, T frames.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trifold.errors import MissingExtra
from trifold.tasks.asr.pretraining.layers import EPSILON, layers
from trifold.tasks.asr.pretraining.settings import OwnSettings
from trifold.tasks.asr.sound.features import Frames
from trifold.tasks.asr.sound.own import BANDS, FEATURES, MEAN, MEL, SPREAD

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["network", "write_network"]

_OPSET = 17


def network(settings: OwnSettings, told: int) -> nn.Module:
    """From log-mel bands (B, T, 40) to features (B, T, F); by its `head` these are logits of clusters (B, T, C), by its
    `cepstra` what those around each frame are."""
    import torch
    from torch.nn import Linear

    class Network(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.body = layers(BANDS, settings.width, settings.dilations)
            self.features = Linear(settings.width, settings.features)
            self.head = Linear(settings.features, settings.clusters)
            self.cepstra = Linear(settings.features, told)

        def forward(self, mel: Tensor) -> Tensor:
            return self.features(self.body(mel))

    return Network()


def write_network(trained: nn.Module, mean: Frames, spread: Frames, path: Path) -> None:
    """What gives its features as an ONNX graph, which `sound.own.Own` opens. Raises MissingExtra without onnx."""
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise MissingExtra("learning without transcripts", "asr") from error
    constants: dict[str, Any] = {"mean_of_all": mean, "spread_of_all": spread}
    nodes: list[Any] = [
        helper.make_node("Identity", ["mean_of_all"], [MEAN]),
        helper.make_node("Identity", ["spread_of_all"], [SPREAD]),
    ]

    def weights(part: nn.Module, name: str, turned: bool = False) -> list[str]:
        for kind in ("weight", "bias"):
            value = getattr(part, kind).detach().cpu().numpy()
            constants[f"{name}.{kind}"] = value.T.copy() if turned and kind == "weight" else value
        return [f"{name}.weight", f"{name}.bias"]

    def turned(x: str) -> str:
        return node("Transpose", [x], f"{x}.turned", perm=[0, 2, 1])

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def convolved(x: str, part: Any, name: str) -> str:
        pads = list(part.padding) * 2
        return node("Conv", [x, *weights(part, name)], f"{name}.out", pads=pads, dilations=list(part.dilation))

    def normal(x: str, part: nn.Module, name: str) -> str:
        return node("LayerNormalization", [x, *weights(part, name)], f"{name}.out", axis=-1, epsilon=EPSILON)

    def linear(x: str, part: nn.Module, name: str, output: str) -> str:
        weight, bias = weights(part, name, turned=True)
        return node("Add", [node("MatMul", [x, weight], f"{name}.product"), bias], output)

    body = trained.body
    x = turned(convolved(turned(MEL), body.front, "front"))
    for number, layer in enumerate(body.layers):
        name = f"layers.{number}"
        around = convolved(turned(normal(x, layer.norm, f"{name}.norm")), layer.around, f"{name}.around")
        heard = turned(node("Relu", [around], f"{name}.heard"))
        x = node("Add", [x, linear(heard, layer.out, f"{name}.out", f"{name}.added")], f"{name}.sum")
    linear(normal(x, body.norm, "norm"), trained.features, "features", FEATURES)
    made = helper.make_model(
        helper.make_graph(
            nodes,
            "encoder",
            [helper.make_tensor_value_info(MEL, TensorProto.FLOAT, [1, "frames", BANDS])],
            [
                helper.make_tensor_value_info(
                    FEATURES, TensorProto.FLOAT, [1, "frames", trained.features.out_features]
                ),
                *(helper.make_tensor_value_info(name, TensorProto.FLOAT, [BANDS]) for name in (MEAN, SPREAD)),
            ],
            [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=8,
    )
    onnx.checker.check_model(made)
    path.write_bytes(made.SerializeToString())
