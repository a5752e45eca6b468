"""CFLOW: how unlikely the features of each place are, given where the place is, under a flow learnt from normals.

Each feature vector of the frozen network goes through a normalising flow on its own (`isotherm.nn.flows`); the networks
inside its couplings are told the row and the column of the vector (`place_encoding`). There is one flow for each of two
depths. The map is the negative log-likelihood of each cell, counted in deviations of normal cells that were held out,
and averaged over the depths; the score is its largest value. Scores may be negative: what is likelier than usual is.

References
----------
D. Gudovskiy et al., CFLOW-AD: real-time unsupervised anomaly detection with localization via conditional normalizing
flows, WACV 2022: conditional flows (section 4.1), positional encoding of length 128, vectors shuffled over all places
and pictures, eight coupling layers (sections 4.2 and 5.1).

Changed, mostly for two cores:

- two depths (strides of 8 and 16 px) of EfficientNet-Lite0 in place of three of a wide ResNet-50;
- a fixed number of steps of 1,024 vectors under a falling step size, stopped early by the likelihood of held-out normal
  pictures, takes the place of 25 x 8 passes in batches of 256; with it goes a step size of 1e-3 (paper: 2e-4);
- a coupling's network is 128 wide (authors' code: twice its input with the encoding, about 300), the encoding is of
  length 64;
- the mean log-likelihood itself is learnt (the paper's loss), not a logistic function of it (the authors' code);
- likelihoods of different depths are brought to one unit by held-out normal pictures, not by the largest value of the
  test set (the authors' code), which a score of one picture must not know.

torch is needed for fitting alone; loading and predicting run on OpenVINO.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isotherm.anomaly.feature_cache import CachedMaps
from isotherm.anomaly.flow_graph import Flows, FlowShape, check_torch, place_encoding
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
ENCODING = 64
"""Length of the encoding of a place."""


@dataclass(frozen=True)
class CFlowConfig(TapsConfig):
    """How the flows look and learn."""

    default_strides = STRIDES

    couplings: int = setting(8, "steps of each flow (paper: 8)", low=1, high=64)
    width: int = setting(128, "width of a coupling's network (authors' code: about 300)", low=1, high=4096)
    steps: int = setting(1000, "most training steps of each flow (paper: 200 passes)", low=1, high=1_000_000)
    patience: int = setting(
        5, "twentieths of the steps without a better held-out likelihood before it stops", low=1, high=20
    )
    batch_size: int = setting(1024, "feature vectors a step (paper: 256)", low=1, high=1_000_000)
    learning_rate: float = setting(1e-3, "largest step size of Adam (paper: 0.0002)", low=1e-6, high=1.0)
    weight_decay: float = setting(0.0, "weight decay (paper: 0)", low=0.0, high=1.0)
    validation: float = setting(0.1, "share of the normal images that decides when to stop", low=0.01, high=0.5)
    blur_px: float = setting(4.0, "Gaussian blur of the map, in pixels of the network input", low=0.0, high=64.0)

    def check_weights(self) -> None:
        """Raise an error where torch, or the weights of the network, are not here."""
        check_torch("training CFLOW")
        super().check_weights()


class CFlow:
    """The method's pair of functions."""

    name = "cflow"
    config_type = CFlowConfig

    def fit(self, images: Images, config: CFlowConfig, seed: int, progress: Progress) -> GraphDetector:
        """Learn the density of normal feature vectors; the same seed on the same machine gives the same detector.

        Raises
        ------
        MissingExtraError
            torch is not installed; said before any picture is read.
        ModelError
            The weights of the network are not here; said then as well.
        DataError
            Fewer than two images: one has to decide when to stop.
        """
        check_torch("training CFLOW")
        from isotherm.nn.flows_fitting import FlowPlan, fit_fibre_flow

        plan = FlowPlan(config.steps, config.patience, config.batch_size, config.learning_rate, config.weight_decay)

        def learn(shape: FlowShape, source: CachedMaps, report: Progress) -> Mapping[str, np.ndarray]:
            places = place_encoding(source.grid, shape.encoding)
            return fit_fibre_flow(
                source, places, plan, couplings=config.couplings, width=config.width, seed=seed, progress=report
            )

        flows = _flows(config.taps(), config)
        return flows.fit(images, learn, validation=config.validation, seed=seed, progress=progress)

    def load(self, arrays: Arrays, config: CFlowConfig) -> GraphDetector:
        """Rebuild the detector, without torch; raises ModelError where the arrays do not fit together."""
        return _flows(config.stored_taps(arrays), config).load(arrays)


def _flows(taps: Taps, config: CFlowConfig) -> Flows:
    channels, kernels = BACKBONES.get(taps.backbone).channels, (1,) * config.couplings
    shapes = [FlowShape(stride, channels[stride], kernels, config.width, ENCODING) for stride in taps.strides]
    return Flows(taps, tuple(shapes), config.blur_px)


METHOD = CFlow()
