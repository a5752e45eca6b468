"""Temperature differences as objects: what is compared with what, how much, how sure, how severe.

Written as people would::

    a.max - b.max               two regions; without a statistic the mean of a spot, the maximum of everything else
    a - ambient                 over the temperature of the air in the scene
    a - 21.5                    over a known temperature [°C]
    a - median(b, c, d)         over the median of similar regions
    left-right(a)               the left half of a region (or of the picture: left-right(image)) less its right half
    phases(a, b, c)             three (or more) phases: each hotter one less the coolest
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from isotherm.core.errors import ConfigError
from isotherm.core.findings import Verdict
from isotherm.core.scene import ZERO_CELSIUS_K, Param, Source
from isotherm.measurement.budgets import Measured, Term, combined
from isotherm.measurement.operation import Operation
from isotherm.measurement.readings import STATISTICS, Statistic
from isotherm.measurement.reference import Comparison, air_not_known
from isotherm.measurement.severity import SeverityTable
from isotherm.radiometry.uncertainty import Uncertainty, UncertaintySettings

HALVES = (" (left half)", " (right half)")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Side:
    """One side of a difference: regions (several: their median), the air, or a known temperature [°C]."""

    kind: Literal["region", "median", "ambient", "constant"]
    labels: tuple[str, ...] = ()
    statistic: Statistic | None = None
    value_c: float = math.nan


@dataclass(frozen=True)
class Comparing:
    """A difference as it was asked for; without a right side each region of the left one less the coolest of them."""

    text: str
    left: Side
    right: Side | None = None

    @property
    def halved(self) -> tuple[str, ...]:
        """The labels of regions whose halves are needed."""
        labels = (*self.left.labels, *(self.right.labels if self.right else ()))
        return tuple(dict.fromkeys(label.removesuffix(HALVES[0]) for label in labels if label.endswith(HALVES[0])))


@dataclass(frozen=True)
class Delta:
    """A temperature difference [K] with its budget.

    ``comparison`` is the one of severity tables that it makes, None for a known temperature; ``significant`` says that
    the difference is larger than its expanded uncertainty.
    """

    text: str
    left: str
    left_c: float
    right: str
    right_c: float
    value_k: float
    comparison: Comparison | None
    uncertainty: Uncertainty
    verdict: Verdict | None = None
    note: str = ""

    @property
    def significant(self) -> bool:
        """Whether the difference is larger than its expanded uncertainty."""
        return abs(self.value_k) > self.uncertainty.expanded_k


def parse_delta(text: str, labels: Sequence[str]) -> Comparing:
    """Read a difference; see the module's text.

    Parameters
    ----------
    text
        What is compared.
    labels
        The regions that there are.

    Raises
    ------
    ConfigError
        No difference, or a region that does not exist.
    """
    reader = _Reader(text, labels)
    if reader.calls("phases"):
        found = Comparing(text, reader.several(least=3))
    elif reader.calls("left-right"):
        region = reader.several(least=1, most=1)
        left, right = (Side("region", (region.labels[0] + half,), region.statistic) for half in HALVES)
        found = Comparing(text, left, right)
    else:
        left = reader.side()
        reader.expects("-")
        found = Comparing(text, left, reader.side())
    reader.ends()
    return found


class _Reader:
    """Reads a difference from left to right; regions are known by name, so a name may hold blanks and signs."""

    def __init__(self, text: str, labels: Sequence[str]) -> None:
        self._text, self._rest = text, text.strip()
        self._known = labels
        self._labels = sorted(labels, key=len, reverse=True)

    def side(self) -> Side:
        if self.calls("median"):
            several = self.several(least=2)
            return Side("median", several.labels, several.statistic)
        label = self._label()
        if label is not None:
            return Side("region", (label,), self._statistic())
        if self.takes("ambient"):
            return Side("ambient")
        number = _NUMBER.match(self._rest)
        if number is None:
            raise self._wrong("a region, 'ambient', 'median(a, b, ...)' or a temperature is missing")
        self._rest = self._rest[number.end() :].lstrip()
        return Side("constant", value_c=float(number.group()))

    def several(self, *, least: int, most: int | None = None) -> Side:
        """Read regions in brackets, and a statistic after them that goes for all."""
        self.expects("(")
        labels = [self._needed_label()]
        while self.takes(","):
            labels.append(self._needed_label())
        self.expects(")")
        if not least <= len(labels) <= (most or len(labels)) or len(set(labels)) < len(labels):
            raise self._wrong(f"{least if most else f'{least} or more'} different regions are needed in the brackets")
        return Side("region", tuple(labels), self._statistic())

    def takes(self, word: str) -> bool:
        """Go past a word where it comes next, and does not go on."""
        after = self._rest[len(word) : len(word) + 1]
        goes_on = word[-1].isalnum() and (after.isalnum() or after == "_")
        if not self._rest.startswith(word) or goes_on:
            return False
        self._rest = self._rest[len(word) :].lstrip()
        return True

    def calls(self, word: str) -> bool:
        """Go past a word that is followed by a bracket; else it may be part of a region's name."""
        return self._rest.removeprefix(word).lstrip().startswith("(") and self.takes(word)

    def expects(self, word: str) -> None:
        if not self.takes(word):
            raise self._wrong(f"{word!r} is missing before {self._rest!r}" if self._rest else f"{word!r} is missing")

    def ends(self) -> None:
        if self._rest:
            raise self._wrong(f"{self._rest!r} is too much")

    def _label(self) -> str | None:
        return next((label for label in self._labels if self.takes(label)), None)

    def _needed_label(self) -> str:
        label = self._label()
        if label is None:
            raise self._wrong(f"no region at {self._rest!r}")
        return label

    def _statistic(self) -> Statistic | None:
        if not self.takes("."):
            return None
        found = next((name for name in STATISTICS if self.takes(name)), None)
        if found is None:
            raise self._wrong(f"a statistic is one of {', '.join(STATISTICS)}")
        return found

    def _wrong(self, why: str) -> ConfigError:
        known = ", ".join(self._known)
        return ConfigError(
            f"the difference {self._text!r} is not understood: {why}; write a.max-b.max, a-ambient, a-21.5, "
            f"a-median(b,c), left-right(a) or phases(a,b,c) with regions among: {known}"
        )


@dataclass(frozen=True)
class Comparer:
    """Evaluates differences between measured regions, and judges them by a severity table where one is given.

    Parameters
    ----------
    measured
        The regions by label.
    settings
        How uncertainties are stated.
    table, operation
        The severity table, or None; what is known of load and irradiance.
    """

    measured: Mapping[str, Measured]
    settings: UncertaintySettings
    table: SeverityTable | None = None
    operation: Operation = field(default_factory=Operation)

    def deltas(self, asked: Comparing) -> list[Delta]:
        """Return the difference that was asked for; several where phases are compared, the largest first."""
        if asked.right is not None:
            return [self._delta(asked.text, asked.left, asked.right)]
        ranked = sorted(self._each(asked.left), key=self._celsius)
        coolest = ranked[0]
        return [self._delta(f"{_words(side)} - {_words(coolest)}", side, coolest) for side in ranked[:0:-1]]

    def _delta(self, text: str, left: Side, right: Side) -> Delta:
        terms = [*self._terms(left, 1.0), *self._terms(right, -1.0)]
        if not terms:
            raise ConfigError(f"the difference {text!r} holds no region")
        left_c, right_c = self._celsius(left), self._celsius(right)
        comparison = _comparison(left, right)
        air = float((left.kind == "ambient") - (right.kind == "ambient"))
        uncertainty = combined(terms, self.settings, air=air)
        value = left_c - right_c
        return Delta(
            text=text,
            left=_words(left),
            left_c=left_c,
            right=_words(right),
            right_c=right_c,
            value_k=value,
            comparison=comparison,
            uncertainty=uncertainty,
            verdict=self._verdict(value, comparison),
            note=self._note(value, uncertainty, left, right),
        )

    def _verdict(self, value_k: float, comparison: Comparison | None) -> Verdict | None:
        if self.table is None:
            return None
        obstacle = air_not_known(self._scene_air()) if comparison == "ambient" else ""
        if obstacle and self.table.accepts(comparison):
            return self.table.not_applicable(obstacle)
        over = {"similar": "another region", "ambient": "ambient air", None: "a known temperature"}[comparison]
        return self.table.judge_difference(value_k, comparison, over, self.operation)

    def _note(self, value_k: float, uncertainty: Uncertainty, left: Side, right: Side) -> str:
        notes = []
        if math.isnan(uncertainty.standard_k):
            notes.append("its uncertainty is not known: it may be none")
        elif not abs(value_k) > uncertainty.expanded_k:
            notes.append(
                f"smaller than its expanded uncertainty of {uncertainty.expanded_k:.2f} K "
                f"(k = {uncertainty.coverage:g}): it may be none"
            )
        if "ambient" in (left.kind, right.kind):
            source = self._scene_air().source
            if source in (Source.ASSUMED, Source.CAMERA_DEFAULT):
                notes.append(f"the air temperature is {source.replace('-', ' ')}, not measured")
        return "; ".join(notes)

    def _scene_air(self) -> Param:
        return self.measured["image"].reading.scene.atmosphere_k

    def _celsius(self, side: Side) -> float:
        if side.kind == "constant":
            return side.value_c
        if side.kind == "ambient":
            return self._scene_air().value - ZERO_CELSIUS_K
        return sum(abs(term.weight) * term.measured.reading.celsius(term.statistic) for term in self._terms(side, 1.0))

    def _terms(self, side: Side, sign: float) -> list[Term]:
        """Return a side as a weighted sum of regions: of several, the one or two in the middle."""
        if side.kind in ("constant", "ambient"):
            return []
        each = [self._term(label, side.statistic, sign) for label in side.labels]
        each.sort(key=lambda term: term.measured.reading.celsius(term.statistic))
        middle = each[(len(each) - 1) // 2 : len(each) // 2 + 1]
        return [replace(term, weight=sign / len(middle)) for term in middle]

    def _term(self, label: str, statistic: Statistic | None, sign: float) -> Term:
        measured = self.measured[label]
        return Term(measured, statistic or measured.reading.usual, sign)

    def _each(self, side: Side) -> list[Side]:
        return [replace(side, labels=(label,)) for label in side.labels]


def _comparison(left: Side, right: Side) -> Comparison | None:
    kinds = {left.kind, right.kind}
    if "constant" in kinds:
        return None
    return "ambient" if "ambient" in kinds else "similar"


def _words(side: Side) -> str:
    if side.kind == "constant":
        return f"{side.value_c:g} °C"
    if side.kind == "ambient":
        return "ambient"
    statistic = f".{side.statistic}" if side.statistic else ""
    labels = ", ".join(side.labels)
    return f"median({labels}){statistic}" if side.kind == "median" else labels + statistic
