"""Rounds the weights of a linear layer to int8, so that little is lost and no processor's sums overflow."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

__all__ = ["compensated", "quantise_weight"]

Array: TypeAlias = np.ndarray[Any, Any]

_DAMPING = 0.01


def quantise_weight(weight: Array) -> tuple[Array, Array]:
    """Symmetric int8 with a step for each column, which saturates on no processor.

    weight: shape (inputs, outputs). Returns int8 values of that shape and steps of shape (outputs,).

    Without VNNI, x86 multiplies by vpmaddubsw: the products of two neighbouring rows with unsigned activations are
    added in 16 bits. 255 * (sum of the like-signed weights of a pair) stays below 2^15 exactly when that sum is at
    most 128. Weights of seven bits ensure that by doubling every step; bounding the sums of pairs ensures it too
    and keeps nearly eight bits, since two large neighbours of one sign are rare.
    """
    if weight.shape[0] % 2:
        integers, steps = quantise_weight(np.concatenate([weight, np.zeros_like(weight[:1])]))
        return integers[:-1], steps
    step = np.maximum(np.maximum(_pair_sums(weight) / 127.4, np.abs(weight).max(0) / 127), 1e-9)
    while True:
        integers = np.clip(np.rint(weight / step), -127, 127)
        over = _pair_sums(integers) > 128
        if not over.any():
            return integers.astype(np.int8), step.astype(np.float32)
        step = np.where(over, step * 1.004, step)


def compensated(weight: Array, rows: Array) -> tuple[Array, Array]:
    """As `quantise_weight`, each rounding error made up for by the weights that are rounded after it.

    weight: shape (inputs, outputs). rows: shape (n, inputs), what the layer multiplies. Minimises the error of the
    product, not of the weights (GPTQ: Frantar et al. 2023, algorithm 1, without blocks).
    """
    _, step = quantise_weight(weight)
    left = weight.astype(np.float64)
    hessian = rows.T.astype(np.float64) @ rows / len(rows)
    hessian += np.eye(len(weight)) * (_DAMPING * np.trace(hessian) / len(weight) + 1e-9)
    inverse = np.linalg.cholesky(np.linalg.inv(hessian)).T
    integers = np.zeros(weight.shape)
    for i in range(len(weight)):
        lowest, highest = np.full(weight.shape[1], -127.0), np.full(weight.shape[1], 127.0)
        if i % 2:  # the pair's like-signed sum stays within 128, as above
            before = integers[i - 1]
            lowest, highest = (
                np.maximum(lowest, -128 - np.minimum(before, 0)),
                np.minimum(highest, 128 - np.maximum(before, 0)),
            )
        integers[i] = np.clip(np.rint(left[i] / step), lowest, highest)
        error = (left[i] - integers[i] * step) / inverse[i, i]
        left[i + 1 :] -= np.outer(inverse[i, i + 1 :], error)
    return integers.astype(np.int8), step


def _pair_sums(weight: Array) -> Array:
    """For each column, the largest sum of like-signed neighbours (rows 2i and 2i + 1)."""
    pairs = weight.reshape(-1, 2, weight.shape[1])
    largest: Array = np.maximum(np.maximum(pairs, 0).sum(1).max(0), np.maximum(-pairs, 0).sum(1).max(0))
    return largest
