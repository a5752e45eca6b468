"""Which asset an image shows: by a tag in the picture, by rules of file names, by letters, by where it was taken.

A tag goes before a name, a name before letters that were read in the picture, and these before a position. What fits
two assets is matched to neither, and the image says so. People decide by hand, and what they have decided is never
changed by a rule.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from isotherm.core.errors import ConfigError
from isotherm.store.tables import Asset, Site

HAND, TAG, NAME, LETTERS, POSITION = "hand", "tag", "name", "letters", "position"
USUAL_RADIUS_M = 15.0
"""What a position counts within, where the asset says nothing: a few errors of a phone's or drone's GPS."""
LEAST_LETTERS, MANY_LETTERS = 4, 6
"""A tag is looked for among printed letters, which are misread at times, from so many on: with a digit, without."""
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
    """How the images of one asset are told from others; ``version`` is that of the asset."""

    asset_id: str
    asset: str
    name_rule: str = ""
    tag: str = ""
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    radius_m: float | None = None
    version: int = 1

    @cached_property
    def names(self) -> re.Pattern[str] | None:
        """What a file name must be, in any case; None where no name is asked for."""
        patterns = [translate(pattern) for pattern in patterns_of(self.name_rule)]
        return re.compile("|".join(patterns), re.IGNORECASE) if patterns else None

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """Of each pattern the longest piece without wildcards, folded: what each name holds that fits it."""
        return tuple(max(_WILDCARDS.split(fold(one)), key=len) for one in patterns_of(self.name_rule))

    @cached_property
    def examples(self) -> tuple[str, ...]:
        """Of each pattern without ``[...]`` the shortest name that fits it."""
        patterns = patterns_of(self.name_rule.casefold())
        return tuple(one.replace("*", "").replace("?", "0") for one in patterns if "[" not in one)

    @cached_property
    def folded_tag(self) -> str:
        """The tag, for comparisons in any case."""
        return self.tag.casefold()

    def distance_m(self, position: Sequence[float]) -> float | None:
        """Return how far the asset is from a (latitude, longitude); None where it has no position, or is beyond it."""
        if self.latitude_deg is None or self.longitude_deg is None:
            return None
        away = distance_m((self.latitude_deg, self.longitude_deg), position)
        return away if away <= self.reach_m else None

    @property
    def reach_m(self) -> float:
        """What a position counts within [m]."""
        return self.radius_m or USUAL_RADIUS_M


def fold(text: str) -> str:
    """Return a text in which all letters are the same that patterns take for the same in any case."""
    return text.translate(_DOTTED).casefold()


# Patterns take both for an i, unlike Unicode's folding.
_DOTTED = str.maketrans("\u0130\u0131", "ii")
_WILDCARDS = re.compile(r"[*?]|\[!?\]?[^]]*\]")


class Rules:
    """The rules of all assets of a site, found by what an image must hold to fit them; no more than these are tried.

    Parameters
    ----------
    rules
        One for each asset.
    """

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.by_asset = {rule.asset_id: rule for rule in rules}
        self._names, self._tags = _Held(), _Held()
        for rule in self.by_asset.values():
            for piece in rule.pieces:
                self._names.add(piece, rule)
            if rule.tag:
                self._tags.add(rule.folded_tag, rule)
        placed = [rule for rule in self.by_asset.values() if rule.latitude_deg is not None]
        self._placed = sorted(placed, key=_latitude)
        self._reach_deg = math.degrees(max((rule.reach_m for rule in placed), default=0.0) / _EARTH_M)

    def named(self, name: str) -> list[Rule]:
        """Return those whose patterns a file's name fits."""
        folded = fold(name)
        found = self._names.within(folded, range(len(folded)))
        return [rule for rule in found if rule.names and rule.names.match(name)]

    def tagged(self, texts: Iterable[str]) -> list[Rule]:
        """Return those whose tag is one of these texts, or stands in one as words of its own."""
        found = dict[str, Rule]()
        for text in map(str.casefold, texts):
            starts = [place.start() for place in _WORD_BEGINS.finditer(text)]
            ends = frozenset(place.start() for place in _WORD_ENDS.finditer(text))
            found |= {rule.asset_id: rule for rule in self._tags.within(text, starts, ends)}
        return list(found.values())

    def with_tag(self, tag: str) -> list[Rule]:
        """Return those whose tag is this text."""
        return self._tags.of(tag.casefold()) if tag else []

    def near(self, position: Sequence[float] | None) -> list[Rule]:
        """Return those within whose radius a position lies."""
        if not position:
            return []
        # A little more, for rounding.
        reach = self._reach_deg * (1 + 1e-9) + 1e-9
        first = bisect_left(self._placed, position[0] - reach, key=_latitude)
        last = bisect_right(self._placed, position[0] + reach, key=_latitude)
        return [rule for rule in self._placed[first:last] if rule.distance_m(position[:2]) is not None]


_WORD_BEGINS, _WORD_ENDS = re.compile(r"(?<![\w-])"), re.compile(r"(?![\w-])")


class _Held:
    """Rules by a text that something must hold."""

    def __init__(self) -> None:
        self._by_text: dict[str, list[Rule]] = {}
        self._lengths: set[int] = set()

    def add(self, text: str, rule: Rule) -> None:
        self._by_text.setdefault(text, []).append(rule)
        self._lengths.add(len(text))

    def of(self, text: str) -> list[Rule]:
        """Return the rules of one text."""
        return self._by_text.get(text, [])

    def within(self, text: str, starts: Iterable[int], ends: Container[int] | None = None) -> list[Rule]:
        """Return the rules of all texts in this one that begin and end at some places, each once."""
        found = {rule.asset_id: rule for rule in self._by_text.get("", ())}
        for start in starts:
            for length in self._lengths:
                if ends is None or start + length in ends:
                    for rule in self._by_text.get(text[start : start + length], ()):
                        found[rule.asset_id] = rule
        return list(found.values())


def _latitude(rule: Rule) -> float:
    return rule.latitude_deg or 0.0


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


NO_RULES = Rules()


def rules_of(session: Session, site: Site | None) -> Rules:
    """Return the rules of a site's assets; nothing is read where it never had one, or they are known already."""
    if site is None or not site.assets_version:
        return NO_RULES
    # Asked once: another thread may forget them all meanwhile.
    known = _KNOWN.get(site.id)
    if known is None or known[0] != site.assets_version:
        known = site.assets_version, read_rules(session, site.id)
        _know(site.id, known)
    return known[1]


def read_rules(session: Session, site_id: str, *, but: str | None = None) -> Rules:
    """Return the rules of a site's assets as they stand in the database; those that are known are not read again.

    Parameters
    ----------
    but
        The asset that this transaction changes: what is not committed must not be remembered.
    """
    known = _KNOWN.get(site_id, (0, NO_RULES))[1].by_asset
    with session.no_autoflush:
        rows = session.execute(select(Asset.id, Asset.version).where(_telling(site_id)).order_by(Asset.id))
        versions = [(key, version) for key, version in rows if key != but]
        new = [key for key, version in versions if key not in known or known[key].version != version]
        read = {rule.asset_id: rule for rule in _read(session, site_id, new)}
    found = Rules(rule for key, _ in versions if (rule := read.get(key) or known.get(key)) is not None)
    _know(site_id, (0, found))
    return found


_KNOWN: dict[str, tuple[int, Rules]] = {}
"""Site -> the version of its assets (0: not known which) and their rules."""
_MOST_KNOWN, _FEW = 64, 500


def _know(site_id: str, rules: tuple[int, Rules]) -> None:
    if len(_KNOWN) >= _MOST_KNOWN and site_id not in _KNOWN:
        _KNOWN.clear()
    _KNOWN[site_id] = rules


def _telling(site_id: str) -> ColumnElement[bool]:
    """Return the condition of assets whose images can be told."""
    some = or_(Asset.name_rule != "", Asset.tag != "", Asset.latitude_deg.is_not(None))
    return and_(Asset.site_id == site_id, some)


def _read(session: Session, site_id: str, asset_ids: Sequence[str]) -> Iterator[Rule]:
    columns = (
        Asset.id,
        Asset.name,
        Asset.name_rule,
        Asset.tag,
        Asset.latitude_deg,
        Asset.longitude_deg,
        Asset.radius_m,
        Asset.version,
    )
    wanted = Asset.id.in_(asset_ids) if len(asset_ids) <= _FEW else _telling(site_id)
    return (Rule(*row) for row in session.execute(select(*columns).where(wanted)))


def match(rules: Rules, name: str, facts: Mapping[str, Any]) -> Match:
    """Return the asset that an image shows.

    Parameters
    ----------
    rules
        Those of its site.
    name, facts
        The file's own name, and what was found in it (``tags``, ``letters``, ``position``).
    """
    if not rules.by_asset:
        return Match()
    notes = list[str]()
    found = Match()
    for by, fitting in (
        (TAG, rules.tagged(facts.get("tags") or ())),
        (NAME, rules.named(name)),
        (LETTERS, [rule for rule in rules.tagged(facts.get("letters") or ()) if _is_telling(rule.tag)]),
        (POSITION, rules.near(facts.get("position"))),
    ):
        one = fitting[0] if len(fitting) == 1 else None
        if len(fitting) > 1 and not found.asset_id:
            notes.append(f"the {_CALLED[by]} {_listed(fitting)}: narrow a rule, or choose by hand")
        if one is not None and not found.asset_id:
            found = Match(one.asset_id, by)
        elif one is not None and one.asset_id != found.asset_id:
            notes.append(f"by its {by} it would be {one.asset!r}")
    return Match(found.asset_id, found.by, "; ".join(notes))


_CALLED = {by: f"{by} fits" for by in (TAG, NAME, POSITION)} | {LETTERS: "letters in it fit"}


def _is_telling(tag: str) -> bool:
    """Say whether a tag is no word that stands on things by chance, or as which another is read."""
    return len(tag) >= LEAST_LETTERS and (len(tag) >= MANY_LETTERS or any(map(str.isdigit, tag)))


def _listed(rules: Sequence[Rule]) -> str:
    shown = " and ".join(map(repr, sorted(rule.asset for rule in rules)[:_SHOWN]))
    return shown if len(rules) <= _SHOWN else f"{shown} and {len(rules) - _SHOWN} more"
