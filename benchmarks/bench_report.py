"""How long reports take: 300 faults as PDF, page and document, and drawing them from files of real size.

    python benchmarks/bench_report.py [--faults 300] [--pictures 24]

First typesetting alone: the pictures are drawn beforehand. Then whole reports of made-up FLIR files of 640x512 px, each
with a photo of 5 MP in it, about as large as those of a T640 (1.1 MB): drawn anew, and again with what was kept beside
the run; and what reading and drawing one of them costs. Each form runs in a fresh process, because typst remembers what
it has set. ``cpu_s`` is that of all threads; ``wall_s`` says little on a busy machine.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from isotherm.core.findings import ImageResult, Inspection
from isotherm.reports.document import LAYOUTS
from isotherm.reports.document.building import build_document
from isotherm.reports.document.content import FaultPictures, Figure
from isotherm.reports.document.layout import Template
from isotherm.reports.document.pictures import BOX, Pictured, draw
from isotherm.testing.reports import sample_reports
from isotherm.workflows.inspect import InspectSettings, inspect
from isotherm.workflows.reading import read_many
from isotherm.workflows.report import ReportSettings, report
from isotherm.workflows.report_cache import FOLDER
from isotherm.workflows.visual import photo_of

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from thermal_files import FlirFile, encoded

REGIONS = 10
FORMS_WITH_PICTURES = ("pdf", "html", "docx")
WIDTH, HEIGHT, PHOTO_SIZE = 640, 512, (2592, 1944)
PHOTO_RECORD = 0x0E


def picture(seed: int) -> bytes:
    """Return a JPEG of 480x360 px with as much in it as a thermal picture has."""
    coarse = np.random.default_rng(seed).integers(0, 255, (15, 20, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(coarse).resize((480, 360)).save(stream, "JPEG", quality=85)
    return stream.getvalue()


def inspection(faults: int) -> Inspection:
    sample = sample_reports()["hotspots"].inspection
    hot = next(result for result in sample.results if result.image == "hot.jpg")
    hot = replace(hot, findings=hot.findings * REGIONS)
    return replace(sample, results=tuple(replace(hot, image=f"IR_{number:05}.jpg") for number in range(faults)))


def pictures(results: tuple[ImageResult, ...]) -> dict[str, FaultPictures]:
    return {
        result.image: FaultPictures(
            Figure(picture(2 * number), "jpeg", "thermal picture", "caption"),
            Figure(picture(2 * number + 1), "jpeg", "photo", "caption"),
        )
        for number, result in enumerate(results)
    }


def timed(what: str, faults: int, make: Callable[[], bytes]) -> dict[str, object]:
    wall, cpu = time.perf_counter(), time.process_time()
    data = make()
    cpu_s = time.process_time() - cpu
    return {
        "what": what,
        "faults": faults,
        "wall_s": round(time.perf_counter() - wall, 2),
        "cpu_s": round(cpu_s, 2),
        "cpu_ms_a_fault": round(1000 * cpu_s / faults, 1),
        "mb": round(len(data) / 1e6, 2),
    }


def typeset(form: str, faults: int) -> dict[str, object]:
    """Measure one form with pictures that are drawn already."""
    found = inspection(faults)
    drawn = pictures(found.results)
    layout = LAYOUTS.get(form)
    return timed(
        f"{form}, typeset",
        faults,
        lambda: layout.render(build_document(found, pictures=lambda _: drawn), Template()).data,
    )


def thermal_file(seed: int) -> bytes:
    """Return an R-JPEG with a hot lid among cooler ones, and a photo that is as hard to compress as a real one."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    lids = 200 * ((x // 64 + y // 64) % 2) + 3600 * np.exp(-((x - 80 - 17 * seed % 480) ** 2 + (y - 250) ** 2) / 900)
    counts = (16500 + lids + rng.normal(0, 12, x.shape)).astype(np.uint16)
    coarse = Image.fromarray(rng.integers(0, 255, (49, 65, 3), dtype=np.uint8)).resize(
        PHOTO_SIZE, Image.Resampling.BICUBIC
    )
    noisy = np.asarray(coarse) + rng.normal(0, 5, PHOTO_SIZE[::-1])[..., None]
    photo = encoded(noisy.clip(0, 255).astype(np.uint8), "JPEG", quality=85)
    record = struct.pack("<3H", 3, *PHOTO_SIZE).ljust(32, b"\0") + photo
    return FlirFile(counts=counts, packed=True, extra_records=[(PHOTO_RECORD, record)]).jpeg()


def inspected(folder: Path, count: int) -> Path:
    """Write files and inspect them; return the folder of the run."""
    (folder / "pictures").mkdir()
    for number in range(count):
        (folder / "pictures" / f"IR_{number:05}.jpg").write_bytes(thermal_file(number))
    inspect(folder / "pictures", folder / "run", settings=InspectSettings(panels=False, reports=("csv",)))
    return folder / "run"


def whole(form: str, run: Path, count: int, kept: str) -> dict[str, object]:
    """Measure one form from the files."""
    return timed(f"{form}, {kept}", count, lambda: report(run, form, ReportSettings()).data)


def stages(folder: Path) -> dict[str, float]:
    """Return the processor time of the parts of drawing [ms a picture]."""
    files = sorted(folder.iterdir())
    empty = ImageResult("", "ok")
    spent = dict.fromkeys(("read", "photo", "draw", "draw with temperatures"), 0.0)

    def part(name: str, make: Callable[[], object]) -> object:
        began = time.process_time()
        made = make()
        spent[name] += 1000 * (time.process_time() - began) / len(files)
        return made

    for path in files:
        thermogram = part("read", lambda path=path: next(iter(read_many([path], jobs=1))).thermogram)
        photo = part("photo", lambda path=path, of=thermogram: photo_of(of, path, least_px=BOX)[0])
        shown = Pictured(empty, thermogram, photo)
        part("draw", lambda shown=shown: draw(shown))
        part("draw with temperatures", lambda shown=shown: draw(shown, plane_px=WIDTH))
    return {name: round(ms, 1) for name, ms in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=300, help="faults whose pictures are drawn beforehand")
    parser.add_argument("--pictures", type=int, default=24, help="files of real size; 0 for none")
    parser.add_argument("--form", default="", help="this form alone, in this process")
    parser.add_argument("--run", type=Path, help="a run of real files, for --form")
    parser.add_argument("--kept", default="drawn", help="what the line of --run is called")
    arguments = parser.parse_args()
    if arguments.form:
        form, count = arguments.form, arguments.pictures
        found = whole(form, arguments.run, count, arguments.kept) if arguments.run else typeset(form, arguments.faults)
        print(json.dumps(found), flush=True)
        return
    again = [sys.executable, __file__, "--faults", str(arguments.faults), "--pictures", str(arguments.pictures)]
    for form in LAYOUTS.names():
        subprocess.run([*again, "--form", form], check=True)
    if arguments.pictures:
        with tempfile.TemporaryDirectory() as name:
            run = inspected(Path(name), arguments.pictures)
            print(json.dumps({"cpu_ms_a_picture": stages(Path(name) / "pictures")}), flush=True)
            for form in FORMS_WITH_PICTURES:
                shutil.rmtree(run / FOLDER, ignore_errors=True)
                for kept in ("drawn", "kept"):
                    subprocess.run([*again, "--form", form, "--run", str(run), "--kept", kept], check=True)


if __name__ == "__main__":
    main()
