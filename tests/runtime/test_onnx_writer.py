"""Each operation in ONNX Runtime gives what it gives in OpenVINO, for any number of images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import openvino as ov
import pytest
from openvino import opset13 as ops

from isotherm.core.errors import ModelError
from isotherm.runtime.onnx_operations import OPERATIONS, SAME
from isotherm.runtime.onnx_writer import write_onnx

RNG = np.random.default_rng(0)
SIDE = 8
Outputs = ov.Node | list[ov.Output]


def f32(*shape: int) -> ov.Node:
    return ops.constant(RNG.normal(0, 1, shape).astype(np.float32))


def i64(*numbers: int) -> ov.Node:
    return ops.constant(np.array(numbers, np.int64))


def i32(number: int) -> ov.Node:
    return ops.constant(np.int32(number))


def above(x: ov.Node, bound: float = 0.0) -> ov.Node:
    return ops.greater(x, ops.constant(np.float32(bound)))


def as_float(x: ov.Node) -> ov.Node:
    return ops.convert(x, "f32")


def positive(x: ov.Node) -> ov.Node:
    return ops.add(ops.abs(x), ops.constant(np.float32(0.1)))


def resized(
    x: ov.Node, mode: str, side: int, place: str = "half_pixel", rounding: str = "round_prefer_floor"
) -> ov.Node:
    return ops.interpolate(
        x, i64(side, side), mode, "sizes", coordinate_transformation_mode=place, nearest_mode=rounding, axes=i64(2, 3)
    )


ONE = [1, 1]
NONE = [0, 0]
CASES: list[tuple[str, Callable[[ov.Node], Outputs]]] = [
    ("Abs", ops.abs),
    ("Add", lambda x: ops.add(x, f32(3, 1, 1))),
    ("Ceiling", ops.ceiling),
    ("Cos", ops.cos),
    ("Divide", lambda x: ops.divide(x, positive(x))),
    ("Equal", lambda x: as_float(ops.equal(x, ops.maximum(x, ops.constant(np.float32(0)))))),
    ("Erf", ops.erf),
    ("Exp", ops.exp),
    ("Floor", ops.floor),
    ("Greater", lambda x: as_float(above(x))),
    ("GreaterEqual", lambda x: as_float(ops.greater_equal(x, ops.floor(x)))),
    ("HSwish", ops.hswish),
    ("Less", lambda x: as_float(ops.less(x, f32(1)))),
    ("LessEqual", lambda x: as_float(ops.less_equal(x, ops.floor(x)))),
    ("Log", lambda x: ops.log(positive(x))),
    ("LogicalAnd", lambda x: as_float(ops.logical_and(above(x), above(x, 0.5)))),
    ("LogicalNot", lambda x: as_float(ops.logical_not(above(x)))),
    ("LogicalOr", lambda x: as_float(ops.logical_or(above(x), above(ops.negative(x), 0.5)))),
    ("Maximum", lambda x: ops.maximum(x, f32(1, 8))),
    ("Minimum", lambda x: ops.minimum(x, f32(8, 1))),
    ("Multiply", lambda x: ops.multiply(x, x)),
    ("Negative", ops.negative),
    ("Power", lambda x: ops.power(positive(x), ops.constant(np.float32(1.7)))),
    ("Relu", ops.relu),
    ("Select", lambda x: ops.select(above(x), x, f32(1))),
    ("Sigmoid", ops.sigmoid),
    ("Sign", ops.sign),
    ("Sin", ops.sin),
    ("SoftPlus", ops.softplus),
    ("Sqrt", lambda x: ops.sqrt(ops.abs(x))),
    ("Subtract", lambda x: ops.subtract(f32(1, 3, 1, 1), x)),
    ("Tanh", ops.tanh),
    ("ReduceL1", lambda x: ops.reduce_l1(x, i64(1), keep_dims=True)),
    ("ReduceL2", lambda x: ops.reduce_l2(x, i64(2, 3), keep_dims=False)),
    ("ReduceMax", lambda x: ops.reduce_max(x, i64(-1), keep_dims=True)),
    ("ReduceMean", lambda x: ops.reduce_mean(x, i64(1, 2), keep_dims=False)),
    ("ReduceMin", lambda x: ops.reduce_min(x, i64(3), keep_dims=False)),
    ("ReduceProd", lambda x: ops.reduce_prod(x, i64(3), keep_dims=False)),
    ("ReduceSum", lambda x: ops.reduce_sum(x, i32(1), keep_dims=True)),
    ("AvgPool", lambda x: ops.avg_pool(x, ONE, ONE, ONE, [3, 3], False)),
    ("AvgPool", lambda x: ops.avg_pool(x, [2, 2], ONE, ONE, [3, 3], True)),
    ("AvgPool", lambda x: ops.avg_pool(x, [3, 3], NONE, NONE, [2, 2], True, auto_pad="same_upper")),
    ("BatchNormInference", lambda x: ops.batch_norm_inference(x, f32(3), f32(3), f32(3), positive(f32(3)), 1e-3)),
    ("Broadcast", lambda x: ops.add(x, ops.broadcast(f32(1, 8), i64(3, 8, 8)))),
    ("Broadcast", lambda x: ops.broadcast(f32(1, 3, 8, 8), ops.shape_of(x))),
    ("Clamp", lambda x: ops.clamp(x, -0.5, 0.7)),
    ("Concat", lambda x: ops.concat([x, ops.abs(x)], 1)),
    ("Convert", lambda x: ops.multiply(ops.convert(ops.convert(x, "i32"), "f32"), f32(1))),
    ("Convolution", lambda x: ops.convolution(x, f32(5, 3, 3, 3), [2, 2], NONE, NONE, ONE, "same_upper")),
    ("Convolution", lambda x: ops.convolution(x, f32(5, 3, 4, 4), [3, 3], NONE, NONE, ONE, "same_lower")),
    ("Convolution", lambda x: ops.convolution(x, f32(5, 3, 3, 2), [1, 2], [1, 0], [2, 1], [2, 1])),
    (
        "ConvolutionBackpropData",
        lambda x: ops.convolution_backprop_data(
            x, f32(3, 4, 4, 4), strides=[2, 2], pads_begin=ONE, pads_end=ONE, dilations=ONE
        ),
    ),
    (
        "ConvolutionBackpropData",
        lambda x: ops.convolution_backprop_data(
            x, f32(3, 2, 3, 3), strides=[2, 2], pads_begin=ONE, pads_end=NONE, dilations=ONE, output_padding=[1, 0]
        ),
    ),
    ("Elu", lambda x: ops.elu(x, 0.7)),
    ("Gather", lambda x: ops.gather(x, ops.constant(np.array([2, 0, -1], np.int32)), i64(1))),
    (
        "Gather",
        lambda x: ops.gather(
            x, ops.topk(ops.reduce_sum(x, i64(2, 3), False), i32(2), 1, "max", "value").output(1), i64(1), 1
        ),
    ),
    ("GatherElements", lambda x: ops.gather_elements(x, ops.topk(x, i32(2), 3, "max", "value").output(1), 3)),
    ("Gelu", lambda x: ops.gelu(x, "erf")),
    ("Gelu", lambda x: ops.gelu(x, "tanh")),
    ("GroupConvolution", lambda x: ops.group_convolution(x, f32(3, 2, 1, 3, 3), ONE, ONE, ONE, ONE)),
    ("GroupConvolution", lambda x: ops.group_convolution(x, ops.abs(f32(3, 1, 1, 3, 3)), ONE, ONE, ONE, ONE)),
    (
        "GroupConvolutionBackpropData",
        lambda x: ops.group_convolution_backprop_data(
            x, f32(3, 1, 2, 2, 2), strides=[2, 2], pads_begin=NONE, pads_end=NONE, dilations=ONE
        ),
    ),
    ("Interpolate", lambda x: resized(x, "linear_onnx", 13)),
    ("Interpolate", lambda x: resized(x, "linear_onnx", 5, "align_corners")),
    ("Interpolate", lambda x: resized(x, "nearest", 16, "asymmetric", "floor")),
    ("Interpolate", lambda x: resized(x, "cubic", 16)),
    (
        "Interpolate",
        lambda x: ops.interpolate(
            x,
            ops.constant(np.array([2.0, 3.0], np.float32)),
            "linear_onnx",
            "scales",
            coordinate_transformation_mode="half_pixel",
            axes=i64(2, 3),
        ),
    ),
    ("LogSoftmax", lambda x: ops.log_softmax(x, 1)),
    ("MVN", lambda x: ops.mvn(x, i64(1), True, 1e-3, "inside_sqrt")),
    ("MVN", lambda x: ops.mvn(x, i64(2, 3), True, 1e-3, "outside_sqrt")),
    ("MVN", lambda x: ops.mvn(x, i64(2, 3), False, 1e-3, "outside_sqrt")),
    ("MatMul", lambda x: ops.matmul(x, f32(5, 8), False, True)),
    ("MatMul", lambda x: ops.matmul(x, x, True, False)),
    ("MatMul", lambda x: ops.matmul(f32(4, 8), x, False, False)),
    ("MaxPool", lambda x: ops.max_pool(x, [2, 2], ONE, ONE, ONE, [3, 3])),
    ("NormalizeL2", lambda x: ops.normalize_l2(x, i64(1), 1e-2, "add")),
    ("NormalizeL2", lambda x: ops.normalize_l2(x, i64(1), 1e-2, "max")),
    ("NotEqual", lambda x: as_float(ops.not_equal(x, ops.relu(x)))),
    ("PRelu", lambda x: ops.prelu(x, f32(3))),
    ("Pad", lambda x: ops.pad(x, i64(0, 0, 1, 2), i64(0, 0, 3, 1), "reflect")),
    ("Pad", lambda x: ops.pad(x, i64(0, 0, 1, 2), i64(0, 0, 3, 1), "edge")),
    ("Pad", lambda x: ops.pad(x, i64(0, 0, 1, 2), i64(0, 1, 3, 1), "constant", ops.constant(np.float32(7)))),
    ("Reshape", lambda x: ops.reshape(x, i64(-1, 24, 8), False)),
    ("Reshape", lambda x: ops.reshape(x, i64(0, -1), True)),
    ("ShapeOf", lambda x: ops.convert(ops.shape_of(x), "f32")),
    ("ShapeOf", lambda x: as_float(ops.shape_of(x, "i32"))),
    ("Slice", lambda x: ops.slice(x, i64(1), i64(7), i64(2), i64(3))),
    ("Softmax", lambda x: ops.softmax(x, -1)),
    ("Split", lambda x: ops.split(x, i32(2), 4).outputs()),
    ("SquaredDifference", lambda x: ops.squared_difference(x, f32(1, 8))),
    ("Squeeze", lambda x: ops.squeeze(ops.reduce_sum(x, i64(1), keep_dims=True), i64(1))),
    ("StridedSlice", lambda x: ops.strided_slice(x, i64(0, 1, 6), i64(0, 0, 1), i64(1, 1, -2), [1, 0, 0], [1, 1, 0])),
    ("Swish", ops.swish),
    ("Swish", lambda x: ops.swish(x, ops.constant(np.float32(1.5)))),
    ("Tile", lambda x: ops.tile(x, i64(1, 2, 1, 3))),
    ("TopK", lambda x: ops.topk(x, i32(3), 2, "min", "value").outputs()),
    ("TopK", lambda x: ops.topk(x, i32(1), 1, "max", "none").outputs()),
    ("Transpose", lambda x: ops.transpose(x, i64(0, 2, 3, 1))),
    ("Unsqueeze", lambda x: ops.unsqueeze(x, i64(1, 3))),
    ("VariadicSplit", lambda x: ops.variadic_split(x, i32(3), i64(3, -1)).outputs()),
]


def graph_of(build: Callable[[ov.Node], Outputs]) -> ov.Model:
    images = ops.parameter(ov.PartialShape([-1, 3, SIDE, SIDE]), np.float32)
    images.output(0).get_tensor().set_names({"pixels"})
    built = build(images)
    results = []
    for place, output in enumerate(built if isinstance(built, list) else [built.output(0)]):
        result = ops.result(output)
        result.output(0).get_tensor().set_names({f"output_{place}"})
        results.append(result)
    return ov.Model(results, [images], "one operation")


def in_openvino(model: ov.Model, pixels: np.ndarray) -> list[np.ndarray]:
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled([pixels])
    return [found[output] for output in compiled.outputs]


def in_onnx_runtime(data: bytes, pixels: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return list(session.run(None, {"pixels": pixels}))


@pytest.mark.parametrize(("kind", "build"), CASES, ids=[f"{place}-{kind}" for place, (kind, _) in enumerate(CASES)])
def test_each_operation(kind: str, build: Callable[[ov.Node], Outputs]) -> None:
    model = graph_of(build)
    assert kind in {node.get_type_name() for node in model.get_ops()}
    data = write_onnx(model)
    for count in (1, 3):
        pixels = RNG.normal(0, 1, (count, 3, SIDE, SIDE)).astype(np.float32)
        expected, found = in_openvino(model, pixels), in_onnx_runtime(data, pixels)
        assert len(expected) == len(found)
        for one, other in zip(expected, found, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_every_operation_of_the_table_is_tested() -> None:
    assert {kind for kind, _ in CASES} == set(SAME) | set(OPERATIONS)


def test_the_batch_stays_open_and_names_and_metadata_are_kept() -> None:
    model = onnx.load_from_string(write_onnx(graph_of(ops.relu), {"method": "none", "threshold": "0.5"}))
    (pixels,), (output,) = model.graph.input, model.graph.output
    assert (pixels.name, output.name) == ("pixels", "output_0")
    assert pixels.type.tensor_type.shape.dim[0].dim_param == "N"
    assert [axis.dim_value for axis in output.type.tensor_type.shape.dim][1:] == [3, SIDE, SIDE]
    assert {item.key: item.value for item in model.metadata_props} == {"method": "none", "threshold": "0.5"}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda x: ops.cum_sum(x, i64(1)), "operation CumSum .* has no translation"),
        (
            lambda x: ops.max_pool(x, ONE, ONE, NONE, NONE, [2, 2]).output(1).get_node().outputs(),
            "output 1 of .*MaxPool",
        ),
        (lambda x: ops.max_pool(x, [2, 2], ONE, NONE, NONE, [3, 3], "ceil"), "rounding_type ceil"),
        (lambda x: ops.topk(x, i32(2), 1, "max", "index"), "sorted by index"),
        (lambda x: ops.pad(x, i64(0, 0, 1, 1), i64(0, 0, 1, 1), "symmetric"), "pad_mode symmetric"),
        (lambda x: resized(x, "nearest", 16, rounding="simple"), "mode nearest, half_pixel, simple"),
        (lambda x: ops.add(x, f32(3), "pdpd"), "auto_broadcast pdpd"),
        (lambda x: as_float(ops.divide(ops.convert(x, "i32"), i32(3))), "Divide with integers"),
        (
            lambda x: ops.gather(x, ops.constant(np.zeros((1, 1), np.int32)), i64(2), batch_dims=1),
            "batch_dims 1 and axis 2",
        ),
    ],
)
def test_what_onnx_cannot_say_is_refused_by_name(build: Callable[[ov.Node], Outputs], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        write_onnx(graph_of(build))
