"""Where it is hot, how hot, how big, how severe."""

from __future__ import annotations

from isotherm.core.registry import Registry, Row
from isotherm.hotspots.method import HotspotMethod

__all__ = ["HOTSPOT_METHODS", "HotspotMethod"]

HOTSPOT_METHODS: Registry[HotspotMethod] = Registry(
    "hotspot method",
    Row("otsu", "isotherm.hotspots.otsu:METHOD", "the threshold that best parts hot from cold (Otsu)"),
    Row("percentile", "isotherm.hotspots.percentile:METHOD", "the hottest few percent of the picture"),
    Row("absolute", "isotherm.hotspots.absolute:METHOD", "everything from a given temperature up"),
    Row("delta_t", "isotherm.hotspots.delta_t:METHOD", "everything a given difference above a reference"),
    Row("local_contrast", "isotherm.hotspots.local_contrast:METHOD", "what stands above the objects round it"),
    Row("adaptive", "isotherm.hotspots.adaptive:METHOD", "mean and deviation of each pixel's surroundings (Niblack)"),
    Row("region_growing", "isotherm.hotspots.region_growing:METHOD", "regions grown from pixels far above the usual"),
    Row("kmeans", "isotherm.hotspots.kmeans:METHOD", "hot clusters of temperature, or of temperature and place"),
)
