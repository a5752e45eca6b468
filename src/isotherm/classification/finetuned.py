"""A network that learnt on ImageNet is taught on: a new last layer, and the last blocks with small steps.

Reference: J. Yosinski et al., How transferable are features in deep neural networks? (NeurIPS 2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from isotherm.classification.method import Examples, Fitted, Stored, Wants
from isotherm.classification.stored_network import StoredNetwork
from isotherm.core.config import setting, validate
from isotherm.core.errors import DataError, MissingExtraError
from isotherm.core.progress import Progress
from isotherm.runtime.backbones import BACKBONES

if TYPE_CHECKING:
    from isotherm.classification.networks import Net

STRIDE_PX = 32
"""H and W of the pictures are multiples of this."""


@dataclass(frozen=True)
class FinetunedConfig:
    """The network and how it learns on."""

    network: Literal["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"] = setting(
        "efficientnet_lite0", "the network that is taught on"
    )
    trained_blocks: int = setting(
        3, "blocks, from the last, that learn too; 0 for the last layers only", low=0, high=16
    )
    body_rate: float = setting(0.1, "step size of these blocks as a share of the last layer's", low=0.0, high=1.0)
    epochs: int = setting(40, "passes over the pictures at most", low=1, high=10_000)
    patience: int = setting(8, "passes without a lower validation loss before it stops", low=1, high=10_000)
    batch_size: int = setting(16, "pictures a step", low=1, high=4096)
    learning_rate: float = setting(1e-3, "step size of Adam", low=1e-7, high=1.0)
    validation: float = setting(0.2, "share of the pictures kept for validation", low=0.01, high=0.5)
    class_weight: Literal["balanced", "none"] = setting(
        "none", "balanced: every category counts the same, however many pictures it has; none: every picture does"
    )
    augment: bool = setting(True, "tilt pictures by up to 15 degrees, change brightness and contrast by up to 10 %")
    mirror: bool = setting(False, "mirror pictures too; only where left and right mean the same")

    def __post_init__(self) -> None:
        validate(self)


class FinetunedMethod:
    """See the module."""

    name = "finetuned"
    wants: Wants = "pixels"
    side_px: int | None = 224
    config_type = FinetunedConfig

    def fit(self, examples: Examples, config: FinetunedConfig, *, seed: int, progress: Progress) -> Fitted:
        """Learn from pictures (N 3 H W) whose sides are multiples of 32 px; see `fit_classifier`."""
        height, width = examples.values.shape[2:]
        if height % STRIDE_PX or width % STRIDE_PX:
            raise DataError(f"pictures of {width}x{height} px; both sides must be multiples of {STRIDE_PX} px")
        try:
            from isotherm.classification.fitting import Plan, fit_classifier
        except ModuleNotFoundError as error:
            raise MissingExtraError("teaching a network on", "train") from error
        plan = Plan(
            epochs=config.epochs,
            patience=config.patience,
            batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            decay=0.0,
            validation=config.validation,
            balanced=config.class_weight == "balanced",
            augment=config.augment,
            mirror=config.mirror,
        )
        return fit_classifier(examples, partial(_build, config), plan, seed=seed, progress=progress)

    def load(self, stored: Stored, config: FinetunedConfig, *, classes: int) -> StoredNetwork:  # noqa: ARG002
        """Rebuild the classifier from its graph."""
        return StoredNetwork(stored.network, classes)


def _build(config: FinetunedConfig, size: tuple[int, int], classes: int) -> Net:  # noqa: ARG001
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
