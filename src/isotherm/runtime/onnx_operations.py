"""Each operation of OpenVINO graphs in the words of ONNX (operator set 20).

The semantics are those of the two specifications: https://docs.openvino.ai (operation set 13) and
https://onnx.ai/onnx/operators. What a variant of an operation would need beyond them is refused, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import openvino as ov
from onnx import helper, numpy_helper

from isotherm.core.errors import ModelError

SAME = {
    "Abs": "Abs", "Add": "Add", "Ceiling": "Ceil", "Cos": "Cos", "Divide": "Div", "Equal": "Equal", "Erf": "Erf",
    "Exp": "Exp", "Floor": "Floor", "Greater": "Greater", "GreaterEqual": "GreaterOrEqual", "HSwish": "HardSwish",
    "Less": "Less", "LessEqual": "LessOrEqual", "Log": "Log", "LogicalAnd": "And", "LogicalNot": "Not",
    "LogicalOr": "Or", "Maximum": "Max", "Minimum": "Min", "Multiply": "Mul", "Negative": "Neg", "Power": "Pow",
    "Relu": "Relu", "Select": "Where", "Sigmoid": "Sigmoid", "Sign": "Sign", "Sin": "Sin", "SoftPlus": "Softplus",
    "Sqrt": "Sqrt", "Subtract": "Sub", "Tanh": "Tanh",
}  # fmt: skip
"""Operations that differ by their name at most."""
REDUCTIONS = ("ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum")
PAD_MODES = ("constant", "edge", "reflect")
RESIZE_MODES = {"nearest": "nearest", "linear": "linear", "linear_onnx": "linear", "cubic": "cubic"}
RESIZE_PLACES = ("align_corners", "asymmetric", "half_pixel", "pytorch_half_pixel")
RESIZE_ROUNDING = ("ceil", "floor", "round_prefer_ceil", "round_prefer_floor")


class Translation:
    """An ONNX graph that grows node by node."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []
        self._values: dict[tuple[str, int], str] = {}
        self._constants: dict[str, np.ndarray] = {}
        self._count = 0

    def translate(self, node: ov.Node) -> None:
        """Add one operation whose inputs are there already; raises ModelError where ONNX cannot say it."""
        kind = node.get_type_name()
        if kind == "Constant":
            self._constants[node.get_name()] = np.asarray(node.data)
            return
        if kind == "Parameter":
            self._values[node.get_name(), 0] = min(node.output(0).get_names())
            return
        if kind == "Result":
            self.nodes.append(helper.make_node("Identity", [self.value(node, 0)], [min(node.output(0).get_names())]))
            return
        if kind in SAME:
            _no_other_broadcast(node)
            outputs = self.add(SAME[kind], [self.value(node, place) for place in range(node.get_input_size())])
        elif kind in OPERATIONS:
            outputs = OPERATIONS[kind](self, node)
        else:
            raise ModelError(f"the operation {kind} ({node.get_friendly_name()}) has no translation to ONNX")
        for place, name in enumerate(outputs):
            self._values[node.get_name(), place] = name

    def value(self, node: ov.Node, place: int) -> str:
        """Return the name of an input of a node."""
        source = node.input_value(place)
        name, output = source.get_node().get_name(), source.get_index()
        if name in self._constants and (name, 0) not in self._values:
            self._values[name, 0] = self.constant(self._constants[name])
        if (name, output) not in self._values:
            kind = source.get_node().get_type_name()
            raise ModelError(f"output {output} of the operation {kind} has no translation to ONNX")
        return self._values[name, output]

    def known(self, node: ov.Node, place: int) -> np.ndarray | None:
        """Return an input that is a constant; None for any other."""
        return self._constants.get(node.input_value(place).get_node().get_name())

    def numbers(self, node: ov.Node, place: int) -> list[int]:
        """Return whole numbers that must be constants of the graph (axes, lengths)."""
        found = self.known(node, place)
        if found is None:
            raise refused(node, f"an input {place} that is computed")
        return [int(number) for number in found.reshape(-1)]

    def places(self, node: ov.Node, place: int) -> str:
        """Return the name of an input of whole numbers, which ONNX wants as a vector of int64."""
        if self.known(node, place) is not None:
            return self.longs(self.numbers(node, place))
        return self.add("Cast", [self.value(node, place)], to=onnx.TensorProto.INT64)[0]

    def add(self, kind: str, inputs: list[str], outputs: int = 1, **attributes: Any) -> list[str]:
        """Add an ONNX node and return the names of its outputs."""
        self._count += 1
        names = [f"{kind}_{self._count}_{place}" for place in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=f"{kind}_{self._count}", **attributes))
        return names

    def constant(self, values: np.ndarray) -> str:
        """Add an initialiser and return its name."""
        self._count += 1
        name = f"constant_{self._count}"
        self.initialisers.append(numpy_helper.from_array(np.ascontiguousarray(values).reshape(values.shape), name))
        return name

    def longs(self, numbers: list[int]) -> str:
        """Add a vector of int64."""
        return self.constant(np.array(numbers, np.int64))


def refused(node: ov.Node, what: str) -> ModelError:
    """Return the error for a variant of an operation that ONNX cannot say."""
    return ModelError(f"the operation {node.get_type_name()} with {what} has no translation to ONNX")


def _no_other_broadcast(node: ov.Node) -> None:
    attributes = node.get_attributes()
    rule = attributes.get("auto_broadcast", "numpy")
    if rule not in ("numpy", "none"):
        raise refused(node, f"auto_broadcast {rule}")
    # ONNX cuts integers off towards zero.
    if attributes.get("m_pythondiv") and node.get_element_type().is_integral():
        raise refused(node, "integers")


def _rank(node: ov.Node, place: int) -> int:
    rank = node.input_value(place).get_partial_shape().rank
    if rank.is_dynamic:
        raise refused(node, "inputs of any rank")
    return int(rank.get_length())


def _frame(node: ov.Node) -> dict[str, Any]:
    """Return strides and padding of a window; ``same`` padding has been worked out by OpenVINO for static sizes."""
    attributes = node.get_attributes()
    sides = list(node.input_value(0).get_partial_shape())[2:]
    if attributes["auto_pad"] not in ("explicit", "valid") and any(side.is_dynamic for side in sides):
        raise refused(node, f"auto_pad {attributes['auto_pad']} of pictures of any size")
    return {"strides": attributes["strides"], "pads": [*attributes["pads_begin"], *attributes["pads_end"]]}


def _convolution(graph: Translation, node: ov.Node) -> list[str]:
    inputs = [graph.value(node, 0), graph.value(node, 1)]
    return graph.add("Conv", inputs, dilations=node.get_attributes()["dilations"], **_frame(node))


def _group_convolution(graph: Translation, node: ov.Node) -> list[str]:
    groups, *shape = node.input_value(1).get_shape()
    weights = _merged(graph, node, [groups * shape[0], *shape[1:]])
    dilations = node.get_attributes()["dilations"]
    return graph.add("Conv", [graph.value(node, 0), weights], group=groups, dilations=dilations, **_frame(node))


def _merged(graph: Translation, node: ov.Node, shape: list[int]) -> str:
    """Return the weights (G O I ...) of a grouped convolution as ONNX wants them: (G*O I ...)."""
    weights = graph.known(node, 1)
    if weights is not None:
        return graph.constant(weights.reshape(shape))
    return graph.add("Reshape", [graph.value(node, 1), graph.longs(shape)])[0]


def _transposed_convolution(graph: Translation, node: ov.Node) -> list[str]:
    if node.get_input_size() > 2:
        raise refused(node, "a given output shape")
    groups = 1
    weights = graph.value(node, 1) if node.get_type_name() == "ConvolutionBackpropData" else ""
    if not weights:
        groups, *shape = node.input_value(1).get_shape()
        weights = _merged(graph, node, [groups * shape[0], *shape[1:]])
    attributes = node.get_attributes()
    return graph.add(
        "ConvTranspose",
        [graph.value(node, 0), weights],
        group=groups,
        dilations=attributes["dilations"],
        output_padding=attributes["output_padding"],
        **_frame(node),
    )


def _matmul(graph: Translation, node: ov.Node) -> list[str]:
    attributes = node.get_attributes()
    inputs = [_turned(graph, node, place, attributes[f"transpose_{side}"]) for place, side in enumerate("ab")]
    return graph.add("MatMul", inputs)


def _turned(graph: Translation, node: ov.Node, place: int, transpose: bool) -> str:
    if not transpose or _rank(node, place) < 2:
        return graph.value(node, place)
    known = graph.known(node, place)
    if known is not None:
        return graph.constant(np.swapaxes(known, -1, -2))
    order = list(range(_rank(node, place)))
    order[-2:] = order[-1], order[-2]
    return graph.add("Transpose", [graph.value(node, place)], perm=order)[0]


def _clamp(graph: Translation, node: ov.Node) -> list[str]:
    kind, attributes = node.get_element_type().to_dtype(), node.get_attributes()
    ends = [graph.constant(np.array(attributes[end], kind)) for end in ("min", "max")]
    return graph.add("Clip", [graph.value(node, 0), *ends])


def _gelu(graph: Translation, node: ov.Node) -> list[str]:
    tanh = node.get_attributes()["approximation_mode"].upper() == "TANH"
    return graph.add("Gelu", [graph.value(node, 0)], approximate="tanh" if tanh else "none")


def _swish(graph: Translation, node: ov.Node) -> list[str]:
    value = graph.value(node, 0)
    steep = graph.add("Mul", [value, graph.value(node, 1)])[0] if node.get_input_size() > 1 else value
    return graph.add("Mul", [value, *graph.add("Sigmoid", [steep])])


def _elu(graph: Translation, node: ov.Node) -> list[str]:
    return graph.add("Elu", [graph.value(node, 0)], alpha=node.get_attributes()["alpha"])


def _prelu(graph: Translation, node: ov.Node) -> list[str]:
    slope, rank = graph.known(node, 1), _rank(node, 0)
    if slope is None:
        raise refused(node, "a slope that is computed")
    # One slope a channel belongs to axis 1 here and to the last axis there.
    if slope.ndim == 1 and slope.size > 1 and rank > 2:
        slope = slope.reshape(-1, *[1] * (rank - 2))
    return graph.add("PRelu", [graph.value(node, 0), graph.constant(slope)])


def _squared_difference(graph: Translation, node: ov.Node) -> list[str]:
    _no_other_broadcast(node)
    (difference,) = graph.add("Sub", [graph.value(node, 0), graph.value(node, 1)])
    return graph.add("Mul", [difference, difference])


def _not_equal(graph: Translation, node: ov.Node) -> list[str]:
    _no_other_broadcast(node)
    return graph.add("Not", graph.add("Equal", [graph.value(node, 0), graph.value(node, 1)]))


def _reduction(graph: Translation, node: ov.Node) -> list[str]:
    keep = int(node.get_attributes()["keep_dims"])
    return graph.add(node.get_type_name(), [graph.value(node, 0), graph.places(node, 1)], keepdims=keep)


def _softmax(graph: Translation, node: ov.Node) -> list[str]:
    kind = {"Softmax": "Softmax", "LogSoftmax": "LogSoftmax"}[node.get_type_name()]
    return graph.add(kind, [graph.value(node, 0)], axis=node.get_attributes()["axis"])


def _topk(graph: Translation, node: ov.Node) -> list[str]:
    attributes = node.get_attributes()
    if attributes["sort"] == "index":
        raise refused(node, "results sorted by index")
    values, indices = graph.add(
        "TopK",
        [graph.value(node, 0), graph.places(node, 1)],
        2,
        axis=attributes["axis"],
        largest=int(attributes["mode"] == "max"),
        sorted=int(attributes["sort"] == "value"),
    )
    kind = onnx.TensorProto.INT32 if attributes["index_element_type"] == "i32" else onnx.TensorProto.INT64
    return [values, *graph.add("Cast", [indices], to=kind)]


def _gather(graph: Translation, node: ov.Node) -> list[str]:
    data, indices = graph.value(node, 0), graph.value(node, 1)
    (axis,), batch = graph.numbers(node, 2), node.get_attributes()["batch_dims"]
    if batch == 0:
        return graph.add("Gather", [data, indices], axis=axis)
    if axis != batch:
        raise refused(node, f"batch_dims {batch} and axis {axis}")
    # Each index becomes a vector of one, which GatherND looks up right behind the batch's axes.
    (places,) = graph.add("Cast", [indices], to=onnx.TensorProto.INT64)
    (vectors,) = graph.add("Unsqueeze", [places, graph.longs([-1])])
    return graph.add("GatherND", [data, vectors], batch_dims=batch)


def _gather_elements(graph: Translation, node: ov.Node) -> list[str]:
    inputs = [graph.value(node, 0), graph.value(node, 1)]
    return graph.add("GatherElements", inputs, axis=node.get_attributes()["axis"])


def _concat(graph: Translation, node: ov.Node) -> list[str]:
    values = [graph.value(node, place) for place in range(node.get_input_size())]
    return graph.add("Concat", values, axis=node.get_attributes()["axis"])


def _split(graph: Translation, node: ov.Node) -> list[str]:
    (axis,) = graph.numbers(node, 1)
    lengths = [list(output.get_partial_shape())[axis] for output in node.outputs()]
    if any(length.is_dynamic for length in lengths):
        raise refused(node, "parts of any length")
    sizes = graph.longs([length.get_length() for length in lengths])
    return graph.add("Split", [graph.value(node, 0), sizes], len(lengths), axis=axis)


def _slice(graph: Translation, node: ov.Node) -> list[str]:
    starts, stops, steps, *axes = (graph.places(node, place) for place in range(1, node.get_input_size()))
    if not axes:
        axes = [graph.longs(list(range(len(graph.numbers(node, 1)))))]
    return graph.add("Slice", [graph.value(node, 0), starts, stops, *axes, steps])


def _strided_slice(graph: Translation, node: ov.Node) -> list[str]:
    attributes = node.get_attributes()
    if any(attributes["new_axis_mask"]) or any(attributes["ellipsis_mask"]) or any(attributes["shrink_axis_mask"]):
        raise refused(node, "axes that come or go")
    begin, end = graph.numbers(node, 1), graph.numbers(node, 2)
    steps = graph.numbers(node, 3) if node.get_input_size() > 3 else [1] * len(begin)
    far = np.iinfo(np.int64).max
    for place in range(len(begin)):
        if attributes["begin_mask"][place : place + 1] == [1]:
            begin[place] = 0 if steps[place] > 0 else far
        if attributes["end_mask"][place : place + 1] == [1]:
            end[place] = far if steps[place] > 0 else -far
    parts = [graph.longs(part) for part in (begin, end, list(range(len(begin))), steps)]
    return graph.add("Slice", [graph.value(node, 0), *parts])


def _reshape(graph: Translation, node: ov.Node) -> list[str]:
    zero = node.get_attributes()["special_zero"]
    pattern = graph.known(node, 1)
    # Zero means "as it is" in both only where that is said.
    literal = not zero and (pattern is None or bool((pattern == 0).any()))
    return graph.add("Reshape", [graph.value(node, 0), graph.places(node, 1)], allowzero=int(literal))


def _transpose(graph: Translation, node: ov.Node) -> list[str]:
    order = graph.numbers(node, 1) or list(range(_rank(node, 0)))[::-1]
    return graph.add("Transpose", [graph.value(node, 0)], perm=order)


def _with_axes(graph: Translation, node: ov.Node) -> list[str]:
    if node.get_input_size() < 2:
        raise refused(node, "no axes")
    return graph.add(node.get_type_name(), [graph.value(node, 0), graph.places(node, 1)])


def _average_pool(graph: Translation, node: ov.Node) -> list[str]:
    attributes = node.get_attributes()
    return graph.add(
        "AveragePool",
        [graph.value(node, 0)],
        kernel_shape=attributes["kernel"],
        count_include_pad=int(not attributes["exclude-pad"]),
        **_pool_frame(node),
    )


def _max_pool(graph: Translation, node: ov.Node) -> list[str]:
    attributes = node.get_attributes()
    return graph.add(
        "MaxPool",
        [graph.value(node, 0)],
        kernel_shape=attributes["kernel"],
        dilations=attributes.get("dilations", [1] * len(attributes["kernel"])),
        **_pool_frame(node),
    )


def _pool_frame(node: ov.Node) -> dict[str, Any]:
    rounding = node.get_attributes()["rounding_type"]
    if rounding != "floor":
        raise refused(node, f"rounding_type {rounding}")
    return _frame(node)


def _interpolate(graph: Translation, node: ov.Node) -> list[str]:
    attributes = node.get_attributes()
    mode, place = attributes["mode"], attributes["coordinate_transformation_mode"]
    if mode not in RESIZE_MODES or place not in RESIZE_PLACES or attributes["nearest_mode"] not in RESIZE_ROUNDING:
        raise refused(node, f"mode {mode}, {place}, {attributes['nearest_mode']}")
    if attributes["antialias"] or any(attributes["pads_begin"]) or any(attributes["pads_end"]):
        raise refused(node, "antialias or padding")
    axes = graph.numbers(node, 2) if node.get_input_size() > 2 else list(range(_rank(node, 0)))
    if attributes["shape_calculation_mode"] == "sizes":
        inputs = [graph.value(node, 0), "", "", graph.places(node, 1)]
    else:
        inputs = [graph.value(node, 0), "", graph.value(node, 1)]
    return graph.add(
        "Resize",
        inputs,
        axes=axes,
        mode=RESIZE_MODES[mode],
        coordinate_transformation_mode=place,
        nearest_mode=attributes["nearest_mode"],
        cubic_coeff_a=attributes["cube_coeff"],
    )


def _pad(graph: Translation, node: ov.Node) -> list[str]:
    mode = node.get_attributes()["pad_mode"]
    if mode not in PAD_MODES:
        raise refused(node, f"pad_mode {mode}")
    widths = graph.longs([*graph.numbers(node, 1), *graph.numbers(node, 2)])
    filling = [graph.value(node, 3)] if mode == "constant" and node.get_input_size() > 3 else []
    return graph.add("Pad", [graph.value(node, 0), widths, *filling], mode=mode)


def _convert(graph: Translation, node: ov.Node) -> list[str]:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(node.get_element_type().to_dtype()))
    return graph.add("Cast", [graph.value(node, 0)], to=kind)


def _shape_of(graph: Translation, node: ov.Node) -> list[str]:
    shape = graph.add("Shape", [graph.value(node, 0)])
    return shape if node.get_attributes()["output_type"] == "i64" else _convert_to(graph, shape, np.int32)


def _convert_to(graph: Translation, values: list[str], kind: type) -> list[str]:
    return graph.add("Cast", values, to=helper.np_dtype_to_tensor_dtype(np.dtype(kind)))


def _broadcast(graph: Translation, node: ov.Node) -> list[str]:
    if node.get_attributes()["mode"] not in ("numpy", "bidirectional"):
        raise refused(node, f"mode {node.get_attributes()['mode']}")
    return graph.add("Expand", [graph.value(node, 0), graph.places(node, 1)])


def _tile(graph: Translation, node: ov.Node) -> list[str]:
    return graph.add("Tile", [graph.value(node, 0), graph.places(node, 1)])


def _normalise_l2(graph: Translation, node: ov.Node) -> list[str]:
    attributes, value = node.get_attributes(), graph.value(node, 0)
    (sums,) = graph.add("ReduceSumSquare", [value, graph.places(node, 1)], keepdims=1)
    joined = {"add": "Add", "max": "Max"}[attributes["eps_mode"].lower()]
    (least,) = graph.add(joined, [sums, graph.constant(np.array(attributes["eps"], np.float32))])
    return graph.add("Div", [value, *graph.add("Sqrt", [least])])


def _mean_variance(graph: Translation, node: ov.Node) -> list[str]:
    attributes, value = node.get_attributes(), graph.value(node, 0)
    axes = graph.places(node, 1)
    (centred,) = graph.add("Sub", [value, *graph.add("ReduceMean", [value, axes], keepdims=1)])
    if not attributes["normalize_variance"]:
        return [centred]
    (variance,) = graph.add("ReduceMean", [*graph.add("Mul", [centred, centred]), axes], keepdims=1)
    least = graph.constant(np.array(attributes["eps"], np.float32))
    if attributes["eps_mode"].lower() == "inside_sqrt":
        (deviation,) = graph.add("Sqrt", graph.add("Add", [variance, least]))
    else:
        (deviation,) = graph.add("Add", [*graph.add("Sqrt", [variance]), least])
    return graph.add("Div", [centred, deviation])


def _batch_norm(graph: Translation, node: ov.Node) -> list[str]:
    inputs = [graph.value(node, place) for place in range(5)]
    return graph.add("BatchNormalization", inputs, epsilon=node.get_attributes()["epsilon"])


OPERATIONS: dict[str, Callable[[Translation, ov.Node], list[str]]] = {
    **dict.fromkeys(REDUCTIONS, _reduction),
    "AvgPool": _average_pool,
    "BatchNormInference": _batch_norm,
    "Broadcast": _broadcast,
    "Clamp": _clamp,
    "Concat": _concat,
    "Convert": _convert,
    "Convolution": _convolution,
    "ConvolutionBackpropData": _transposed_convolution,
    "Elu": _elu,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "Gelu": _gelu,
    "GroupConvolution": _group_convolution,
    "GroupConvolutionBackpropData": _transposed_convolution,
    "Interpolate": _interpolate,
    "LogSoftmax": _softmax,
    "MVN": _mean_variance,
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "NormalizeL2": _normalise_l2,
    "NotEqual": _not_equal,
    "PRelu": _prelu,
    "Pad": _pad,
    "Reshape": _reshape,
    "ShapeOf": _shape_of,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "SquaredDifference": _squared_difference,
    "Squeeze": _with_axes,
    "StridedSlice": _strided_slice,
    "Swish": _swish,
    "Tile": _tile,
    "TopK": _topk,
    "Transpose": _transpose,
    "Unsqueeze": _with_axes,
    "VariadicSplit": _split,
}
