"""Normalising flows against their definition: invertible, with the determinant of the Jacobian, a density."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from isotherm.nn.flows import CLAMP, FibreSubnet, Flow, MapSubnet, flow_arrays

ENCODING = 4


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def map_flow(channels: int, *, seed: int = 0, scale: float = 0.5) -> Flow:
    """A flow of maps with 3 x 3 and 1 x 1 steps and random parameters (as after learning), in double precision."""
    subnets = [lambda a, b, kernel=kernel: MapSubnet(a, b, kernel, 5) for kernel in (3, 1, 3)]
    return disturbed(Flow(channels, subnets, torch.Generator().manual_seed(seed)), scale)


def fibre_flow(channels: int, *, seed: int = 0, scale: float = 0.5) -> Flow:
    subnets = [lambda a, b: FibreSubnet(a, b, ENCODING, 6)] * 3
    return disturbed(Flow(channels, subnets, torch.Generator().manual_seed(seed)), scale)


def disturbed(flow: Flow, scale: float) -> Flow:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    return flow.double()


def values(*shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("channels", [2, 5, 8])
def test_the_inverse_gives_the_input_back(channels: int) -> None:
    maps, vectors, places = values(3, channels, 4, 6), values(7, channels), values(7, ENCODING, seed=3)
    flow, fibres = map_flow(channels), fibre_flow(channels)
    with torch.no_grad():
        latent = flow(maps)[0]
        assert (latent - maps).abs().max() > 0.1
        torch.testing.assert_close(flow.inverse(latent), maps)
        torch.testing.assert_close(fibres.inverse(fibres(vectors, places)[0], places), vectors)


def test_the_log_determinant_of_a_map_is_that_of_its_jacobian() -> None:
    flow, picture = map_flow(4), values(1, 4, 2, 3)
    matrix = torch.autograd.functional.jacobian(lambda x: flow(x.reshape(1, 4, 2, 3))[0].flatten(), picture.flatten())
    expected = torch.linalg.slogdet(matrix).logabsdet
    found = flow(picture)[1]
    assert found.shape == (1, 2, 3)
    torch.testing.assert_close(found.sum(), expected)


def test_the_log_determinant_of_a_vector_is_that_of_its_jacobian() -> None:
    flow, vectors, places = fibre_flow(5), values(3, 5), values(3, ENCODING, seed=3)
    found = flow(vectors, places)[1]
    for row in range(3):
        place = places[row : row + 1]
        matrix = torch.autograd.functional.jacobian(
            lambda x, place=place: flow(x.reshape(1, 5), place)[0].flatten(), vectors[row]
        )
        torch.testing.assert_close(found[row], torch.linalg.slogdet(matrix).logabsdet)


def test_a_new_flow_is_the_identity_up_to_the_order() -> None:
    flow = map_flow(6, scale=0.0)
    picture = values(2, 6, 3, 3)
    latent, log_determinant = flow(picture)
    assert log_determinant.abs().max() == 0
    torch.testing.assert_close(latent.sort(dim=1).values, picture.sort(dim=1).values)
    normal = torch.distributions.Normal(0.0, 1.0)
    torch.testing.assert_close(flow.surprise(picture), -normal.log_prob(picture).mean(dim=1))


@pytest.mark.parametrize("scale", [0.0, 0.4])
def test_the_likelihood_is_a_density(scale: float) -> None:
    # Over a grid of the plane it sums to one, for the identity and for any other flow.
    flow = fibre_flow(2, scale=scale)
    step = 0.05
    axis = torch.arange(-20, 20, step, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        density = torch.exp(-2 * flow.surprise(grid, values(1, ENCODING, seed=3).expand(len(grid), -1)))
    assert float(density.sum()) * step**2 == pytest.approx(1.0, abs=1e-3)


def test_a_step_stretches_by_no_more_than_the_clamp_and_cuts_nothing_off() -> None:
    flow = map_flow(6, scale=3.0)
    gains = sum(float(step.log_gain.detach().sum()) for step in flow.steps)
    with torch.no_grad():
        far = values(1, 6, 2, 2) * 1e6
        latent, log_determinant = flow(far)
        assert torch.isfinite(latent).all()
        assert float((log_determinant - gains).abs().max()) <= 3 * CLAMP * 3 + 1e-9
        assert (flow.surprise(2 * far) > flow.surprise(far)).all()


def test_what_lies_elsewhere_changes_the_likelihood() -> None:
    flow, vector = fibre_flow(4), values(1, 4)
    here, there = (flow.surprise(vector, values(1, ENCODING, seed=seed)) for seed in (3, 4))
    assert float((here - there).abs().detach()) > 1e-3


def test_the_same_seed_gives_the_same_flow_and_leaves_the_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    one, again, other = (
        flow_arrays(Flow(6, [lambda a, b: MapSubnet(a, b, 3, 4)] * 2, torch.Generator().manual_seed(seed)))
        for seed in (0, 0, 1)
    )
    torch.testing.assert_close(torch.rand(2), expected)
    assert set(one) == {
        f"{step}.{name}"
        for step in (0, 1)
        for name in (
            *("order", "bias", "log_gain", "subnet.first.weight", "subnet.first.bias"),
            *("subnet.last.weight", "subnet.last.bias"),
        )
    }
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["0.subnet.first.weight"], other["0.subnet.first.weight"])
    assert one["0.order"].dtype == np.int32
