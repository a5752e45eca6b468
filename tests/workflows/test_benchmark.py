"""Benchmarks: the file, the runs, resuming, the table and the plot."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled_scenes import write_site
from mean_image_method import METHOD, MeanImage, MeanImageConfig
from PIL import Image

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.core.errors import ConfigError, OutputError, UnknownNameError, UsageError
from isotherm.core.registry import Registry, Row
from isotherm.workflows import benchmark as runner
from isotherm.workflows import benchmark_config
from isotherm.workflows import evaluate as workflow
from isotherm.workflows.benchmark import CellResult, run_benchmark
from isotherm.workflows.benchmark_config import read_benchmark
from isotherm.workflows.benchmark_table import Spread, TableRow, plot

CONFIG = """
seeds = [0, 1]
root = "$PLANT"

[evaluation]
resamples = 100

[training]
image_size = 64

[[data]]
name = "site A"
path = "A"

[[data]]
name = "both"
path = "."
protocol = "leave-one-site-out"

[[method]]
name = "mean-image"
gain = [1.0, 2.0]

[[method]]
name = "mean-image"
label = "broken"
gain = 3.0
"""


class BreaksAtThree(MeanImage):
    """Fails as a library would, not with an error of isotherm's own."""

    def fit(self, images: Any, config: MeanImageConfig, seed: int, progress: Any) -> Any:
        """Fit, or fail at a gain of 3."""
        if config.gain == 3.0:
            raise ZeroDivisionError("gain of three")
        return METHOD.fit(images, config, seed, progress)


BREAKS = BreaksAtThree()


@pytest.fixture(autouse=True)
def _methods(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    registry = Registry("anomaly method", Row("mean-image", "test_benchmark:BREAKS", "for tests"))
    for module in (workflow, benchmark_config):
        monkeypatch.setattr(module, "ANOMALY_METHODS", registry)
    monkeypatch.setenv("PLANT", str(tmp_path / "plant"))
    for site in "AB":
        write_site(tmp_path / "plant", site, normal=6, faulty=3)


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the files of the cells and the plot, which take most of the time; other tests have them."""
    monkeypatch.setattr(runner, "write_evaluation", lambda *_: None)
    monkeypatch.setattr(runner, "plot", lambda _: b"")


def config_of(tmp_path: Path, text: str = CONFIG) -> Path:
    path = tmp_path / "bench.toml"
    path.write_text(text)
    return path


def small(tmp_path: Path) -> Path:
    """Return a benchmark of one data set, two good variants and a broken one, with one seed."""
    text = CONFIG.replace("[0, 1]", "[0]")
    return config_of(tmp_path, text[: text.index('[[data]]\nname = "both"')] + text[text.index("[[method]]") :])


def test_cells_are_all_combinations_a_first_seed_first(tmp_path: Path) -> None:
    found = read_benchmark(config_of(tmp_path))
    assert [each.label for each in found.methods] == ["mean-image gain=1.0", "mean-image gain=2.0", "broken"]
    names = [cell.name for cell in found.cells]
    assert len(names) == 12
    assert names[0] == "site A, mean-image gain=1.0, seed 0"
    assert all("seed 0" in name for name in names[:6])
    cell = found.cells[-1]
    assert (cell.seed, cell.training.seed, cell.training.image_size) == (1, 1, 64)
    assert cell.data.settings.protocol == "leave-one-site-out"
    assert cell.data.settings.resamples == 100
    assert cell.data.source.root == tmp_path / "plant"
    assert cell.folder == "both__broken__seed1"


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("seeds = [0, 1]", "seeds = [0, 0]", ConfigError, "different whole numbers"),
        ("seeds = [0, 1]", "sseeds = [0]", ConfigError, "unknown sseeds; known: seeds, root"),
        ("seeds = [0, 1]", "seeds = [0", UsageError, "is no TOML"),
        ("$PLANT", "$NOWHERE_AT_ALL", UsageError, "environment variable NOWHERE_AT_ALL is not set"),
        ('path = "A"', 'path = "C"', UsageError, r"\[\[data\]\] 1 \(site A\): there is no .*plant/C"),
        ('path = "A"', 'path = "A"\nmasks = "no"\ngroups = "g.csv"', UsageError, "plant/no and no .*g.csv"),
        ('path = "A"', "", ConfigError, r"\[\[data\]\] 1 \(site A\): needs a path"),
        ('name = "both"', 'name = "site A"', ConfigError, "two data sets are called 'site A'"),
        ('path = "A"', 'path = "A"\nfold = 3', ConfigError, "unknown fold; known: name, path"),
        ("resamples = 100", "resamples = 1", ConfigError, "resamples must be at least 100"),
        ("image_size = 64", "image_size = 65", ConfigError, "a multiple of 32"),
        ("image_size = 64", "seed = 3", ConfigError, "unknown seed"),
        ("gain = 3.0", 'gain = "much"', ConfigError, r"\[\[method\]\] 2 \(mean-image\): .*: gain must be float"),
        ("gain = 3.0", "gian = 3.0", ConfigError, "unknown gian"),
        ("gain = [1.0, 2.0]", "gain = []", ConfigError, "gain has no value"),
        ('label = "broken"', "", ConfigError, "two methods"),
        ('name = "mean-image"\nlabel', 'name = "mean-imag"\nlabel', UsageError, "did you mean 'mean-image'"),
        ("[training]", "[[training]]", ConfigError, r"training must be a table"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_file_is_said(
    tmp_path: Path, old: str, new: str, error: type[Exception], message: str
) -> None:
    assert old in CONFIG
    text = CONFIG.replace(old, new)
    if old.startswith("label"):
        text = text.replace("gain = [1.0, 2.0]", "gain = 1.0")
    with pytest.raises(error, match=message) as caught:
        read_benchmark(config_of(tmp_path, text))
    assert "bench.toml" in str(caught.value)
    assert not isinstance(caught.value, UnknownNameError)


def test_a_file_that_is_not_there_or_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_benchmark(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match=r"at least one \[\[data\]\] is needed"):
        read_benchmark(config_of(tmp_path, ""))


def test_a_failing_cell_is_a_row_and_stops_nothing(tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    results = run_benchmark(
        read_benchmark(small(tmp_path), jobs=1),
        tmp_path / "out",
        told=lambda place, total, result: told.append((place, total, result.error)),
    )
    assert [result.error for result in results] == ["", "", "ZeroDivisionError: gain of three"]
    assert told == [(1, 3, ""), (2, 3, ""), (3, 3, "ZeroDivisionError: gain of three")]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "benchmark.csv").read_text())))
    assert [(row["method"], row["seeds"], row["failed"]) for row in rows] == [
        ("mean-image gain=1.0", "1", "0"), ("mean-image gain=2.0", "1", "0"), ("broken", "0", "1"),
    ]  # fmt: skip
    assert float(rows[0]["auroc_mean"]) == 1.0
    assert rows[0]["auroc_deviation"] == rows[2]["auroc_mean"] == ""
    assert float(rows[0]["model_bytes"]) == 3 * 64 * 64 * 4
    text = (tmp_path / "out" / "benchmark.md").read_text()
    assert "- site A, broken, seed 0: ZeroDivisionError: gain of three" in text
    assert (tmp_path / "out" / "cells" / "site-A__mean-image-gain=1.0__seed0" / "metrics.json").is_file()
    with Image.open(tmp_path / "out" / "benchmark.png") as picture:
        assert picture.width > 500


@pytest.mark.usefixtures("_no_figures")
def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    benchmark, out = read_benchmark(small(tmp_path), jobs=1), tmp_path / "out"
    done: list[str] = []

    def killed(place: int, _: int, result: CellResult) -> None:
        done.append(result.cell.name)
        if place == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_benchmark(benchmark, out, told=killed)
    # Killed in the middle of a line.
    with (out / "journal.jsonl").open("ab") as stream:
        stream.write(b'{"cell": "half a')
    with pytest.raises(OutputError, match="go on with --resume"):
        run_benchmark(benchmark, out)
    again: list[str] = []
    results = run_benchmark(benchmark, out, resume=True, told=lambda *args: again.append(args[2].cell.name))
    assert again == [cell.name for cell in benchmark.cells[1:]]
    assert [bool(result.error) for result in results] == [False, False, True]
    table = (out / "benchmark.csv").read_bytes()
    # What failed is tried again, the rest is not; the table stays the same.
    last: list[str] = []
    run_benchmark(benchmark, out, resume=True, told=lambda *args: last.append(args[2].cell.name))
    assert last == [benchmark.cells[2].name]
    assert (out / "benchmark.csv").read_bytes() == table
    assert len((out / "journal.jsonl").read_text().splitlines()) == 5


@pytest.mark.usefixtures("_no_figures")
def test_other_settings_are_other_cells(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_benchmark(read_benchmark(small(tmp_path), jobs=1), out)
    changed = read_benchmark(config_of(tmp_path, small(tmp_path).read_text().replace("[1.0, 2.0]", "[1.0, 4.0]")))
    again: list[str] = []
    run_benchmark(changed, out, resume=True, told=lambda *args: again.append(args[2].cell.method.label))
    assert again == ["mean-image gain=4.0", "broken"]


@pytest.mark.parametrize("text", ['{"isotherm_benchmark": 99}\n', "nonsense\n", "[]\n"])
def test_a_journal_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "journal.jsonl").write_text(text)
    with pytest.raises(OutputError, match="name another folder"):
        run_benchmark(read_benchmark(small(tmp_path)), tmp_path / "out", resume=True)


@pytest.mark.usefixtures("_no_figures")
def test_the_table_over_seeds(tmp_path: Path) -> None:
    text = small(tmp_path).read_text().replace("seeds = [0]", "seeds = [3, 5]").replace("[1.0, 2.0]", "[1.0]")
    out = tmp_path / "out"
    results = run_benchmark(read_benchmark(config_of(tmp_path, text), jobs=1), out)
    row = next(csv.DictReader(io.StringIO((out / "benchmark.csv").read_text())))
    values = [result.metrics["pooled"]["image"]["average_precision"] for result in results if result.metrics]
    assert float(row["average_precision_mean"]) == pytest.approx(np.mean([each["value"] for each in values]))
    assert float(row["average_precision_deviation"]) == pytest.approx(
        np.std([each["value"] for each in values], ddof=1)
    )
    assert float(row["average_precision_low"]) == pytest.approx(np.mean([each["low"] for each in values]))
    assert row["aupro_mean"] == ""
    lines = (out / "benchmark.md").read_text().splitlines()
    assert "1.000 ± 0.000 [1.000, 1.000]" in lines[2]
    assert "pixel" not in lines[0]
    assert any("over the seeds 3, 5" in line for line in lines)
    json.loads((out / "journal.jsonl").read_text().splitlines()[1], parse_constant=pytest.fail)


def test_the_plot_is_drawn_whatever_there_is() -> None:
    def row(data: str, method: str, value: float | None, speed: float) -> TableRow:
        spread = None if value is None else Spread(value, float("nan"), value - 0.1, min(1.0, value + 0.1))
        timings = {"train_cpu_s": 1.0, "images_per_s": speed, "model_bytes": 1.0}
        return TableRow(data, method, "fixed", 1, 0, 1, 1, {"auroc": spread}, timings, ())

    crowd = [row("a", f"method {index}", 0.9, 10.0) for index in range(12)]
    for rows in ([], [row("b", "none", None, 1.0), *crowd, *(row(f"{k}", "m", 0.7, k + 1) for k in range(2))]):
        with Image.open(io.BytesIO(plot(rows))) as picture:
            assert picture.width > 500
    assert plot(crowd[:1]) == plot(crowd[:1])


@pytest.mark.real_data
def test_the_file_of_the_results_table_is_right(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("solar", "substations"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "groups.csv").touch()
    monkeypatch.setattr(benchmark_config, "ANOMALY_METHODS", ANOMALY_METHODS)
    monkeypatch.setenv("ISOTHERM_DATA", str(data))
    monkeypatch.setenv("ISOTHERM_PREPARED", str(tmp_path))
    found = read_benchmark(Path(__file__).parents[2] / "benchmarks" / "results.toml")
    assert len(found.data) == 4
    assert len(found.cells) == 4 * 3 * len(found.methods)
