"""The models that a service answers with, by the names they are asked for."""

from __future__ import annotations

from collections.abc import Mapping

from trifold.engine.loaded import Loaded, open_model
from trifold.engine.runner import Runner
from trifold.errors import InvalidInput, ModelDamaged, ModelNotFound
from trifold.models.registry import find
from trifold.task import Tabular

__all__ = ["Hosting", "load_warm"]


class Hosting:
    """Names and the models that stand behind them. A change is one exchange of a reference: whoever found a model
    keeps it for as long as needed, and nobody ever sees a half-changed state.
    """

    def __init__(self) -> None:
        self._served: Mapping[str, Loaded] = {}

    @property
    def served(self) -> Mapping[str, Loaded]:
        """Models by name, the default one first."""
        return self._served

    def find(self, name: str | None) -> Loaded:
        """The model of a name or a version; the default one for None. Raises ModelNotFound."""
        served = self._served
        if name is None and served:
            return next(iter(served.values()))
        if name is not None and name in served:
            return served[name]
        for loaded in served.values():
            if loaded.version == name:
                return loaded
        raise _unknown(str(name), served)

    def serve(self, name: str, loaded: Loaded) -> bool:
        """Answer for a name with this model from now on; whether another one did so before."""
        exchanged = name in self._served
        self._served = {**self._served, name: loaded}
        return exchanged

    def remove(self, name: str) -> None:
        """Answer for a name no more. Raises ModelNotFound, and InvalidInput for the last one."""
        if name not in self._served:
            raise ModelNotFound(
                f"no model is served as {name[:80]!r} (there are: {', '.join(self._served) or 'none'})."
            )
        if len(self._served) == 1:
            raise InvalidInput(f"{name} is the only model here.", "Serve another one first, or exchange it.")
        self._served = {key: loaded for key, loaded in self._served.items() if key != name}


def load_warm(model: str, precision: str | None = None) -> Loaded:
    """Load a model and answer once with it, so that its first real request waits for nothing.

    Raises what `find` and `open_model` raise, and ModelDamaged for a model that cannot answer.
    """
    loaded = open_model(find(model), precision)
    if isinstance(loaded.task, Tabular):
        ((_, reply),) = Runner(loaded).map([(None, loaded.task.columns({}).example)])
        if isinstance(reply, Exception):
            raise ModelDamaged(f"{loaded.version} cannot answer: {reply}")
    return loaded


def _unknown(name: str, served: Mapping[str, Loaded]) -> ModelNotFound:
    return ModelNotFound(f"no model is served as {name[:80]!r} (there are: {', '.join(served) or 'none'}).")
