"""Forward passes by OpenVINO: the fast way on a CPU.

takes  a graph, as `openvino_graphs` prepares it
gives  a `Runtime`: one stream of batches per core, the next being padded while they compute
never  imports torch, exports or quantises
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np

from models.errors import GraphUnusable
from models.running.batching import Batch
from models.running.openvino_library import computes_bf16, open_openvino, usable_cores
from models.running.runtime import Done, Outputs, Padded, TooLarge, says_memory

# Measured on two cores, one stream each: larger batches leave the cores' own cache, smaller ones pay more per call.
_BUDGET = 1_024
# Past this many streams the memory for each buys little.
_MOST_STREAMS = 16
# The binding of OpenVINO sets itself up at the first call of each of its functions, and lets go of Python's global lock
# within: a second thread that comes meanwhile holds that lock, waits for the first, and both for ever.
_FIRST_CALLS = Lock()


class OpenVinoRuntime:
    """A compiled graph, as a `Runtime`; may be run from several threads at once."""

    def __init__(self, graph: Path | Any, precision: str) -> None:
        """Compile `graph` for this CPU.

        Args:
            graph: path of its .xml, or the graph itself.
            precision: `int8`, `bf16` or `fp32`; what is not int8 in the graph is computed in bf16 if the CPU can.

        Raises:
            GraphUnusable: when OpenVINO cannot read or compile it.
        """
        self.name = f"openvino {precision} on cpu"
        self.budget = _BUDGET
        streams = min(usable_cores(), _MOST_STREAMS)
        hint = "bf16" if precision != "fp32" and computes_bf16() else "f32"
        options = {
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": streams,
            "INFERENCE_PRECISION_HINT": hint,
            # Pinned to its cores, a second Squall or the dashboard would wait where others stand idle.
            "ENABLE_CPU_PINNING": False,
            # It keeps code for every shape of batch that it has met, by default for 5,000: a month of news would take
            # a gigabyte. With 64 memory settles; 144 odd small batches cost 8 % more time.
            "CPU_RUNTIME_CACHE_CAPACITY": 64,
        }
        try:
            compiled = open_openvino().Core().compile_model(graph, "CPU", options)
        except RuntimeError as error:
            raise GraphUnusable(
                f"OpenVINO cannot compile the model: {error}; set model.runtime to 'torch' to do without it"
            ) from error
        self._outputs = [output.get_any_name() for output in compiled.outputs]
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(streams):
            self._idle.put(compiled.create_infer_request())
        self._streams = streams
        self._workers = ThreadPoolExecutor(streams, thread_name_prefix="squall-openvino")
        with _FIRST_CALLS:
            token = np.ones((1, 1), dtype=np.int64)
            self._infer(Padded(Batch((0,), 1), token, token))

    def run(self, work: Iterable[Padded]) -> Iterator[Done | TooLarge]:
        """Outcomes in order; every stream has a batch in hand and one waiting."""
        flying: deque[tuple[Batch, Future[Outputs]]] = deque()
        for padded in work:
            flying.append((padded.batch, self._workers.submit(self._infer, padded)))
            if len(flying) >= 2 * self._streams:
                yield _landed(*flying.popleft())
        while flying:
            yield _landed(*flying.popleft())

    def _infer(self, padded: Padded) -> Outputs:
        request = self._idle.get()
        try:
            request.infer([padded.ids, padded.mask])
            return {
                name: np.array(request.get_output_tensor(index).data, dtype=np.float32)
                for index, name in enumerate(self._outputs)
            }
        finally:
            self._idle.put(request)


def _landed(batch: Batch, outputs: Future[Outputs]) -> Done | TooLarge:
    try:
        return Done(batch, outputs.result())
    except (MemoryError, RuntimeError) as error:
        if says_memory(error):
            return TooLarge(batch, error)
        raise
