"""What is typed wrong is said in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from isotherm.cli.main import main
from thermal_files import FlirFile


def message(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    try:
        status = main(list(argv))
    except SystemExit as caught:
        status = int(caught.code or 0)
    assert status == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_a_value_may_begin_with_a_minus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "a.jpg"
    picture.write_bytes(FlirFile().jpeg())
    assert "a spot is two whole numbers" in message(capsys, "measure", str(picture), "--spot", "-5,10")
    assert main(["measure", str(picture), "--line", "-5,3,10,10", "--reflected-c", "-5", "--draws", "0"]) == 0
    assert main(["view", str(picture), "-o", str(tmp_path / "a.html"), "--align", "-4,2", "--span", "-20,60"]) == 0


def test_usage_errors_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    said = message(capsys, "measure", "a.jpg", "--spot")
    assert said == "isotherm measure: argument --spot: expected one argument (see isotherm measure --help)\n"
    assert "the following arguments are required" in message(capsys, "convert", "a.jpg")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["hotspots", "a", "-o", "b", "--position-c", "3"], "--position-c goes with --method kmeans"),
        (["inspect", "a", "-o", "b", "--position-c=3"], "--position-c goes with --method kmeans"),
        (["train", "a", "-o", "b", "--method", "padim", "--coreset-ratio", "1"], "goes with --method patchcore"),
    ],
)
def test_a_flag_of_another_method_is_said_to_be_that(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in message(capsys, *argv)


def test_a_flag_that_nothing_has_is_not_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert "unrecognized arguments: --frob 2 (see" in message(capsys, "hotspots", "a", "-o", "b", "--frob", "2")


def test_a_flag_that_is_nearly_right_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    said = message(capsys, "hotspots", "a", "-o", "b", "--severty", "none")
    assert "unrecognized arguments: --severty none; did you mean --severity? (see" in said


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["hotspot", "a"], "there is no command 'hotspot' (did you mean 'hotspots'?); isotherm --help lists them"),
        (["segment", "a"], "there is no command 'segment' (did you mean 'sequence segment'?)"),
        (["predict"], "(did you mean 'client predict' or 'classify predict'?)"),
        (
            ["token", "isue"],
            "'token isue' (did you mean 'token issue' or 'token list'?); isotherm token --help lists them",
        ),
        (["qqqq"], "isotherm: there is no command 'qqqq'; isotherm --help lists them"),
    ],
)
def test_a_command_that_is_nearly_right_is_named(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in message(capsys, *argv)
