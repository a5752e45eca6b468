"""FastFlow: how unlikely the features of each place are, given their neighbourhood, under a flow learnt from normals.

The feature maps of the frozen network at two depths go through one normalising flow each (`isotherm.nn.flows`), whose
couplings are pairs of convolutions, by turns of 3 x 3 and 1 x 1. The map is the negative log-likelihood of each cell,
counted in deviations of normal cells that were held out, and averaged over the depths; the score is its largest value.
Scores may be negative: what is likelier than usual is.

References
----------
J. Yu et al., FastFlow: unsupervised anomaly detection and localization via 2D normalizing flows (2021): the couplings
(section 3.2, equations 4 to 6), eight steps for a convolutional backbone (section 4.2).

Changed, mostly for two cores:

- the features are standardised for each channel once, over all normal cells, in place of a learnt layer normalisation
  over the picture: there a hot object, or a logo that is to be ignored, would change the values of every other cell;
- two depths (strides of 8 and 16 px) of EfficientNet-Lite0 in place of three of ResNet-18;
- the flows begin as the identity (Glow), and a fixed number of steps under a falling step size, stopped early by the
  likelihood of held-out normal pictures, takes the place of 500 passes;
- the map keeps the log-determinant and takes no exponential, which would saturate: what is hotter stays stranger;
- depths are brought to one unit before they are averaged.

torch is needed for fitting alone; loading and predicting run on OpenVINO.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isotherm.anomaly.feature_cache import CachedMaps
from isotherm.anomaly.flow_graph import Flows, FlowShape, check_torch
from isotherm.anomaly.graphs import GraphDetector
from isotherm.anomaly.method import Arrays, Images
from isotherm.anomaly.patches import (
    Taps,
    TapsConfig,
)
from isotherm.core.config import setting
from isotherm.core.progress import Progress
from isotherm.runtime.backbones import BACKBONES

STRIDES = (8, 16)


@dataclass(frozen=True)
class FastFlowConfig(TapsConfig):
    """How the flows look and learn."""

    default_strides = STRIDES

    couplings: int = setting(
        8, "steps of each flow, by turns of 3 x 3 and 1 x 1 convolutions (paper: 8)", low=1, high=64
    )
    hidden_ratio: float = setting(1.0, "width of a coupling's network, in kept channels (paper: 1)", low=0.1, high=8.0)
    steps: int = setting(1000, "most training steps of each flow (paper: 500 passes)", low=1, high=1_000_000)
    patience: int = setting(
        5, "twentieths of the steps without a better held-out likelihood before it stops", low=1, high=20
    )
    batch_size: int = setting(8, "pictures a step (paper: 32)", low=1, high=1024)
    learning_rate: float = setting(1e-3, "largest step size of Adam (paper: 0.001)", low=1e-6, high=1.0)
    weight_decay: float = setting(1e-5, "weight decay (paper: 0.00001)", low=0.0, high=1.0)
    validation: float = setting(0.1, "share of the normal images that decides when to stop", low=0.01, high=0.5)
    blur_px: float = setting(4.0, "Gaussian blur of the map, in pixels of the network input", low=0.0, high=64.0)

    def check_weights(self) -> None:
        """Raise an error where torch, or the weights of the network, are not here."""
        check_torch("training FastFlow")
        super().check_weights()


class FastFlow:
    """The method's pair of functions."""

    name = "fastflow"
    config_type = FastFlowConfig

    def fit(self, images: Images, config: FastFlowConfig, seed: int, progress: Progress) -> GraphDetector:
        """Learn the density of normal feature maps; the same seed on the same machine gives the same detector.

        Raises
        ------
        MissingExtraError
            torch is not installed; said before any picture is read.
        ModelError
            The weights of the network are not here; said then as well.
        DataError
            Fewer than two images: one has to decide when to stop.
        """
        check_torch("training FastFlow")
        from isotherm.nn.flows_fitting import FlowPlan, fit_map_flow

        plan = FlowPlan(config.steps, config.patience, config.batch_size, config.learning_rate, config.weight_decay)

        def learn(shape: FlowShape, source: CachedMaps, report: Progress) -> Mapping[str, np.ndarray]:
            return fit_map_flow(source, shape.kernels, shape.width, plan, seed=seed, progress=report)

        flows = _flows(config.taps(), config)
        return flows.fit(images, learn, validation=config.validation, seed=seed, progress=progress)

    def load(self, arrays: Arrays, config: FastFlowConfig) -> GraphDetector:
        """Rebuild the detector, without torch; raises ModelError where the arrays do not fit together."""
        return _flows(config.stored_taps(arrays), config).load(arrays)


def _flows(taps: Taps, config: FastFlowConfig) -> Flows:
    kernels = tuple(3 if step % 2 == 0 else 1 for step in range(config.couplings))
    channels = [BACKBONES.get(taps.backbone).channels[stride] for stride in taps.strides]
    widths = [max(1, round(config.hidden_ratio * (count // 2))) for count in channels]
    shapes = [
        FlowShape(stride, count, kernels, width)
        for stride, count, width in zip(taps.strides, channels, widths, strict=True)
    ]
    return Flows(taps, tuple(shapes), config.blur_px)


METHOD = FastFlow()
