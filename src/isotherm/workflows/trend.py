"""The trend of one asset from its files alone, without a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from isotherm.core.config import to_mapping
from isotherm.core.errors import ConfigError, DataError
from isotherm.core.files import csv_of, make_folder, write_whole
from isotherm.core.scene import SceneEdit
from isotherm.core.thermogram import Thermogram
from isotherm.formats.reader import ReadHints
from isotherm.hotspots import HOTSPOT_METHODS
from isotherm.hotspots.measure import HotspotSettings, hot_regions
from isotherm.measurement.asset_trend import UNITS, AssetTrend, Look, trend_of
from isotherm.measurement.registration import View, register, view_of
from isotherm.measurement.trend import Series, TrendSettings
from isotherm.reports.plain import dumps
from isotherm.reports.trend_plot import trend_svg
from isotherm.workflows.image_result import image_result, known_values
from isotherm.workflows.reading import Input, Outcome, list_inputs, printable, read_inputs

METHOD = "region_growing"
OTHER_VIEW = "not the same view"
"""How what is said of a picture's view begins where it does not fit the newest one."""


@dataclass(frozen=True)
class FileTrend:
    """The trend of some files.

    Parameters
    ----------
    trend
        Each row's key is the name of its file; its path, where two have one name.
    views
        Key -> how well its picture fits the newest one, in words; the newest is left out.
    failed
        The files that could not be used.
    """

    trend: AssetTrend
    views: Mapping[str, str]
    failed: tuple[Outcome, ...] = ()


def parse_loads(texts: Sequence[str]) -> dict[str, float]:
    """Read loads written as ``NAME=PERCENT``, by the names of the files; raises ConfigError for anything else."""
    found = {}
    for text in texts:
        name, _, percent = text.rpartition("=")
        try:
            load = float(percent)
        except ValueError:
            load = -1.0
        if not name or not 0 <= load <= 1000:
            raise ConfigError(f"a load is written NAME=PERCENT, such as motor7_1.jpg=85, not {text!r}")
        found[name] = load
    return found


def file_trend(
    paths: Sequence[Path],
    *,
    loads: Mapping[str, float] | None = None,
    rated_rise_k: float | None = None,
    settings: TrendSettings | None = None,
    edit: SceneEdit | None = None,
) -> FileTrend:
    """Return the trend of pictures of one asset, in the order in which they were taken.

    Parameters
    ----------
    paths
        Files and folders.
    loads
        The load of each picture [% of the rated current], by its file's name, or by its path where a name comes twice.
    rated_rise_k
        The rise over the air that the maker allows at the rated current.
    settings, edit
        How inspections are compared; what is changed in the scene of each picture.

    Raises
    ------
    ConfigError
        A load names no file, or several.
    DataError
        No picture could be used.
    """
    pictures, failed = dict[str, tuple[Look, View]](), []
    inputs = _told_apart(list_inputs(paths))
    known = _loads(inputs, loads or {})
    for outcome in read_inputs(inputs, edit=edit or SceneEdit(), hints=ReadHints()):
        try:
            pictures[outcome.name] = _look(outcome, known.get(outcome.path), rated_rise_k)
        except DataError as error:
            failed.append(Outcome(outcome.path, outcome.name, None, str(error)))
    if not pictures:
        raise DataError("no picture could be used: " + "; ".join(f"{one.name}: {one.error}" for one in failed))
    trend = trend_of((look for look, _ in pictures.values()), settings)
    return FileTrend(trend, _views(trend, pictures), tuple(failed))


def _told_apart(inputs: Sequence[Input]) -> list[Input]:
    """Return inputs of which no two have one name: the pictures of an asset often lie in a folder for each date."""
    if len({item.name for item in inputs}) < len(inputs):
        inputs = [replace(item, name=printable(item.path)) for item in inputs]
    return list({item.name: item for item in inputs}.values())


def _loads(inputs: Sequence[Input], loads: Mapping[str, float]) -> dict[Path, float]:
    """Return the load of each file; raises ConfigError for one that is of no file, or of several."""
    found = {}
    for name, load in loads.items():
        paths = [item.path for item in inputs if name in (item.path.name, item.name)]
        if len(paths) != 1:
            wrong = "no file" if not paths else f"{len(paths)} files; write the path that the trend shows"
            raise ConfigError(f"--load {name}={load:g} names {wrong}")
        found[paths[0]] = load
    return found


def _look(outcome: Outcome, load_percent: float | None, rated_rise_k: float | None) -> tuple[Look, View]:
    """Return what one picture says, and its view; raises DataError where it cannot be used."""
    if outcome.thermogram is None:
        raise DataError(outcome.error)
    thermogram = outcome.thermogram
    method, values = HOTSPOT_METHODS.get(METHOD), known_values(thermogram)
    findings, _ = hot_regions(
        thermogram, method, config=method.config_type(), settings=HotspotSettings(), values=values
    )
    result = image_result(outcome.name, thermogram, values=values, findings=findings)
    return Look(_taken_at(thermogram), result, load_percent, key=outcome.name, rated_rise_k=rated_rise_k), view_of(
        values
    )


def _taken_at(thermogram: Thermogram) -> datetime:
    try:
        found = datetime.fromisoformat(thermogram.camera.taken_at)
        # One clock for all files, the server's too; a file that names no zone is taken as it stands.
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise DataError("the file does not say when it was taken, so it has no place in a trend") from error


def _views(trend: AssetTrend, pictures: Mapping[str, tuple[Look, View]]) -> dict[str, str]:
    newest = pictures[trend.rows[-1].look.key][1]
    found = {}
    for row in trend.rows[:-1]:
        fit = register(newest, pictures[row.look.key][1])
        fits = f"same view ({fit.kind}, {fit.correlation:.2f} over {fit.overlap:.0%})"
        found[row.look.key] = fits if fit.accepted else f"{OTHER_VIEW}: {fit.reason}"
    return found


def write_trend(found: FileTrend, folder: Path) -> list[Path]:
    """Write ``trend.json``, ``trend.csv`` and a drawing of each quantity with two values or more; returns the paths."""
    make_folder(folder)
    files = {"trend.json": dumps(plain_trend(found)).encode(), "trend.csv": _table(found)}
    for series in found.trend.series:
        if len(series.samples) > 1:
            files[f"{series.name}.svg"] = trend_svg(series).encode()
    for name, data in files.items():
        write_whole(folder / name, data)
    return [folder / name for name in files]


def plain_trend(found: FileTrend) -> dict[str, Any]:
    """Return a trend as plain values, ready for JSON."""
    return {
        "settings": to_mapping(found.trend.settings),
        "alarms": [one.name for one in found.trend.alarms],
        "above_allowed": found.trend.above_allowed,
        "series": [_series(one) for one in found.trend.series],
        "rows": rows_of(found),
        "failed": [{"file": one.name, "error": one.error} for one in found.failed],
    }


def _series(series: Series) -> dict[str, Any]:
    plain = asdict(series) | {"alarm": series.alarm}
    plain["samples"] = [sample | {"at": sample["at"].isoformat()} for sample in plain["samples"]]
    for name in ("last", "first"):
        change = plain[name]
        plain[name] = change and change | {"since": change["since"].isoformat()}
    return plain


def rows_of(found: FileTrend) -> list[dict[str, Any]]:
    """Return a table: a row for each picture, with standard uncertainties."""
    rows = []
    for row in found.trend.rows:
        plain: dict[str, Any] = {"file": row.look.key, "taken_at": row.look.at.isoformat()}
        plain["load_percent"] = row.look.load_percent
        for name in UNITS:
            sample = getattr(row, name)
            plain[name] = sample and sample.value
            plain[f"{name}_uncertainty"] = sample and sample.uncertainty
        rows.append(
            plain | {"allowed_c": row.allowed_c, "note": row.note, "view": found.views.get(row.look.key, "newest")}
        )
    return rows


def _table(found: FileTrend) -> bytes:
    rows = rows_of(found)
    return csv_of(list(rows[0]), rows)
