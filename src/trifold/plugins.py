"""Finds the tasks that are installed, by the entry point group `trifold.tasks`."""

from __future__ import annotations

import warnings
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from trifold.errors import ModelDamaged

if TYPE_CHECKING:
    from trifold.task import Plugin

__all__ = ["installed", "plugin_for"]


@cache
def installed() -> dict[str, Plugin]:
    """The installed plugins by task name. One that cannot be imported is left out with a warning."""
    found: dict[str, Plugin] = {}
    for point in sorted(entry_points(group="trifold.tasks"), key=lambda p: p.name):
        try:
            plugin: Plugin = point.load()
        except Exception as error:  # a broken third-party plugin must not take the others down
            warnings.warn(f"the task plugin {point.name!r} cannot be loaded: {error}", stacklevel=2)
            continue
        found[plugin.name] = plugin
    return found


def plugin_for(task: str) -> Plugin:
    """The plugin of a task. Raises ModelDamaged when no installed plugin has that name."""
    try:
        return installed()[task]
    except KeyError:
        known = ", ".join(installed()) or "none"
        raise ModelDamaged(
            f"the model is for the task {task!r}, which no installed plugin provides (installed: {known}). "
            "Install the plugin, or choose another model."
        ) from None
