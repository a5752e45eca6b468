"""How files are read, searched for hot spots and judged: plain values in the database and between processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from isotherm.core.config import from_mapping, to_mapping
from isotherm.core.errors import ConfigError, UnknownNameError
from isotherm.core.scene import SceneEdit
from isotherm.formats import ReadHints
from isotherm.hotspots import HOTSPOT_METHODS
from isotherm.hotspots.measure import HotspotSettings
from isotherm.measurement.severity import SEVERITY_TABLES, SeverityTable, table_from_json
from isotherm.reports.palette import check_for_temperatures
from isotherm.reports.plain import dumps

_GROUPS: dict[str, type] = {"hotspots": HotspotSettings, "edit": SceneEdit, "hints": ReadHints}
_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "method": (str, "a text"),
    "config": (Mapping, "an object of settings"),
    "severity": ((str, Mapping, type(None)), "the name of a table, a table, or null"),
    "palette": (str, "a text"),
    "tags": (bool, "true or false"),
    "letters": (bool, "true or false"),
    **dict.fromkeys(_GROUPS, (Mapping, "an object of settings")),
}


@dataclass(frozen=True)
class ExaminationSettings:
    """How files are read, searched and judged.

    Parameters
    ----------
    method, config
        A name of `HOTSPOT_METHODS`, and those of its settings that are not the default ones.
    hotspots
        Clean-up and reference of delta-T, and what is known of the equipment.
    severity
        A built-in severity table's name, the members of one in the form of its file, or None for no verdicts.
    edit, hints
        Scene parameters in place of the file's; unit and scale where the file cannot say them.
    palette
        Colours of pictures with temperatures.
    tags
        Whether codes are looked for in the picture and its photo; needs the extra ``tags``.
    letters
        Whether print on labels is read in the photo; needs the extra ``ocr``.

    Raises
    ------
    ConfigError, UnknownNameError
        A name or a value is wrong.
    """

    method: str = "region_growing"
    config: Mapping[str, Any] = field(default_factory=dict)
    hotspots: HotspotSettings = field(default_factory=HotspotSettings)
    severity: str | Mapping[str, Any] | None = "neta-similar"
    edit: SceneEdit = field(default_factory=SceneEdit)
    hints: ReadHints = field(default_factory=ReadHints)
    palette: str = "iron"
    tags: bool = False
    letters: bool = False

    def __post_init__(self) -> None:
        self.hotspot_config()
        self.table()
        check_for_temperatures(self.palette)

    def hotspot_config(self) -> Any:
        """Return the configuration of the hotspot method."""
        return from_mapping(HOTSPOT_METHODS.get(self.method).config_type, self.config)

    def table(self) -> SeverityTable | None:
        """Return the severity table, None where nothing is judged."""
        if self.severity is None:
            return None
        if not isinstance(self.severity, str):
            return _own_table(dumps(self.severity))
        # Only a built-in one: a name that a user sends is no path of a file.
        if self.severity not in SEVERITY_TABLES:
            raise UnknownNameError("severity table", self.severity, SEVERITY_TABLES)
        return SEVERITY_TABLES[self.severity]

    def to_mapping(self) -> dict[str, Any]:
        """Return the settings as plain values, ready for JSON."""
        return {name: getattr(self, name) for name in _KINDS} | {
            "config": dict(self.config),
            **{name: to_mapping(getattr(self, name)) for name in _GROUPS},
        }

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> ExaminationSettings:
        """Return the settings from plain values, with the defaults for what is missing; raises ConfigError."""
        unknown = sorted(set(values) - set(_KINDS))
        if unknown:
            raise ConfigError(f"settings of examination: unknown {', '.join(unknown)}; known: {', '.join(_KINDS)}")
        for name, value in values.items():
            kind, words = _KINDS[name]
            if not isinstance(value, kind):
                raise ConfigError(f"settings of examination: {name} must be {words}, not {value!r}")
        groups: dict[str, Any] = {
            name: from_mapping(kind, values[name]) for name, kind in _GROUPS.items() if name in values
        }
        return cls(**{**values, **groups})


@lru_cache(maxsize=64)
def _own_table(text: str) -> SeverityTable:
    return table_from_json(text, where="severity")
