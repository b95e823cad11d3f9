"""A reader whose lower layers read question and passage apart, so that a passage is read once for many questions.

DeFormer (Cao, Trivedi, Balasubramanian & Balasubramanian, 2020, "Decomposing pre-trained transformers for faster
question answering"). The weights are those of an ordinary reader: what is apart is who attends to whom, and that the
passage's positions do not depend on the length of the question. Shapes: B windows, n tokens, H the width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trifold.errors import InvalidInput
from trifold.tasks.qa.settings import Apart

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["check_apart", "last_states"]


def check_apart(reader: Any, apart: Apart) -> None:
    """Raises InvalidInput for a reader that cannot be divided so."""
    config = reader.config
    if config.model_type != "bert" or config.type_vocab_size < 2:
        raise InvalidInput(
            f"layers apart: expected a reader of the type 'bert', found {config.model_type!r}.",
            "Choose another base, or no layers apart.",
        )
    if not 0 <= apart.layers < config.num_hidden_layers:
        raise InvalidInput(
            f"layers apart: expected 0 to {config.num_hidden_layers - 1}, since the last layer must read question "
            f"and passage together, found {apart.layers}.",
        )


def last_states(reader: Any, apart: Apart, ids: Tensor, positions: Tensor, types: Tensor, parts: Tensor) -> Tensor:
    """The last layer's states of padded windows, shape (B, n, H), in one pass over both parts, as training wants it.

    All of shape (B, n). parts: 0 for the tokens of the question's part, 1 for the passage's, -1 for padding.
    """
    import torch

    hidden: Tensor = reader.base_model.embeddings(input_ids=ids, position_ids=positions, token_type_ids=types)
    device = ids.device.type
    kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    together = (parts >= 0)[:, None, None, :]
    own = together & (parts[:, None, :, None] == parts[:, None, None, :])
    never = torch.finfo(kind).min  # finite: of the padding itself every key is masked, and its states are not used
    masks = [torch.zeros_like(mask, dtype=kind).masked_fill(~mask, never) for mask in (own, together)]
    for number, layer in enumerate(reader.base_model.encoder.layer):
        hidden = layer(hidden, masks[number >= apart.layers])
    return hidden
