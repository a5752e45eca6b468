"""The conformance check of report writers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath

from isotherm.core.findings import (
    AnomalyResult,
    Contour,
    Finding,
    ImageResult,
    Inspection,
    Region,
    TemperatureStats,
    Verdict,
)
from isotherm.core.scene import Param, Source
from isotherm.core.shapes import Box
from isotherm.core.thermogram import Camera
from isotherm.reports.content import Report, build_report
from isotherm.reports.writer import ReportWriter
from isotherm.testing.promises import require

HOSTILE = '../<script>alert("1")</script>,=1+1\r\n"Schaltschrank №7 温度".jpg'
"""A file name with everything that breaks a careless writer."""


def check_report_writer(writer: ReportWriter) -> None:
    """Check that a report writer keeps the seam's promises.

    Run it in the tests of your package. It looks at the name and the file name, and renders made-up reports: nothing at
    all, nothing readable, hotspots without a model, a model with anomalies, pictures without temperatures, and names of
    files that try to break out. Each must give bytes, and the same bytes twice.

    Raises
    ------
    AssertionError
        A promise is broken; the message says which.
    """
    require(isinstance(writer, ReportWriter), "it must have name, filename and render")
    require(writer.name == writer.name.lower().strip() != "", "its name must be lower-case and not empty")
    require(PurePath(writer.filename).name == writer.filename != "", "its file name must be a name, not a path")
    for name, report in sample_reports().items():
        first = writer.render(report)
        require(isinstance(first, bytes) and first != b"", f"{name}: render must return bytes, and some")
        require(first == writer.render(report), f"{name}: the same report must give the same bytes")
        again = writer.render(sample_reports()[name])
        require(first == again, f"{name}: nothing but the report may decide (no clock, no random number)")


def sample_reports() -> dict[str, Report]:
    """Return small made-up reports of every kind, by what they hold."""
    failed = ImageResult("broken.jpg", "failed", error="the file is empty (0 bytes)")
    hot, mild, cold = _result("hot.jpg", 80.0, "1", 3), _result("mild.jpg", 31.0, "4", 1), _result("cold.jpg")
    plain = ImageResult("plain.png", "ok", height=24, width=32, findings=(_finding(None, None, 0),))
    hostile = _result(HOSTILE, 95.0, "1", 3)
    inspections = {
        "nothing": _inspection(),
        "nothing readable": _inspection(failed),
        "hotspots": _inspection(cold, failed, mild, hot, plain, table=True),
        "no severity table": _inspection(_result("hot.jpg", 80.0)),
        "a model": _inspection(_judged(mild, 1.0), _judged(hot, 4.0), _judged(plain, 3.0), model=True, table=True),
        "a hostile name": _inspection(hostile, ImageResult(HOSTILE, "failed", error=HOSTILE), title=HOSTILE),
    }
    return {name: build_report(inspection, {"hot.jpg": b"\xff\xd8"}) for name, inspection in inspections.items()}


def _result(image: str, max_c: float | None = None, grade: str | None = None, rank: int = 0) -> ImageResult:
    stats = TemperatureStats(20.0, max_c or 22.5, 24.25, 1.5)
    return ImageResult(
        image=image,
        status="ok",
        digest="0" * 64,
        height=24,
        width=32,
        radiometric=True,
        temperatures=stats,
        findings=(_finding(max_c, grade, rank),) if max_c else (),
        camera=Camera(maker="FLIR", model="B300", taken_at="2024-05-06T07:08:09"),
        scene={
            "emissivity": Param(0.95, "1", Source.FILE),
            "reflected_k": Param(293.15, "K", Source.ASSUMED),
            "humidity": Param(0.5, "1", Source.USER),
            "distance_m": Param(2.0, "m", Source.RANGEFINDER),
        },
        notes=("scale of this file guessed: 0.01 K",),
        panel=f"panels/{image}.png",
        mask=f"masks/{image}.png",
    )


def _finding(max_c: float | None, grade: str | None, rank: int) -> Finding:
    corners = Contour(((2.5, 3.5), (6.5, 3.5), (6.5, 8.5), (2.5, 8.5)))
    region = Region(20, Box(3, 4, 4, 5), (5, 6), corners, area_mm2=12.5 if max_c else None)
    reason = "" if grade else "criterion not applicable: the picture holds no temperatures"
    verdict = Verdict("neta-similar", grade, rank, "repair immediately" if grade else "", reason)
    if max_c is None:
        return Finding("hotspot", "otsu", region, severity=verdict)
    return Finding(
        kind="hotspot",
        origin="otsu",
        region=region,
        temperatures=TemperatureStats(max_c - 9, max_c, max_c - 4, 2.0),
        delta_t_c=max_c - 25,
        reference="median of the picture",
        reference_c=25.0,
        severity=verdict if grade else None,
    )


def _judged(result: ImageResult, score: float) -> ImageResult:
    anomaly = AnomalyResult(score, 95.0, 2.0, "Anomaly" if score > 2 else "Normal", 20)
    (hot,) = result.findings
    found = replace(hot, kind="anomaly", origin="patchcore", score=score)
    if score <= anomaly.threshold:
        found = replace(found, severity=None)
    return replace(result, anomaly=anomaly, findings=(replace(hot, severity=None), found))


def _inspection(
    *results: ImageResult, title: str = "cabinet 4", model: bool = False, table: bool = False
) -> Inspection:
    return Inspection(
        results=results,
        title=title,
        started_at="2024-05-06T07:08:09+00:00",
        settings={"hotspot_method": {"name": "otsu", "bins": 1024}, "scene": {"emissivity": None}},
        model=_model() if model else None,
        severity_table=_table() if table else None,
        versions={"isotherm": "0.1.0", "numpy": "2.3.0"},
        timings_s={"inspect": 1.5},
    )


def _model() -> dict[str, object]:
    return {
        "method": "patchcore",
        "config": {"coreset_fraction": 0.1},
        "inputs": {"kind": "temperature", "low": 18.0, "high": 60.0, "size": 256},
        "calibration": {
            "percentile": 99.0,
            "threshold": 2.0,
            "pixel_threshold": 2.5,
            "how": "99th percentile of the scores of 20 held-out normal images",
            "scores": 20,
        },
        "data": {"images": 100, "fitted_on": 80, "held_out": 20, "digest": "ab" * 32, "skipped": []},
        "created_at": "2024-05-05T10:00:00+00:00",
        "versions": {"isotherm": "0.1.0"},
        "sha256": "cd" * 32,
    }


def _table() -> dict[str, object]:
    return {
        "id": "neta-similar",
        "title": "NETA Table 100.18",
        "edition": "2003",
        "source": "https://arpedon.com/tools/delta-t-criteria",
        "domain": "electrical equipment",
        "comparison": "similar",
        "min_load_percent": 40,
        "load_required": False,
        "notes": ["interval ends are our reading"],
        "intervals": [
            {"interval": "[1, 4)", "grade": "4", "action": "investigate"},
            {"interval": "[4, 15]", "grade": "3", "action": "repair as time permits"},
            {"interval": "(15, inf)", "grade": "1", "action": "repair immediately"},
        ],
    }
