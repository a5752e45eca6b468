"""A fully convolutional ONNX model, run on pictures of any size."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import openvino as ov
from jaxtyping import Float32

from isotherm.core.errors import ModelError
from isotherm.core.processes import cores
from isotherm.runtime.windows import Windows

FAILURES = (RuntimeError, ValueError, TypeError, MemoryError)
"""What OpenVINO raises on models that are none: its own errors, names that are no UTF-8, sizes beyond all memory."""
_EXTERNAL = b"\x0a\x08location"
"""How an ONNX file says that a tensor lies in another file: field 1 of StringStringEntryProto, "location"."""


def read_onnx(data: bytes) -> ov.Model:
    """Return the graph of an ONNX file.

    Raises
    ------
    ModelError
        It is none, or keeps weights in other files, which are not followed.
    """
    if _EXTERNAL in data:
        raise ModelError("the network keeps weights in other files, which are not followed")
    try:
        return ov.Core().read_model(BytesIO(data))
    except FAILURES as error:
        raise ModelError(f"the network cannot be used: {last_line(error)}") from error


class OnnxNetwork:
    """A model of one input (N C H W) and one output (N 1 H W), compiled for this processor in float32.

    Parameters
    ----------
    data
        The ONNX file; weights in other files are not followed.
    channels
        C.
    multiple, window_px
        See `Windows`.

    Raises
    ------
    ModelError
        The data is no ONNX model of this form.
    """

    def __init__(self, data: bytes, *, channels: int, multiple: int, window_px: int = 1024) -> None:
        try:
            self._windows = Windows(multiple, window_px)
        except ValueError as error:
            raise ModelError(str(error)) from error
        self._channels = channels
        model = read_onnx(data)
        try:
            self._check(model)
            settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": cores()}
            self._compiled = ov.Core().compile_model(model, "CPU", settings)
        except FAILURES as error:
            raise ModelError(f"the network cannot be used: {last_line(error)}") from error

    def _check(self, model: ov.Model) -> None:
        shapes = [port.get_partial_shape() for port in (*model.inputs, *model.outputs)]
        said = [str(shape) for shape in shapes]
        if [shape.rank for shape in shapes] != [ov.Dimension(4)] * 2:
            raise ModelError(f"the network maps {said}, not {self._channels} maps of a picture to one")
        if not shapes[0][1].compatible(ov.Dimension(self._channels)):
            raise ModelError(f"the network maps {said}, not {self._channels} maps of a picture to one")

    def run(self, values: Float32[np.ndarray, "C H W"]) -> Float32[np.ndarray, "H W"]:
        """Return the output for one picture.

        Raises
        ------
        ModelError
            The network cannot compute it.
        """
        return self._windows.run(values, self._once)

    def _once(self, values: Float32[np.ndarray, "C h w"]) -> np.ndarray:
        try:
            found = self._compiled([values[None]])[0]
        except FAILURES as error:
            raise ModelError(f"the network failed: {last_line(error)}") from error
        if found.shape != (1, 1, *values.shape[1:]):
            raise ModelError(f"the network gave the shape {found.shape} for a picture of {values.shape[1:]}")
        return np.asarray(found[0, 0])


def last_line(error: Exception) -> str:
    """Return what is the matter of one of OpenVINO's messages."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
