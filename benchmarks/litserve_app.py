"""The peer of serving.py: the very functions that trifold computes a reply with, behind LitServe 0.2.19.

    python benchmarks/litserve_app.py --port 8001 [--workers 2] [--batch 1] [--wait 0] [--threads 1] ...

Runs in an environment with litserve and trifold. Replies are those of `trifold ask --json`; POST /predict takes
`{"question", "passage"}`.

LitServe 0.2.19 hands `fast_queue` on under a wrong name (`TransportConfig(transport_config=...)`), so that replies take
its slow queue with either value. Its ZeroMQ transport, chosen past that, delivers no reply.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import litserve  # type: ignore[import-not-found, unused-ignore]
import onnxruntime

from trifold.engine.device import SERVICE_BUDGET
from trifold.engine.loaded import open_model
from trifold.engine.planner import Budget, plan
from trifold.models.registry import find
from trifold.task import Arrays, Limits


class Answers(litserve.LitAPI):  # type: ignore[misc, unused-ignore]
    """Check and encode, compute, decode, each where LitServe has a place for it."""

    def __init__(self, model: str, precision: str | None, threads: int, pad: bool, **settings: Any) -> None:
        """threads: of ONNX Runtime for one batch. pad: pad the windows of a batch to one length and compute them in
        one run, instead of one run for each length, as trifold does."""
        super().__init__(**settings)
        self.model, self.precision, self.threads, self.pad = model, precision, threads, pad

    def setup(self, device: object) -> None:
        folder = find(self.model)
        loaded = open_model(folder, self.precision)
        assert loaded.session is not None
        self.task, self.runs = loaded.task, loaded.session
        if self.threads > 1:  # trifold's own sessions never have threads, so there is no public way to it
            (graph,) = (folder.path / g.file for g in folder.graphs if g.precision == loaded.precision)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = self.threads
            self.runs._graph._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.budget = Budget(1_000_000, 1_000_000, 0) if self.pad else SERVICE_BUDGET

    # Without annotations, of which LitServe would make the schema of its route.
    def decode_request(self, request):  # type: ignore[no-untyped-def]
        return self.task.check(request, Limits())

    def encode_response(self, output):  # type: ignore[no-untyped-def]
        return output.to_dict()

    def predict(self, x: Any) -> Any:
        return self.answer(x) if self.max_batch_size > 1 else self.answer([x])[0]

    def answer(self, requests: Sequence[Any]) -> list[Any]:
        encoded = [self.task.encode(request) for request in requests]
        units = [unit for one in encoded for unit in one.units]
        outputs: list[Arrays] = [{}] * len(units)
        for batch in plan(units, self.budget):
            for index, output in zip(batch, self.runs.run([units[i] for i in batch]), strict=True):
                outputs[index] = output
        replies, first = [], 0
        for request, one in zip(requests, encoded, strict=True):
            own = outputs[first : first + len(one.units)]
            first += len(one.units)
            replies.append(self.task.decode(request, one.memo, own))
        return replies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", default="default")
    parser.add_argument("--precision")
    parser.add_argument("--workers", type=int, default=1, help="workers_per_device")
    parser.add_argument("--batch", type=int, default=1, help="max_batch_size")
    parser.add_argument("--wait", type=float, default=0.0, help="batch_timeout, in seconds")
    parser.add_argument("--threads", type=int, default=1, help="of ONNX Runtime in each worker")
    parser.add_argument("--pad", action="store_true", help="one run for all windows of a batch")
    parser.add_argument("--api", type=int, help="num_api_servers; as many as workers by default")
    parser.add_argument("--fast-queue", action="store_true", help="fast_queue; see above")
    options = parser.parse_args()
    answers = Answers(
        options.model,
        options.precision,
        options.threads,
        options.pad,
        max_batch_size=options.batch,
        batch_timeout=options.wait,
    )
    server = litserve.LitServer(
        answers,
        accelerator="cpu",
        workers_per_device=options.workers,
        timeout=False,
        fast_queue=options.fast_queue,
    )
    server.run(
        host="127.0.0.1",
        port=options.port,
        num_api_servers=options.api,
        log_level="warning",
        generate_client_file=False,
    )


if __name__ == "__main__":
    main()
