"""The flags of every method stand beside those of the commands that take a method."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

import pytest

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.cli.main import main
from isotherm.hotspots import HOTSPOT_METHODS

CALLS = [(command, name) for command in ("train", "evaluate") for name in ANOMALY_METHODS.names()]
CALLS += [("hotspots", name) for name in HOTSPOT_METHODS.names()]


@pytest.mark.parametrize(("command", "name"), CALLS)
def test_no_two_flags_have_one_name(command: str, name: str) -> None:
    parser = argparse.ArgumentParser()
    arguments = ["pictures", "-o", "out", "--method", name]
    import_module(f"isotherm.cli.{command}").add_arguments(parser, arguments)
    assert parser.parse_args(arguments).output == Path("out")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--emissivity", "2"], "--emissivity must be at most 1, not 2"),
        (["--humidity-percent", "inf"], "--humidity-percent must be a finite number, not inf"),
        (["--reference", "region"], "--reference 'region' needs --reference-box, the region as x,y,width,height"),
        (["--offset", "3"], "--offset needs step (temperature = counts * step + offset)"),
    ],
)
def test_messages_call_settings_by_their_flags(
    flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hotspots", str(tmp_path), "-o", str(tmp_path / "out"), *flags]) == 2
    assert capsys.readouterr().err == f"isotherm: {said}\n"
