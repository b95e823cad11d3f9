"""Facts of a manifest as short words: they come from anywhere, and may be of any kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trifold.jsontext import to_json
from trifold.printable import printable

if TYPE_CHECKING:
    from trifold.models.folder import ModelFolder
    from trifold.task import Progress

__all__ = ["base_of", "in_megabytes", "made_on", "shown"]


def shown(value: object, most: int = 200) -> str:
    """A value on one line, safe for a terminal and for rich's markup, cut at `most` characters."""
    from rich.markup import escape

    text = value if isinstance(value, str) else to_json(value)
    text = " ".join(text[: 4 * most].split())
    return escape(printable(text if len(text) <= most else f"{text[: most - 1]}…"))


def base_of(model: ModelFolder) -> str | None:
    """The name of the model that a version was made from."""
    base: Any = model.manifest.get("base")
    name = base.get("name") if isinstance(base, Mapping) else base
    return name if isinstance(name, str) else None


def made_on(model: ModelFolder) -> str | None:
    """The day on which a version was made."""
    created: Any = model.manifest.get("created")
    return created[:10] if isinstance(created, str) else None


def in_megabytes(progress: Progress) -> Progress:
    """A display of megabytes for work that counts bytes."""

    def advance(done: int, total: int, /) -> None:
        progress(done // 10**6, max(1, total // 10**6))

    return advance
