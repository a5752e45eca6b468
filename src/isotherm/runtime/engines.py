"""What runs a graph: OpenVINO on the processor, or ONNX Runtime on a CUDA device.

The device is the one of `isotherm.core.device`. For CUDA the graph is translated by `isotherm.runtime.onnx_writer`; it
computes in float32 without the shortened mantissa of tensor cores, so that scores stay those of the processor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import numpy as np
import openvino as ov

from isotherm.core.device import wanted
from isotherm.core.errors import ConfigError, MissingExtraError, ModelError
from isotherm.runtime.compiled import Compiled, Precision, Request, cores
from isotherm.runtime.onnx_writer import write_onnx

BATCH = 16
"""How many images a CUDA device is given at once."""
CUDA = "CUDAExecutionProvider"
PROVIDERS: dict[str, list[Any]] = {"cpu": ["CPUExecutionProvider"], "cuda": [(CUDA, {"use_tf32": "0"})]}


@runtime_checkable
class Engine(Protocol):
    """A graph that is ready to run."""

    def run(self, images: Iterable[Request]) -> Iterator[list[np.ndarray]]:
        """Yield the outputs (without their first axis) for each request, in order."""
        ...


def engine(model: ov.Model, precision: Precision) -> Engine:
    """Make a graph ready to run on the wanted device.

    Raises
    ------
    ConfigError
        CUDA was asked for and is not there; the message says what is missing.
    """
    return InOnnxRuntime(write_onnx(model), "cuda") if _on_cuda() else Compiled(model, precision)


def _on_cuda() -> bool:
    if wanted() == "cpu":
        return False
    missing = cuda_is_missing()
    if missing and wanted() == "cuda":
        raise ConfigError(f"device cuda: {missing}")
    return not missing


def cuda_is_missing() -> str:
    """Say what is missing to run graphs on a CUDA device; empty where nothing is."""
    try:
        import onnx  # noqa: F401 (the graph is written with it)
        import onnxruntime
    except ModuleNotFoundError as error:
        return f"the package {error.name} is not installed; pip install onnx onnxruntime-gpu"
    if CUDA not in onnxruntime.get_available_providers():
        return "the installed onnxruntime is the processor's; pip uninstall onnxruntime, pip install onnxruntime-gpu"
    return ""


class InOnnxRuntime:
    """An ONNX model in ONNX Runtime, some images at a time.

    Parameters
    ----------
    data
        The model; any number of images may be given to it.
    device
        ``cpu`` or ``cuda``.

    Raises
    ------
    MissingExtraError
        ONNX Runtime is not installed.
    ConfigError
        There is no CUDA device, or its libraries cannot be loaded.
    """

    def __init__(self, data: bytes, device: str = "cpu", batch: int = BATCH) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise MissingExtraError("running ONNX models", "export") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cores()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(data, options, providers=PROVIDERS[device])
        if device == "cuda" and CUDA not in self._session.get_providers():
            raise ConfigError("device cuda: ONNX Runtime found no CUDA device that it can use (driver, CUDA, cuDNN)")
        self._inputs = [(item.name, tuple(item.shape[1:])) for item in self._session.get_inputs()]
        self._batch = batch

    def run(self, images: Iterable[Request]) -> Iterator[list[np.ndarray]]:
        """Yield the outputs (without their first axis) for each request, in order."""
        waiting = iter(images)
        while requests := [each if isinstance(each, tuple) else (each,) for each in islice(waiting, self._batch)]:
            for values in requests:
                found, right = [each.shape for each in values], [shape for _, shape in self._inputs]
                if found != right:
                    raise ModelError(f"the network input must have the shape {right}, not {found}")
            stacked = (np.stack(column) for column in zip(*requests, strict=True))
            outputs = self._session.run(
                None, {name: each for (name, _), each in zip(self._inputs, stacked, strict=True)}
            )
            yield from (list(result) for result in zip(*outputs, strict=True))
