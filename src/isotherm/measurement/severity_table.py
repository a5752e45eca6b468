"""One severity table: which temperature differences matter, how much, and when it has nothing to say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from isotherm.core.errors import ConfigError
from isotherm.core.findings import Verdict
from isotherm.measurement.operation import Operation
from isotherm.measurement.reference import Comparison

TableComparison = Literal["similar", "ambient", "any", "irradiance", "rated", "absolute"]

ACCEPTED: dict[TableComparison, tuple[Comparison, ...]] = {
    "similar": ("similar",),
    "ambient": ("ambient",),
    "any": ("similar", "ambient"),
    "irradiance": ("similar",),
    "rated": ("ambient",),
    "absolute": (),
}
"""Over what a difference must be taken for a table of each kind; an absolute one judges temperatures themselves."""

_WANTED = {
    "similar": "delta-T over a similar component",
    "ambient": "delta-T over ambient air",
    "any": "delta-T over a similar component or ambient air",
    "irradiance": "delta-T over a similar component",
    "rated": "delta-T over ambient air",
    "absolute": "temperatures themselves",
}


@dataclass(frozen=True)
class Interval:
    """One row of a table: an interval [°C], each end in it or not, with the table's grade and action."""

    low_c: float
    high_c: float
    low_closed: bool
    high_closed: bool
    grade: str
    action: str

    def holds(self, value_c: float) -> bool:
        """Say whether a value lies in this interval."""
        above = value_c >= self.low_c if self.low_closed else value_c > self.low_c
        return above and (value_c <= self.high_c if self.high_closed else value_c < self.high_c)

    def __str__(self) -> str:
        return f"{'(['[self.low_closed]}{self.low_c:g}, {self.high_c:g}{')]'[self.high_closed]}"


@dataclass(frozen=True)
class SeverityTable:
    """Which temperature differences matter, how much, and who says so.

    Parameters
    ----------
    id, title, edition, source, domain
        Name, and where the numbers come from and what equipment they are for.
    comparison
        What is judged: the difference over a similar component under similar load (``similar``), over ambient air
        (``ambient``), over either (``any``); that between solar modules normalised to 1000 W/m² (``irradiance``); how
        far the rise over ambient is above what the equipment may have at its load (``rated``); or the temperature
        itself (``absolute``).
    intervals
        Rising, without hole or overlap, the last one without an upper end.
    min_load_percent, min_irradiance_w_m2
        The load [% of rating] and the irradiance that the table asks for; None where it asks for none.
    refuse_below_percent
        The load below which nothing is judged; `min_load_percent`, where not given. Between the two the verdict says
        that the load was small.
    load_required
        Whether nothing is judged where the load is unknown.
    notes
        What a reader should know about the table.
    """

    id: str
    title: str
    edition: str
    source: str
    domain: str
    comparison: TableComparison
    intervals: tuple[Interval, ...]
    min_load_percent: float | None = None
    refuse_below_percent: float | None = None
    load_required: bool = False
    min_irradiance_w_m2: float | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_intervals(self.id, self.intervals)

    def accepts(self, comparison: Comparison | None) -> bool:
        """Say whether a difference over this is what the table judges."""
        return comparison in ACCEPTED[self.comparison]

    def judge_difference(
        self, delta_t_c: float, comparison: Comparison | None, over: str, operation: Operation
    ) -> Verdict:
        """Judge a difference if it is one that the table is for; `over` says in words what it was taken over."""
        if not self.accepts(comparison):
            return self.not_applicable(f"the table is for {_WANTED[self.comparison]}, not over {over}")
        return self.judge(delta_t_c, operation)

    def judge(self, value_c: float, operation: Operation | None = None) -> Verdict:
        """Say what the table says about a difference over the table's own comparison, or a temperature.

        Where the load is unknown the difference is still judged, with the table's condition in the reason, unless the
        table requires the load: a picture file hardly ever tells the load, and at a smaller load the difference is
        smaller, so the grade can be too mild but is no false alarm. At a known load below the table's least the
        difference says too little, and nothing is judged.

        Parameters
        ----------
        value_c
            The difference as measured [°C]; the temperature for an absolute table.
        operation
            What is known of load and irradiance.

        Returns
        -------
        Verdict
            ``rank`` is the interval's place, 1 for the lowest; 0 with the action "no action" below the first one.
            ``inputs`` holds the numbers that it rests on, ``judged_c`` being the one that was looked up.
        """
        operation = operation or Operation()
        if not math.isfinite(value_c):
            return self.not_applicable("no temperature difference is known")
        judged_c, obstacle, remarks = self._judged(value_c, operation)
        if judged_c is None:
            return self.not_applicable(obstacle, self._inputs(value_c, operation))
        inputs = self._inputs(value_c, operation) | {"judged_c": judged_c}
        for rank, interval in enumerate(self.intervals, start=1):
            if interval.holds(judged_c):
                return self._verdict(interval.grade, rank, interval.action, "; ".join(remarks), inputs)
        unit = "°C" if self.comparison == "absolute" else "K"
        below = f"below the table's first interval {self.intervals[0]} {unit}"
        return self._verdict(None, 0, "no action", "; ".join([below, *remarks]), inputs)

    def not_applicable(self, why: str, inputs: dict[str, float] | None = None) -> Verdict:
        """Return the verdict that this table cannot judge: no grade, no action, and the reason."""
        return self._verdict(None, 0, "", f"criterion not applicable: {why}", inputs or {})

    def _verdict(self, grade: str | None, rank: int, action: str, reason: str, inputs: dict[str, float]) -> Verdict:
        return Verdict(self.id, grade, rank, action, reason, edition=self.edition, source=self.source, inputs=inputs)

    def _inputs(self, value_c: float, operation: Operation) -> dict[str, float]:
        """Return the known numbers that a verdict of this table rests on."""
        known: dict[str, float | None] = {
            "temperature_c" if self.comparison == "absolute" else "delta_t_c": value_c,
            "load_percent": operation.load_percent,
        }
        if self.comparison == "rated" or self._corrects(operation):
            known["load_exponent"] = operation.load_exponent
        if self.comparison == "rated":
            known["rated_rise_c"] = operation.rated_rise_c
        if self.comparison == "irradiance":
            known["irradiance_w_m2"] = operation.irradiance_w_m2
        return {name: value for name, value in known.items() if value is not None}

    def _corrects(self, operation: Operation) -> bool:
        return operation.load_correction == "rated" and self.comparison in ("similar", "ambient", "any")

    def _judged(self, value_c: float, operation: Operation) -> tuple[float | None, str, list[str]]:
        """Return what is looked up, or None and why not, and what to say beside it."""
        obstacle, remarks = self._load(operation.load_percent)
        if obstacle:
            return None, obstacle, []
        if self._corrects(operation):
            return _corrected(value_c, operation, remarks)
        if self.comparison == "irradiance":
            return self._normalised(value_c, operation, remarks)
        if self.comparison == "rated":
            return _over_allowed(value_c, operation, remarks)
        return value_c, "", remarks

    def _load(self, load_percent: float | None) -> tuple[str, list[str]]:
        """Return what forbids a verdict and, where nothing does, what to say beside it."""
        asked = self.min_load_percent
        least = asked if self.refuse_below_percent is None else self.refuse_below_percent
        if load_percent is None:
            if self.load_required:
                return "load unknown", []
            return "", [] if asked is None else [f"load unknown: the table asks for at least {asked:g} % of rating"]
        if least is not None and load_percent < least:
            return f"the load, {load_percent:g} % of rating, is below the {least:g} % that the table asks for", []
        if asked is not None and load_percent < asked:
            return "", [
                f"the table is for at least {asked:g} % of rating: at a load of {load_percent:g} % it is too mild"
            ]
        return "", []

    def _normalised(
        self, value_c: float, operation: Operation, remarks: list[str]
    ) -> tuple[float | None, str, list[str]]:
        given, least = operation.irradiance_w_m2, self.min_irradiance_w_m2
        judged_c = operation.at_standard_irradiance(value_c)
        if given is None or judged_c is None:
            return None, "irradiance unknown", []
        if least is not None and given < least:
            return None, f"the irradiance, {given:g} W/m², is below the {least:g} W/m² that the table asks for", []
        return judged_c, "", [f"{judged_c:.1f} K at 1000 W/m²", *remarks]

    def describe(self) -> dict[str, Any]:
        """Return the table as plain values, in the form of its file."""
        return {
            "id": self.id,
            "title": self.title,
            "edition": self.edition,
            "source": self.source,
            "domain": self.domain,
            "comparison": self.comparison,
            "min_load_percent": self.min_load_percent,
            "refuse_below_percent": self.refuse_below_percent,
            "load_required": self.load_required,
            "min_irradiance_w_m2": self.min_irradiance_w_m2,
            "notes": list(self.notes),
            "intervals": [
                {"interval": str(item), "grade": item.grade, "action": item.action} for item in self.intervals
            ],
        }


def _corrected(value_c: float, operation: Operation, remarks: list[str]) -> tuple[float | None, str, list[str]]:
    judged_c = operation.at_rated_load(value_c)
    if judged_c is None:
        return None, "correction to the rated load needs a load above 0", []
    how = f"corrected from {operation.load_percent:g} % of rating with exponent {operation.load_exponent:g}"
    return judged_c, "", [f"{judged_c:.1f} K at the rated load, {how}", *remarks]


def _over_allowed(value_c: float, operation: Operation, remarks: list[str]) -> tuple[float | None, str, list[str]]:
    allowed_c = operation.allowed_rise_c()
    if allowed_c is None:
        missing = "load unknown" if operation.load_percent is None else "rated temperature rise unknown"
        return None, missing, []
    return value_c - allowed_c, "", [f"at this load a rise of {allowed_c:.1f} K over ambient is allowed", *remarks]


def check_intervals(table: str, intervals: tuple[Interval, ...]) -> None:
    """Check that the intervals of a table rise without hole or overlap to the last one's open end.

    Raises
    ------
    ConfigError
        They do not; the message says where.
    """
    if not intervals:
        raise ConfigError(f"severity table {table}: at least one interval is needed")
    for item in intervals:
        if not item.low_c < item.high_c:
            raise ConfigError(f"severity table {table}: the interval {item} must end above its start")
    for lower, upper in pairwise(intervals):
        if lower.high_c != upper.low_c or lower.high_closed == upper.low_closed:
            raise ConfigError(
                f"severity table {table}: {lower} and {upper} leave a hole or overlap; each must begin where the one "
                "before ends, and exactly one of the two must include that end"
            )
    if not math.isinf(intervals[-1].high_c) or intervals[-1].high_closed:
        raise ConfigError(f"severity table {table}: the last interval must end with 'inf)', not {intervals[-1]}")
