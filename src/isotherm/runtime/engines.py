"""What runs a graph: OpenVINO on the processor, or ONNX Runtime on a CUDA device.

The device is the one of `isotherm.core.device`. For CUDA the graph is translated by `isotherm.runtime.onnx_writer`; it
computes in float32 without the shortened mantissa of tensor cores, so that scores stay those of the processor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import openvino as ov

from isotherm.core.device import wanted
from isotherm.core.errors import ConfigError, MissingExtraError, ModelError
from isotherm.core.processes import cores
from isotherm.runtime.compiled import Compiled, Precision, Request
from isotherm.runtime.onnx_writer import write_onnx

BATCH = 16
"""How many images a CUDA device is given at once."""
Provider = str | tuple[str, dict[str, str]]
PROVIDERS: dict[str, Provider] = {
    "cpu": "CPUExecutionProvider",
    "cuda": ("CUDAExecutionProvider", {"use_tf32": "0"}),
}
"""Device -> what ONNX Runtime calls it, with its options."""


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
    if wanted() == "cpu" or (wanted() == "auto" and not _has_cuda_provider()):
        return Compiled(model, precision)
    try:
        return InOnnxRuntime(write_onnx(model), "cuda")
    except (ConfigError, MissingExtraError) as error:
        if wanted() == "cuda":
            raise ConfigError(f"device cuda: {error}") from error
        return Compiled(model, precision)


def _has_cuda_provider() -> bool:
    """Say whether the installed ONNX Runtime can use CUDA, without importing it."""
    found = find_spec("onnxruntime")
    places = (found.submodule_search_locations or []) if found else []
    return any(list(Path(place, "capi").glob("*onnxruntime_providers_cuda*")) for place in places)


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
        wanted_provider = _name(PROVIDERS[device])
        if wanted_provider not in onnxruntime.get_available_providers():
            raise ConfigError(
                f"the installed onnxruntime has no {wanted_provider}; pip uninstall onnxruntime, then "
                "pip install onnxruntime-gpu"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cores()
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(data, options, providers=[PROVIDERS[device]])
        # Where a device cannot be opened, it would go on with the processor.
        if wanted_provider not in self._session.get_providers():
            raise ConfigError("ONNX Runtime finds no CUDA device that it can use (driver, CUDA, cuDNN)")
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


def _name(provider: Provider) -> str:
    return provider if isinstance(provider, str) else provider[0]
