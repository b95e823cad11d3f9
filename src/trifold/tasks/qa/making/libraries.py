"""Which libraries a model was made with."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["libraries"]

_NAMED = (
    "trifold", "numpy", "onnx", "onnxruntime", "peft", "safetensors", "tokenizers", "torch", "transformers"
)  # fmt: skip


def libraries() -> dict[str, str]:
    """Versions of what weights and graphs depend on, as far as it is installed, and Python's."""
    found = {"python": platform.python_version()}
    for name in _NAMED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
