"""Small ONNX models made by hand, as a defect network's are: maps (N C H W) to probability (N 1 H W)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isotherm.sequences.defect_model import save_model
from isotherm.sequences.features import FeaturesConfig

STD14 = [
    *(f"pct_{number}" for number in range(1, 5)),
    *(f"ppt_phase_{number}" for number in range(1, 5)),
    *(f"tsr_d{order}_{number}" for order in (1, 2) for number in range(1, 4)),
]


def blurring(channels: int = 2, *, out: int = 1, ranks: int = 4, sigmoid: bool = False, gain: float = 1.0) -> bytes:
    """The mean over all channels of 3 x 3 pixels times a gain, and perhaps a sigmoid of it less 3."""
    onnx = pytest.importorskip("onnx")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    weights = np.full((out, channels, 3, 3), gain / (9 * channels), np.float32)
    bias = np.full(out, -3.0 if sigmoid else 0.0, np.float32)
    nodes = [helper.make_node("Conv", ["maps", "w", "b"], ["mean"], pads=[1, 1, 1, 1])]
    nodes += [helper.make_node("Sigmoid" if sigmoid else "Identity", ["mean"], ["probability"])]
    graph = helper.make_graph(
        nodes,
        "blur",
        [helper.make_tensor_value_info("maps", floats, ["N", channels, "H", "W"][:ranks])],
        [helper.make_tensor_value_info("probability", floats, ["N", out, "H", "W"])],
        [onnx.numpy_helper.from_array(weights, "w"), onnx.numpy_helper.from_array(bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    return bytes(model.SerializeToString())


def write_model(folder: Path, network: bytes | None = None, **changes: Any) -> Path:
    """Write a model of the std14 maps: where their sum is high there is a defect, with a probability."""
    manifest = {
        "network": "none",
        "channels": STD14,
        "multiple": 4,
        "window_px": 64,
        "threshold": 0.5,
        "card": ["for: tests"],
        "prepare": {"cold": "auto", "window": None, "every": 1, "log_bins": 0},
        "data": {"pixel_mm": [0.4, 0.6], "digests": []},
    }
    manifest |= changes
    save_model(folder, network or blurring(14, sigmoid=True, gain=6.0), manifest, FeaturesConfig())
    return folder
