"""``isotherm view``: where it writes, what it refuses, what it says."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from isotherm.cli.main import main
from thermal_files import FlirFile, encoded, ramp

PHOTO = encoded(np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8), "JPEG")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "IR_0001.jpg").write_bytes(FlirFile().jpeg())
    (tmp_path / "in" / "IR_0003.jpg").write_bytes(FlirFile(counts=ramp(low=22000, high=26000)).jpeg())
    return tmp_path


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_a_page_is_written_into_the_working_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    assert main(["view", "in/IR_0001.jpg"]) == 0
    assert capsys.readouterr().out == "IR_0001.jpg -> IR_0001.html\n"
    # A page of ours is written anew.
    assert main(["view", "in/IR_0001.jpg", "--palette", "arctic", "--temperature-unit", "f"]) == 0
    data = data_of(folder / "IR_0001.html")
    assert (data["palette"], data["unit"], data["kind"], data["photo"]) == ("arctic", "f", "measured", None)


def test_the_page_names_where_each_parameter_is_from(folder: Path) -> None:
    assert main(["view", str(folder / "in" / "IR_0001.jpg"), "-o", str(folder / "a.html"), "--emissivity", "0.8"]) == 0
    text = (folder / "a.html").read_text(encoding="utf-8")
    assert re.search(r"emissivity</th><td>0\.8</td><td>user", text)
    assert re.search(r"distance</th><td>1 m</td><td>file", text)


def test_a_folder_of_pictures_can_share_one_span(folder: Path) -> None:
    assert main(["view", str(folder / "in"), "-o", str(folder / "out"), "--span", "set"]) == 0
    spans = [data_of(folder / "out" / f"{name}.html")["span"] for name in ("IR_0001", "IR_0003")]
    assert spans[0] == spans[1]
    assert main(["view", str(folder / "in"), "-o", str(folder / "own")]) == 0
    own = [data_of(folder / "own" / f"{name}.html")["span"] for name in ("IR_0001", "IR_0003")]
    assert own[0] != own[1]
    assert spans[0] == [min(low for low, _ in own), max(high for _, high in own)]
    assert main(["view", str(folder / "in"), "-o", str(folder / "fixed"), "--span", "10,50"]) == 0
    assert data_of(folder / "fixed" / "IR_0003.html")["span"] == [10, 50]


def test_a_span_shared_by_measured_and_estimated_temperatures_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    celsius = np.linspace(20, 30, 48 * 64, dtype=np.float32).reshape(48, 64)
    about = np.array(json.dumps({"estimated": True, "uncertainty_k": 1.0}))
    np.savez(folder / "in" / "z.npz", celsius=celsius, about=about)
    assert main(["view", str(folder / "in"), "-o", str(folder / "out"), "--span", "set"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" -> ")[0] for line in lines[:3]] == ["IR_0001.jpg", "IR_0003.jpg", "z.npz"]
    assert "share their span with measured ones" in lines[3]
    assert main(["view", str(folder / "in" / "z.npz"), "-o", str(folder / "out"), "--span", "set"]) == 0
    assert "share their span" not in capsys.readouterr().out


def test_originals_and_files_of_others_are_never_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = folder / "in" / "IR_0001.jpg"
    strange = folder / "notes.html"
    strange.write_text("<p>mine</p>", encoding="utf-8")
    assert main(["view", str(picture), "-o", str(strange)]) == 1
    assert "notes.html is there already and was not made from this picture" in capsys.readouterr().out
    assert strange.read_text(encoding="utf-8") == "<p>mine</p>"
    png = folder / "in" / "x.png"
    png.write_bytes(encoded(ramp(low=29000, high=31000), "PNG"))
    before = png.read_bytes()
    (folder / "in" / "photo.jpg").write_bytes(PHOTO)
    assert main(["view", str(png), "-o", str(png), "--edges", "--photo", str(folder / "in" / "photo.jpg")]) == 1
    assert "originals are never written" in capsys.readouterr().out
    assert png.read_bytes() == before
    # A thermal PNG of somebody else is no picture of ours, and neither is a page of another picture.
    arguments = ["view", str(folder / "in" / "IR_0001.jpg"), "--photo", str(folder / "in" / "photo.jpg")]
    foreign = folder / "foreign.png"
    foreign.write_bytes(before)
    assert main([*arguments, "-o", str(foreign), "--edges"]) == 1
    assert foreign.read_bytes() == before
    assert main([*arguments, "-o", str(foreign), "--edges", "--overwrite"]) == 0
    assert main([*arguments, "-o", str(foreign), "--edges", "--align", "1,1"]) == 0
    page = str(folder / "other.html")
    assert main(["view", str(folder / "in" / "IR_0003.jpg"), "-o", page]) == 0
    assert main([*arguments, "-o", page]) == 1
    assert main([*arguments, "-o", page, "--overwrite"]) == 0


def test_no_folder_is_made_that_is_called_like_a_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    for arguments, said in (
        (["in/IR_0001.jpg", "-o", "x.png"], "a page ends in .html"),
        (["in/IR_0001.jpg", "-o", "x.html", "--edges"], "a picture with edges ends in .png"),
        (["in", "-o", "one.html"], "one.html is one file for 2 pictures; name a folder"),
        (["in", "-o", "one.png"], "a page ends in .html"),
    ):
        assert main(["view", *arguments]) == 2
        assert said in capsys.readouterr().err
    assert main(["convert", "in", "-o", "x.tiff", "--to", "tiff"]) == 2
    assert main(["measure", "in", "-o", "x.png"]) == 2
    assert "leave out .png" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["in"]


def test_edges_of_the_paired_photo(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "in" / "DC_0002.jpg").write_bytes(PHOTO)
    picture = folder / "in" / "IR_0001.jpg"
    assert main(["view", str(picture), "-o", str(folder / "e.png"), "--edges", "--align", "1,0,1.1"]) == 0
    plain = folder / "plain.png"
    assert main(["view", str(picture), "-o", str(plain), "--edges"]) == 0
    one, other = (np.asarray(Image.open(io.BytesIO(path.read_bytes()))) for path in (folder / "e.png", plain))
    assert one.shape == other.shape
    assert not np.array_equal(one, other)
    assert main(["view", str(picture), "-o", str(folder / "page.html")]) == 0
    photo = data_of(folder / "page.html")["photo"]
    assert photo["origin"] == "photo DC_0002.jpg"
    assert photo["alignment"]["source"] == "centred (assumed)"
    capsys.readouterr()
    assert main(["view", str(folder / "in" / "IR_0003.jpg"), "-o", str(folder / "f.png"), "--edges"]) == 1
    assert "there is no photo of the same view" in capsys.readouterr().out


def test_a_bad_file_stops_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "in" / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    assert main(["view", str(folder / "in"), "-o", str(folder / "out")]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("bad.jpg failed: ")
    assert [line.split(" -> ")[0] for line in lines[1:]] == ["IR_0001.jpg", "IR_0003.jpg"]


def test_a_mistyped_path_among_several_is_a_row(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(folder / "in" / name) for name in ("IR_0001.jpg", "nothere.jpg", "IR_0003.jpg")]
    assert main(["view", *paths, "-o", str(folder / "out")]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("nothere.jpg failed: ")
    assert "no such file or folder" in lines[1]
    assert [line.split(" -> ")[0] for line in lines[::2]] == ["IR_0001.jpg", "IR_0003.jpg"]
    assert main(["view", paths[1]]) == 1


def test_what_a_sidecar_changes_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sidecar = folder / "in" / "IR_0001.jpg.isotherm.json"
    sidecar.write_text('{"isotherm_sidecar": 1, "deltas": ["image.max - ambient"]}', encoding="utf-8")
    note = "IR_0001.jpg.isotherm.json: 1 difference"
    assert main(["view", str(folder / "in"), "-o", str(folder / "out")]) == 0
    assert capsys.readouterr().out.count(f"  note: {note}\n") == 1
    assert main(["hotspots", str(folder / "in"), "-o", str(folder / "run"), "--no-panels"]) == 0
    assert f"note: IR_0001.jpg: {note}\n" in capsys.readouterr().out


def test_wrong_flags_are_usage_errors(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = str(folder / "in" / "IR_0001.jpg")
    assert main(["view", picture, "--palette", "irn"]) == 2
    error = capsys.readouterr().err
    assert "did you mean 'iron'" in error
    assert "camera" in error
    # The palette of anomaly maps is none for temperatures.
    assert "sea" not in error
    assert main(["view", picture, "--palette", "sea"]) == 2
    assert main(["view", picture, "--span", "9"]) == 2
    assert main(["view", picture, "--align", "9"]) == 2
    assert main(["view", str(folder / "in"), "--align", "9,1"]) == 2
    assert "one picture, not for 2" in capsys.readouterr().err
