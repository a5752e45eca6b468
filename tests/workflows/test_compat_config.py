"""The configuration file of the per-site API: made, read, and refused where it or a folder is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from isotherm.cli.main import main
from isotherm.core.errors import ConfigError, DataError
from isotherm.workflows.compat.config import FOLDERS, load_config, make_config


@pytest.fixture
def made(tmp_path: Path) -> Path:
    target = tmp_path / "config.json"
    make_config(target, tmp_path / "root")
    return target


def test_command_makes_folders_and_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "config.json"
    assert main(["compat", "make-config", "-o", str(target), "--root", str(tmp_path / "r"), "--epochs", "7"]) == 0
    config = load_config(target)
    assert config.settings.epochs == 7
    assert config.training_data_path == tmp_path / "r" / "training"
    assert config.config_path == tmp_path
    assert all(getattr(config, key).is_dir() for key in FOLDERS)
    assert f"training_data_path   {tmp_path / 'r' / 'training'}" in capsys.readouterr().out


def test_file_that_is_there_is_not_replaced(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = made.read_bytes()
    assert main(["compat", "make-config", "-o", str(made)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert made.read_bytes() == before


@pytest.mark.parametrize("key", list(FOLDERS))
def test_missing_folder_is_named(made: Path, key: str) -> None:
    values = json.loads(made.read_text())
    values[key] = str(made.parent / "not there")
    made.write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=f"no such folder: {key} '.*not there'"):
        load_config(made)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models_path": None}, "models_path must be the path"),
        ({"models_path": ""}, "models_path must be the path"),
        ({"models_path": "a\0b"}, "models_path must be the path"),
        ({"extra": 1}, "unknown 'extra'"),
        ({"settings": []}, "settings must be an object"),
        ({"settings": {"epochs": 0}}, "epochs must be at least 1"),
        ({"settings": {"network": "vgg"}}, "network must be one of small_cnn, logistic"),
        ({"settings": {"scale_factor": 2}}, "scale_factor must be at most 1"),
        ({"settings": {"pickle": True}}, "unknown pickle"),
    ],
)
def test_wrong_value_is_named(made: Path, change: dict[str, Any], message: str) -> None:
    made.write_text(json.dumps(json.loads(made.read_text()) | change))
    with pytest.raises(ConfigError, match=message):
        load_config(made)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "nonsense", "\x00", '"text"'])
def test_what_is_no_configuration_is_refused(made: Path, text: str) -> None:
    made.write_text(text)
    with pytest.raises(ConfigError):
        load_config(made)


def test_missing_key_is_named(made: Path) -> None:
    values = json.loads(made.read_text())
    del values["logs_path"]
    made.write_text(json.dumps(values))
    with pytest.raises(ConfigError, match="logs_path is missing"):
        load_config(made)


def test_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        load_config(tmp_path / "no.json")
