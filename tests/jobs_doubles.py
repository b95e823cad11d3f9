"""Jobs of models that compute nothing, for what only counts and orders them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from trifold.engine.loaded import Loaded
from trifold.engine.schedule import Job


def model(version: str = "echo@0") -> Loaded:
    task: Any = None
    return Loaded(version, task, None, None, version)


MODEL, OTHER = model("one@0"), model("two@0")


def fresh(call: Hashable, *, long: bool = False, loaded: Loaded = MODEL) -> Job:
    return Job(loaded, {}, call, long, owed=1, arrived=0.0)
