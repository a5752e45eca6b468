"""Two processes under torchrun learn what one learns, agree, and write one model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from isotherm.core.errors import UsageError
from isotherm.core.processes import is_first_process, process_count, process_number
from isotherm.nn.together import Team
from isotherm.workflows.classify import load_classifier
from isotherm.workflows.models import load_model
from thermal_files import FlirFile, ramp

PROGRAM = Path(__file__).with_name("learning_together.py")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def run(*command: str | Path) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.mark.slow
def test_two_processes_learn_as_one_and_agree(tmp_path: Path) -> None:
    run(*TORCHRUN, PROGRAM, tmp_path, "plain", "autoencoder", "draem", "segment")
    first, second = (np.load(tmp_path / f"{number}.npz") for number in range(2))
    for name in ("plain", "autoencoder", "draem", "segment"):
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    (tmp_path / "alone").mkdir()
    run(sys.executable, PROGRAM, tmp_path / "alone", "plain", "autoencoder")
    alone = np.load(tmp_path / "alone" / "0.npz")
    np.testing.assert_allclose(first["plain"], alone["plain"], atol=1e-6)
    # Batch normalisation sees half of a batch: near, and not the same.
    assert not np.array_equal(first["autoencoder"], alone["autoencoder"])
    assert np.corrcoef(first["autoencoder"], alone["autoencoder"])[0, 1] > 0.95


@pytest.mark.slow
def test_flows_and_classifiers_are_learnt_by_two_processes_as_by_one(tmp_path: Path) -> None:
    exact = ("fastflow", "cflow", "small_cnn without chance", "finetuned without chance")
    run(*TORCHRUN, PROGRAM, tmp_path, *exact, "small_cnn")
    first, second = (np.load(tmp_path / f"{number}.npz") for number in range(2))
    (tmp_path / "alone").mkdir()
    run(sys.executable, PROGRAM, tmp_path / "alone", *exact, "small_cnn")
    alone = np.load(tmp_path / "alone" / "0.npz")
    for name in (*exact, "small_cnn"):
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    for name in exact:
        np.testing.assert_allclose(first[name], alone[name], rtol=1e-3, atol=1e-4, err_msg=name)
    # Each process draws for itself what is left out and how pictures are changed.
    first_small, alone_small = first["small_cnn"].ravel(), alone["small_cnn"].ravel()
    assert not np.array_equal(first_small, alone_small)
    assert np.corrcoef(first_small, alone_small)[0, 1] > 0.8


@pytest.mark.slow
def test_classify_train_under_torchrun_writes_one_model_and_tells_once(tmp_path: Path) -> None:
    for label, low in (("cold", 10_000), ("hot", 20_000)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(6):
            file = FlirFile(counts=ramp(low=low, high=low + 4_000 + 50 * number))
            (tmp_path / "data" / label / f"{number}.jpg").write_bytes(file.jpeg())
    flags = ["--net", "small_cnn", "--epochs", "1", "--image-size", "16", "--device", "cpu"]
    told = run(*TORCHRUN, "-m", "isotherm", "classify", "train", tmp_path / "data", "-o", tmp_path / "model", *flags)
    assert told.count("small_cnn, 2 categories, learnt from 12 images") == 1
    assert load_classifier(tmp_path / "model").labels == ("cold", "hot")
    assert {path.name for path in tmp_path.iterdir()} == {"data", "model"}


@pytest.mark.slow
def test_train_under_torchrun_writes_one_model_and_tells_once(tmp_path: Path) -> None:
    (tmp_path / "normals").mkdir()
    for number in range(6):
        (tmp_path / "normals" / f"{number}.jpg").write_bytes(FlirFile(counts=ramp(high=24_000 + 50 * number)).jpeg())
    flags = ["--method", "autoencoder", "--epochs", "1", "--image-size", "64", "--device", "cpu"]
    told = run(*TORCHRUN, "-m", "isotherm", "train", tmp_path / "normals", "-o", tmp_path / "model", *flags)
    assert told.count("learnt from 6 of 6 images") == 1
    assert load_model(tmp_path / "model").method == "autoencoder"
    assert {path.name for path in tmp_path.iterdir()} == {"normals", "model"}


@pytest.mark.parametrize(
    ("count", "batch", "shares"),
    [
        (1, 4, [[0, 1, 2, 3]]),
        (1, 1, [[0, 0]]),
        (2, 4, [[0, 1], [2, 3]]),
        (2, 5, [[0, 1, 2], [3, 4, 0]]),
        (2, 2, [[0, 1], [0, 1]]),
        (3, 1, [[0, 0], [0, 0], [0, 0]]),
    ],
)
def test_a_batch_is_divided_into_parts_of_one_length(count: int, batch: int, shares: list[list[int]]) -> None:
    assert [Team(number, count).share(torch.arange(batch)).tolist() for number in range(count)] == shares


def test_alone_nothing_changes() -> None:
    team, network = Team(0, 1), torch.nn.Linear(2, 2)
    assert team.averaging(network) is network
    assert (team.seed(5), team.share_of(7), team.agreed(0.5), team.mean(0.25)) == (5, 7, 0.5, 0.25)


def test_who_is_first_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setenv("RANK", "1")
    assert (process_number(), process_count(), is_first_process()) == (0, 1, True)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert (process_number(), process_count(), is_first_process()) == (1, 2, False)
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(UsageError, match="WORLD_SIZE must be a whole number, as torchrun sets it, not 'two'"):
        process_count()
