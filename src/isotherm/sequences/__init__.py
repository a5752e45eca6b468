"""Active thermography: a stack of frames of a heated part, prepared and turned into maps, lazily and block by block."""

from __future__ import annotations

from isotherm.core.registry import Registry, Row
from isotherm.sequences.maps import MapMethod, MapStack

__all__ = ["MAP_METHODS", "MapMethod", "MapStack"]

MAP_METHODS: Registry[MapMethod] = Registry(
    "map method",
    Row("pct", "isotherm.sequences.pct:METHOD", "principal components: the pictures most of the sequence is made of"),
    Row("tsr", "isotherm.sequences.tsr:METHOD", "polynomial in log time: derivatives, time of the bend, depth"),
    Row("lockin", "isotherm.sequences.lockin:METHOD", "amplitude and phase at the frequency of periodic heating"),
    Row("ppt", "isotherm.sequences.ppt:METHOD", "amplitude and phase of each pixel at a few frequencies"),
)
