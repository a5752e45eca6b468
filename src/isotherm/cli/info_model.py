"""What ``isotherm info`` says of a model folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from isotherm.core.errors import ModelError
from isotherm.reports.describing import input_size
from isotherm.runtime.bundle import ARRAYS, MANIFEST, read_parts


def is_model(path: Path) -> bool:
    """Say whether a folder is an anomaly model or a classifier."""
    return (path / MANIFEST).is_file() and (path / ARRAYS).is_file()


def manifest_of(path: Path) -> dict[str, Any]:
    """Return what a model says of itself; raises ModelError where any of its files is damaged."""
    return read_parts(path)[0]


def card_lines(manifest: Mapping[str, Any]) -> list[str]:
    """Return the lines that tell what a model is, what it has learnt from and how it decides.

    Raises
    ------
    ModelError
        The manifest does not say it in the way of models; whoever writes one can sign it.
    """
    try:
        return list(_lines(manifest))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{MANIFEST} is not as isotherm writes it: {type(error).__name__} {error}") from error


def _lines(manifest: Mapping[str, Any]) -> Iterator[str]:
    data, inputs = manifest.get("data", {}), manifest.get("inputs", {})
    kind = manifest.get("kind", "anomaly model")
    yield f"  model        {kind}, {manifest.get('method')}, trained {manifest.get('created_at')}"
    learnt = [f"{data[name]} {text}" for name, text in _LEARNT.items() if data.get(name) is not None]
    yield f"  learnt from  {', '.join(learnt)}"
    if labels := manifest.get("labels"):
        yield f"  categories   {', '.join(map(str, labels))}"
    span = f", {inputs['low']:.1f} to {inputs['high']:.1f} °C" if inputs.get("kind") == "temperature" else ""
    yield f"  input        {inputs.get('kind')}{span}; {input_size(inputs)}"
    if calibration := manifest.get("calibration"):
        yield f"  threshold    {calibration.get('threshold'):.4g}: {calibration.get('how')}"
    held_out = (manifest.get("metrics") or {}).get("held_out") or {}
    if held_out.get("accuracy") is not None:
        yield f"  right        {held_out['accuracy']:.1%} of {held_out.get('images')} images held out while learning"


_LEARNT = {"images": "images", "fitted_on": "to learn from", "held_out": "held out"}
