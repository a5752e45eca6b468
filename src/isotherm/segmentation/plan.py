"""How a network learns to find defects, and from what; importing it needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32

from isotherm.core.config import setting, validate
from isotherm.core.errors import DataError
from isotherm.segmentation.network import Network

WINDOW_PX, WINDOW_OF_FRAMES_PX = 1024, 256
"""Side of the largest picture that is computed at once; networks over frames hold each of their channels many times."""
REDUCE_FIRST = frozenset({"pca_unet"})
"""Networks over frames that make a few maps of them before anything else, and are then as small as those over maps."""


def window_px(network: Network) -> int:
    """Return the side of the largest picture that a network is given at once [px], so that memory stays small."""
    small = network.wants == "frames" and network.name not in REDUCE_FIRST
    return WINDOW_OF_FRAMES_PX if small else WINDOW_PX


@dataclass(frozen=True)
class FitConfig:
    """How a network learns."""

    loss: Literal["dice", "bce_dice", "focal", "dice_focal", "tversky", "bce"] = setting(
        "bce_dice", "what is to become small"
    )
    steps: int = setting(1500, "steps of learning", low=1, high=10_000_000)
    batch_size: int = setting(6, "crops a step", low=2, high=1024)
    crop_px: int = setting(80, "side of a crop, made a multiple of what the network halves [px]", low=16, high=4096)
    learning_rate: float = setting(3e-3, "largest step size of AdamW (one cycle)", low=1e-6, high=1.0)
    checks: int = setting(10, "how often the validation specimens are looked at; the best state is kept", low=1)
    augment: bool = setting(True, "alter the crops: mirrored, turned, noise, blur, gain, uneven heating")
    bfloat16: bool = setting(True, "learn in bfloat16 where the processor has it, faster and as good")

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True, eq=False)
class Example:
    """One recording to learn from.

    Parameters
    ----------
    inputs
        (C H W) maps or frames; NaN where a pixel has no number.
    truth
        (H W) where there is a defect.
    judged
        (H W) where the labels say something; None: everywhere.
    """

    inputs: Float32[np.ndarray, "C H W"]
    truth: Bool[np.ndarray, "H W"]
    judged: Bool[np.ndarray, "H W"] | None = None

    @property
    def known_inputs(self) -> Float32[np.ndarray, "C H W"]:
        """The inputs with 0 where a pixel has no number; themselves where all have one."""
        if np.isfinite(self.inputs).all():
            return self.inputs
        return np.asarray(np.nan_to_num(self.inputs, nan=0.0, posinf=0.0, neginf=0.0))


@dataclass(frozen=True, eq=False)
class Examples:
    """Recordings to learn from, and others, of other specimens, that decide when it was best and where to cut.

    Parameters
    ----------
    names
        Of the channels, such as ``pct_1``.

    Raises
    ------
    DataError
        A side has no recording or no defect, or the channels differ.
    """

    training: Sequence[Example]
    validation: Sequence[Example]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        for side, examples in (("training", self.training), ("validation", self.validation)):
            if not any(_known(example).any() for example in examples):
                raise DataError(f"no defect in the {len(examples)} recordings for {side}: nothing to learn from")
            wrong = [len(each.inputs) for each in examples if len(each.inputs) != len(self.names)]
            if wrong:
                raise DataError(f"{side}: a recording of {wrong[0]} channels where {len(self.names)} are expected")


def _known(example: Example) -> Bool[np.ndarray, "H W"]:
    return example.truth if example.judged is None else example.truth & example.judged
