"""The learning curve for those who watch many trainings: TensorBoard and MLflow, through their own libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from trifold.errors import MissingExtra
from trifold.training.loop import Epoch

__all__ = ["loggers"]

Log = Callable[[Epoch], None]


@contextmanager
def loggers(tensorboard: Path | None, mlflow: bool, name: str) -> Iterator[Log]:
    """Something to tell of every epoch. name: of the run. Raises MissingExtra for a library that is not installed."""
    with ExitStack() as stack:
        logs: list[Log] = []
        if tensorboard is not None:
            logs.append(stack.enter_context(_tensorboard(tensorboard / name)))
        if mlflow:
            logs.append(stack.enter_context(_mlflow(name)))

        def log(epoch: Epoch) -> None:
            for one in logs:
                one(epoch)

        yield log


def _scalars(epoch: Epoch) -> dict[str, float]:
    own = {} if epoch.train_loss is None else {"train_loss": epoch.train_loss}
    return {**own, **epoch.figures}


@contextmanager
def _tensorboard(folder: Path) -> Iterator[Log]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtra("--tensorboard", "tensorboard") from error
    with SummaryWriter(folder) as writer:

        def log(epoch: Epoch) -> None:
            for key, value in _scalars(epoch).items():
                writer.add_scalar(key, value, epoch.epoch)

        yield log


@contextmanager
def _mlflow(name: str) -> Iterator[Log]:
    try:
        import mlflow
    except ImportError as error:
        raise MissingExtra("--mlflow", "mlflow") from error
    with mlflow.start_run(run_name=name):

        def log(epoch: Epoch) -> None:
            mlflow.log_metrics(_scalars(epoch), step=epoch.epoch)

        yield log
