"""Convolutions in 8-bit whole numbers, by post-training quantisation with NNCF.

Only convolutions are quantised: the distances, densities and comparisons behind them lose far more than they gain.
Ranges of the activations come from images that are given for this purpose.

Reference: B. Jacob et al., Quantization and training of neural networks for efficient integer-arithmetic-only inference
(CVPR 2018).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import numpy as np
import openvino as ov

from isotherm.core.errors import MissingExtraError, ModelError

Sample = Mapping[str, np.ndarray]
"""The inputs of a graph by their names, for one image."""
CONVOLUTIONS = {"openvino": ("Convolution", "GroupConvolution"), "onnx": ("Conv",)}


def quantised_openvino(model: ov.Model, samples: Sequence[Sample]) -> ov.Model:
    """Return the graph with 8-bit convolutions.

    Raises
    ------
    ModelError
        It has no convolution.
    MissingExtraError
        NNCF is not installed.
    """
    kinds = {node.get_type_name() for node in model.get_ops()}
    return _quantised(model, samples, kinds, CONVOLUTIONS["openvino"])


def quantised_onnx(data: bytes, samples: Sequence[Sample]) -> bytes:
    """Return the ONNX model with 8-bit convolutions; raises as `quantised_openvino`."""
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise MissingExtraError("8-bit models", "export") from error
    model = onnx.load_from_string(data)
    found = _quantised(model, samples, {node.op_type for node in model.graph.node}, CONVOLUTIONS["onnx"])
    result: bytes = found.SerializeToString()
    return result


def _quantised(model: Any, samples: Sequence[Sample], kinds: set[str], convolutions: tuple[str, ...]) -> Any:
    nncf = _nncf()
    if not kinds & set(convolutions):
        raise ModelError("the graph has no convolution that could be computed in 8 bits")
    with redirect_stdout(StringIO()):  # It draws progress bars there.
        return nncf.quantize(
            model,
            nncf.Dataset(samples),
            subset_size=len(samples),
            ignored_scope=nncf.IgnoredScope(types=sorted(kinds - set(convolutions)), validate=False),
        )


def _nncf() -> Any:
    # NNCF would report its use to its makers; nothing is sent from here.
    os.environ.setdefault("NNCF_CI", "1")
    try:
        import nncf
    except ModuleNotFoundError as error:
        raise MissingExtraError("8-bit models", "export") from error
    nncf.set_log_level(logging.ERROR)
    return nncf
