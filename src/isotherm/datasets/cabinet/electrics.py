"""Load, ambient and faults of one inspection: what every pole carries, and how good every contact is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from isotherm.core.errors import ConfigError, UnknownNameError
from isotherm.datasets.cabinet.geometry import RATINGS_A, Cabinet, pole

FaultKind = Literal["loose_joint", "overload", "imbalance"]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)

AMBIENT_C = (18.0, 32.0)
LOAD = (0.3, 1.0)
"""Range from which the load is drawn, as a fraction of the rated currents."""
TRIP_LIMIT = 1.45
"""A breaker trips within the hour at this multiple of its rated current (IEC 60898-1): none stays above it."""
LOOSE_JOINT = (10.0, 50.0)
"""Contact resistance of the slightest and of the gravest loose joint, as a multiple of a sound one's."""
_CIRCUIT_SPREAD, _PHASE_SPREAD, _CONTACT_SPREAD = 0.08, 0.02, 0.2


@dataclass(frozen=True)
class Fault:
    """One fault, at one place.

    Parameters
    ----------
    kind
        ``loose_joint``: one terminal's contact resistance is `factor` times a sound one's, 10 to 50.
        ``overload``: all phases of one circuit carry `factor` times its rated current, 1.10 to 1.45.
        ``imbalance``: one phase of one circuit carries `factor` times its rated current: what it did and a single-phase
        consumer of 0.3 to 0.9 of the rated current beside it, never more than 1.45.
    circuit, phase
        Where, counted from 0. An overload concerns all phases.
    side
        0 line side, 1 load side of a loose joint's breaker.
    severity
        0 to 1: where in its range the fault lies.
    """

    kind: FaultKind
    circuit: int
    phase: int
    side: int
    severity: float
    factor: float


@dataclass(frozen=True, eq=False)
class Conditions:
    """The electrical state: currents of the poles [A] and the factors of all resistances."""

    ambient_c: float
    load: float
    amperes: Float[np.ndarray, " 27"]
    ohm_factors: Float[np.ndarray, " E"]


def draw_conditions(cabinet: Cabinet, rng: np.random.Generator, load: float | None = None) -> Conditions:
    """Draw a healthy state; `load` (a fraction of the rated currents) is drawn too unless it is given."""
    ambient_c, drawn = rng.uniform(*AMBIENT_C), rng.uniform(*LOAD)
    load = drawn if load is None else load
    circuits = np.clip(load * rng.normal(1, _CIRCUIT_SPREAD, len(RATINGS_A)), 0, 1)
    phases = rng.normal(1, _PHASE_SPREAD, (len(RATINGS_A), 3))
    factors = np.ones(len(cabinet.elements))
    factors[list(cabinet.contacts.values())] = rng.lognormal(0, _CONTACT_SPREAD, len(cabinet.contacts))
    amperes = (np.array(RATINGS_A) * circuits)[:, None] * phases
    return Conditions(float(ambient_c), float(load), amperes.ravel(), factors)


def draw_fault(kind: str, conditions: Conditions, rng: np.random.Generator, severity: float | None = None) -> Fault:
    """Draw the place of a fault, and its severity (0 to 1) unless that is given.

    Raises
    ------
    UnknownNameError
        No such kind.
    ConfigError
        `severity` lies outside 0 to 1.
    """
    circuit, phase, side = (int(rng.integers(end)) for end in (len(RATINGS_A), 3, 2))
    drawn = float(rng.uniform())
    severity = drawn if severity is None else severity
    if not 0 <= severity <= 1:
        raise ConfigError(f"severity must be from 0 to 1, not {severity:g}")
    if kind == "loose_joint":
        slight, grave = LOOSE_JOINT
        return Fault("loose_joint", circuit, phase, side, severity, slight * (grave / slight) ** severity)
    if kind == "overload":
        return Fault("overload", circuit, phase, side, severity, 1.1 + (TRIP_LIMIT - 1.1) * severity)
    if kind == "imbalance":
        current = float(conditions.amperes[pole(circuit, phase)]) / RATINGS_A[circuit]
        factor = min(current + 0.3 + 0.6 * severity, TRIP_LIMIT)
        return Fault("imbalance", circuit, phase, side, severity, factor)
    raise UnknownNameError("fault", kind, FAULT_KINDS)


def with_fault(cabinet: Cabinet, healthy: Conditions, fault: Fault) -> Conditions:
    """Return the same state with the fault in it."""
    amperes, factors = healthy.amperes.copy(), healthy.ohm_factors.copy()
    circuit = slice(3 * fault.circuit, 3 * fault.circuit + 3)
    rating = RATINGS_A[fault.circuit]
    if fault.kind == "loose_joint":
        # `factor` counts from a contact as built, whatever this one was.
        factors[cabinet.contacts[fault.circuit, fault.phase, fault.side]] = fault.factor
    elif fault.kind == "overload":
        mean = amperes[circuit].mean()
        amperes[circuit] = fault.factor * rating * (amperes[circuit] / mean if mean > 0 else 1)
    else:
        amperes[pole(fault.circuit, fault.phase)] = fault.factor * rating
    return replace(healthy, amperes=amperes, ohm_factors=factors)
