"""The small network of per-site classifiers: two convolution blocks and three dense layers on small pictures.

Form and learning (Adam at 1e-3 with decay 2e-5, batches of 32, up to 100 passes, dropout 0.5) follow the published
per-site image classifier API; more passes over few pictures, early stopping on a validation part, class weights and
augmentation are added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from isotherm.classification.learning import Learning
from isotherm.classification.network_method import NetworkMethod
from isotherm.core.config import setting
from isotherm.core.errors import DataError

if TYPE_CHECKING:
    from isotherm.classification.networks import Net

LEAST_SIDE_PX = 4


@dataclass(frozen=True)
class SmallCnnConfig(Learning):
    """The network and how it learns."""

    decay: float = setting(2e-5, "the step size after s steps is divided by 1 + decay s", low=0.0, high=1.0)
    filters: int = setting(32, "filters of the first convolution; the second has twice as many", low=1, high=512)
    dense: int = setting(128, "units of the first dense layer; the second has half of them", low=2, high=4096)
    dropout: float = setting(0.5, "share of values left out after each block while learning", low=0.0, high=0.9)

    def rate_after(self, step: int) -> float:
        """Return the share of the step size that is left after some steps."""
        return 1 / (1 + self.decay * step)


class SmallCnnMethod(NetworkMethod):
    """See the module."""

    name = "small_cnn"
    config_type = SmallCnnConfig

    def check_size(self, height: int, width: int) -> None:
        """Raise DataError for pictures that two poolings leave nothing of."""
        if min(height, width) < LEAST_SIDE_PX:
            raise DataError(f"pictures of {width}x{height} px are too small; at least {LEAST_SIDE_PX} px a side")

    def build(self, config: SmallCnnConfig, size: tuple[int, int], classes: int) -> Net:
        """Return the network with random weights."""
        from isotherm.classification.networks import SmallCnn

        return SmallCnn(size, classes, filters=config.filters, dense=config.dense, dropout=config.dropout)


METHOD = SmallCnnMethod()
