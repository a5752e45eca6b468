"""The self-test: whether this installation reads, finds, scores, reports and serves, on pictures that it makes itself.

What must come out is known, because the pictures are made: a board of six warm parts, one of which is too hot in the
faulty ones. Each trial says what it found; an error in one, whichever, does not stop the others.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from isotherm.core.errors import DataError, one_line
from isotherm.core.progress import Progress, silent
from isotherm.core.shapes import Box
from isotherm.core.thermogram import Thermogram

HEIGHT, WIDTH = 120, 160
PARTS = tuple((x, y) for y in (30, 80) for x in (25, 75, 125))
"""Upper left corners of the warm parts [px]."""
SIDE = 14
FAULTY, RISE_K = 4, 25.0
"""Which part is too hot in a faulty picture, and by how much."""
NORMALS, JUDGED = 16, 3
OUT = "out"
"""Where, below the folder of the scores, the inspection is."""
FORMS = {"html": "jinja2", "pdf": "typst", "docx": "docx"}
"""The forms of a report, and the packages that write them."""
LEAST_REPORT_BYTES = 5000
MOST_ERROR_K = 0.011
"""PNG of 16 bits has steps of 0.01 K or 0.1 K; of what is written here, 0.01 K."""
Board = Float32[np.ndarray, "H W"]


@dataclass(frozen=True)
class Trial:
    """One part of the self-test: what was tried, whether it went well, what came out, and the time it took [s]."""

    name: str
    passed: bool
    says: str
    seconds: float


def board(seed: int, *, faulty: bool = False) -> Board:
    """Return temperatures of a board [°C]: ambient air, warm parts at some load, a camera's noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    values: Board = 22 + 0.01 * rows + 0.005 * columns + rng.uniform(-1, 1)
    load = rng.uniform(0.8, 1.0)
    for number, (x, y) in enumerate(PARTS):
        rise = 8.0 + 1.5 * number + (RISE_K if faulty and number == FAULTY else 0.0)
        values[y : y + SIDE, x : x + SIDE] += load * rise
    values += rng.normal(0, 0.05, values.shape)
    return values.astype(np.float32)


def self_test(progress: Progress = silent) -> list[Trial]:
    """Run all trials that this installation can run; about ten seconds of one processor."""
    with tempfile.TemporaryDirectory(prefix="isotherm-doctor-") as name:
        trials = list(_trials(Path(name)))
        found = []
        for number, (title, trial) in enumerate(trials, 1):
            found.append(_tried(title, trial))
            progress(number, len(trials), "self-test")
        return found


def _trials(folder: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "read", lambda: reads(folder / "read")
    yield "find", finds
    yield "score", lambda: scores(folder / "score")
    yield "report", lambda: reports(folder / "score" / OUT)
    if all(find_spec(package) for package in ("sqlalchemy", "alembic", "fastapi")):
        yield "serve", lambda: serves(folder / "serve")
    if find_spec("torch"):
        yield "compute on the graphics card", computes


def _tried(name: str, trial: Callable[[], str]) -> Trial:
    started = time.perf_counter()
    try:
        passed, says = True, trial()
    except Exception as error:  # noqa: BLE001 (whatever is wrong with this installation is the answer)
        passed, says = False, f"{type(error).__name__}: {one_line(error)}"
    return Trial(name, passed, says, time.perf_counter() - started)


def reads(folder: Path) -> str:
    """Write a board in three formats and read it again; raises DataError where the temperatures differ."""
    from isotherm.formats import read
    from isotherm.workflows.convert import to_csv, to_png16, to_tiff

    folder.mkdir()
    values, errors = board(0), {}
    for name, written in (("TIFF", to_tiff), ("PNG", to_png16), ("CSV", to_csv)):
        path = folder / f"board.{name.lower()}"
        path.write_bytes(written(_picture(values)))
        errors[name] = float(np.abs(read(path).celsius() - values).max())
    worst = max(errors, key=lambda name: errors[name])
    if not errors[worst] <= MOST_ERROR_K:
        raise DataError(f"{worst}: temperatures differ by {errors[worst]:.3f} K from those written")
    return f"{', '.join(errors)}: within {errors[worst]:.3f} K of what was written"


def finds() -> str:
    """Find the faulty part of a board and its delta-T; raises DataError where they are not as made."""
    from isotherm.hotspots import HOTSPOT_METHODS
    from isotherm.hotspots.measure import HotspotSettings, find_hotspots
    from isotherm.measurement.severity import load_table
    from isotherm.workflows.inspect import SEVERITY

    method, values = HOTSPOT_METHODS.get("region_growing"), board(1, faulty=True)
    found = find_hotspots(
        _picture(values), method, config=method.config_type(), settings=HotspotSettings(), table=load_table(SEVERITY)
    )
    y, x = np.unravel_index(values.argmax(), values.shape)
    if not found or found[0].delta_t_c is None or not _inside(found[0].region.box, int(x), int(y)):
        raise DataError(f"the faulty part at ({x}, {y}) was not found among {len(found)} hot spots")
    expected = float(values.max() - np.median(values))
    if abs(found[0].delta_t_c - expected) > 0.5:
        raise DataError(f"delta-T is {found[0].delta_t_c:.2f} K in place of {expected:.2f} K")
    grade = found[0].severity.grade if found[0].severity else ""
    return f"hot spot at ({x}, {y}), delta-T {found[0].delta_t_c:.1f} K ({expected:.1f} K as made), grade {grade}"


def _picture(values: Board) -> Thermogram:
    from isotherm.workflows.api import thermogram_of

    return thermogram_of(values)


def _inside(box: Box, x: int, y: int) -> bool:
    return box.x <= x < box.x + box.width and box.y <= y < box.y + box.height


def scores(folder: Path) -> str:
    """Learn from healthy boards and inspect others; raises DataError where a faulty one scores below a healthy one."""
    from isotherm.workflows.convert import to_tiff
    from isotherm.workflows.inspect import InspectSettings, inspect
    from isotherm.workflows.train import TrainSettings, train

    for kind, seeds in (("normal", range(NORMALS)), ("healthy", range(100, 100 + JUDGED)), ("faulty", range(200, 203))):
        for seed in seeds:
            path = folder / ("normal" if kind == "normal" else "test") / f"{kind}-{seed}.tiff"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(to_tiff(_picture(board(seed, faulty=kind == "faulty"))))
    model = train(folder / "normal", folder / "model", settings=TrainSettings(image_size=128))
    found = inspect(folder / "test", folder / OUT, model=model, settings=InspectSettings(reports=("html", "csv")))
    return told_apart({each.image: each.anomaly.score for each in found.results if each.anomaly is not None})


def told_apart(by_name: Mapping[str, float]) -> str:
    """Say how far the scores of faulty and healthy boards lie apart; raises DataError where they do not."""
    faulty = [score for name, score in by_name.items() if name.startswith("faulty")]
    healthy = [score for name, score in by_name.items() if name.startswith("healthy")]
    if len(faulty) + len(healthy) != 2 * JUDGED:
        raise DataError(f"{len(by_name)} of {2 * JUDGED} pictures have a score")
    if min(faulty) <= max(healthy):
        raise DataError(f"a faulty board scores {min(faulty):.1f}, a healthy one {max(healthy):.1f}")
    return f"faulty boards score {min(faulty):.1f} and more, healthy ones {max(healthy):.1f} and less"


def reports(inspected: Path) -> str:
    """Write the report of an inspection in each form that can be written here; raises where one fails or is empty."""
    from isotherm.workflows.report import report

    sizes = {form: len(report(inspected, form).data) for form, package in FORMS.items() if find_spec(package)}
    if min(sizes.values()) < LEAST_REPORT_BYTES:
        raise DataError(f"a report is hardly there: {sizes} bytes")
    return ", ".join(f"{form.upper()} of {size // 1000} kB" for form, size in sizes.items())


def serves(folder: Path) -> str:
    """Take a picture in as a server does, decoded in a limited process; raises where that fails."""
    from isotherm.workflows.convert import to_tiff
    from isotherm.workflows.service.service import LOCAL, Limits, Service
    from isotherm.workflows.service.sites import create_site
    from isotherm.workflows.service.taking import Upload, take_in

    with Service.open(folder, f"sqlite:///{folder / 'isotherm.db'}", Limits(children=1)) as service:
        site = create_site(service, LOCAL, "self-test")
        (taken,) = take_in(service, LOCAL, site.id, [Upload("board.tiff", to_tiff(_picture(board(2, faulty=True))))])
        if taken.problem is not None:
            raise taken.problem
        children = service.examinations.pool.children() if service.examinations.pool else []
    walls = ", ".join(wall for _, confined in children for wall in confined)
    return f"picture kept and judged in a process of its own, within {walls or 'no limits'}"


def computes() -> str:
    """Multiply matrices on the first CUDA device, where torch has one; raises DataError where the product is wrong."""
    from isotherm.nn.devices import product_error

    error = product_error()
    if error is None:
        return "torch has no CUDA device here; networks are taught on the processor"
    if error > 0.01:
        raise DataError(f"a product of matrices is wrong by {error:.1%}")
    return f"a product of matrices is right to {error:.1e}"
