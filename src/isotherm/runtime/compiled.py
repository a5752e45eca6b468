"""Run an OpenVINO graph over many images, one image a request and as many requests at once as there are cores.

One image a request means that a result cannot depend on its neighbours in a batch, that every intermediate value stays
in a core's cache, and that memory does not grow with the batch.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Literal

import numpy as np
import openvino as ov
from jaxtyping import Float32

from isotherm.core.errors import ModelError

Precision = Literal["f32", "bf16"]
"""Arithmetic inside a graph: exact float32, or bfloat16 (8 bits of mantissa), faster where the processor has it."""
Input = Float32[np.ndarray, "3 S S"]


class Compiled:
    """A graph with one input (1 3 S S), compiled for this processor.

    Parameters
    ----------
    model
        The graph; its input has a fixed shape.
    precision
        An explicit choice: the runtime alone would take bfloat16 without saying so where the processor has it.
    threads
        Cores to use, one request each; None for all that this process may use.
    """

    def __init__(self, model: ov.Model, precision: Precision, threads: int | None = None) -> None:
        self._shape = tuple(model.input(0).shape)[1:]
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

    def run(self, images: Iterable[Input]) -> Iterator[list[np.ndarray]]:
        """Yield the outputs (without their first axis of length 1) for each image, in order.

        While the caller works on one result the next ones are being computed.
        """
        running: deque[tuple[ov.InferRequest, Input]] = deque()
        try:
            for image in images:
                running.append((self._start(image), image))
                if len(running) > self._requests:
                    yield self._finish(*running.popleft())
            while running:
                yield self._finish(*running.popleft())
        finally:
            for request, _ in running:
                request.wait()

    def _start(self, image: Input) -> ov.InferRequest:
        if image.shape != self._shape:
            raise ModelError(f"the network input must have the shape {self._shape}, not {image.shape}")
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        request.start_async({0: np.ascontiguousarray(image)[None]}, share_inputs=True)
        return request

    def _finish(self, request: ov.InferRequest, _image: Input) -> list[np.ndarray]:
        # The image is kept until here because the request reads it in place.
        request.wait()
        outputs = [tensor.data[0].copy() for tensor in request.output_tensors]
        self._idle.append(request)
        return outputs


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _core() -> ov.Core:
    return ov.Core()
