"""The commands of the per-site API against a server that they started: folders in, verdicts out."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_server import png
from isotherm.cli.main import main

MINUTE = 120


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compat")
    target = folder / "config.json"
    argv = ["compat", "make-config", "-o", str(target), "--root", str(folder / "root"), "--network", "logistic"]
    assert main(argv) == 0
    return target


@pytest.fixture(scope="module")
def url(config: Path) -> Iterator[str]:
    """The address of ``isotherm compat serve`` in a process of its own."""
    command = [sys.executable, "-m", "isotherm", "compat", "serve", "--config", str(config), "--port", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        try:
            found = re.search(r"http://[\d.]+:\d+", said)
            assert found is not None, said
            yield found[0]
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(MINUTE) in (0, 130)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for category, level in (("cold", 0), ("hot", 120)):
        folder = tmp_path / "in" / category
        folder.mkdir(parents=True)
        for number in range(3):
            (folder / f"{number}.png").write_bytes(png(level, number + level))
    return tmp_path / "in"


def test_whole_way(url: str, pictures: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--temple-id", "motor hall", "--url", url]
    assert main(["client", "save-data", str(pictures), *at]) == 0
    assert main(["client", "save-data", str(pictures), *at, "--train-test", "test"]) == 0
    assert capsys.readouterr().out == "6 of 6 pictures saved\n" * 2
    assert (config.parent / "root" / "training" / "motor hall" / "hot" / "2.png").is_file()
    assert main(["client", "make-model", *at]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 6
    assert all(line.endswith(" yes") for line in said)
    assert main(["client", "predict", str(pictures), "--labelled", "--batch", "4", *at]) == 0
    *answers, cold, hot, last = capsys.readouterr().out.splitlines()
    assert len(answers) == 6
    assert [cold, hot, last] == ["cold: 3 of 3 right", "hot: 3 of 3 right", "6 of 6 right"]
    assert main(["client", "predict", str(pictures / "hot" / "0.png"), *at]) == 0
    assert re.fullmatch(r".*0\.png  hot  [01]\.\d{3}\n", capsys.readouterr().out)
    assert main(["client", "make-model", *at]) == 1
    assert "has a model already; forceful makes another" in capsys.readouterr().err


def test_refused_pictures_are_named_and_the_others_are_saved(
    url: str, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "hot" / "broken.png").write_bytes(b"no picture")
    assert main(["client", "save-data", str(pictures), "--temple-id", "broken", "--url", url]) == 3
    captured = capsys.readouterr()
    assert captured.out == "6 of 7 pictures saved\n"
    assert "broken.png: 500: image is not of the type png" in captured.err


def test_unknown_temple_is_told(url: str, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["client", "predict", str(pictures / "hot"), "--temple-id", "nobody", "--url", url]) == 1
    assert capsys.readouterr().err.startswith("isotherm: 400: there is no temple 'nobody'")


def test_server_that_is_not_there_is_told(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as handle:
        handle.bind(("127.0.0.1", 0))
        port = handle.getsockname()[1]
    argv = ["client", "predict", str(pictures / "hot"), "--temple-id", "a", "--url", f"http://127.0.0.1:{port}"]
    assert main(argv) == 1
    error = capsys.readouterr().err
    assert f"no server answers at http://127.0.0.1:{port}" in error
    assert error.endswith("is 'isotherm serve' running there?\n")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["predict", "x", "--temple-id", "a", "--batch", "0"], "--batch must be from 1 to 256"),
        (["make-model", "--temple-id", "a", "--timeout", "0"], "--timeout must be from 0 to 86400"),
        (["make-model", "--temple-id", "a", "--url", "nowhere"], "the URL of a server is like"),
    ],
)
def test_wrong_usage_is_told(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["client", *argv]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["save-data", "predict"])
def test_folder_without_pictures_is_told(tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["client", command, str(tmp_path), "--temple-id", "a"]) == 1
    assert "no pictures" in capsys.readouterr().err


def test_server_does_not_start_without_its_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "config.json"
    assert main(["compat", "make-config", "-o", str(target), "--root", str(tmp_path / "root")]) == 0
    (tmp_path / "root" / "training").rmdir()
    assert main(["compat", "serve", "--config", str(target), "--port", "0"]) == 2
    assert "no such folder: training_data_path" in capsys.readouterr().err
