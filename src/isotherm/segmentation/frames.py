"""What networks over time ask of their frames."""

from __future__ import annotations

from isotherm.core.errors import ConfigError


def check_frames(network: str, frames: int, least: int) -> None:
    """Raise ConfigError where a network over time is given too few frames."""
    if frames < least:
        raise ConfigError(
            f"network {network} needs at least {least} frames in the order of time, not {frames}; "
            "frames16 and frames25 have enough"
        )
