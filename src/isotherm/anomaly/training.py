"""What the methods that train a network have in common: their settings, and what they need before they begin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from isotherm.anomaly.method import Images
from isotherm.core.config import setting, validate
from isotherm.core.errors import DataError, MissingExtraError


@dataclass(frozen=True)
class TrainingConfig:
    """How a network learns; a method's configuration adds its own settings and replaces defaults."""

    epochs: int = setting(100, "largest number of passes over the training images", low=1, high=100_000)
    patience: int = setting(15, "passes without a better validation loss before training stops", low=1, high=100_000)
    batch_size: int = setting(8, "images a step", low=2, high=1024)
    learning_rate: float = setting(1e-3, "step size of Adam", low=1e-6, high=1.0)
    validation: float = setting(0.1, "share of the normal images that decides when to stop", low=0.01, high=0.5)
    bfloat16: bool = setting(True, "learn in bfloat16 where the processor has it, faster and as good")

    def __post_init__(self) -> None:
        validate(self)


def plan_of(config: TrainingConfig) -> dict[str, Any]:
    """Return the settings that the fit loop asks for (`isotherm.nn.fitting.FitPlan`), by its names."""
    return {item.name: getattr(config, item.name) for item in fields(TrainingConfig)}


@contextmanager
def needs_torch(what: str) -> Iterator[None]:
    """Import inside it: where torch is not installed MissingExtraError says what installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"training {what}", "train") from error


def check_count(images: Images, what: str) -> None:
    """Raise DataError for fewer than two images: one has to decide when to stop."""
    if len(images) < 2:
        raise DataError(f"{what} needs at least 2 normal images to learn from, not {len(images)}")
