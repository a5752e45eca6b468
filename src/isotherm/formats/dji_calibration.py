"""The calibration of DJI files: another program's answers, kept as tables from count to kelvin."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt16

from isotherm.core.errors import DataError, FormatError
from isotherm.core.scene import ZERO_CELSIUS_K, Scene
from isotherm.core.thermogram import Counts, Temperatures
from isotherm.formats.dji_backend import Backend, Conditions, Description, Measured

_SCENES_KEPT = 32
# Found by changing each parameter of real files: the XT S computes the same whatever the distance.
_IGNORED = {"XT S": frozenset({"distance_m"})}
_AMBIENT_SINCE = 0x300
# dji-thermal-cli's finding; seen with an H20T, where 5.4 m gives what 5 m gives.
_WHOLE_METRES = ("dirp", "girp")
_SCENE_NAMES = {
    "distance_m": "distance_m",
    "humidity_percent": "humidity",
    "emissivity": "emissivity",
    "reflected_c": "reflected_k",
    "ambient_c": "atmosphere_k",
}


@dataclass(frozen=True, eq=False)
class DjiSource:
    """A file's bytes, and who reads them."""

    data: bytes = field(repr=False)
    backend: Backend
    description: Description
    model: str

    def measure(self, conditions: Conditions) -> Measured:
        """Compute counts and temperatures; raises FormatError."""
        return self.backend.measure(self.data, conditions)


@dataclass(frozen=True, eq=False)
class _Table:
    """Kelvin of each count from ``first`` on: in these files the temperature depends on nothing else."""

    first: int
    kelvin: Float32[np.ndarray, " K"]

    def of(self, counts: Counts) -> Temperatures:
        places = counts.astype(np.int64) - self.first
        inside = (places >= 0) & (places < len(self.kelvin))
        found = self.kelvin[np.where(inside, places, 0)]
        found[~inside] = np.nan
        return found


@dataclass(frozen=True, eq=False)
class _Plane:
    """Kelvin of each pixel, where equal counts have several temperatures."""

    counts: UInt16[np.ndarray, "H W"]
    kelvin: Float32[np.ndarray, "H W"]

    def of(self, counts: Counts) -> Temperatures:
        if not np.array_equal(counts, self.counts):
            raise DataError("the temperatures of this DJI file belong to places, not to counts: whole pictures only")
        return self.kelvin.copy()


class DjiCalibration:
    """Asks the reader for each scene once, and keeps the answers as tables from count to kelvin."""

    kind = "vendor"

    def __init__(self, source: DjiSource) -> None:
        self._source = source
        self._answers: OrderedDict[Conditions, _Table | _Plane] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def supports(self) -> frozenset[str]:
        """What this camera's formula honours."""
        return _supported(self._source.description, self._source.model)

    def kelvin(self, counts: Counts, scene: Scene) -> Temperatures:
        """Return float32 kelvin (H W); NaN where the camera has none. Raises DataError where the reader refuses."""
        return self._found(self._conditions(scene)).of(counts)

    def measure(self, scene: Scene) -> UInt16[np.ndarray, "H W"]:
        """Compute the temperatures of a scene, keep them, and return the counts; raises FormatError."""
        conditions = self._conditions(scene)
        measured = self._source.measure(conditions)
        self._keep(conditions, _answer(measured))
        return measured.counts

    def check(self, scene: Scene) -> tuple[str, ...]:
        """Compute the scene, and return a note for each value outside what the camera's formula takes."""
        self._found(self._conditions(scene))
        return self.outside(scene)

    def outside(self, scene: Scene) -> tuple[str, ...]:
        """Return a note for each value of the scene that lies outside what the camera's formula takes."""
        wished, notes = _wished(scene), []
        for name, (low, high) in self._taken().items():
            if not low <= wished[name] <= high:
                used, ends = _clamped(wished[name], low, high), f"{low:g} to {high:g}"
                notes.append(f"{name} {wished[name]:g} is outside what this camera takes ({ends}): {used:g} is used")
        distance_m = scene.distance_m.value
        if self._source.description.layout in _WHOLE_METRES and "distance_m" in self.supports and distance_m % 1:
            notes.append(f"distance_m {distance_m:g}: this camera takes whole metres")
        return tuple(notes)

    def describe(self) -> dict[str, Any]:
        """Return the reader, the layout and the limits, ready for JSON."""
        described = self._source.description
        return {
            "kind": self.kind,
            "reader": self._source.backend.name,
            "layout": described.layout,
            "version": described.version,
            "limits": {name: list(ends) for name, ends in described.limits.items()},
        }

    def _conditions(self, scene: Scene) -> Conditions:
        wished = _wished(scene)
        used = {name: _clamped(wished[name], *ends) for name, ends in self._taken().items()}
        return Conditions(**(self._source.description.conditions.values() | used))

    def _taken(self) -> Mapping[str, tuple[float, float]]:
        """Return the lowest and highest value of each parameter that changes something."""
        supports = self.supports
        limits = self._source.description.limits
        return {name: ends for name, ends in limits.items() if _SCENE_NAMES[name] in supports}

    def _found(self, conditions: Conditions) -> _Table | _Plane:
        with self._lock:
            answer = self._answers.get(conditions)
            if answer is not None:
                self._answers.move_to_end(conditions)
                return answer
        try:
            answer = _answer(self._source.measure(conditions))
        except FormatError as error:
            raise DataError(error.reason) from error
        self._keep(conditions, answer)
        return answer

    def _keep(self, conditions: Conditions, answer: _Table | _Plane) -> None:
        with self._lock:
            self._answers[conditions] = answer
            while len(self._answers) > _SCENES_KEPT:
                self._answers.popitem(last=False)


def _clamped(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _answer(measured: Measured) -> _Table | _Plane:
    """Return the temperatures as a table where equal counts have equal temperatures, else as they are."""
    counts, kelvin = measured.counts, measured.kelvin
    first, last = int(counts.min()), int(counts.max())
    table = np.full(last - first + 1, np.nan, np.float32)
    table[counts - first] = kelvin
    if not np.array_equal(table[counts - first], kelvin, equal_nan=True):
        return _Plane(counts, kelvin)
    # Counts that no pixel has lie between their neighbours.
    known = np.zeros(len(table), bool)
    known[counts - first] = True
    places = np.flatnonzero(known)
    table[~known] = np.interp(np.flatnonzero(~known), places, table[places])
    return _Table(first, table)


def _supported(described: Description, model: str) -> frozenset[str]:
    """Return the scene parameters that change temperatures.

    A layout iirp older than version 0x300 (all but H30T and M4T) takes the reflected temperature for the air's.
    """
    found = {_SCENE_NAMES[name] for name in described.limits}
    if described.layout == "iirp" and described.version & 0xFFFF < _AMBIENT_SINCE:
        found.discard("atmosphere_k")
    return frozenset(found) - _IGNORED.get(model, frozenset())


def _wished(scene: Scene) -> dict[str, float]:
    """Return the scene's values under DJI's names and in its units."""
    return {
        "distance_m": scene.distance_m.value,
        "humidity_percent": round(scene.humidity.value * 100, 6),
        "emissivity": scene.emissivity.value,
        "reflected_c": round(scene.reflected_k.value - ZERO_CELSIUS_K, 6),
        "ambient_c": round(scene.atmosphere_k.value - ZERO_CELSIUS_K, 6),
    }
