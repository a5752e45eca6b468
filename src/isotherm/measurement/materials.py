"""Emissivities of materials, each with where it is from.

A table's value is a start, not a measurement: surfaces of one name differ, metals above all. The surest way is tape or
paint of known emissivity on the object.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from isotherm.core.errors import ConfigError, UnknownNameError

_ROUGH_NON_METAL, _ROUGH_METAL = 0.02, 0.05
_METALLIC = 0.8


@dataclass(frozen=True)
class Material:
    """A row of the table: ``low`` and ``high`` are the same where the source gives one number.

    ``at`` is the temperature and ``band`` the wavelengths that the source states; ``source`` is a full citation.
    """

    name: str
    low: float
    high: float
    at: str
    band: str
    source: str

    @property
    def emissivity(self) -> float:
        """The middle of what the source gives."""
        return round((self.low + self.high) / 2, 4)

    @property
    def sigma(self) -> float:
        """The standard uncertainty that is assumed (type B): the range's, at least 0.02, or 0.05 below 0.8.

        Shiny surfaces differ most, and the sources themselves call their numbers a guideline.
        """
        least = _ROUGH_NON_METAL if self.emissivity >= _METALLIC else _ROUGH_METAL
        return round(max((self.high - self.low) / 2 / math.sqrt(3), least), 4)


@cache
def materials() -> dict[str, Material]:
    """Return the table by name, in alphabetical order."""
    text = (files("isotherm.measurement") / "materials.json").read_text(encoding="utf-8")
    content = json.loads(text)
    rows = (_material(row, content["sources"]) for row in content["materials"])
    return {row.name: row for row in rows}


def _material(row: dict[str, str | float], sources: dict[str, str]) -> Material:
    citation = sources[str(row["source"])] + (f" (reference {row['reference']})" if row["reference"] else "")
    return Material(str(row["name"]), float(row["low"]), float(row["high"]), str(row["at"]), str(row["band"]), citation)


def find_material(text: str) -> Material:
    """Return the material called `text`, or the only one whose name holds all its words.

    Raises
    ------
    UnknownNameError
        None does.
    ConfigError
        Several do; the message lists them.
    """
    known, wanted = materials(), text.casefold().strip()
    if wanted in known:
        return known[wanted]
    by_case = {name.casefold(): row for name, row in known.items()}
    if wanted in by_case:
        return by_case[wanted]
    words = wanted.replace(",", " ").split()
    fitting = [row for name, row in by_case.items() if words and all(word in name for word in words)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise UnknownNameError("material", text, known)
    names = "; ".join(f"{row.name} ({row.emissivity:g})" for row in fitting)
    raise ConfigError(f"{len(fitting)} materials fit {text!r}; say which: {names}")
