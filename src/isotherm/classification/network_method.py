"""What all classifiers share that are networks on pixels: how they are taught, stored and rebuilt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any

from isotherm.classification.learning import Learning
from isotherm.classification.method import Examples, Fitted, Stored, Wants
from isotherm.classification.stored_network import StoredNetwork
from isotherm.core.errors import MissingExtraError
from isotherm.core.progress import Progress

if TYPE_CHECKING:
    from isotherm.classification.networks import Net


class NetworkMethod(ABC):
    """The classifier method (`isotherm.classification.method.ClassifierMethod`) of one network."""

    name: str
    wants: Wants = "pixels"
    side_px: int | None = None
    config_type: type = Learning

    @abstractmethod
    def check_size(self, height: int, width: int) -> None:
        """Raise DataError for pictures of a size [px] that the network cannot see."""

    @abstractmethod
    def build(self, config: Any, size: tuple[int, int], classes: int) -> Net:
        """Return the network as it begins, for pictures of H x W and C categories."""

    def fit(self, examples: Examples, config: Any, *, seed: int, progress: Progress) -> Fitted:
        """Learn from pictures (N 3 H W); see `isotherm.classification.fitting.fit_classifier`."""
        self.check_size(examples.values.shape[2], examples.values.shape[3])
        try:
            from isotherm.classification.fitting import fit_classifier
        except ModuleNotFoundError as error:
            raise MissingExtraError(f"teaching by the method {self.name}", "train") from error
        return fit_classifier(examples, partial(self.build, config), config, seed=seed, progress=progress)

    def load(self, stored: Stored, config: Any, *, classes: int) -> StoredNetwork:  # noqa: ARG002
        """Rebuild the classifier from its graph."""
        return StoredNetwork(stored.network, classes)
