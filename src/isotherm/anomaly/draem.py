"""DRAEM: a network that redraws pictures without their faults, and one that learnt to see the difference.

Faults are simulated while it learns: stains of foreign texture, their outline cut from Perlin noise, and patches of
heat or cold (`isotherm.nn.textures`). The first network draws the picture as it was, the second sees picture and
redrawing and gives each pixel a probability of being faulty, which, smoothed, is the map; the score is its largest
value.

A probability cannot exceed 1, and the networks are shown pictures cut off at the span. To the map is therefore added by
how much a pixel lies beyond the span (squared): what is hotter than all training images always counts by how much.

References
----------
V. Zavrtanik et al., DRAEM: a discriminatively trained reconstruction embedding for surface anomaly detection, ICCV
2021: both networks (section 3.1, 3.2), simulation (3.3; noise above 0.5, opacity 0.1 to 1, half of the pictures),
losses (squared error + SSIM + focal), score (3.4: mean of 21 x 21, then the maximum).

Changed, mostly for two cores:

- an eighth of the paper's channels in the first network (16 in place of 128) and a quarter in the second (16 in place
  of 64), and no stage at full size (`isotherm.nn.unet`): a small part of the work for a picture;
- textures are made here, not taken from photographs, and half of the faults are patches of heat;
- SSIM of the grey picture; a Gaussian of 6 px in place of the mean of 21 x 21, which has the same variance;
- at most 60 passes at 10 times the step size, falling as a cosine, in place of 700.

torch is needed for fitting alone; loading and predicting run on OpenVINO.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from isotherm.anomaly.graphs import GraphDetector, finished, graph_inputs, largest
from isotherm.anomaly.method import Arrays, Images
from isotherm.anomaly.redrawing import beyond_span, smooth_map, within_span
from isotherm.anomaly.stored import stored_size
from isotherm.anomaly.training import TrainingConfig, check_count, needs_torch, plan_of
from isotherm.anomaly.unet_graph import UNetShape
from isotherm.core.config import setting
from isotherm.core.progress import Progress

_REDRAW, _JUDGE = (1, 2, 4, 6, 8), (1, 2, 4, 8, 8)
"""Channels of each depth, as multiples of the first's."""
LAST_RATE = 0.05


@dataclass(frozen=True)
class DraemConfig(TrainingConfig):
    """How both networks learn, and how the answer becomes a map."""

    epochs: int = setting(60, "largest number of passes over the training images (paper: 700)", low=1, high=100_000)
    learning_rate: float = setting(1e-3, "first step size of Adam (paper: 0.0001)", low=1e-6, high=1.0)
    redraw_width: int = setting(
        16, "channels of the first stage of the network that redraws (paper: 128)", low=4, high=256
    )
    judge_width: int = setting(
        16, "channels of the first stage of the network that judges (paper: 64)", low=4, high=256
    )
    blur_px: float = setting(
        6.0, "Gaussian blur of the map, in pixels of the network input (paper: a mean of 21)", low=0.0, high=64.0
    )

    @property
    def redraw(self) -> UNetShape:
        """The network that redraws."""
        return UNetShape(3, 3, tuple(self.redraw_width * rise for rise in _REDRAW), skips=False)

    @property
    def judge(self) -> UNetShape:
        """The network that judges picture and redrawing."""
        return UNetShape(6, 1, tuple(self.judge_width * rise for rise in _JUDGE), skips=True)


class DraemMethod:
    """The method's pair of functions."""

    name = "draem"
    config_type = DraemConfig

    def fit(self, images: Images, config: DraemConfig, seed: int, progress: Progress) -> GraphDetector:
        """Learn from simulated faults on normal images; the same seed on the same machine gives the same detector.

        Raises
        ------
        MissingExtraError
            torch is not installed.
        DataError
            Fewer than two images: one has to decide when to stop.
        """
        with needs_torch("DRAEM"):
            from isotherm.nn.draem import finding_faults
            from isotherm.nn.fitting import FitPlan, fit_network
        check_count(images, "DRAEM")
        plan = FitPlan(**plan_of(config), last_rate=LAST_RATE)
        task = finding_faults(config.redraw.widths, config.judge.widths)
        network = fit_network(images, task, plan, seed=seed, progress=progress).network
        return _detector({"size": np.array(images.size, np.int32), **network.arrays()}, config)

    def load(self, arrays: Arrays, config: DraemConfig) -> GraphDetector:
        """Rebuild a detector, without torch; raises ModelError where an array is missing or does not fit."""
        stored_size(arrays)
        weights = {**config.redraw.check(arrays, "redraw"), **config.judge.check(arrays, "judge")}
        return _detector({"size": arrays["size"], **weights}, config)


METHOD = DraemMethod()


def _detector(arrays: Arrays, config: DraemConfig) -> GraphDetector:
    return GraphDetector(arrays, lambda: _model(arrays, config), "f32")


def _model(arrays: Arrays, config: DraemConfig) -> ov.Model:
    size = stored_size(arrays)
    pixels, ignore = graph_inputs(size)
    shown = within_span(pixels)
    drawn = ops.sigmoid(config.redraw.node(shown, arrays, "redraw"))
    faulty = ops.sigmoid(config.judge.node(ops.concat([shown, drawn], 1), arrays, "judge"))
    maps = smooth_map(ops.add(faulty, beyond_span(pixels)), ignore, size, config.blur_px)
    return finished((pixels, ignore), maps=maps, scores=largest(maps), references=drawn)
