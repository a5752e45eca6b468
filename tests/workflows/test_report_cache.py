"""Drawn pictures are kept beside a run: the same bytes again, and drawn anew where anything has changed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import isotherm.workflows.report_pictures as drawing
from isotherm.workflows.inspect import InspectSettings, inspect
from isotherm.workflows.report import ReportSettings, report
from isotherm.workflows.report_cache import FOLDER
from small_pictures import csv


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "pictures").mkdir()
    for number in range(2):
        (folder / "pictures" / f"joint{number}.csv").write_bytes(csv("joint", number))
    inspect(folder / "pictures", folder / "run", settings=InspectSettings(reports=("json",)))
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count the pictures that are really drawn."""
    names: list[str] = []
    draw = drawing.draw

    def counted(pictured: drawing.Pictured, **chosen: object) -> drawing.Drawn:
        names.append(pictured.result.image)
        return draw(pictured, **chosen)  # type: ignore[arg-type]

    monkeypatch.setattr(drawing, "draw", counted)
    return names


def page(here: Path, form: str = "html", **chosen: object) -> bytes:
    settings = ReportSettings(images=here / "pictures", jobs=1, **chosen)  # type: ignore[arg-type]
    return report(here / "run", form, settings).data


@pytest.mark.parametrize("form", ["html", "docx"])
def test_the_second_report_draws_nothing_and_is_the_same(here: Path, drawn: list[str], form: str) -> None:
    first = page(here, form)
    assert sorted(drawn) == ["joint0.csv", "joint1.csv"]

    assert page(here, form) == first
    assert page(here, form, language="de") != first
    assert len(drawn) == 2


def test_a_sidecar_that_comes_or_changes_is_drawn(here: Path, drawn: list[str]) -> None:
    page(here)
    sidecar = here / "pictures" / "joint1.csv.isotherm.json"
    for right in (1, 2):
        region = {"label": "a", "shape": "box", "x": right, "y": 2, "width": 3, "height": 4}
        sidecar.write_text(json.dumps({"isotherm_sidecar": 1, "image": "joint1.csv", "regions": [region]}))
        page(here)
        page(here)

    assert drawn[2:] == ["joint1.csv"] * 2


def test_a_sidecar_that_changes_while_its_picture_is_drawn_is_seen_by_the_next_report(
    here: Path, drawn: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = drawing.draw

    def edited_meanwhile(pictured: drawing.Pictured, **chosen: object) -> drawing.Drawn:
        site = {"isotherm_sidecar": 1, "scene": {"emissivity": 0.5}}
        (here / "pictures" / "site.isotherm.json").write_text(json.dumps(site))
        return draw(pictured, **chosen)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(drawing, "draw", edited_meanwhile)
        page(here)
    page(here)

    assert drawn[2:] == drawn[:1]


def test_a_picture_that_has_changed_is_not_shown_from_what_was_kept(here: Path) -> None:
    assert page(here).count(b'<figure class="live"') == 2
    (here / "pictures" / "joint0.csv").write_bytes(csv("joint", 9))

    changed = page(here)
    assert changed.count(b'<figure class="live"') == 1
    assert b"the file has changed since the inspection" in changed


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"\n{}", b"\xff" * 100, b"[" * 100_000])
def test_damaged_pictures_are_drawn_again(here: Path, drawn: list[str], damage: bytes) -> None:
    first = page(here)
    kept = sorted((here / "run" / FOLDER).iterdir())
    assert len(kept) == 2
    key = kept[1].read_bytes().partition(b"\n")[0]
    kept[0].write_bytes(damage)
    kept[1].write_bytes(key + b"\n" + damage)

    assert page(here) == first
    assert len(drawn) == 4


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(here: Path, drawn: list[str]) -> None:
    (here / "run" / FOLDER).write_text("a file in its place")

    assert page(here) == page(here)
    assert len(drawn) == 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_in_the_place_of_what_was_kept_is_not_waited_for(here: Path, drawn: list[str]) -> None:
    page(here)
    for kept in (here / "run" / FOLDER).iterdir():
        kept.unlink()
        os.mkfifo(kept)
    page(here)

    assert len(drawn) == 4


def test_pages_and_documents_keep_pictures_of_their_own(here: Path, drawn: list[str]) -> None:
    page(here, "html")
    page(here, "docx")
    page(here, "html")

    assert len(drawn) == 4


def test_a_new_inspection_in_the_same_folder_removes_them(here: Path) -> None:
    page(here)
    assert (here / "run" / FOLDER).is_dir()
    inspect(here / "pictures", here / "run", settings=InspectSettings(reports=("json",), existing="overwrite"))

    assert not (here / "run" / FOLDER).exists()
