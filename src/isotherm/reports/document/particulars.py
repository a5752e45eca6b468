"""What only people know of an inspection: for whom, by whom, with what camera, what was left out, what causes it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any

from isotherm.core.errors import ConfigError

LONGEST, MOST = 4000, 5000
_NAMES = {"not_inspected", "images"}


@dataclass(frozen=True)
class NotInspected:
    """A place or a part that was not inspected, and why."""

    place: str
    reason: str = ""


@dataclass(frozen=True)
class ImageParticulars:
    """What the inspector says about one picture; ``load_percent`` is the load [% of its rating] when it was taken."""

    place: str = ""
    cause: str = ""
    action: str = ""
    remark: str = ""
    load_percent: float | None = None


@dataclass(frozen=True)
class Particulars:
    """What stands on the cover and beside the faults because somebody has written it down.

    Parameters
    ----------
    title, client, site, address, order, date
        What was inspected, for whom, where, and when.
    inspector, qualification, company, reviewer
        Who did it and who has checked it.
    camera, calibrated
        The camera with its serial number, and the date and number of its last calibration. Without `camera` those that
        the files name are listed.
    conditions, remarks
        Weather, load, access; anything else.
    not_inspected, images
        What was left out; what is said of single pictures, by their name in the results.
    """

    title: str = ""
    client: str = ""
    site: str = ""
    address: str = ""
    order: str = ""
    date: str = ""
    inspector: str = ""
    qualification: str = ""
    company: str = ""
    reviewer: str = ""
    camera: str = ""
    calibrated: str = ""
    conditions: str = ""
    remarks: str = ""
    not_inspected: tuple[NotInspected, ...] = ()
    images: Mapping[str, ImageParticulars] = field(default_factory=dict)

    def of(self, image: str) -> ImageParticulars:
        """Return what is said of a picture; nothing, where nothing is."""
        return self.images.get(image, ImageParticulars())


TEXTS = tuple(item.name for item in fields(Particulars) if item.name not in _NAMES)
"""The names of the texts of `Particulars`."""


def particulars_from_toml(text: str, where: str) -> Particulars:
    """Read the particulars of a TOML file; `where` names it in messages.

    Raises
    ------
    ConfigError
        It is not TOML, or a name or a value in it is wrong.
    """
    try:
        return particulars_from(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ConfigError, RecursionError) as error:
        raise ConfigError(f"{where}: {error}") from error


def particulars_from(values: Mapping[str, Any]) -> Particulars:
    """Read particulars from plain values; raises ConfigError that names what is wrong."""
    _known(values, {*TEXTS, *_NAMES}, "")
    texts = {name: _text(values[name], name) for name in TEXTS if name in values}
    return Particulars(**texts, not_inspected=_left_out(values), images=_images(values))


def _left_out(values: Mapping[str, Any]) -> tuple[NotInspected, ...]:
    rows = values.get("not_inspected", [])
    if not isinstance(rows, list) or len(rows) > MOST or not all(isinstance(row, dict) for row in rows):
        raise ConfigError(f"not_inspected must be at most {MOST} tables [[not_inspected]] with place and reason")
    found = []
    for number, row in enumerate(rows, start=1):
        where = f"not_inspected {number}: "
        _known(row, {"place", "reason"}, where)
        texts = {name: _text(value, f"{where}{name}") for name, value in row.items()}
        if not texts.get("place"):
            raise ConfigError(f"{where}place is missing")
        found.append(NotInspected(**texts))
    return tuple(found)


def _images(values: Mapping[str, Any]) -> dict[str, ImageParticulars]:
    rows = values.get("images", {})
    if not isinstance(rows, dict) or len(rows) > MOST or not all(isinstance(row, dict) for row in rows.values()):
        raise ConfigError(f'images must be at most {MOST} tables [images."NAME"]')
    return {name: _image(row, f"images.{name}: ") for name, row in rows.items()}


def _image(row: Mapping[str, Any], where: str) -> ImageParticulars:
    texts = {name: _text(row[name], f"{where}{name}") for name in ("place", "cause", "action", "remark") if name in row}
    _known(row, {"place", "cause", "action", "remark", "load_percent"}, where)
    return ImageParticulars(**texts, load_percent=_load(row.get("load_percent"), where))


def _load(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1000:
        raise ConfigError(f"{where}load_percent must be a number from 0 to 1000 [% of rating], not {value!r}")
    return float(value)


def _text(value: object, name: str) -> str:
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if not isinstance(value, str) or len(value) > LONGEST:
        raise ConfigError(f"{name} must be a text of at most {LONGEST} characters, not {str(value)[:40]!r}")
    return value


def _known(values: Mapping[str, Any], names: set[str], where: str) -> None:
    if unknown := sorted(set(values) - names):
        raise ConfigError(f"{where}unknown {', '.join(unknown)}; known: {', '.join(sorted(names))}")
