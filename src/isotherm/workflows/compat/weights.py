"""A trained classifier as the three files of the per-site API: architecture, weights as HDF5 datasets, labels.

The files are an export for other programs. The server itself answers from its own, hash-checked model version; nothing
is ever read back from these.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import openvino as ov

from isotherm.core.errors import MissingExtraError, ModelError

ARCHITECTURE, WEIGHTS, EXTRA = "model_architecture.json", "model_weights.h5", "extra_info.json"
_FAILURES = (RuntimeError, ValueError, TypeError)


def files_of(arrays: Mapping[str, np.ndarray], network: bytes, facts: Mapping[str, Any]) -> dict[str, bytes]:
    """Return name -> content of the three files.

    Parameters
    ----------
    arrays, network
        What the classifier is made of: named arrays, an ONNX graph, or both (empty where there is none).
    facts
        Method, labels in the order of the outputs, input shape; see ``extra_info.json`` in docs/compat.md.

    Raises
    ------
    ModelError
        The graph cannot be read.
    MissingExtraError
        h5py is missing.
    """
    graph = list(_operations(network)) if network else []
    layers = [{key: value for key, value in each.items() if key != "values"} for each in graph]
    weights = {each["name"]: each["values"] for each in graph if "values" in each} | dict(arrays)
    architecture = {
        "class_name": facts["method"],
        "layers": layers,
        "weights": {name: {"shape": list(value.shape), "dtype": str(value.dtype)} for name, value in weights.items()},
    }
    return {ARCHITECTURE: _json(architecture), WEIGHTS: hdf5_of(weights), EXTRA: _json(facts)}


def hdf5_of(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return an HDF5 file with one dataset for each array; a slash in a name makes a group.

    Raises
    ------
    MissingExtraError
        h5py is missing.
    """
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingExtraError("model_weights.h5", "serve") from error
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name, values in arrays.items():
            # Without times in the headers the same model gives the same bytes.
            file.create_dataset(name, data=np.ascontiguousarray(values), track_times=False)
    return stream.getvalue()


def _operations(network: bytes) -> Iterator[dict[str, Any]]:
    """Yield what computes numbers in a graph, in the order of computing; weights carry ``values``."""
    try:
        model = ov.Core().read_model(io.BytesIO(network))
    except _FAILURES as error:
        raise ModelError(f"the network is no ONNX model: {str(error).strip().splitlines()[-1]}") from error
    for node in model.get_ordered_ops():
        if node.get_output_size() and node.output(0).get_element_type().is_real():
            yield _described(node)


def _described(node: ov.Node) -> dict[str, Any]:
    kind = node.get_type_name()
    inputs = [port.get_source_output().get_node() for port in node.inputs()]
    found = {
        "name": node.get_friendly_name(),
        "type": kind,
        "inputs": [each.get_friendly_name() for each in inputs],
        "output_shape": str(node.output(0).get_partial_shape()),
        "attributes": _attributes(node),
    }
    # A constant of one number is a factor of an operation (alpha of Gemm), not learnt.
    if kind == "Constant" and np.asarray(node.data).size > 1:
        found["values"] = np.array(node.data)
    return found


def _attributes(node: ov.Node) -> dict[str, Any]:
    """Return what JSON can hold of an operation's attributes (kernel, strides, pads ...)."""
    kept = (bool, int, float, str, list, tuple)
    return {key: value for key, value in node.get_attributes().items() if isinstance(value, kept)}


def _json(value: object) -> bytes:
    return f"{json.dumps(value, indent=2, ensure_ascii=False)}\n".encode()
