"""Where models compute: on a GPU where ONNX Runtime finds one, else on the processor."""

from __future__ import annotations

import os
import warnings
from functools import cache
from typing import Literal, TypeAlias

import onnxruntime

from trifold.engine.planner import Budget
from trifold.errors import UsageError

__all__ = ["CPU_BUDGET", "GPU_BUDGET", "SERVICE_BUDGET", "Device", "device", "providers"]

Device: TypeAlias = Literal["cpu", "cuda"]

CPU_BUDGET = Budget(batch=1024, padding=0, lookahead=16_384)
SERVICE_BUDGET = Budget(batch=256, padding=0, lookahead=0)
"""Texts of a sentence or two are computed together, longer ones each alone: on a processor large batches gain nothing,
and the first of a batch waits for the last."""
GPU_BUDGET = Budget(batch=32_768, padding=64, lookahead=262_144)
"""A GPU computes some hundred windows in hardly more time than one, and its padding costs little."""

_CUDA = "CUDAExecutionProvider"


@cache
def device() -> Device:
    """`TRIFOLD_DEVICE`, `cpu` or `cuda`; by default `cuda` where it works. Raises UsageError for what is not there."""
    wanted = os.environ.get("TRIFOLD_DEVICE") or "auto"
    if wanted not in ("auto", "cpu", "cuda"):
        raise UsageError(f"TRIFOLD_DEVICE: expected auto, cpu or cuda, found {wanted!r}.")
    built = _CUDA in onnxruntime.get_available_providers()
    if wanted == "cpu" or (wanted == "auto" and not built):
        return "cpu"
    if built and _works():
        return "cuda"
    missing = (
        "ONNX Runtime finds no CUDA device here. Install onnxruntime-gpu instead of onnxruntime, with the CUDA and "
        "cuDNN libraries that it asks for, and see that nvidia-smi lists a card."
    )
    if wanted == "cuda":
        raise UsageError(f"TRIFOLD_DEVICE: {missing}")
    warnings.warn(f"computing on the processor: {missing}", RuntimeWarning, stacklevel=2)
    return "cpu"


def providers() -> list[str]:
    """What ONNX Runtime is to compute with, best first."""
    return [_CUDA, "CPUExecutionProvider"] if device() == "cuda" else ["CPUExecutionProvider"]


def _works() -> bool:
    """Whether a session really gets the card: a library that is built for CUDA falls back in silence without one."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(_IDENTITY, options, providers=[_CUDA, "CPUExecutionProvider"])
    except Exception:  # ONNX Runtime's exceptions share no base class
        return False
    return _CUDA in session.get_providers()


_IDENTITY = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201675a0f0a0178120a0a08080112040a020801620f0a0179120a0a08080112040a02080142040a001011"
)
"""An ONNX graph whose output is its input."""
