"""The small network of per-site classifiers: two convolution blocks and three dense layers on small pictures.

Form and learning (Adam at 1e-3 with decay 2e-5, batches of 32, up to 100 passes, dropout 0.5) follow the published
per-site image classifier API; early stopping on a validation part, class weights and augmentation are added.
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

if TYPE_CHECKING:
    from isotherm.classification.networks import Net

LEAST_SIDE_PX = 4


@dataclass(frozen=True)
class SmallCnnConfig:
    """The network and how it learns."""

    filters: int = setting(32, "filters of the first convolution; the second has twice as many", low=1, high=512)
    dense: int = setting(128, "units of the first dense layer; the second has half of them", low=2, high=4096)
    dropout: float = setting(0.5, "share of values left out after each block while learning", low=0.0, high=0.9)
    epochs: int = setting(100, "passes over the pictures at most", low=1, high=10_000)
    patience: int = setting(15, "passes without a lower validation loss before it stops", low=1, high=10_000)
    batch_size: int = setting(32, "pictures a step", low=1, high=4096)
    learning_rate: float = setting(1e-3, "step size of Adam", low=1e-7, high=1.0)
    decay: float = setting(2e-5, "the step size after s steps is divided by 1 + decay s", low=0.0, high=1.0)
    validation: float = setting(0.2, "share of the pictures kept for validation", low=0.01, high=0.5)
    class_weight: Literal["balanced", "none"] = setting(
        "none", "balanced: every category counts the same, however many pictures it has; none: every picture does"
    )
    augment: bool = setting(True, "tilt pictures by up to 15 degrees, change brightness and contrast by up to 10 %")
    mirror: bool = setting(False, "mirror pictures too; only where left and right mean the same")

    def __post_init__(self) -> None:
        validate(self)


class SmallCnnMethod:
    """See the module."""

    name = "small_cnn"
    wants: Wants = "pixels"
    side_px: int | None = None
    config_type = SmallCnnConfig

    def fit(self, examples: Examples, config: SmallCnnConfig, *, seed: int, progress: Progress) -> Fitted:
        """Learn from pictures (N 3 H W) of at least 4 px a side; see `fit_classifier`."""
        height, width = examples.values.shape[2:]
        if min(height, width) < LEAST_SIDE_PX:
            raise DataError(f"pictures of {width}x{height} px are too small; at least {LEAST_SIDE_PX} px a side")
        try:
            from isotherm.classification.fitting import Plan, fit_classifier
        except ModuleNotFoundError as error:
            raise MissingExtraError("teaching a small_cnn", "train") from error
        plan = Plan(
            epochs=config.epochs,
            patience=config.patience,
            batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            decay=config.decay,
            validation=config.validation,
            balanced=config.class_weight == "balanced",
            augment=config.augment,
            mirror=config.mirror,
        )
        return fit_classifier(examples, partial(_build, config), plan, seed=seed, progress=progress)

    def load(self, stored: Stored, config: SmallCnnConfig, *, classes: int) -> StoredNetwork:  # noqa: ARG002
        """Rebuild the classifier from its graph."""
        return StoredNetwork(stored.network, classes)


def _build(config: SmallCnnConfig, size: tuple[int, int], classes: int) -> Net:
    from isotherm.classification.networks import SmallCnn

    return SmallCnn(size, classes, filters=config.filters, dense=config.dense, dropout=config.dropout)


METHOD = SmallCnnMethod()
