"""``isotherm benchmark`` as a user types it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from isotherm.cli.main import main
from isotherm.core.registry import Registry, Row
from isotherm.workflows import benchmark_config
from isotherm.workflows import evaluate as workflow

# The small method and scenes of the workflow's tests.
sys.path.append(str(Path(__file__).parents[1] / "workflows"))
from labelled_scenes import write_site

CONFIG = """
[evaluation]
resamples = 100
[training]
image_size = 64
[[data]]
name = "plant"
path = "plant"
layout = "sites"
[[method]]
name = "mean-image"
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    registry = Registry("anomaly method", Row("mean-image", "mean_image_method:METHOD", "for tests"))
    for module in (workflow, benchmark_config):
        monkeypatch.setattr(module, "ANOMALY_METHODS", registry)
    write_site(tmp_path / "plant", "A", normal=6, faulty=2)
    (tmp_path / "bench.toml").write_text(CONFIG)
    return tmp_path / "bench.toml"


def test_from_a_file_to_a_table(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["benchmark", str(config), "-o", str(tmp_path / "out")]
    assert main(argv) == 0
    text = capsys.readouterr().out
    assert "1/1 plant, mean-image, seed 0: AUROC 1.000" in text
    assert "| plant | fixed | mean-image | 2 | 2 | 1.000" in text
    assert text.endswith("benchmark.csv, benchmark.md, benchmark.png\n")
    assert main(argv) == 1
    assert "go on with --resume" in capsys.readouterr().err
    assert main([*argv, "--resume"]) == 0


def test_the_exit_status_tells_of_failures(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two = CONFIG + '[[data]]\nname = "one site"\npath = "plant"\nlayout = "sites"\nprotocol = "leave-one-site-out"\n'
    config.write_text(two)
    assert main(["benchmark", str(config), "-o", str(tmp_path / "some")]) == 3
    assert "failed: leave-one-site-out needs at least two sites" in capsys.readouterr().out
    config.write_text(CONFIG.replace('layout = "sites"', 'protocol = "leave-one-site-out"'))
    assert main(["benchmark", str(config), "-o", str(tmp_path / "all")]) == 1
    config.write_text("[[data]]\n")
    assert main(["benchmark", str(config), "-o", str(tmp_path / "bad")]) == 2
    assert "[[data]] 1: needs a name" in capsys.readouterr().err
