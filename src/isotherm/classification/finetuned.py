"""A network that learnt on ImageNet is taught on: a new last layer, and the last blocks with small steps.

Reference: J. Yosinski et al., How transferable are features in deep neural networks? (NeurIPS 2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from isotherm.classification.learning import Learning
from isotherm.classification.network_method import NetworkMethod
from isotherm.core.config import setting
from isotherm.core.errors import DataError
from isotherm.runtime.backbones import BACKBONES

if TYPE_CHECKING:
    from isotherm.classification.networks import Net

STRIDE_PX = 32
"""H and W of the pictures are multiples of this."""


@dataclass(frozen=True)
class FinetunedConfig(Learning):
    """The network and how it learns on."""

    epochs: int = setting(40, "passes over the pictures at most", low=1, high=10_000)
    patience: int = setting(8, "passes without a lower validation loss before it stops", low=1, high=10_000)
    batch_size: int = setting(16, "pictures a step", low=1, high=4096)
    network: Literal["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"] = setting(
        "efficientnet_lite0", "the network that is taught on"
    )
    trained_blocks: int = setting(
        3, "blocks, from the last, that learn too; 0 for the last layers only", low=0, high=16
    )
    body_rate: float = setting(0.1, "step size of these blocks as a share of the last layer's", low=0.0, high=1.0)


class FinetunedMethod(NetworkMethod):
    """See the module."""

    name = "finetuned"
    side_px = 224
    config_type = FinetunedConfig

    def check_size(self, height: int, width: int) -> None:
        """Raise DataError for pictures whose sides are not multiples of 32 px."""
        if height % STRIDE_PX or width % STRIDE_PX:
            raise DataError(f"pictures of {width}x{height} px; both sides must be multiples of {STRIDE_PX} px")

    def build(self, config: FinetunedConfig, size: tuple[int, int], classes: int) -> Net:  # noqa: ARG002
        """Return the network with the weights it has learnt, and a new last layer."""
        from isotherm.classification.lite import STAGES, Lite

        weights = BACKBONES.get(config.network).loaded().weights
        return Lite(
            weights.tensors,
            STAGES[config.network],
            classes,
            trained=config.trained_blocks,
            body_rate=config.body_rate,
        )


METHOD = FinetunedMethod()
