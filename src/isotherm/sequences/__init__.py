"""Active thermography: a stack of frames of a heated part, prepared and turned into maps, lazily and block by block."""

from __future__ import annotations

from isotherm.core.registry import Registry, Row
from isotherm.sequences.maps import MapMethod, MapStack

__all__ = ["MAP_METHODS", "MapMethod", "MapStack"]

MAP_METHODS: Registry[MapMethod] = Registry(
    "map method",
    Row("pct", "isotherm.sequences.pct:METHOD", "principal components: the pictures most of the sequence is made of"),
    Row("ppt", "isotherm.sequences.ppt:METHOD", "amplitude and phase of each pixel at a few frequencies"),
    Row("tsr", "isotherm.sequences.tsr:METHOD", "polynomial in log time: derivatives, time of the bend, depth"),
    Row("lockin", "isotherm.sequences.lockin:METHOD", "amplitude and phase at the frequency of periodic heating"),
    Row("contrast", "isotherm.sequences.contrast:METHOD", "largest departure from sound material, when, and the mean"),
    Row("hos", "isotherm.sequences.moments:METHOD", "skewness, kurtosis and fifth moment of each pixel over time"),
    Row("ica", "isotherm.sequences.ica:METHOD", "independent components: principal ones turned away from noise"),
    Row("nmf", "isotherm.sequences.nmf:METHOD", "non-negative factors: a few curves, and where each is"),
    Row("features", "isotherm.sequences.features:METHOD", "maps of PCT, PPT and TSR on one scale, for networks"),
)
