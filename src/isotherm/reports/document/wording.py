"""The languages of reports: words of the page, phrases that measuring leaves in English, how numbers are written.

A language is a JSON file in ``languages`` with ``words`` (by key, with ``{name}`` for what is put in) and ``phrases``
(English sentence of a severity table, a note or a reference -> the same in this language; ``{}`` stands for a number or
a name in both, in the same order).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache, cached_property
from importlib.resources import files

from isotherm.core.errors import UnknownNameError

LANGUAGES = {"en": "English", "de": "Deutsch", "es": "Español", "pt": "Português", "zh": "中文"}
_POINT = frozenset({"en", "zh"})
_NUMBER = re.compile(r"-?\d+\.\d+")
_MOMENT = re.compile(
    r"(?<!\d)(?P<day>\d{4}-\d\d-\d\d)(?:T(?P<time>\d\d:\d\d:\d\d)(?:\.\d+)?(?P<zone>Z|[+-]\d\d:\d\d)?)?(?!\d)"
)


@dataclass(frozen=True, eq=False)
class Wording:
    """One language.

    Parameters
    ----------
    language
        Its code, a key of `LANGUAGES`.
    words, phrases
        See the module.
    """

    language: str
    words: Mapping[str, str]
    phrases: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __call__(self, key: str, **values: object) -> str:
        """Return the words of a key, with values put in; raises KeyError for one that is not there."""
        return self.words[key].format(**values)

    def number(self, value: float | None, digits: int = 1, *, sign: bool = False) -> str:
        """Return a number with that many decimals, and a comma where the language has one; empty for None.

        With `sign` a positive one has its sign too.
        """
        if value is None:
            return ""
        text = f"{value:{'+' if sign else ''}.{digits}f}"
        return text if self.language in _POINT else text.replace(".", ",")

    def short(self, value: float, digits: int = 4) -> str:
        """Return a number with at most that many significant digits."""
        text = f"{value:.{digits}g}"
        return text if self.language in _POINT else text.replace(".", ",")

    def day(self, at: date) -> str:
        """Return a date as the language writes it."""
        return at.strftime(self.words["day"])

    def days(self, text: str) -> str:
        """Return a text with its ISO dates and moments (2026-05-06T07:08:09+00:00) written as the language does."""
        return _MOMENT.sub(self._moment, text)

    def _moment(self, found: re.Match[str]) -> str:
        try:
            at = date.fromisoformat(found["day"])
        except ValueError:
            return found[0]
        zone = {"Z": " UTC", "+00:00": " UTC"}.get(found["zone"] or "", f" UTC{found['zone']}" if found["zone"] else "")
        return self.day(at) + (f" {found['time']}{zone}" if found["time"] else "")

    def phrase(self, text: str) -> str:
        """Return an English phrase in this language; as it is where nobody has translated it."""
        if text in self.phrases:
            return self.phrases[text]
        for pattern, translated in self._patterns:
            if found := pattern.fullmatch(text):
                return translated.format(*map(self._localised, found.groups()))
        return text

    def _localised(self, part: str) -> str:
        """Return what is put into a phrase, a number as the language writes it."""
        return part.replace(".", self.words["decimal"]) if _NUMBER.fullmatch(part) else part

    def sentences(self, text: str) -> str:
        """Return phrases that stand with semicolons between in this language."""
        whole = self.phrase(text)
        return "; ".join(map(self.phrase, text.split("; "))) if whole == text else whole

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str]]:
        open_phrases = [(english, text) for english, text in self.phrases.items() if "{}" in english]
        return [(re.compile("(.+?)".join(map(re.escape, english.split("{}")))), text) for english, text in open_phrases]


@cache
def wording(language: str) -> Wording:
    """Return a language; raises UnknownNameError that lists the known ones."""
    if language not in LANGUAGES:
        raise UnknownNameError("language of a report", language, LANGUAGES)
    text = (files("isotherm.reports.document") / "languages" / f"{language}.json").read_text(encoding="utf-8")
    found = json.loads(text)
    return Wording(language, found["words"], found["phrases"])
