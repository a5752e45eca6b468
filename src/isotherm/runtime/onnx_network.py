"""A fully convolutional ONNX model, run on pictures of any size."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import openvino as ov
from jaxtyping import Float32

from isotherm.core.errors import ModelError
from isotherm.runtime.compiled import cores

_EXTERNAL = b"\x0a\x08location"
"""How an ONNX file says that a tensor lies in another file: field 1 of StringStringEntryProto, "location"."""


class OnnxNetwork:
    """A model of one input (N C H W) and one output (N 1 H W), compiled for this processor in float32.

    Parameters
    ----------
    data
        The ONNX file; weights in other files are not followed.
    channels
        C.
    multiple
        H and W are filled up to multiples of this, by repeating the rim, and cut back.
    window_px
        Larger pictures are computed in windows of this side that overlap by a quarter, with weights that fall towards
        their rim.

    Raises
    ------
    ModelError
        The data is no ONNX model of this form.
    """

    def __init__(self, data: bytes, *, channels: int, multiple: int, window_px: int = 1024) -> None:
        if _EXTERNAL in data:
            raise ModelError("the network keeps weights in other files, which are not followed")
        if multiple < 1 or window_px < multiple:
            raise ModelError(f"windows of {window_px} px cannot be multiples of {multiple}")
        self._multiple, self._window = multiple, window_px // multiple * multiple
        self._channels = channels
        try:
            core = ov.Core()
            model = core.read_model(BytesIO(data))
            self._check(model)
            settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": cores()}
            self._compiled = core.compile_model(model, "CPU", settings)
        except RuntimeError as error:
            raise ModelError(f"the network cannot be used: {str(error).strip().splitlines()[-1]}") from error

    def _check(self, model: ov.Model) -> None:
        shapes = [str(port.get_partial_shape()) for port in (*model.inputs, *model.outputs)]
        ranks = [len(port.get_partial_shape()) for port in (*model.inputs, *model.outputs)]
        if ranks != [4, 4] or not model.inputs[0].get_partial_shape()[1].compatible(ov.Dimension(self._channels)):
            raise ModelError(f"the network maps {shapes}, not {self._channels} maps of a picture to one")

    def run(self, values: Float32[np.ndarray, "C H W"]) -> Float32[np.ndarray, "H W"]:
        """Return the output for one picture."""
        height, width = values.shape[1:]
        if max(height, width) <= self._window:
            return self._once(values)
        total, weights = np.zeros((height, width)), np.zeros((height, width))
        for y in _starts(height, self._window):
            for x in _starts(width, self._window):
                part = (slice(y, y + self._window), slice(x, x + self._window))
                found = self._once(np.ascontiguousarray(values[:, part[0], part[1]]))
                weight = _weight(found.shape)
                total[part] += weight * found
                weights[part] += weight
        return (total / weights).astype(np.float32)

    def _once(self, values: Float32[np.ndarray, "C h w"]) -> Float32[np.ndarray, "h w"]:
        height, width = values.shape[1:]
        more = [(0, 0), (0, -height % self._multiple), (0, -width % self._multiple)]
        filled = np.pad(values, more, mode="edge")
        try:
            found = self._compiled([filled[None]])[0]
        except RuntimeError as error:
            raise ModelError(f"the network failed: {str(error).strip().splitlines()[-1]}") from error
        if found.shape != (1, 1, *filled.shape[1:]):
            raise ModelError(f"the network gave the shape {found.shape} for a picture of {filled.shape[1:]}")
        return np.array(found[0, 0, :height, :width], np.float32)


def _starts(length: int, window: int) -> list[int]:
    """Return where windows begin: evenly, overlapping by a quarter or more, the last one ending at the end."""
    if length <= window:
        return [0]
    count = 1 + -(-(length - window) // (window * 3 // 4))
    starts: list[int] = np.linspace(0, length - window, count).round().astype(int).tolist()
    return starts


def _weight(size: tuple[int, ...]) -> np.ndarray:
    """Return a weight that falls from the middle of a window towards its rim, and is nowhere 0."""
    down, across = (np.minimum(np.arange(1, side + 1), np.arange(side, 0, -1)) for side in size)
    return np.asarray(np.outer(down, across), np.float64)
