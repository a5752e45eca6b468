"""A U-Net that learnt to take noise off normal images: what it takes off as well is not normal.

With connections past the narrow middle a network redraws fine structure that a plain autoencoder blurs, but it may as
well copy everything, faults included. Here it never sees a clean picture while it learns: smooth blobs of noise, warmer
and colder, lie over the picture, and it has to draw the picture without them. A fault then looks like one more blob.

Why noise and not masks: where parts of the picture are masked in training (RIAD; V. Zavrtanik et al., Pattern
Recognition 112, 2021) they must be masked when it is used too, and each picture costs a dozen passes; without masks
that network copies. Noise costs one pass, and coarse noise looks like heat.

The map is the squared difference of picture and redrawing, smoothed; the score is its largest value.

References
----------
A. Kascenas et al., Denoising autoencoders for unsupervised anomaly detection in brain MRI, MIDL 2022: noise of a
standard deviation of 0.2 on a grid 8 times coarser than the picture, U-Net with skip connections.

Changed, mostly for two cores:

- 16 channels in the first stage, and no stage at full size (`isotherm.nn.unet`);
- blobs of 8, 16 or 32 px and a strength between nothing and twice the paper's for each picture, so that no size and no
  strength is the only one that is taken off;
- passes until the held-out loss rests, at most 60, with a step size that falls as a cosine.

torch is needed for fitting alone; loading and predicting run on OpenVINO.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from isotherm.anomaly.graphs import GraphDetector, graph_inputs
from isotherm.anomaly.method import Arrays, Images
from isotherm.anomaly.redrawing import redrawing_model, within_span
from isotherm.anomaly.stored import stored_size
from isotherm.anomaly.training import TrainingConfig, check_count, needs_torch, plan_of
from isotherm.anomaly.unet_graph import UNetShape
from isotherm.core.config import setting
from isotherm.core.progress import Progress

_RISE = (1, 2, 4, 8, 8)
"""Channels of each depth, as multiples of the first's."""
LAST_RATE = 0.05


@dataclass(frozen=True)
class UnetAutoencoderConfig(TrainingConfig):
    """How the network learns, and how its error becomes a map."""

    epochs: int = setting(60, "largest number of passes over the training images", low=1, high=100_000)
    width: int = setting(16, "channels of the first stage; the work grows with its square", low=4, high=256)
    noise: float = setting(
        0.2, "strength of the noise it learns to take off, as a share of the span (paper: 0.2)", low=0.0, high=1.0
    )
    blur_px: float = setting(4.0, "Gaussian blur of the map, in pixels of the network input", low=0.0, high=64.0)

    @property
    def shape(self) -> UNetShape:
        """The network that these settings stand for."""
        return UNetShape(3, 3, tuple(self.width * rise for rise in _RISE), skips=True)


class UnetAutoencoder:
    """The method's pair of functions."""

    name = "unet_autoencoder"
    config_type = UnetAutoencoderConfig

    def fit(self, images: Images, config: UnetAutoencoderConfig, seed: int, progress: Progress) -> GraphDetector:
        """Learn to take noise off normal images; the same seed on the same machine gives the same detector.

        Raises
        ------
        MissingExtraError
            torch is not installed.
        DataError
            Fewer than two images: one has to decide when to stop.
        """
        with needs_torch("a U-Net"):
            from isotherm.nn.denoising import denoising
            from isotherm.nn.fitting import FitPlan, fit_network
        check_count(images, "a U-Net")
        plan = FitPlan(**plan_of(config), last_rate=LAST_RATE)
        task = denoising(config.shape.widths, config.noise)
        network = fit_network(images, task, plan, seed=seed, progress=progress).network
        return _detector({"size": np.array(images.size, np.int32), **network.arrays("unet")}, config)

    def load(self, arrays: Arrays, config: UnetAutoencoderConfig) -> GraphDetector:
        """Rebuild a detector, without torch; raises ModelError where an array is missing or does not fit."""
        stored_size(arrays)
        return _detector({"size": arrays["size"], **config.shape.check(arrays, "unet")}, config)


METHOD = UnetAutoencoder()


def _detector(arrays: Arrays, config: UnetAutoencoderConfig) -> GraphDetector:
    # bfloat16 would round the picture itself to 8 bits; the squared differences are smaller than that.
    return GraphDetector(arrays, lambda: _model(arrays, config), "f32")


def _model(arrays: Arrays, config: UnetAutoencoderConfig) -> ov.Model:
    size = stored_size(arrays)
    pixels, ignore = graph_inputs(size)
    drawn = ops.sigmoid(config.shape.node(within_span(pixels), arrays, "unet"))
    return redrawing_model((pixels, ignore), drawn, size, config.blur_px)
