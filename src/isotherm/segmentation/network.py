"""The seam of networks that find defects: channels in, one logit a pixel out; importing it needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from isotherm.core.config import setting, validate

if TYPE_CHECKING:
    from torch import nn

Wants = Literal["maps", "frames", "either"]


@dataclass(frozen=True)
class NetConfig:
    """How large a network is, and which attention it has."""

    width: int = setting(16, "channels of the first stage; the work grows with its square", low=4, high=128)
    attention: Literal["none", "se", "scse", "eca", "st"] = setting(
        "none",
        "attention behind each stage: se (channels), scse (channels and places), eca (channels, cheap), st (places, in "
        "3-D networks times too)",
    )
    dropout: float = setting(0.0, "share of channels that is left out while learning", low=0.0, high=0.9)

    def __post_init__(self) -> None:
        validate(self)


@runtime_checkable
class Network(Protocol):
    """A kind of network.

    What `build` returns maps (N C H W) float32 to logits (N 1 H W), of any H and W that are multiples of ``multiple``.
    The C channels are maps, or frames in the order of time; a network in three dimensions, or along the time of each
    pixel, takes them apart itself. While it learns (``train()``) it may return a tuple of logits of that shape, the
    main ones first (deep supervision); in use (``eval()``) it returns one tensor.
    """

    name: str
    wants: Wants
    """What its channels must be: ``frames`` have an order that the network uses."""
    multiple: int
    """H and W must be multiples of this."""

    def build(self, channels: int, config: NetConfig) -> nn.Module:
        """Return the untrained network; its weights come from torch's random state.

        Raises
        ------
        ConfigError
            It has no such attention, or too few channels; the message says what is right.
        """
        ...
