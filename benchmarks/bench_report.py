"""How long reports take: 300 faults, each with its own thermal picture and photo, as PDF, page and document.

    python benchmarks/bench_report.py [--faults 300]

Typesetting alone is measured by default: the pictures are drawn beforehand. Each form runs in a fresh process, because
typst remembers what it has set. ``cpu_s`` is that of all threads; ``wall_s`` says little on a busy machine.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
from PIL import Image

from isotherm.core.findings import ImageResult, Inspection
from isotherm.reports.document import LAYOUTS
from isotherm.reports.document.building import build_document
from isotherm.reports.document.content import FaultPictures, Figure
from isotherm.reports.document.layout import Template
from isotherm.testing.reports import sample_reports

REGIONS = 10


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


def measure(form: str, faults: int) -> dict[str, object]:
    found = inspection(faults)
    drawn = pictures(found.results)
    layout = LAYOUTS.get(form)
    wall, cpu = time.perf_counter(), time.process_time()
    rendered = layout.render(build_document(found, pictures=lambda _: drawn), Template())
    return {
        "form": form,
        "faults": faults,
        "wall_s": round(time.perf_counter() - wall, 2),
        "cpu_s": round(time.process_time() - cpu, 2),
        "mb": round(len(rendered.data) / 1e6, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--form", default="", help="this form alone, in this process")
    arguments = parser.parse_args()
    if arguments.form:
        print(json.dumps(measure(arguments.form, arguments.faults)))
        return
    for form in LAYOUTS.names():
        again = [sys.executable, __file__, "--form", form, "--faults", str(arguments.faults)]
        subprocess.run(again, check=True)


if __name__ == "__main__":
    main()
