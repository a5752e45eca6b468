"""``isotherm measure``."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isotherm.cli.main import main
from thermal_files import FlirFile, encoded, ramp


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "IR_1.jpg"
    path.parent.mkdir()
    path.write_bytes(FlirFile(counts=ramp(60, 80)).jpeg())
    return path


def rows(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> list[dict]:
    assert main(["measure", *map(str, arguments), "--json", "--draws", "50"]) == 0
    return json.loads(capsys.readouterr().out)


def region(row: dict, label: str) -> dict:
    return next(item for item in row["regions"] if item["label"] == label)


def test_regions_differences_and_isotherms_are_printed(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--spot", "10,10", "--box", "hot=40,30,30,20", "--line", "0,0,79,59", "--ellipse", "20,40,8,5"]
    arguments += ["--polygon", "60,2 78,2 70,12", "--delta", "hot.max-s1", "--delta", "hot-ambient"]
    arguments += ["--isotherm", ">40", "--isotherm", "dewpoint", "--severity", "neta-similar", "--draws", "200"]
    assert main(["measure", str(picture), *arguments]) == 0
    text = capsys.readouterr().out
    for expected in (
        "flir (planck), 80 x 60 px",
        "emissivity 0.95 (file)",
        "image   image",
        "hot     box",
        "s1.mean = ",
        "°C (k = 2): from ",
        "Monte Carlo, 95 %: ",
        "delta hot.max-s1 = +",
        "severity: class 1",
        "criterion not applicable: ",
        "isotherm >40: ",
        "caution: the load of the equipment is not known",
    ):
        assert expected in text


def test_every_line_of_a_budget_says_why(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--budget", "--sigma", "emissivity=0.01", "--delta", "image-ambient", "--draws", "0"]
    assert main(["measure", str(picture), *arguments]) == 0
    text = capsys.readouterr().out
    assert "(given)" in text
    assert "type B, assumed: 2 K or 2 %, rectangular" in text
    assert "± 3 K      -> " in text
    assert "standard uncertainties (k = 1) of what goes in" in text
    assert "Monte Carlo" not in text


def test_final_temperatures_say_what_their_uncertainty_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("20,21,nan\n22,23,nan\n")
    assert main(["measure", str(tmp_path / "a.csv"), "--box", "gap=2,0,1,2", "--emissivity", "0.5"]) == 0
    text = capsys.readouterr().out
    assert "uncertainty: emissivity, reflection and air are not included" in text
    assert "note: --emissivity: not used by csv files" in text
    assert "6 (-2)" in text
    assert "gap.max" not in text


def test_json_holds_the_numbers_and_their_budgets(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = rows(
        capsys, picture, "--spot", "10,10", "--line", "0,5,20,5", "--delta", "image-s1", "--emissivity", "0.9"
    )
    (as_info,) = json.loads((main(["info", str(picture), "--json", "--emissivity", "0.9"]), capsys.readouterr().out)[1])
    image, spot, line = region(row, "image"), region(row, "s1"), region(row, "l1")
    assert image["max_c"] == pytest.approx(as_info["temperatures"]["max_c"], abs=1e-4)
    assert image["max_at"] == as_info["temperatures"]["max_at"]
    assert row["parameters"]["emissivity"]["source"] == "user"
    assert spot["shape"] == {"x": 10, "y": 10, "size_px": 3}
    assert spot["area_px"] == 9
    assert len(line["profile"]["celsius"]) == 21
    assert sum(image["histogram"]["counts"]) == 4800
    budget = image["uncertainty"]["max"]
    total = sum(part["effect_k"] ** 2 for part in budget["contributions"]) ** 0.5
    assert budget["expanded_k"] == pytest.approx(2 * total)
    assert budget["monte_carlo"]["draws"] == 50
    (delta,) = row["deltas"]
    assert delta["value_k"] == pytest.approx(image["max_c"] - spot["mean_c"])
    assert delta["significant"] is True


def test_the_centre_and_the_extremes_are_those_of_the_temperatures(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (row,) = rows(capsys, picture, "--spot", "40,30,1")
    from isotherm.formats import read

    celsius = read(picture).celsius()
    assert region(row, "s1")["mean_c"] == pytest.approx(float(celsius[30, 40]), abs=1e-4)
    assert region(row, "image")["min_c"] == pytest.approx(float(celsius.min()), abs=1e-4)


def test_a_sidecar_keeps_what_was_asked_and_the_original_is_not_written(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (picture.read_bytes(), picture.stat().st_mtime_ns)
    first = rows(
        capsys, picture, "--box", "a=1,2,30,20", "--spot", "70,50", "--emissivity", "0.8", "--sigma", "emissivity=0.01",
        "--region-emissivity", "a=0.5", "--delta", "a-s1", "--isotherm", ">40", "--sidecar",
    )  # fmt: skip
    assert (picture.read_bytes(), picture.stat().st_mtime_ns) == before
    again = rows(capsys, picture)
    assert region(again[0], "a")["max_c"] == region(first[0], "a")["max_c"]
    assert region(again[0], "a")["scene"] == {"emissivity": 0.5}
    assert again[0]["deltas"][0]["text"] == "a-s1"
    assert again[0]["parameters"]["emissivity"]["sigma"] == 0.01
    # Every command sees it.
    assert main(["info", str(picture)]) == 0
    text = capsys.readouterr().out
    assert "0.8 (user), ± 0.01 (k = 1; given)" in text
    assert "IR_1.jpg.isotherm.json: emissivity, sigma of emissivity, 2 regions" in text


def test_asking_the_same_twice_makes_no_second_region(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows(capsys, picture, "--spot", "7,7", "--sidecar")
    rows(capsys, picture, "--spot", "7,7", "--sidecar")
    (row,) = rows(capsys, picture, "--spot", "8,8")
    assert [item["label"] for item in row["regions"]] == ["image", "s1", "s2"]


def test_nothing_is_kept_where_something_was_not_understood(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", str(picture), "--delta", "x-y", "--sidecar"]) == 2
    assert not picture.with_name("IR_1.jpg.isotherm.json").exists()
    assert "no" in capsys.readouterr().err


def test_a_figure_and_the_numbers_are_written(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    rows(
        capsys,
        picture,
        "--line",
        "0,0,79,59",
        "--box",
        "5,5,20,20",
        "--isotherm",
        ">40",
        "--delta",
        "left-right(b1)",
        "-o",
        out,
    )
    figure = Image.open(io.BytesIO((out / "IR_1.jpg.measured.png").read_bytes()))
    assert figure.width > 1000
    # Something coloured was drawn: the picture, its regions, the plots.
    assert len(np.unique(np.asarray(figure.convert("RGB")).reshape(-1, 3), axis=0)) > 200
    assert json.loads((out / "IR_1.jpg.measured.json").read_text())["regions"][0]["label"] == "image"


def test_masks_of_other_programs_are_regions(picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = np.zeros((60, 80), np.uint8)
    drawn[50:, 60:] = 255
    path = tmp_path / "mask.png"
    path.write_bytes(encoded(drawn, "PNG"))
    (row,) = rows(capsys, picture, "--mask", f"model={path}", "--mask", path, "--delta", "model-image.mean")
    assert region(row, "model")["area_px"] == region(row, "m1")["area_px"] == 200
    path.write_bytes(encoded(drawn[:5], "PNG"))
    assert main(["measure", str(picture), "--mask", str(path)]) == 1
    assert "has 80x5 px, the picture 80x60" in capsys.readouterr().out
    path.write_bytes(encoded(drawn * 0, "PNG"))
    main(["measure", str(picture), "--mask", str(path)])
    assert "is empty" in capsys.readouterr().out


def test_what_an_isotherm_finds_can_be_a_region(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = rows(capsys, picture, "--mask", "hot=>40", "--mask", "20..30", "--delta", "hot.min-m1.max")
    assert region(row, "hot")["min_c"] >= 40
    assert region(row, "hot")["kind"] == "isotherm"
    assert 20 <= region(row, "m1")["min_c"] <= region(row, "m1")["max_c"] <= 30
    assert main(["measure", str(picture), "--mask", ">900"]) == 1
    assert "is empty: no pixel" in capsys.readouterr().out
    assert main(["measure", str(picture), "--mask", "absent.png"]) == 2
    assert "is no file" in capsys.readouterr().err


def test_an_input_is_never_overwritten(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = picture.with_name("IR_1.jpg.measured.png")
    other.write_bytes(picture.read_bytes())
    assert main(["measure", str(picture), str(other), "-o", str(picture.parent)]) == 1
    assert "is an input and is not overwritten" in capsys.readouterr().err
    assert other.read_bytes() == picture.read_bytes()


def test_results_of_another_picture_are_not_overwritten(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["measure", str(picture), "-o", str(out), "--draws", "0"]
    assert main(arguments) == 0
    assert main([*arguments, "--emissivity", "0.8"]) == 0
    picture.write_bytes(FlirFile(counts=ramp(60, 80)[::-1]).jpeg())
    before = {path: path.read_bytes() for path in out.iterdir()}
    assert main(arguments) == 1
    assert "was not made from this picture" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    assert main([*arguments, "--overwrite"]) == 0


def test_a_mistyped_path_among_several_is_a_row(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(picture), str(picture.with_name("nothere.jpg")), str(picture)]
    assert main(["measure", *paths, "--json", "--draws", "0"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in found] == ["ok", "failed", "ok"]
    assert "no such file or folder" in found[1]["error"]


def test_a_material_gives_emissivity_and_sigma(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = rows(
        capsys, picture, "--material", "copper, oxidised", "--spot", "a=9,9", "--region-material", "a=tape 33+"
    )
    assert row["parameters"]["emissivity"]["value"] == 0.76
    assert row["parameters"]["emissivity"]["sigma"] == 0.05
    assert region(row, "a")["scene"] == {"emissivity": 0.96}
    assert main(["measure", "--materials"]) == 0
    text = capsys.readouterr().out
    assert "copper, oxidised" in text
    assert "sources" in text


def test_a_batch_goes_on_past_files_that_cannot_be_measured(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture.with_name("grey.png").write_bytes(encoded(np.zeros((60, 80), np.uint8), "PNG"))
    picture.with_name("small.jpg").write_bytes(FlirFile().jpeg())
    assert main(["measure", str(picture.parent), "--spot", "40,30"]) == 3
    text = capsys.readouterr().out
    assert "holds no temperatures" in text
    assert "'s1' has no pixel in the picture, which is 16x12 px" in text
    assert "s1.mean = " in text


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--spot", "a"], "two whole numbers"),
        (["--spot", "x=1,1", "--spot", "x=2,2"], "two regions"),
        (["--delta", "s1-image"], "is missing"),
        (["--isotherm", "60"], "an isotherm is written"),
        (["--isotherm", ">40 in b7"], "known regions"),
        (["--region-emissivity", "zz=0.5"], "no region is called 'zz'"),
        (["--region-emissivity", "zz=5"], "at most 1"),
        (["--region-emissivity", "zz"], "is written clamp=0.9"),
        (["--region-set", "zz.colour=5"], "is written clamp.distance_m=5"),
        (["--region-material", "zz"], "is written clamp=copper"),
        (["--sigma", "humidity=5"], "unknown parameter 'humidity'"),
        (["--sigma", "emissivity=x"], "is written emissivity=0.02"),
        (["--material", "copper"], "materials fit"),
        (["--material", "wood", "--emissivity", "0.9"], "give one of them"),
        (["--coverage", "0"], "at least"),
        (["--severity", "nonsense"], "unknown severity table"),
    ],
)
def test_bad_requests_are_bad_usage(
    flags: list[str], says: str, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["measure", str(picture), *flags]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.err.count("\n") == 1


def test_no_file_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure"]) == 2
    assert "needs a FILE" in capsys.readouterr().err


def test_any_parameter_can_differ_inside_a_region(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--box", "a=40,30,20,20", "--region-set", "a.reflected-c=60", "--region-set", "a.emissivity=0.8")
    (row,) = rows(capsys, picture, *arguments)
    assert region(row, "a")["scene"] == pytest.approx({"emissivity": 0.8, "reflected_c": 60})


# The truth is the circuit's own: which of two equal resistors was heated (data folder, README, resistive_circuit).
LEFT, RIGHT = (331, 332, 333, 336, 337, 338, 341, 342, 343), (346, 347, 348, 351, 352, 353, 356, 357, 358)
EVEN = (326, 327, 328, 361, 362, 363, 366, 367, 368, 371, 372, 373)


@pytest.mark.real_data
def test_the_states_of_the_circuit_are_told_apart_by_left_less_right(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [data / "resistive_circuit" / f"IR_0{number}.jpg" for number in (*LEFT, *RIGHT, *EVEN)]
    # The circuit lies up to 25 px elsewhere from shot to shot; these boxes are on the same part in all of them.
    arguments = ["--box", "left=131,90,13,60", "--box", "right=177,90,12,60", "--delta", "left-right", "--draws", "0"]
    assert main(["measure", *map(str, files), "--json", *arguments]) == 0
    found = [row["deltas"][0] for row in json.loads(capsys.readouterr().out)]
    told = ["even" if not delta["significant"] else "left" if delta["value_k"] > 0 else "right" for delta in found]
    assert told == ["left"] * len(LEFT) + ["right"] * len(RIGHT) + ["even"] * len(EVEN)


def test_a_mask_that_is_neither_file_nor_isotherm_is_named_once(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["measure", str(picture), "--mask", "nofile.png"]) == 2
    assert capsys.readouterr().err.count("nofile.png") == 1


def test_a_thermal_picture_is_no_mask(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", str(picture), "--mask", str(picture)]) == 2
    assert "is a thermal picture; a mask is a drawing" in capsys.readouterr().err
