"""A benchmark as a TOML file: data sets, methods and seeds, and what their settings are.

::

    seeds = [0, 1, 2]
    root = "$DATA"                  # where relative paths begin; the file's own folder where it is absent

    [evaluation]                    # settings of `isotherm evaluate` for all data sets
    resamples = 500

    [training]                      # settings of training for all
    image_size = 256

    [[data]]
    name = "commutators"
    path = "commutators"            # and layout, masks, groups, protocol, folds ...
    protocol = "kfold"

    [[method]]
    name = "patchcore"              # and any of its settings; each value of a list is a method of its own
    coreset_ratio = [0.01, 0.1]

A setting of a method wins over the same of a data set, and that over the one for all.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.core.config import from_mapping, settings_of, to_mapping
from isotherm.core.errors import ConfigError, UsageError
from isotherm.core.scene import SceneEdit
from isotherm.evaluation.cost import Costs
from isotherm.formats import ReadHints
from isotherm.workflows.evaluate import EvaluateSettings, MethodToJudge
from isotherm.workflows.judging import LabelledSource
from isotherm.workflows.train import TrainSettings

C = TypeVar("C")
Table = Mapping[str, Any]

_TOP = ("seeds", "root", "evaluation", "training", "data", "method")
_PATHS = ("path", "masks", "groups")
_EVALUATION = (EvaluateSettings, Costs)
_READING = (SceneEdit, ReadHints)


@dataclass(frozen=True)
class DataSet:
    """One data set: where it is and how it is split, read and summed up; settings of training that go with it."""

    name: str
    source: LabelledSource
    settings: EvaluateSettings
    costs: Costs
    training: Table


@dataclass(frozen=True)
class MethodVariant:
    """One method with one choice of its settings."""

    label: str
    name: str
    config: object
    training: Table


@dataclass(frozen=True)
class Cell:
    """One evaluation of a benchmark."""

    data: DataSet
    method: MethodVariant
    seed: int
    training: TrainSettings

    @property
    def name(self) -> str:
        """Return what the cell is called in messages."""
        return f"{self.data.name}, {self.method.label}, seed {self.seed}"

    @property
    def folder(self) -> str:
        """Return the name of the folder for its files."""
        return "__".join(
            re.sub(r"[^\w.=+-]+", "-", part) for part in (self.data.name, self.method.label, f"seed{self.seed}")
        )

    def subject(self) -> MethodToJudge:
        """Return the method as `evaluate` takes it."""
        return MethodToJudge(self.method.name, self.method.config, self.training)

    def identity(self) -> dict[str, Any]:
        """Return everything the result depends on, as plain values; the pictures themselves by their folder only."""
        source = self.data.source
        return {
            "data": {name: str(value) if (value := getattr(source, at)) else None for name, at in _SOURCE.items()},
            "reading": {**to_mapping(source.edit), **to_mapping(source.hints)},
            "evaluation": {**to_mapping(self.data.settings), **to_mapping(self.data.costs)},
            "method": self.method.name,
            "config": to_mapping(self.method.config),
            "training": to_mapping(self.training),
            "seed": self.seed,
        }


_SOURCE = {"path": "root", "masks": "masks", "groups": "groups"}


@dataclass(frozen=True)
class Benchmark:
    """Data sets x methods x seeds."""

    data: tuple[DataSet, ...]
    methods: tuple[MethodVariant, ...]
    seeds: tuple[int, ...]
    cells: tuple[Cell, ...]


def read_benchmark(path: Path, *, jobs: int = 2) -> Benchmark:
    """Read and check a benchmark's file.

    Parameters
    ----------
    jobs
        Threads that decode pictures.

    Raises
    ------
    UsageError
        The file cannot be read, is no TOML, names something unknown, or data that are not there.
    """
    try:
        with path.open("rb") as stream:
            table = tomllib.load(stream)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is no TOML: {error}") from error
    try:
        return _benchmark(table, path.parent, jobs)
    except UsageError as error:
        raise (
            type(error)(f"{path}: {error}") if type(error) is ConfigError else UsageError(f"{path}: {error}")
        ) from error


def _benchmark(table: Table, folder: Path, jobs: int) -> Benchmark:
    _check_names(table, _TOP, "the file")
    root = _path(table.get("root", "."), folder, "root")
    shared = _checked(_table(table, "evaluation"), _EVALUATION, "[evaluation]")
    training = _checked(_table(table, "training"), (TrainSettings,), "[training]")
    data = tuple(
        _data_set(entry, f"[[data]] {number}", root, shared, jobs) for number, entry in _entries(table, "data")
    )
    methods = tuple(
        variant for number, entry in _entries(table, "method") for variant in _variants(entry, f"[[method]] {number}")
    )
    _check_distinct([each.name for each in data], "data sets")
    _check_distinct([each.label for each in methods], "methods (give each a label)")
    seeds = _seeds(table.get("seeds", [0]))
    # A first seed of everything comes before a second of anything, so that a look at half of the work shows it all.
    cells = tuple(_cell(each, method, seed, training) for seed in seeds for each in data for method in methods)
    return Benchmark(data, methods, seeds, cells)


def _cell(data: DataSet, method: MethodVariant, seed: int, training: Table) -> Cell:
    place = f"{data.name}, {method.label}"
    settings = _built(TrainSettings, {**training, **data.training, **method.training, "seed": seed}, place)
    return Cell(data, method, seed, settings)


# --- data sets --------------------------------------------------------------------------------------------------------


def _data_set(entry: Table, place: str, root: Path, shared: Table, jobs: int) -> DataSet:
    name = _text(entry, "name", place)
    place = f"{place} ({name})"
    own = ("name", *_PATHS)
    _checked(
        {key: value for key, value in entry.items() if key not in own},
        (*_EVALUATION, *_READING, TrainSettings),
        place,
        own,
    )
    path = _path(_text(entry, "path", place), root, place)
    masks, groups = (_path(entry[key], root, place) if key in entry else None for key in ("masks", "groups"))
    missing = [str(each) for each in (path, masks) if each and not each.is_dir()]
    missing += [str(groups)] if groups and not groups.is_file() else []
    if missing:
        raise UsageError(f"{place}: there is no {' and no '.join(missing)}")
    source = LabelledSource(path, masks, groups, _some(SceneEdit, entry, place), _some(ReadHints, entry, place), jobs)
    settings, costs = (_some(kind, {**shared, **entry}, place) for kind in _EVALUATION)
    assert isinstance(settings, EvaluateSettings)
    assert isinstance(costs, Costs)
    return DataSet(name, source, settings, costs, _part(TrainSettings, entry))


def _path(text: object, root: Path, place: str) -> Path:
    if not isinstance(text, str) or not text:
        raise ConfigError(f"{place}: a path must be a text, not {text!r}")
    unknown = [name for name in re.findall(r"\$\{?(\w+)\}?", text) if name not in os.environ]
    if unknown:
        raise UsageError(f"{place}: {text}: the environment variable {unknown[0]} is not set")
    return root / Path(os.path.expandvars(text)).expanduser()


# --- methods ----------------------------------------------------------------------------------------------------------


def _variants(entry: Table, place: str) -> Iterator[MethodVariant]:
    name = _text(entry, "name", place)
    place = f"{place} ({name})"
    method = ANOMALY_METHODS.get(name)
    given = {key: value for key, value in entry.items() if key not in ("name", "label")}
    varied = {key: value for key, value in given.items() if isinstance(value, list)}
    label = _text(entry, "label", place) if "label" in entry else name
    if empty := [key for key, values in varied.items() if not values]:
        raise ConfigError(f"{place}: {empty[0]} has no value")
    for choice in product(*varied.values()):
        values = given | dict(zip(varied, choice, strict=True))
        _checked(values, (method.config_type, TrainSettings), place, ("name", "label"))
        # A name says enough; a number needs to be told of what.
        parts = [
            value if isinstance(value, str) else f"{key}={value}"
            for key, value in zip(varied, choice, strict=True)
            if len(varied[key]) > 1
        ]
        config: object = _some(method.config_type, values, place)
        yield MethodVariant(" ".join([label, *parts]), name, config, _part(TrainSettings, values))


# --- checks -----------------------------------------------------------------------------------------------------------


def _entries(table: Table, name: str) -> Sequence[tuple[int, Table]]:
    entries = table.get(name, [])
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"at least one [[{name}]] is needed")
    return list(enumerate(entries, start=1))


def _table(table: Table, name: str) -> Table:
    found = table.get(name, {})
    if not isinstance(found, dict):
        raise ConfigError(f"{name} must be a table, [{name}]")
    return found


def _text(entry: Table, key: str, place: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{place}: needs a {key}, as a text" + ("" if value is None else f", not {value!r}"))
    return value


def _seeds(value: object) -> tuple[int, ...]:
    whole = isinstance(value, list) and all(type(each) is int and each >= 0 for each in value)
    if not whole or not value or len(set(value)) < len(value):  # type: ignore[arg-type, call-overload]
        raise ConfigError(f"seeds must be a list of different whole numbers from 0 on, not {value!r}")
    return tuple(value)  # type: ignore[arg-type]


def _check_names(table: Table, known: Sequence[str], place: str) -> None:
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise ConfigError(f"{place}: unknown {', '.join(unknown)}; known: {', '.join(known)}")


def _check_distinct(names: Sequence[str], what: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"two {what} are called {twice[0]!r}")


def _checked(values: Table, kinds: Sequence[type], place: str, also: Sequence[str] = ()) -> Table:
    """Return the values, all of which must be settings of one of these kinds; the seed is the benchmark's own."""
    known = [item.name for kind in kinds for item in settings_of(kind) if (kind, item.name) != (TrainSettings, "seed")]
    _check_names(values, [*also, *known], place)
    return values


def _part(kind: type, values: Table) -> Table:
    names = {item.name for item in settings_of(kind)}
    return {key: value for key, value in values.items() if key in names}


def _some(kind: type[C], values: Table, place: str) -> C:
    return _built(kind, _part(kind, values), place)


def _built(kind: type[C], values: Table, place: str) -> C:
    try:
        return from_mapping(kind, values)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error
