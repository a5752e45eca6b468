"""Run an OpenVINO graph over many images, one image a request and as many requests at once as there are cores.

One image a request means that a result cannot depend on its neighbours in a batch, that every intermediate value stays
in a core's cache, and that memory does not grow with the batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Literal

import numpy as np
import openvino as ov
from jaxtyping import Float32

from isotherm.core.errors import ModelError
from isotherm.core.processes import cores

Precision = Literal["f32", "bf16"]
"""Arithmetic inside a graph: exact float32, or bfloat16 (8 bits of mantissa), faster where the processor has it."""
Image = Float32[np.ndarray, "_ _ _"]
Request = Image | tuple[Image, ...]
"""What one request computes: a value for each input of the graph, without the first axis."""


class Compiled:
    """A graph of one or more inputs (N C H W), compiled for this processor and for one image a request.

    Parameters
    ----------
    model
        The graph; only the first axis of its inputs may be open. It is narrowed to N = 1.
    precision
        An explicit choice: the runtime alone would take bfloat16 without saying so where the processor has it.
    threads
        Cores to use, one request each; None for all that this process may use.
    """

    def __init__(self, model: ov.Model, precision: Precision, threads: int | None = None) -> None:
        shapes = [(1, *(axis.get_length() for axis in list(each.partial_shape)[1:])) for each in model.inputs]
        model.reshape({place: list(shape) for place, shape in enumerate(shapes)})
        self._shapes = [shape[1:] for shape in shapes]
        self._requests = threads or cores()
        self._compiled = _core().compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": precision,
                "INFERENCE_NUM_THREADS": self._requests,
                "NUM_STREAMS": self._requests,
                "CACHE_DIR": "",
            },
        )
        # Requests are handed back here; taking and giving are atomic, so that several threads may call `run`.
        self._idle: deque[ov.InferRequest] = deque()

    def run(self, images: Iterable[Request]) -> Iterator[list[np.ndarray]]:
        """Yield the outputs (without their first axis of length 1) for each request, in order.

        While the caller works on one result the next ones are being computed.
        """
        running: deque[tuple[ov.InferRequest, list[Image]]] = deque()
        try:
            for image in images:
                values = [np.ascontiguousarray(each) for each in (image if isinstance(image, tuple) else (image,))]
                running.append((self._start(values), values))
                if len(running) > self._requests:
                    yield self._finish(*running.popleft())
            while running:
                yield self._finish(*running.popleft())
        finally:
            for request, _ in running:
                request.wait()

    def _start(self, values: list[Image]) -> ov.InferRequest:
        found = [each.shape for each in values]
        if found != self._shapes:
            raise ModelError(f"the network input must have the shape {_words(self._shapes)}, not {_words(found)}")
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        request.start_async({place: each[None] for place, each in enumerate(values)}, share_inputs=True)
        return request

    def _finish(self, request: ov.InferRequest, _values: list[Image]) -> list[np.ndarray]:
        # The values are kept until here because the request reads them in place.
        request.wait()
        outputs = [np.array(tensor.data[0]) for tensor in request.output_tensors]
        self._idle.append(request)
        return outputs


def _words(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(str(shape) for shape in shapes)


@cache
def _core() -> ov.Core:
    return ov.Core()
