"""What all classifiers share that are networks on pixels: how they learn, how they are stored and rebuilt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from isotherm.classification.method import Examples, Fitted, Stored, Wants
from isotherm.classification.stored_network import StoredNetwork
from isotherm.core.config import setting, validate
from isotherm.core.errors import MissingExtraError
from isotherm.core.progress import Progress

if TYPE_CHECKING:
    from isotherm.classification.networks import Net

PASSES, LEAST_STEPS = 100, 1000
PASSES_WITHOUT_GAIN, LEAST_STEPS_WITHOUT_GAIN = 15, 150
"""A pass over 20 pictures is one step, and 100 steps teach a new network nothing: few pictures need more passes."""


@dataclass(frozen=True)
class Learning:
    """How a network learns; the base of each network's configuration."""

    epochs: int | None = setting(
        None,
        f"passes over the pictures at most; empty: {PASSES}, or as many as make {LEAST_STEPS} steps",
        low=1,
        high=10_000,
    )
    patience: int | None = setting(
        None,
        "passes without a lower validation loss before it stops; "
        f"empty: {PASSES_WITHOUT_GAIN}, or as many as make {LEAST_STEPS_WITHOUT_GAIN} steps",
        low=1,
        high=10_000,
    )
    batch_size: int = setting(32, "pictures a step", low=1, high=4096)
    learning_rate: float = setting(1e-3, "step size of Adam", low=1e-7, high=1.0)
    validation: float = setting(0.2, "share of the pictures kept for validation", low=0.01, high=0.5)
    class_weight: Literal["balanced", "none"] = setting(
        "none", "balanced: every category counts the same, however many pictures it has; none: every picture does"
    )
    augment: bool = setting(True, "tilt pictures by up to 15 degrees, change brightness and contrast by up to 10 %")
    mirror: bool = setting(False, "mirror pictures too; only where left and right mean the same")

    def __post_init__(self) -> None:
        validate(self)

    def passes(self, pictures: int) -> int:
        """Return how many passes over so many pictures are made at most."""
        return max(PASSES, LEAST_STEPS // self._steps(pictures)) if self.epochs is None else self.epochs

    def passes_without_gain(self, pictures: int) -> int:
        """Return after how many passes without a lower validation loss it stops."""
        usual = max(PASSES_WITHOUT_GAIN, LEAST_STEPS_WITHOUT_GAIN // self._steps(pictures))
        return usual if self.patience is None else self.patience

    def _steps(self, pictures: int) -> int:
        return max(1, pictures // self.batch_size)

    def rate_after(self, step: int) -> float:  # noqa: ARG002 (for networks whose steps become smaller)
        """Return the share of the step size that is left after some steps."""
        return 1.0


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
