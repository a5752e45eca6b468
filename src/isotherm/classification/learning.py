"""How classifiers learn that are networks on pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from isotherm.core.config import setting, validate

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
