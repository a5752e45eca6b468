from __future__ import annotations

from pathlib import Path

import pytest

from isotherm.cli.main import main
from isotherm.workflows.demo import DemoSize


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isotherm.workflows.demo.DemoSize", lambda: DemoSize(normals=3, healthy=1, faulty=3))


def test_demo_prints_the_truth_beside_the_verdicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demo"
    assert main(["demo", "-o", str(out), "--seed", "3"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == "Simulated inspection of an electrical cabinet: 3 healthy pictures to learn from, 4 to inspect"
    table = {line.split()[0]: line for line in lines if ".tiff" in line}
    assert list(table) == ["good/000.tiff", "imbalance/000.tiff", "loose_joint/000.tiff", "overload/000.tiff"]
    wrong = 0
    for name, line in table.items():
        right = ("Anomaly" in line) == (not name.startswith("good"))
        assert ("wrong" in line) is not right
        wrong += not right
    assert f"{4 - wrong} right, {wrong} wrong" in said.out
    for path in ("inspection/report.html", "inspection/panels", "inspection/results.csv", "images"):
        assert str(out / path) in said.out
        assert (out / path).exists()
    assert "simulating: 7/7" in said.err


def test_demo_writes_below_the_current_folder_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["isotherm-demo"]
    assert "isotherm-demo/inspection/report.html" in capsys.readouterr().out


def test_demo_refuses_a_folder_of_yours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["demo", "-o", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert said.err.splitlines()[-1].startswith(f"isotherm: {tmp_path} holds something that is no demo")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_demo_names_a_wrong_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "-o", str(tmp_path / "new"), "--seed", "-4"]) == 2
    assert "seed" in capsys.readouterr().err
