"""Arithmetic that is the same in every process."""

from __future__ import annotations

__all__ = ["settle_arithmetic"]

_FUNCTIONS = ("exp", "expm1", "log", "log1p", "tanh", "erf", "erfc", "sqrt", "sin", "cos")


def settle_arithmetic() -> None:
    """Make the first call of torch's vector functions on one thread, before anything is computed.

    MKL chooses their code when they are first called. Where two threads make that call at once, one of them may
    compute it with other code: on a busy machine the first `exp` of some processes differed in its last bits, and so
    did every weight after it. One element is never divided among threads.
    """
    import torch

    for name in _FUNCTIONS:
        getattr(torch, name)(torch.ones(1))
