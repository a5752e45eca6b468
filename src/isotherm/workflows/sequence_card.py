"""What is said on the card of a defect network: what it is for, what it was taught with, what it has never seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from isotherm.workflows.sequence_data import LabelledRecording


def facts_of(recordings: Sequence[LabelledRecording]) -> dict[str, Any]:
    """Return what is known of recordings and their defects: kinds, and ranges [lowest, highest], None if unknown."""
    truths = [one.truth for one in recordings]
    return {
        "kinds": sorted({kind for one in recordings for kind in one.kinds if kind}),
        "diameter_mm": range_of([size for truth in truths for size in truth.diameter_mm.tolist()]),
        "depth_mm": range_of([depth for truth in truths for depth in truth.depth_mm.tolist()]),
        "pixel_mm": range_of([one.pixel_mm for one in recordings]),
        "diffusivity_m2_s": range_of([one.diffusivity_m2_s for one in recordings]),
        "height_px": range_of([truth.labels.shape[0] for truth in truths]),
        "width_px": range_of([truth.labels.shape[1] for truth in truths]),
    }


def materials_in(about: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the materials of a simulated plate, from its description; none where that does not say."""
    plate = about.get("plate")
    layers = plate.get("layers") if isinstance(plate, dict) else None
    found = [layer.get("material") for layer in layers or () if isinstance(layer, dict)]
    return tuple(str(each["name"]) for each in found if isinstance(each, dict) and "name" in each)


def range_of(values: Sequence[float | None]) -> list[float] | None:
    """Return the lowest and the highest of the known values; None where none is known."""
    known = np.array([value for value in values if value is not None], np.float64)
    known = known[np.isfinite(known)]
    return [float(known.min()), float(known.max())] if known.size else None


def card_of(manifest: Mapping[str, Any]) -> list[str]:
    """Return the lines of the card of a model, from what its manifest says."""
    data, validation, channels = manifest["data"], manifest["validation"], manifest["channels"]
    taught, held = data["training"], data["validation"]
    return [
        f"for: finding defects in recordings of parts that cool behind a pulse of heat, by the network "
        f"{manifest['network']} over {len(channels)} channels ({channels[0]} .. {channels[-1]})",
        f"taught with: {_counted(taught)}{_copies(taught)}; {_origin(data, taught['recordings'] + held['recordings'])}",
        f"chosen on: {_counted(held)}, none of them taught with: Dice {validation['dice']:.3f} at the threshold "
        f"{manifest['threshold']:.3f}, both chosen there, so a little too good",
        f"seen: {', '.join(_seen(data))}",
        f"never seen: {'; '.join(_never(data))}",
    ]


def _counted(counts: Mapping[str, int]) -> str:
    return f"{counts['recordings']} recordings of {counts['specimens']} specimens with {counts['defects']} defects"


def _copies(counts: Mapping[str, int]) -> str:
    return f" and {counts['altered_copies']} altered copies" if counts["altered_copies"] else ""


def _origin(data: Mapping[str, Any], count: int) -> str:
    if data["simulated"] == count:
        return "all simulated"
    return f"{data['simulated']} of all {count} simulated" if data["simulated"] else "none says that it is simulated"


_UNITS = {"diameter_mm": "diameters", "depth_mm": "depths", "pixel_mm": "pixels"}


def _seen(data: Mapping[str, Any]) -> Iterator[str]:
    yield from (*data["materials"], *data["kinds"])
    yield from (f"{word} {_words(data[name])} mm" for name, word in _UNITS.items() if data[name])
    if data["seconds"]:
        yield f"{_words(data['seconds'])} s behind the flash"


def _never(data: Mapping[str, Any]) -> Iterator[str]:
    if data["simulated"] == data["training"]["recordings"] + data["validation"]["recordings"]:
        yield "any real recording"
    yield "other materials, defects, cameras or ways of heating than in these recordings"
    unknown = [word for name, word in _UNITS.items() if not data[name]]
    if unknown:
        yield f"not known of its recordings: {', '.join(unknown)}"


def _words(ends: Sequence[float]) -> str:
    low, high = (f"{end:.3g}" for end in ends)
    return low if low == high else f"{low} to {high}"
