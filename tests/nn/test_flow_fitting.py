"""The fit loop of flows: it finds the density that the features were drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from isotherm.core.errors import ConfigError
from isotherm.core.progress import silent
from isotherm.nn import flows_fitting
from isotherm.nn.flows_fitting import FlowPlan, Maps, fit_fibre_flow, fit_map_flow

PLAN = FlowPlan(steps=120, patience=20, batch_size=256, learning_rate=2e-2, weight_decay=0.0)
GRID = (4, 6)
PLACES = np.random.default_rng(7).normal(0, 1, (24, 8)).astype(np.float32)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass
class Drawn:
    """Feature maps that were drawn from a known density (a `MapSource`)."""

    learning: Maps
    validation: Maps

    def __post_init__(self) -> None:
        self.mean = np.zeros(self.learning[0].shape[-1], np.float32)
        self.deviation = np.ones_like(self.mean)

    def chunks(self) -> Iterator[Maps]:
        yield self.learning


def drawn(offsets: np.ndarray, count: int = 60, seed: int = 0) -> Drawn:
    """Gaussian vectors with a known covariance, around an offset for each place (P 4)."""
    return Drawn(maps(offsets, count, seed), maps(offsets, 30, seed + 1))


FACTOR = np.tril(np.random.default_rng(3).normal(0, 0.6, (4, 4)), -1) + np.diag([1.0, 0.5, 0.8, 0.3])
ENTROPY = 0.5 * np.log(2 * np.pi * np.e) + np.log(np.diag(FACTOR)).mean()
"""Of one channel [nats]: no density can do better on average."""


def maps(offsets: np.ndarray, count: int, seed: int) -> Maps:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, (count, 24, 4)) @ FACTOR.T + offsets
    return values.reshape(count, *GRID, 4).astype(np.float16), np.ones((count, *GRID), np.bool_)


def test_a_flow_of_vectors_finds_a_gaussian() -> None:
    found = fit_fibre_flow(drawn(np.zeros((24, 4))), PLACES, PLAN, couplings=4, width=16, seed=0, progress=silent)
    assert found["typical"][0] == pytest.approx(ENTROPY, abs=0.06)


def test_a_flow_of_maps_finds_a_gaussian() -> None:
    plan = replace(PLAN, batch_size=12, steps=120)
    found = fit_map_flow(drawn(np.zeros((24, 4))), (1, 1, 3, 1), 16, plan, seed=0, progress=silent)
    assert found["typical"][0] == pytest.approx(ENTROPY, abs=0.08)


def test_the_place_helps_where_places_differ() -> None:
    offsets = np.random.default_rng(5).normal(0, 2, (24, 4))
    told = fit_fibre_flow(drawn(offsets), PLACES, PLAN, couplings=4, width=32, seed=0, progress=silent)
    blind = fit_fibre_flow(drawn(offsets), np.zeros_like(PLACES), PLAN, couplings=4, width=32, seed=0, progress=silent)
    assert told["typical"][0] < blind["typical"][0] - 0.3


def test_cells_that_do_not_count_are_not_learnt_from() -> None:
    source = drawn(np.zeros((24, 4)))
    for values, kept in (source.learning, source.validation):
        values[:, 0] = 50.0
        kept[:, 0] = False
    plan = replace(PLAN, steps=40)
    for found in (
        fit_fibre_flow(source, PLACES, plan, couplings=2, width=8, seed=0, progress=silent),
        fit_map_flow(source, (3, 1), 8, replace(plan, batch_size=12), seed=0, progress=silent),
    ):
        assert found["typical"][0] < 1.4
        assert np.abs(found["0.bias"]).max() < 1


def test_it_stops_early_and_keeps_the_best() -> None:
    # Two pictures to learn from and others to judge by: the likelihood of the others soon falls.
    source = replace(drawn(np.zeros((24, 4))), learning=maps(np.zeros((24, 4)), 2, 9))
    reports: list[tuple[int, int, str]] = []
    plan = FlowPlan(steps=400, patience=3, batch_size=48, learning_rate=3e-2, weight_decay=0.0)
    found = fit_fibre_flow(
        source, PLACES, plan, couplings=4, width=64, seed=0, progress=lambda *report: reports.append(report)
    )
    done, total, message = reports[-1]
    assert done == total == 400
    assert "stopped early; best was step" in message
    losses = [float(text.split("validation ")[1]) for _, _, text in reports[:-1]]
    assert found["typical"][0] <= min(losses) + 1e-3
    assert losses[-1] > min(losses)


def test_the_same_seed_gives_the_same_flow() -> None:
    one, again, other = (
        fit_fibre_flow(
            drawn(np.zeros((24, 4))), PLACES, replace(PLAN, steps=5), couplings=2, width=8, seed=seed, progress=silent
        )
        for seed in (1, 1, 2)
    )
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["0.order"], other["0.order"]) or not np.array_equal(one["0.bias"], other["0.bias"])


def test_the_step_size_rises_and_falls() -> None:
    paces = [flows_fitting._pace(done, 100) for done in range(101)]
    assert paces[0] < 0.2
    assert max(paces) == pytest.approx(paces[5]) == pytest.approx(1)
    assert paces[100] == pytest.approx(0, abs=1e-6)
    assert all(one >= other for one, other in pairwise(paces[5:]))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_gpu_that_is_not_there_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match="no CUDA device here; train on cpu"):
        fit_map_flow(drawn(np.zeros((24, 4))), (1,), 4, replace(PLAN, device="cuda"), seed=0, progress=silent)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_is_used_when_it_is_asked_for() -> None:
    plan = replace(PLAN, device="cuda", steps=20)
    found = fit_fibre_flow(drawn(np.zeros((24, 4))), PLACES, plan, couplings=2, width=8, seed=0, progress=silent)
    assert np.isfinite(found["typical"]).all()
