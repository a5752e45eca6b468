"""From pictures with overlays to masks: what is drawn is neither learnt from nor marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from overlaid_scenes import IRON, Drawing, coloured, temperatures
from PIL import Image

from isotherm.core.config import from_mapping
from isotherm.hotspots.measure import HotspotSettings
from isotherm.workflows.inspect import InspectSettings, inspect
from isotherm.workflows.models import TrainedModel, load_model
from isotherm.workflows.train import TrainSettings, train

QUIET = 0.5


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return normal pictures without print, and the same scenes with a date, of which one has a hot spot too."""
    root = tmp_path_factory.mktemp("pictures")
    for seed in range(8):
        plain = coloured(QUIET * temperatures(seed), IRON)
        (root / "normal").mkdir(exist_ok=True)
        Image.fromarray(plain).save(root / "normal" / f"{seed}.png")
        drawing = Drawing.on(plain)
        drawing.text((20, 20), "2026-03-12 12:15:00", size=22, box=True)
        (root / "dated").mkdir(exist_ok=True)
        drawing.image.save(root / "dated" / f"{seed}.png")
    return root / "normal", root / "dated"


def model(normal: Path, out: Path, choice: str) -> TrainedModel:
    settings = from_mapping(TrainSettings, {"image_size": 128, "ignore_overlays": choice, "crossfit_below": 0})
    train(normal, out, method_name="patchcore", settings=settings)
    return load_model(out)


def test_a_date_raises_no_alarm_and_is_not_marked(folders: tuple[Path, Path], tmp_path: Path) -> None:
    normal, dated = folders
    printed = np.zeros((240, 320), np.bool_)
    printed[15:45, 15:235] = True
    excess, marked = {}, {}
    for choice in ("off", "auto"):
        found = model(normal, tmp_path / choice, choice)
        runs = [
            inspect(folder, tmp_path / f"{choice}-{folder.name}", model=found, settings=InspectSettings(panels=False))
            for folder in (normal, dated)
        ]
        scores = [np.array([each.anomaly.score for each in run.results if each.anomaly]) for run in runs]
        excess[choice] = float(np.mean(scores[1] - scores[0]) / scores[0].mean())
        masks = sorted((tmp_path / f"{choice}-dated" / "masks").rglob("*.png"))
        marked[choice] = float(np.mean([np.asarray(Image.open(mask))[printed].mean() / 255 for mask in masks]))
    # A model that reads the date takes it for the anomaly that it is among pictures without one.
    assert excess["off"] > 0.3
    assert marked["off"] > 0.3
    assert abs(excess["auto"]) < 0.1
    assert marked["auto"] == 0


def test_hotspots_without_a_model_are_not_print(folders: tuple[Path, Path], tmp_path: Path) -> None:
    printed = folders[1]
    counts = {}
    for choice in ("off", "auto"):
        hotspots = from_mapping(HotspotSettings, {"ignore_overlays": choice})
        settings = InspectSettings(hotspots=hotspots, panels=False, reports=("csv",))
        found = inspect(printed, tmp_path / choice, settings=settings)
        counts[choice] = sum(len(item.findings) for item in found.results)
    assert counts["auto"] < counts["off"]
