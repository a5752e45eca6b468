"""The seam of map methods: a sequence in, named pictures out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from isotherm.core.errors import DataError
from isotherm.sequences.recording import NO_TIMES
from isotherm.sequences.stack import ThermalSequence

Wanted = Literal["cooling", "whole"]


@dataclass(frozen=True, eq=False)
class MapStack:
    """Named maps of one sequence.

    Parameters
    ----------
    values
        (K H W); NaN where a pixel has no number in some frame, or none can be given.
    names
        One for each map, in lower case: ``ppt_phase_1``.
    units
        One for each map; ``1`` where it has none.
    method
        Which method made them.
    details
        What else it found: frequencies, share of variance, curves of components.
    notes
        What was assumed, for the user.
    """

    values: Float32[np.ndarray, "K H W"]
    names: tuple[str, ...]
    units: tuple[str, ...]
    method: str
    details: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.values) == len(self.names) == len(self.units):
            raise ValueError(f"{len(self.values)} maps, {len(self.names)} names, {len(self.units)} units")

    def __getitem__(self, name: str) -> Float32[np.ndarray, "H W"]:
        """Return the map of this name; raises DataError where there is none."""
        if name not in self.names:
            raise DataError(f"no map {name!r}; there are {', '.join(self.names)}")
        found: Float32[np.ndarray, "H W"] = self.values[self.names.index(name)]
        return found


@runtime_checkable
class MapMethod(Protocol):
    """One way to turn a sequence into maps."""

    name: str
    config_type: type
    """A frozen dataclass of `isotherm.core.config.setting` fields; the single source of the command's flags."""
    wants: Wanted
    """Frames behind the flash, with times that count from it; or the whole recording (periodic heating)."""

    def maps(self, sequence: ThermalSequence, config: Any) -> MapStack:
        """Return the maps.

        Parameters
        ----------
        sequence
            The prepared sequence; what the method needs of it (times, a subtracted cold frame) is in its docstring.
        config
            An instance of ``config_type``.

        Raises
        ------
        DataError
            The sequence cannot be used for it; the message says what would help.
        """
        ...


def required_times(sequence: ThermalSequence, method: str) -> None:
    """Raise DataError where the times of the frames are not known."""
    if not sequence.timed:
        doubts = "".join(f"; {note}" for note in sequence.notes if note.endswith(NO_TIMES))
        raise DataError(
            f"{method} needs the time of each frame of {sequence.name}{doubts}; give times or a frame rate "
            "(--frame-rate-hz)"
        )
