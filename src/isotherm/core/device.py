"""Which device computes: chosen once by the command, asked for where a network is trained or a graph is run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, cast, get_args

from isotherm.core.errors import ConfigError

Device = Literal["auto", "cpu", "cuda"]
"""``auto``: CUDA where a device and the packages for it are there, else the processor."""
_wanted: ContextVar[Device] = ContextVar("device", default="auto")


def wanted() -> Device:
    """Return the device that was asked for."""
    return _wanted.get()


@contextmanager
def on_device(device: str) -> Iterator[None]:
    """Compute on this device what is trained or loaded inside the ``with`` block; raises ConfigError for others."""
    if device not in get_args(Device):
        raise ConfigError(f"device must be one of {', '.join(get_args(Device))}, not {device!r}")
    token = _wanted.set(cast(Device, device))
    try:
        yield
    finally:
        _wanted.reset(token)
