"""Which asset an image shows: by a tag in the picture, by rules of file names, by where it was taken.

A tag goes before a name, and a name before a position. What fits two assets is matched to neither, and the image says
so. People decide by hand, and what they have decided is never changed by a rule.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property, lru_cache
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from isotherm.core.errors import ConfigError
from isotherm.store.tables import Asset, Site

HAND, TAG, NAME, POSITION = "hand", "tag", "name", "position"
USUAL_RADIUS_M = 15.0
"""What a position counts within, where the asset says nothing: a few errors of a phone's or drone's GPS."""
LONGEST_RULE, MOST_PATTERNS, MOST_STARS = 1000, 20, 8
_EARTH_M = 6_371_008.8
_SHOWN = 4


@dataclass(frozen=True)
class Match:
    """The asset of an image, how it was found, and what a person should know; no asset where none or several fit."""

    asset_id: str | None = None
    by: str = ""
    note: str = ""


@dataclass(frozen=True)
class Rule:
    """How the images of one asset are told from others."""

    asset_id: str
    asset: str
    name_rule: str = ""
    tag: str = ""
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    radius_m: float | None = None

    @cached_property
    def names(self) -> re.Pattern[str] | None:
        """What a file name must be, in any case; None where no name is asked for."""
        patterns = [translate(pattern) for pattern in patterns_of(self.name_rule)]
        return re.compile("|".join(patterns), re.IGNORECASE) if patterns else None

    def distance_m(self, position: Sequence[float]) -> float | None:
        """Return how far the asset is from a (latitude, longitude); None where it has no position, or is beyond it."""
        if self.latitude_deg is None or self.longitude_deg is None:
            return None
        away = distance_m((self.latitude_deg, self.longitude_deg), position)
        return away if away <= (self.radius_m or USUAL_RADIUS_M) else None


def patterns_of(rule: str) -> list[str]:
    """Return the patterns of a rule, which are separated by semicolons."""
    return [pattern.strip() for pattern in rule.split(";") if pattern.strip()]


def check_rule(rule: object) -> str:
    """Return a rule of file names: patterns with ``*``, ``?`` and ``[...]``, separated by semicolons.

    Raises
    ------
    ConfigError
        It is no text, or longer or richer than a rule may be.
    """
    if not isinstance(rule, str) or len(rule) > LONGEST_RULE or not rule.isprintable():
        raise ConfigError(f"a rule of file names must be printable text of at most {LONGEST_RULE} characters")
    patterns = patterns_of(rule)
    if len(patterns) > MOST_PATTERNS or any(pattern.count("*") > MOST_STARS for pattern in patterns):
        raise ConfigError(f"a rule has at most {MOST_PATTERNS} patterns, each with at most {MOST_STARS} stars")
    if any(set(pattern) <= set("*?") for pattern in patterns):
        raise ConfigError("a pattern of stars alone fits every file; write at least one letter of the name")
    return "; ".join(patterns)


def distance_m(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the distance of two places (latitude, longitude) [deg] on a sphere, by the haversine formula."""
    lat1, lon1, lat2, lon2 = (math.radians(angle) for angle in (*first, *second))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * _EARTH_M * math.asin(math.sqrt(min(1.0, half)))


def rules_of(session: Session, site: Site | None) -> tuple[Rule, ...]:
    """Return the rules of a site's assets; nothing is read where it never had one, or they are known already."""
    if site is None or not site.assets_version:
        return ()
    key = site.id, site.assets_version
    # Asked once: another thread may forget them all meanwhile.
    found = _KNOWN.get(key)
    if found is None:
        found = _read(session, site.id)
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[key] = found
    return found


_KNOWN: dict[tuple[str, int], tuple[Rule, ...]] = {}
_MOST_KNOWN = 64


def _read(session: Session, site_id: str) -> tuple[Rule, ...]:
    columns = (
        Asset.id,
        Asset.name,
        Asset.name_rule,
        Asset.tag,
        Asset.latitude_deg,
        Asset.longitude_deg,
        Asset.radius_m,
    )
    some = (Asset.name_rule != "") | (Asset.tag != "") | Asset.latitude_deg.is_not(None)
    return tuple(Rule(*row) for row in session.execute(select(*columns).where(Asset.site_id == site_id, some)))


def match(rules: Sequence[Rule], name: str, facts: Mapping[str, Any]) -> Match:
    """Return the asset that an image shows.

    Parameters
    ----------
    rules
        Those of its site.
    name, facts
        The file's own name, and what was found in it (``tags``, ``position``).
    """
    if not rules:
        return Match()
    notes = list[str]()
    found = Match()
    for by, fitting in (
        (TAG, _by_tag(rules, facts.get("tags") or ())),
        (NAME, [rule for rule in rules if rule.names and rule.names.match(name)]),
        (POSITION, _by_position(rules, facts.get("position"))),
    ):
        one = fitting[0] if len(fitting) == 1 else None
        if len(fitting) > 1 and not found.asset_id:
            notes.append(f"the {by} fits {_listed(fitting)}: narrow a rule, or choose by hand")
        if one is not None and not found.asset_id:
            found = Match(one.asset_id, by)
        elif one is not None and one.asset_id != found.asset_id:
            notes.append(f"by its {by} it would be {one.asset!r}")
    return Match(found.asset_id, found.by, "; ".join(notes))


def _listed(rules: Sequence[Rule]) -> str:
    shown = " and ".join(repr(rule.asset) for rule in rules[:_SHOWN])
    return shown if len(rules) <= _SHOWN else f"{shown} and {len(rules) - _SHOWN} more"


def _by_tag(rules: Iterable[Rule], tags: Iterable[str]) -> list[Rule]:
    """Return the assets whose tag is one of these texts, or stands in one as words of its own."""
    texts = [text.casefold() for text in tags]
    return [rule for rule in rules if rule.tag and any(_says(text, rule.tag.casefold()) for text in texts)]


@lru_cache(maxsize=4096)
def _whole_words(tag: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){re.escape(tag)}(?![\w-])")


def _says(text: str, tag: str) -> bool:
    return text == tag or _whole_words(tag).search(text) is not None


def _by_position(rules: Iterable[Rule], position: Sequence[float] | None) -> list[Rule]:
    """Return the assets within whose radius a position lies."""
    if not position:
        return []
    return [rule for rule in rules if rule.distance_m(position[:2]) is not None]
