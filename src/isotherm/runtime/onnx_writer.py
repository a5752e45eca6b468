"""An OpenVINO graph as an ONNX model, translated operation by operation.

Nothing is traced, optimised or approximated: each operation becomes the one (or the few) of ONNX that computes the
same, the weights become initialisers, and an open first axis stays open under the name ``N``. An operation that is not
in `isotherm.runtime.onnx_operations` is refused by name.

Reference: ONNX operator set 20 (https://onnx.ai/onnx/operators), OpenVINO operation set 13.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov

from isotherm.core.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    import onnx

OPSET, IR_VERSION = 20, 9
"""Operator set 20 is the first with GELU; ONNX Runtime runs it from version 1.17."""
BATCH_AXIS = "N"
MAX_BYTES = 2**31 - 1
"""Protocol buffers hold no more."""


def write_onnx(model: ov.Model, metadata: Mapping[str, str] | None = None) -> bytes:
    """Return an ONNX model that computes what an OpenVINO graph computes.

    Parameters
    ----------
    model
        The graph; its inputs and outputs keep their tensor names.
    metadata
        Texts that are stored with it (``metadata_props``).

    Raises
    ------
    ModelError
        An operation, or a variant of one, is not known; the message names it.
    MissingExtraError
        The package onnx is missing.
    """
    try:
        import onnx

        from isotherm.runtime.onnx_operations import Translation
    except ModuleNotFoundError as error:
        raise MissingExtraError("writing ONNX models", "export") from error
    translation = Translation()
    for node in model.get_ordered_ops():
        translation.translate(node)
    graph = onnx.helper.make_graph(
        translation.nodes,
        "isotherm",
        [_described(output, _name(output)) for output in model.inputs],
        [_described(output, _name(output)) for output in model.outputs],
        translation.initialisers,
    )
    whole = onnx.helper.make_model(
        graph,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="isotherm",
    )
    onnx.helper.set_model_props(whole, dict(metadata or {}))
    if whole.ByteSize() > MAX_BYTES:
        raise ModelError(f"the ONNX model would have {whole.ByteSize()} bytes; at most {MAX_BYTES} fit into one file")
    onnx.checker.check_model(whole)
    data: bytes = whole.SerializeToString()
    return data


def _described(output: Any, name: str) -> onnx.ValueInfoProto:
    import onnx

    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(output.get_element_type().to_dtype()))
    return onnx.helper.make_tensor_value_info(name, kind, list(_axes(output)))


def _axes(output: Any) -> Iterator[int | str]:
    for place, length in enumerate(output.get_partial_shape()):
        if length.is_static:
            yield length.get_length()
        else:
            yield BATCH_AXIS if place == 0 else f"axis_{place}"


def _name(output: Any) -> str:
    names: set[str] = output.get_names()
    if not names:
        raise ModelError(f"{output.get_node().get_friendly_name()} of the graph has no name")
    return min(names)
