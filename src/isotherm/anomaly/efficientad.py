"""EfficientAD: a small student that learnt to say what a large network says about normal pictures, and only there.

The teacher is the frozen network of the other methods: its feature maps, scaled to mean 0 and deviation 1. The student
sees a neighbourhood of 127 px; where it is wrong something is locally new. An autoencoder with a narrow middle, which
sees the whole picture at once, learns to say the same, coarsely, and a second half of the student's answer learns what
the autoencoder says; where these differ things may each look normal but do not belong together. Both maps are brought
to one scale by their values on held-out normal pictures, and averaged; the score is the largest value.

Teacher and student are shown pictures cut off at the span. To the map is added by how much a pixel lies beyond the span
(squared): what is hotter than all training images always counts by how much.

References
----------
K. Batzner et al., EfficientAD: accurate visual anomaly detection at millisecond-level latencies, WACV 2024: hard
feature loss with 0.999 (section 3.2), autoencoder (3.3), quantiles 0.9 and 0.995 that become 0 and 0.1 (3.4).

Changed:

- The paper distils its own teacher from a Wide ResNet-101 on ImageNet; here the teacher is EfficientNet-Lite0, which is
  at hand offline. Its receptive field is larger than the student's, so that a part of what it says cannot be known from
  the neighbourhood: that part is an error on normal pictures too, which the quantiles take off.
- No ImageNet pictures, hence no penalty on the student's answers to foreign pictures (section 3.2). Without it the
  student may generalise to what it never saw more than the paper's does; the hard feature loss is kept.
- Only the hardest hundredth of the errors counts, not thousandth: the paper has 70,000 steps to visit them all.
- Features are computed once, so that pictures are not changed at random (the paper changes their colours for the
  autoencoder), and the answers have a cell for 8 px as the teacher has; convolutions with strides and dilations and a
  quarter of the paper's channels, batch normalisation, 10 times the step size falling as a cosine.

torch is needed for fitting alone; loading and predicting run on OpenVINO.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import openvino as ov
from jaxtyping import Float32
from openvino import opset13 as ops

from isotherm.anomaly.graphs import GraphDetector, blurred, finished, graph_inputs, keep_out, largest
from isotherm.anomaly.method import Arrays, Images
from isotherm.anomaly.patches import (
    STRIDES_HELP,
    Taps,
    TapsConfig,
    parameter,
    to_grid,
)
from isotherm.anomaly.redrawing import beyond_span, channel_mean, within_span
from isotherm.anomaly.stored import stored, stored_size
from isotherm.anomaly.student_graph import StudentShape
from isotherm.anomaly.training import TrainingConfig, check_count, needs_torch, plan_of
from isotherm.core.config import setting
from isotherm.core.errors import ModelError
from isotherm.core.progress import Progress
from isotherm.runtime.compiled import Compiled
from isotherm.runtime.layers import by_channel, constant, integers

STRIDES = (8, 16)
STRIDE = 8
"""Distance of two cells of the map [px]."""
LOW, HIGH = 0.9, 0.995
"""Quantiles of the held-out errors that become 0 and `HIGH_LEVEL`."""
HIGH_LEVEL = 0.1
LAST_RATE = 0.05
_TRUNK = (1, 2, 4)
_DILATIONS = (1, 2, 4)


@dataclass(frozen=True)
class EfficientAdConfig(TapsConfig, TrainingConfig):
    """Teacher and students, and how the students learn."""

    default_strides = STRIDES

    epochs: int = setting(60, "largest number of passes over the training images", low=1, high=100_000)
    batch_size: int = setting(4, "images a step (paper: 1)", low=2, high=1024)
    learning_rate: float = setting(1e-3, "first step size of Adam (paper: 0.0001)", low=1e-6, high=1.0)
    strides: str = setting("", STRIDES_HELP.format("8,16"))
    width: int = setting(32, "channels of the student's first stage (paper: 128)", low=4, high=256)
    narrow: int = setting(64, "numbers that tell the autoencoder all about a picture (paper: 64)", low=4, high=512)
    hard: float = setting(
        0.99, "share of the student's errors that are too small to count (paper: 0.999)", low=0.0, high=0.9999
    )
    blur_px: float = setting(4.0, "Gaussian blur of the map, in pixels of the network input", low=0.0, high=64.0)

    def students(self, features: int, size: tuple[int, int]) -> StudentShape:
        """Return the shape of the networks that learn `features` of pictures of `size`."""
        trunk = tuple(self.width * rise for rise in _TRUNK)
        return StudentShape(features, size, trunk, _DILATIONS, self.narrow)


class EfficientAd:
    """The method's pair of functions."""

    name = "efficientad"
    config_type = EfficientAdConfig

    def fit(self, images: Images, config: EfficientAdConfig, seed: int, progress: Progress) -> GraphDetector:
        """Learn what the teacher says about normal images; the same seed on the same machine gives the same detector.

        Raises
        ------
        MissingExtraError
            torch is not installed.
        ModelError
            The teacher's weights are not here.
        DataError
            Fewer than two images: one has to decide when to stop.
        """
        with needs_torch("EfficientAD"):
            from isotherm.nn.fitting import FitPlan, fit_lessons, torch_device
            from isotherm.nn.lessons import Lessons
            from isotherm.nn.students import Scale, Students, held_out_maps, imitation
        taps = config.taps()
        plan = FitPlan(**plan_of(config), last_rate=LAST_RATE, augment=False)
        torch_device(plan.device)
        check_count(images, "EfficientAD")
        shape = config.students(taps.dimensions, images.size)
        lessons = Lessons(images, plan.validation, seed, _teacher(taps, images.size))
        scale = Scale(lessons)
        students = partial(Students, shape.features, shape.size, shape.trunk, shape.dilations, shape.narrow)
        fitted = fit_lessons(lessons, imitation(students, scale, config.hard), plan, seed=seed, progress=progress)
        kept = {"size": np.array(images.size, np.int32), **taps.arrays(), **fitted.network.arrays()}
        kept |= {"feature_mean": scale.mean, "feature_deviation": scale.deviation}
        return _detector({**kept, "quantiles": quantiles(*held_out_maps(fitted, scale))}, taps, config)

    def load(self, arrays: Arrays, config: EfficientAdConfig) -> GraphDetector:
        """Rebuild a detector, without torch; raises ModelError where the arrays do not fit together."""
        taps = config.stored_taps(arrays)
        kept = {"size": arrays["size"], **taps.arrays()} if stored_size(arrays) else {}
        kept |= config.students(taps.dimensions, stored_size(arrays)).check(arrays)
        for name in ("feature_mean", "feature_deviation"):
            kept[name] = stored(arrays, name, np.float32, taps.dimensions)
        kept["quantiles"] = stored(arrays, "quantiles", np.float32, 2, 2)
        if (kept["feature_deviation"] <= 0).any() or (np.diff(kept["quantiles"]) <= 0).any():
            raise ModelError("the deviations and the differences of the quantiles must be larger than 0")
        return _detector(kept, taps, config)


METHOD = EfficientAd()


def quantiles(local: Float32[np.ndarray, " P"], whole: Float32[np.ndarray, " P"]) -> Float32[np.ndarray, "2 2"]:
    """Return the low and high quantile of the local errors and of the global errors of held-out cells."""
    found = np.stack([np.quantile(errors, (LOW, HIGH)) for errors in (local, whole)])
    # Pictures that are all alike leave no difference; the scale is then that of the errors themselves.
    found[:, 1] = np.maximum(found[:, 1], found[:, 0] + np.maximum(1e-3 * found[:, 0], 1e-6))
    return found.astype(np.float32)


def _teacher(
    taps: Taps, size: tuple[int, int]
) -> Callable[[Float32[np.ndarray, "N 3 H W"]], Float32[np.ndarray, "N D h w"]]:
    pixels = parameter(size)
    compiled = Compiled(ov.Model([ops.result(teacher_node(taps, pixels, size))], [pixels]), "f32")
    return lambda pictures: np.stack([features for (features,) in compiled.run(pictures)])


def teacher_node(taps: Taps, pixels: ov.Node, size: tuple[int, int]) -> ov.Node:
    """Add the teacher to a graph; returns its joined feature maps (N D H/8 W/8), whatever grids they have."""
    grid = _grid(size)
    maps = [
        to_grid(node, stride, STRIDE, grid)
        for node, stride in zip(taps.feature_maps(pixels), taps.strides, strict=True)
    ]
    return ops.concat(maps, 1) if len(maps) > 1 else maps[0]


def _grid(size: tuple[int, int]) -> tuple[int, int]:
    return size[0] // STRIDE, size[1] // STRIDE


def _detector(arrays: Arrays, taps: Taps, config: EfficientAdConfig) -> GraphDetector:
    return GraphDetector(arrays, lambda: _model(arrays, taps, config), "f32")


def _model(arrays: Arrays, taps: Taps, config: EfficientAdConfig) -> ov.Model:
    size = stored_size(arrays)
    grid = _grid(size)
    pixels, ignore = graph_inputs(size)
    shown = within_span(pixels)
    shape = config.students(taps.dimensions, size)
    local, imitated = shape.student(shown, arrays)
    mean, deviation = (by_channel(arrays[name]) for name in ("feature_mean", "feature_deviation"))
    truth = ops.divide(ops.subtract(teacher_node(taps, shown, size), mean), deviation)
    errors = zip(((truth, local), (shape.autoencoder(shown, arrays), imitated)), arrays["quantiles"], strict=True)
    first, second = (_levelled(channel_mean(ops.squared_difference(*pair)), limits) for pair, limits in errors)
    kept = ops.multiply(beyond_span(pixels), ops.subtract(constant(1.0), ignore))
    beyond = ops.avg_pool(kept, [STRIDE, STRIDE], [0, 0], [0, 0], [STRIDE, STRIDE], True)
    strange = ops.add(ops.multiply(ops.add(first, second), constant(0.5)), beyond)
    maps = keep_out(ops.squeeze(strange, integers(1)), ignore, size, grid)
    maps = blurred(maps, size, grid, config.blur_px)
    return finished((pixels, ignore), maps=maps, scores=largest(maps))


def _levelled(errors: ov.Node, limits: Float32[np.ndarray, " 2"]) -> ov.Node:
    """Bring a map of errors to the scale on which the low quantile is 0 and the high one `HIGH_LEVEL`."""
    low, high = (float(limit) for limit in limits)
    return ops.multiply(ops.subtract(errors, constant(low)), constant(HIGH_LEVEL / (high - low)))
