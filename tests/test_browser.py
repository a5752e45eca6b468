"""The report in a real browser: it shows, it is not wider than the window, and it asks for nothing from elsewhere."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isotherm.cli.main import main

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: chromium)")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    scene = np.full((60, 80), 25.0)
    scene[20:30, 30:45] = 71.5
    np.savetxt(folder / "joint <b>&amp; <script>alert(1)<&script>.csv", scene, fmt="%.2f", delimiter=",")
    out = folder.parent / "out"
    assert main(["hotspots", str(folder), "-o", str(out)]) == 0
    return out / "report.html"


def chromium(page: Path, folder: Path, *flags: str) -> str:
    command = [str(CHROMIUM), *QUIET, f"--user-data-dir={folder / 'profile'}", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_the_page_shows_the_finding_and_runs_no_script(report: Path, tmp_path: Path) -> None:
    shown = chromium(report, tmp_path, "--dump-dom")
    assert "71.5" in shown
    assert "<script" not in shown


def test_the_page_asks_for_nothing(report: Path, tmp_path: Path) -> None:
    log = tmp_path / "net.json"
    chromium(report, tmp_path, f"--log-net-log={log}", "--dump-dom")
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    requests = [
        event["params"] for event in events if isinstance(event.get("params"), dict) and "url" in event["params"]
    ]
    # What the browser asks for itself (its updates) has no page as initiator.
    asked = {item["url"] for item in requests if item.get("initiator", "not an origin") != "not an origin"}
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]


@pytest.mark.parametrize("width", [420, 1200])
def test_the_page_is_drawn(report: Path, tmp_path: Path, width: int) -> None:
    picture = tmp_path / "page.png"
    chromium(report, tmp_path, f"--screenshot={picture}", f"--window-size={width},1400")
    pixels = np.asarray(Image.open(picture).convert("L"), dtype=float)
    assert pixels.shape[1] == width
    assert pixels.std() > 5
