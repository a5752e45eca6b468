"""A measurement as a figure."""

from __future__ import annotations

import numpy as np

from isotherm.measurement.budgets import Measured
from isotherm.workflows.measure import Measurement

MOST = 40
"""How many regions are drawn at most; the numbers have them all."""


def draw(measurement: Measurement, title: str, *, colours: str = "iron") -> bytes:
    """Return a PNG: the picture with its regions and isotherms, the profiles of lines, the histograms of regions."""
    # matplotlib takes half a second to import; who wants numbers only does not wait for it.
    from isotherm.reports.figures_measure import DrawnRegion, Marking, measurement_figure

    drawn = []
    for region in [item for item in measurement.regions if item.area.kind != "half"][:MOST]:
        label = region.reading.label
        # A spot of a few pixels makes spikes that hide the others.
        found = measurement.histograms.get(label) if region.area.kind != "spot" else None
        line = next((profile for profile in measurement.profiles if profile.label == label), None)
        drawn.append(
            DrawnRegion(
                label=label,
                text=_text(measurement, region),
                shape=region.area.shape,
                mask=region.area.mask,
                edges=found.edges_c if found else None,
                counts=found.counts.astype(np.float64) if found else None,
                distance=line.distance_px if line else None,
                along=line.celsius if line else None,
            )
        )
    markings = [Marking(area.isotherm.text, area.mask) for area in measurement.isotherms]
    return measurement_figure(title, measurement.celsius, drawn, markings, colours=colours)


def _text(measurement: Measurement, region: Measured) -> str:
    reading = region.reading
    value = reading.celsius(reading.usual)
    if not np.isfinite(value):
        return f"{reading.label}: no temperature"
    expanded = measurement.uncertainty(region).expanded_k
    off = f"± {expanded:.1f} °C" if np.isfinite(expanded) else "°C, uncertainty not known"
    return f"{reading.label} {reading.usual} {value:.1f} {off}"
