"""A network that learnt to redraw normal images: where it fails to redraw, something is new.

The picture goes down through five stages of stride 2 to a narrow middle and up again (`isotherm.nn.autoencoder`). The
map is the squared difference between picture and redrawing, averaged over the channels and smoothed by a Gaussian; the
score is the largest value of the map. Scoring by the maximum of a smoothed map, not by the mean over the picture, is
what V. Zavrtanik et al. (DRAEM, ICCV 2021, section 3.3) and T. Defard et al. (PaDiM, ICPR 2021; Gaussian of 4 px) do:
a defect of a hundredth of the picture would drown in the mean of all the rest.

The network is shown the picture cut off at 0 and 1, and its sigmoid can draw nothing beyond; the difference is taken
from the picture as it is, so that what is hotter than all training images counts by how much hotter it is.

torch is needed for fitting alone; loading and predicting run on OpenVINO.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from isotherm.anomaly.graphs import GraphDetector, graph_inputs
from isotherm.anomaly.method import Arrays, Images
from isotherm.anomaly.redrawing import redrawing_model, within_span
from isotherm.anomaly.stored import stored, stored_size
from isotherm.anomaly.training import TrainingConfig, check_count, needs_torch, plan_of
from isotherm.core.config import setting
from isotherm.core.progress import Progress
from isotherm.runtime.layers import by_channel

_DOWN = ((3, 32), (32, 64), (64, 128), (128, 256), (256, 128))
_UP = ((128, 256), (256, 128), (128, 64), (64, 32), (32, 3))


@dataclass(frozen=True)
class AutoencoderConfig(TrainingConfig):
    """How the network learns, and how its error becomes a map."""

    blur_px: float = setting(4.0, "Gaussian blur of the map, in pixels of the network input", low=0.0, high=64.0)


class Autoencoder:
    """The method; see the module's text."""

    name = "autoencoder"
    config_type = AutoencoderConfig

    def fit(self, images: Images, config: AutoencoderConfig, seed: int, progress: Progress) -> GraphDetector:
        """Learn to redraw normal images; the same seed on the same machine gives the same detector.

        Raises
        ------
        MissingExtraError
            torch is not installed.
        DataError
            Fewer than two images: one has to decide when to stop.
        """
        with needs_torch("an autoencoder"):
            from isotherm.nn.autoencoder import AUTOENCODER, folded_arrays
            from isotherm.nn.fitting import FitPlan, fit_network
        check_count(images, "an autoencoder")
        network = fit_network(images, AUTOENCODER, FitPlan(**plan_of(config)), seed=seed, progress=progress).network
        return _detector({"size": np.array(images.size, np.int32), **folded_arrays(network)}, config)

    def load(self, arrays: Arrays, config: AutoencoderConfig) -> GraphDetector:
        """Rebuild a detector, without torch.

        Raises
        ------
        ModelError
            An array is missing, of another shape or type, or not finite.
        """
        stored_size(arrays)
        kept = {name: stored(arrays, name, np.float32, *shape) for name, shape in _shapes()}
        return _detector({"size": arrays["size"], **kept}, config)


METHOD = Autoencoder()


def _detector(arrays: Arrays, config: AutoencoderConfig) -> GraphDetector:
    # bfloat16 would round the picture itself to 8 bits; the squared differences are smaller than that.
    return GraphDetector(arrays, lambda: _model(arrays, stored_size(arrays), config.blur_px), "f32")


def _shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    for index, (before, after) in enumerate(_DOWN):
        yield f"encoder.{index}.weight", (after, before, 3, 3)
        yield f"encoder.{index}.bias", (after,)
    for index, (before, after) in enumerate(_UP):
        yield f"decoder.{index}.weight", (before, after, 4, 4)
        yield f"decoder.{index}.bias", (after,)


def _model(arrays: Mapping[str, np.ndarray], size: tuple[int, int], blur_px: float) -> ov.Model:
    pixels, ignore = graph_inputs(size)
    return redrawing_model((pixels, ignore), _redraw(within_span(pixels), arrays), size, blur_px)


def _redraw(picture: ov.Node, arrays: Mapping[str, np.ndarray]) -> ov.Node:
    features = picture
    for index in range(len(_DOWN)):
        weight = ops.constant(arrays[f"encoder.{index}.weight"])
        features = ops.convolution(features, weight, [2, 2], [1, 1], [1, 1], [1, 1])
        features = ops.relu(features + by_channel(arrays[f"encoder.{index}.bias"]))
    for index in range(len(_UP)):
        weight = ops.constant(arrays[f"decoder.{index}.weight"])
        features = ops.convolution_backprop_data(
            features, weight, strides=[2, 2], pads_begin=[1, 1], pads_end=[1, 1], dilations=[1, 1]
        )
        features = features + by_channel(arrays[f"decoder.{index}.bias"])
        features = ops.relu(features) if index < len(_UP) - 1 else ops.sigmoid(features)
    return features
