"""From a redrawn picture to a map: the end of the graph that the redrawing methods share."""

from __future__ import annotations

import openvino as ov
from openvino import opset13 as ops

from isotherm.anomaly.graphs import blurred, finished, keep_out, largest
from isotherm.runtime.layers import constant, integers

MAP_STRIDE = 4
"""Maps are averaged over squares of this side [px]: after the smoothing nothing is lost."""


def within_span(pixels: ov.Node) -> ov.Node:
    """Return pictures cut off at 0 and 1: what networks are shown, in training and after."""
    return ops.clamp(pixels, 0.0, 1.0)


def beyond_span(pixels: ov.Node) -> ov.Node:
    """Return (N 1 H W) the squared distance of the pixels (N 3 H W) from the span, averaged over the channels.

    A network that is shown pictures cut off at the span cannot tell hot from hotter; this can.
    """
    return channel_mean(ops.squared_difference(pixels, within_span(pixels)))


def channel_mean(values: ov.Node) -> ov.Node:
    """Return the mean (N 1 H W) over the channels of (N D H W)."""
    return ops.reduce_mean(values, integers(1), keep_dims=True)


def smooth_map(values: ov.Node, ignore: ov.Node, size: tuple[int, int], blur_px: float) -> ov.Node:
    """Return maps (N h w) at a quarter of the size, from how strange each pixel (N 1 H W) of pictures of `size` is.

    What is to be ignored counts as not strange at all before the smoothing.
    """
    sides, grid = [MAP_STRIDE, MAP_STRIDE], (size[0] // MAP_STRIDE, size[1] // MAP_STRIDE)
    kept = ops.multiply(values, ops.subtract(constant(1.0), ignore))
    small = ops.avg_pool(kept, sides, [0, 0], [0, 0], sides, True)
    maps = blurred(ops.squeeze(small, integers(1)), size, grid, blur_px)
    return keep_out(maps, ignore, size, grid)


def redrawing_model(inputs: tuple[ov.Node, ov.Node], drawn: ov.Node, size: tuple[int, int], blur_px: float) -> ov.Model:
    """Return the graph whose map is the smoothed squared difference of pictures and redrawings (N 3 H W).

    The difference is taken from the picture as it is, so that what is hotter than all training images counts by how
    much hotter it is. The score is the largest value of the map.
    """
    pixels, ignore = inputs
    error = channel_mean(ops.squared_difference(pixels, drawn))
    maps = smooth_map(error, ignore, size, blur_px)
    return finished(inputs, maps=maps, scores=largest(maps), references=drawn)
