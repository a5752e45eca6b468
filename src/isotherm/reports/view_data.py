"""A thermogram as data of the element ``<thermal-view>``: small, exact, plain JSON.

Temperatures travel as they are in memory (float32, °C). A camera knows few distinct temperatures, one for each count,
so that a picture is a table of them and a 16-bit number for each pixel; differences between neighbours, low bytes
before high bytes, are what deflate packs best. The decoder is ``assets/plane.js``.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from isotherm.core.capture import CameraPalette
from isotherm.core.regions import Values
from isotherm.core.scene import EDGE_NAMES, ZERO_CELSIUS_K, Scene, Source
from isotherm.core.shapes import Marked
from isotherm.core.thermogram import Thermogram
from isotherm.measurement.materials import materials
from isotherm.measurement.severity import SEVERITY_TABLES, load_table
from isotherm.measurement.severity_table import ACCEPTED, Interval
from isotherm.radiometry.planck import PlanckCalibration
from isotherm.radiometry.uncertainty import standard_uncertainty_k
from isotherm.reports import palette
from isotherm.reports.drawing import Span
from isotherm.reports.photos import PlacedPhoto, jpeg, page_photo
from isotherm.reports.value_steps import ValueSteps

MOST_STEPS = 65_536
DEFLATE_LEVEL = 4
"""A quarter of the time of zlib's usual level, and 4 % more bytes (six camera files of 0.05 to 0.3 Mpx)."""
UNCERTAIN_AT = 12
COVERAGE = 2.0
"""Uncertainties are stated as expanded ones, k = 2 (about 95 %)."""
SEVERITY = "neta-similar"
"""The table that judges differences when the page is opened."""
LEAST_SPAN_K, LEAST_SPAN_LEVELS = 0.5, 1.0
Unit = Literal["c", "f", "k"]


@dataclass(frozen=True, eq=False)
class Looks:
    """How a page looks when it is opened; all of it can be changed there.

    Parameters
    ----------
    palette
        A name of `isotherm.reports.palette`, or "camera" where the file holds its camera's own.
    span
        The ends of the colours [°C or levels]; None for this picture's own.
    unit
        The unit that temperatures are shown in.
    photo
        The photo of the same view; None where there is none.
    sidecar
        What the picture's sidecar holds besides its regions; goes into the one that the page saves.
    """

    palette: str = "iron"
    span: Span | None = None
    unit: Unit = "c"
    photo: PlacedPhoto | None = None
    sidecar: Mapping[str, Any] = field(default_factory=dict)


def view_data(name: str, thermogram: Thermogram, looks: Looks) -> dict[str, Any]:
    """Return everything that the element shows, ready for JSON.

    Raises
    ------
    FormatError
        The photo is damaged or too large.
    UnknownNameError
        There is no palette of this name.
    """
    values = thermogram.values()
    known = values[np.isfinite(values)]
    steps = ValueSteps.of(values, thermogram.counts)
    tables, plane = _palettes(thermogram), encode_plane(values, steps)
    return {
        "name": name,
        "digest": thermogram.digest,
        "kind": kind_of(thermogram),
        "unit": looks.unit,
        "plane": plane,
        "physics": _physics(thermogram, steps) if plane["encoding"] == "table" else None,
        "materials": [[row.name, row.emissivity, row.sigma] for row in materials().values()],
        "palettes": tables,
        "palette": looks.palette if looks.palette in tables else _known(looks.palette),
        "span": _ends(looks.span or own_span(values, radiometric=thermogram.radiometric)),
        "spans": _spans(thermogram, values, looks.span),
        "stored": _stored(thermogram),
        "regions": [_region(marked, thermogram, steps) for marked in thermogram.regions],
        "deltas": list(looks.sidecar.get("deltas", ())),
        "isotherms": list(looks.sidecar.get("isotherms", ())),
        "sidecar": _kept(thermogram, looks.sidecar),
        "ambient_c": _ambient_c(thermogram),
        "severity": _severity_tables() if thermogram.radiometric else [],
        "severity_table": SEVERITY,
        "uncertainty": _uncertainty(thermogram, steps) if known.size else None,
        "photo": page_photo(looks.photo) if looks.photo else None,
    }


def kind_of(thermogram: Thermogram) -> str:
    """Return what the values are: "measured" or "estimated" temperatures, or "levels" of grey."""
    if not thermogram.radiometric:
        return "levels"
    return "estimated" if thermogram.estimated else "measured"


def encode_plane(values: Values, steps: ValueSteps | None = None) -> dict[str, Any]:
    """Return values (H W) float32, NaN where a pixel has none, as ``{encoding, width, height, data[, table]}``.

    ``table``: ``data`` holds uint16 indexes into ``table`` (float32), each less the one before it (modulo 65536) with
    the sign last (0, -1, 1, -2 ... as 0, 1, 2, 3 ...), the low bytes of all pixels and then their high bytes.
    ``float32``: the four bytes of all values, lowest first. All little-endian, deflated (zlib), base64.
    """
    height, width = values.shape
    size = {"width": width, "height": height}
    steps = steps or ValueSteps.of(values)
    table = steps.table
    if table.size > MOST_STEPS:
        planes = np.ascontiguousarray(values, dtype="<f4").view(np.uint8).reshape(-1, 4).T
        return {"encoding": "float32", **size, "data": _packed(planes.tobytes())}
    # As int16, a step over more than half the table wraps round, and wraps back when the steps are summed.
    changes = np.diff(steps.indexes.astype(np.uint16), prepend=np.uint16(0)).view(np.int16)
    planes = ((changes << 1) ^ (changes >> 15)).astype("<i2").view(np.uint8).reshape(-1, 2).T
    return {"encoding": "table", **size, "data": _packed(planes.tobytes()), "table": _table(table)}


def _packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, DEFLATE_LEVEL)).decode()


def _table(values: Float[np.ndarray, " K"]) -> str:
    return _packed(values.astype("<f4").tobytes())


def own_span(values: Values, *, radiometric: bool) -> Span:
    """Return the span in which a picture is shown by itself: all but a few extreme pixels; all grey levels."""
    return Span.of(values, least=LEAST_SPAN_K) if radiometric else Span.of(values, least=LEAST_SPAN_LEVELS)


def _ends(span: Span) -> list[float]:
    return [span.low, span.high]


def _spans(thermogram: Thermogram, values: Values, fixed: Span | None) -> dict[str, list[float]]:
    """Return the spans that can be chosen, by the text of their button."""
    spans = {"auto": own_span(values, radiometric=thermogram.radiometric)}
    if fixed is not None:
        spans["set"] = fixed
    known = values[np.isfinite(values)]
    if known.size and known.min() < known.max():
        spans["full"] = Span(float(known.min()), float(known.max()))
    camera = thermogram.display_span_c()
    if camera is not None and np.isfinite(camera).all() and camera[0] < camera[1]:
        spans["camera"] = Span(*camera)
    return {name: _ends(span) for name, span in spans.items()}


def _palettes(thermogram: Thermogram) -> dict[str, str]:
    tables = {name: palette.table(name) for name in palette.FOR_TEMPERATURES}
    if thermogram.palette is not None and len(thermogram.palette.colours):
        tables["camera"] = camera_table(thermogram.palette)
    return {name: base64.b64encode(table.tobytes()).decode() for name, table in tables.items()}


def camera_table(colours: CameraPalette) -> palette.Table:
    """Return the camera's own palette as 256 colours."""
    places = np.linspace(0, len(colours.colours) - 1, 256).round().astype(int)
    table: palette.Table = colours.colours[places]
    return table


def _known(name: str) -> str:
    # Asked for "camera" where the file holds none, a page still opens; an unknown name is an error.
    palette.check_for_temperatures(name, others=["camera"])
    return "iron" if name == "camera" else name


def _stored(thermogram: Thermogram) -> str | None:
    """Return the picture in its own colours where it is a coloured one without measured temperatures."""
    return jpeg(thermogram.colour) if thermogram.colour is not None else None


def _region(marked: Marked, thermogram: Thermogram, steps: ValueSteps) -> dict[str, Any]:
    found = {
        "label": marked.label,
        "shape": type(marked.shape).__name__.lower(),
        **asdict(marked.shape),
        "origin": marked.origin,
    }
    if marked.edit is None or not thermogram.radiometric:
        return found
    changed = {key: value for key, value in asdict(marked.edit).items() if value is not None}
    table = _table_through(thermogram.edited(marked.edit, Source.USER).celsius(), steps)
    words = ", ".join(f"{key} {value:g}" for key, value in changed.items())
    note = f"with {words}" if table else f"{words} set for it changes nothing here: see isotherm measure"
    return {**found, "scene": changed, "note": note, **({"table": table} if table else {})}


def _table_through(changed: Values, steps: ValueSteps) -> str | None:
    """Return another scene's temperature for each step of `encode_plane`; None where it is no function of the step."""
    if steps.table.size > MOST_STEPS:
        return None
    other = np.empty_like(steps.table)
    other[steps.indexes] = changed.ravel()
    same = np.isclose(other[steps.indexes], changed.ravel(), rtol=0, atol=1e-3, equal_nan=True)
    return _table(other) if same.all() else None


def _physics(thermogram: Thermogram, steps: ValueSteps) -> dict[str, Any] | None:
    """Return what the page needs to compute temperatures anew: constants, counts of the steps, scene; None without."""
    calibration = thermogram.calibration
    if not isinstance(calibration, PlanckCalibration) or calibration.formula != "single-path":
        return None
    scene = {name: _typed(name, thermogram.scene) for name in EDGE_NAMES}
    if not all(map(math.isfinite, scene.values())):
        return None
    counts = thermogram.counts.ravel()[steps.first].astype(np.float32)
    # Counts without a temperature stay without one: several may share the one step that they have.
    counts[~np.isfinite(steps.table)] = np.nan
    return {
        "planck": {name: getattr(calibration, name) for name in ("r1", "r2", "b", "f", "o")},
        "air": asdict(calibration.atmosphere),
        "counts": _table(counts),
        "scene": scene,
    }


def _typed(name: str, scene: Scene) -> float:
    edge = EDGE_NAMES[name]
    return round((scene.params()[edge.scene].value - edge.offset) * edge.per_unit, 9)


def _kept(thermogram: Thermogram, sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page's sidecar holds at first: all that the user has set, by sidecar or by flag."""
    params = thermogram.scene.params()
    user = [name for name, edge in EDGE_NAMES.items() if params[edge.scene].source == Source.USER]
    scene = {name: _typed(name, thermogram.scene) for name in user}
    rest = {key: sidecar[key] for key in ("sigma", "material") if key in sidecar}
    return {**({"scene": scene} if scene else {}), **rest}


@cache
def _severity_tables() -> list[dict[str, Any]]:
    """Return the tables that can judge a difference between two places of one picture."""
    every = (load_table(name) for name in SEVERITY_TABLES)
    return [
        {
            "id": table.id,
            "title": table.title,
            "accepts": list(ACCEPTED[table.comparison]),
            "min_load_percent": table.min_load_percent,
            "intervals": [_row(interval) for interval in table.intervals],
        }
        for table in every
        if table.comparison in ("similar", "ambient", "any")
    ]


def _row(interval: Interval) -> dict[str, Any]:
    return {
        "low": interval.low_c,
        "high": interval.high_c if math.isfinite(interval.high_c) else None,
        "low_closed": interval.low_closed,
        "high_closed": interval.high_closed,
        "grade": interval.grade,
        "action": interval.action,
    }


def _ambient_c(thermogram: Thermogram) -> float | None:
    atmosphere = thermogram.scene.atmosphere_k
    said = thermogram.radiometric and atmosphere.source != Source.ASSUMED
    if not said or not math.isfinite(atmosphere.value):
        return None
    return float(atmosphere.value - ZERO_CELSIUS_K)


def _uncertainty(thermogram: Thermogram, steps: ValueSteps) -> dict[str, list[float]] | None:
    """Return the expanded uncertainty [K] at temperatures [°C] over the picture's range; None where it is not known."""
    if not thermogram.radiometric:
        return None
    finite = np.isfinite(steps.table)
    known, first = steps.table[finite], steps.first[finite]
    wanted = np.linspace(known[0], known[-1], UNCERTAIN_AT)
    found = {}
    for step in np.minimum(np.searchsorted(known, wanted), known.size - 1):
        y, x = divmod(int(first[step]), thermogram.size[1])
        sigma = standard_uncertainty_k(thermogram, (x, y))
        if sigma is None or not math.isfinite(sigma):
            return None
        found[float(known[step])] = COVERAGE * sigma
    return {"at_c": list(found), "expanded_k": list(found.values())}
