"""A classifier that is one ONNX graph of pixels; it runs without torch."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import openvino as ov

from isotherm.classification.method import Answers, Stored, Values
from isotherm.core.errors import ModelError
from isotherm.runtime.compiled import Compiled
from isotherm.runtime.onnx_network import FAILURES, last_line, read_onnx

OUTPUTS = ("logits", "embedding")


class StoredNetwork:
    """A graph from ``pixels`` (N 3 H W) to ``logits`` (N C) and ``embedding`` (N E).

    Parameters
    ----------
    network
        The ONNX file; weights in other files are not followed.
    classes
        C.

    Raises
    ------
    ModelError
        The bytes are no such graph.
    """

    def __init__(self, network: bytes, classes: int) -> None:
        self._network = network
        self._model = read_onnx(network)
        shapes = [port.partial_shape for port in (*self._model.inputs, *self._model.outputs)]
        self._check([str(shape) for shape in shapes], shapes, classes)
        self._size = tuple(axis.get_length() for axis in list(shapes[0])[1:])

    def _check(self, said: list[str], shapes: list[ov.PartialShape], classes: int) -> None:
        ranks = [shape.rank for shape in shapes]
        if ranks != [ov.Dimension(4), ov.Dimension(2), ov.Dimension(2)]:
            raise ModelError(f"the network maps {said}, not pictures to logits and an embedding")
        if any(axis.is_dynamic for axis in list(shapes[0])[1:]) or shapes[1][1] != ov.Dimension(classes):
            raise ModelError(f"the network maps {said}, not pictures of one size to {classes} categories")

    @cached_property
    def _compiled(self) -> Compiled:
        try:
            return Compiled(self._model, "f32")
        except FAILURES as error:
            raise ModelError(f"the network cannot be used: {last_line(error)}") from error

    def answer(self, values: Values) -> Answers:
        """Return logits and embeddings of pictures (N 3 H W)."""
        if values.shape[1:] != self._size:
            raise ModelError(f"pictures of {values.shape[1:]} do not fit a network for {self._size}")
        found = list(self._compiled.run(np.asarray(picture, np.float32) for picture in values))
        logits, embeddings = (np.stack([each[place] for each in found]) for place in range(len(OUTPUTS)))
        return Answers(logits.astype(np.float64), embeddings)

    def stored(self) -> Stored:
        """Return the graph."""
        return Stored(network=self._network)
