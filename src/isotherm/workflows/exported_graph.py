"""A model's graph for other programs: from °C or grey levels to maps and scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import openvino as ov
from jaxtyping import Float32
from openvino import opset13 as ops

from isotherm.anomaly.inputs import InputSpec, Shrunk
from isotherm.anomaly.method import Exportable
from isotherm.core.errors import UsageError
from isotherm.workflows.models import TrainedModel

IMAGE, IGNORE = "image", "ignore"
OUTPUTS = ("maps", "scores")
CHANNELS = {"temperature": 1, "estimate": 1, "picture": 3}
Tile = tuple[Float32[np.ndarray, "C H W"], Float32[np.ndarray, "1 H W"]]


def exported_graph(model: TrainedModel) -> ov.Model:
    """Return the graph (inputs ``image`` and ``ignore``, outputs ``maps`` and ``scores``) for any number of images.

    Placing values in the span, which training fixed, is part of it.

    Raises
    ------
    UsageError
        The method's detector is not one graph.
    """
    if (model.inputs.span, model.inputs.channels) != ("training", "grey"):
        raise UsageError(
            f"a model with --span {model.inputs.span} --channels {model.inputs.channels} cannot be exported: how its "
            "inputs are prepared is not part of the graph"
        )
    if not isinstance(model.detector, Exportable):
        raise UsageError(f"a model of the method {model.method!r} cannot be exported: it is not one graph")
    graph = model.detector.graph()
    pixels, ignore = (graph.input(name).get_node() for name in ("pixels", IGNORE))
    height, width = model.inputs.frame.size
    shape = ov.PartialShape([-1, CHANNELS[model.inputs.kind], height, width])
    image = ops.parameter(shape, np.float32, name=IMAGE)
    image.output(0).get_tensor().set_names({IMAGE})
    placed = _placed(image, model.inputs)
    for target in pixels.output(0).get_target_inputs():
        target.replace_source_output(placed.output(0))
    results = [graph.output(name).get_node() for name in OUTPUTS]
    return ov.Model(results, [image, ignore], "isotherm")


def _placed(image: ov.Node, spec: InputSpec) -> ov.Node:
    """Add what `InputSpec.scale` does."""
    low, gain = np.float32(spec.low), np.float32(1 / (spec.high - spec.low))
    placed = ops.multiply(ops.subtract(image, ops.constant(low)), ops.constant(gain))
    return ops.concat([placed] * 3, 1) if CHANNELS[spec.kind] == 1 else placed


def tiles_of(spec: InputSpec, shrunk: Shrunk) -> Iterator[Tile]:
    """Yield the inputs of the graph for one image: values in °C or grey levels, and what is to be ignored."""
    values = np.broadcast_to(shrunk.values.astype(np.float32), (CHANNELS[spec.kind], *shrunk.values.shape[1:]))
    ignore = np.zeros((1, *values.shape[1:]), np.float32)
    if shrunk.ignore is not None:
        ignore[0] = shrunk.ignore
    for part, left_out in zip(spec.frame.cut(values), spec.frame.cut(ignore), strict=True):
        yield np.ascontiguousarray(part), np.ascontiguousarray(left_out)


def described_inputs(spec: InputSpec) -> list[dict[str, Any]]:
    """Say exactly what the inputs must be, as plain values."""
    height, width = spec.frame.size
    what = {
        "temperature": "temperature of each pixel",
        "estimate": "temperature of each pixel, estimated from colours",
        "picture": "red, green, blue, 0..255; a grey picture three times",
    }
    return [
        {
            "name": IMAGE,
            "type": "float32",
            "shape": ["N", CHANNELS[spec.kind], height, width],
            "unit": "°C" if spec.celsius else "grey levels 0..255",
            "meaning": what[spec.kind],
        },
        {
            "name": IGNORE,
            "type": "float32",
            "shape": ["N", 1, height, width],
            "unit": "1: not part of the scene, 0: part of it",
            "meaning": "added border, overlays, gaps without temperature; all 0 where the picture fills the input",
        },
    ]


def preparation(spec: InputSpec) -> list[str]:
    """Say in words what has to be done before the graph."""
    canvas, frame = spec.frame.canvas, spec.frame
    steps = [
        f"resize to fit {canvas[0]} x {canvas[1]} px (height x width) with the aspect ratio kept; bilinear, averaging "
        "over what gets smaller (Pillow's BILINEAR); aspect ratios that differ by less than a tenth are stretched",
        "centre it; repeat its edge up to the border and set `ignore` to 1 there",
    ]
    if spec.celsius:
        steps.insert(0, "fill gaps without temperature by the picture's median and set `ignore` to 1 there")
    if len(frame.tiles) > 1:
        steps.append(
            f"cut it into tiles of {frame.size[0]} x {frame.size[1]} px at the places `tiles` (top, left); the "
            "picture's score is the largest of its tiles"
        )
    return steps
