"""Perlin noise and coarse noise: range, smoothness, scale and seed."""

from __future__ import annotations

import torch

from isotherm.nn.noise import coarse_noise, perlin


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_perlin_noise_stays_in_its_range_and_uses_it() -> None:
    noise = perlin(64, (64, 96), seeded())
    assert noise.shape == (64, 1, 64, 96)
    assert -1 <= float(noise.min()) < -0.8
    assert 0.8 < float(noise.max()) <= 1
    assert abs(float(noise.mean())) < 0.02


def test_perlin_noise_is_continuous_and_of_several_scales() -> None:
    noise = perlin(64, (128, 128), seeded())
    # Half a row or a column away from lattice points of at most 64 cells a side no step can be a jump.
    steps = (noise[..., 1:] - noise[..., :-1]).abs().amax(dim=(1, 2, 3))
    assert float(steps.min()) < 0.02
    assert 0.2 < float(steps.max()) < 1.2
    # A field of a single cell is smooth everywhere: its second difference is that of a polynomial.
    smoothest = noise[int(steps.argmin())]
    bend = smoothest[..., 2:] - 2 * smoothest[..., 1:-1] + smoothest[..., :-2]
    assert float(bend.abs().max()) < 0.01


def test_perlin_noise_of_any_scale_changes_its_sign() -> None:
    noise = perlin(32, (64, 64), seeded(1)).flatten(1)
    assert bool(((noise > 0).any(dim=1) & (noise < 0).any(dim=1)).all())


def test_pictures_of_a_batch_differ_and_the_seed_decides() -> None:
    one, again, other = perlin(4, (32, 32), seeded(3)), perlin(4, (32, 32), seeded(3)), perlin(4, (32, 32), seeded(4))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert not torch.equal(one[0], one[1])


def test_coarse_noise_has_mean_0_deviation_1_and_the_size_of_its_cells() -> None:
    for cell_px in (8, 16):
        noise = coarse_noise(128, (64, 96), cell_px, seeded())
        assert noise.shape == (128, 1, 64, 96)
        assert abs(float(noise.mean())) < 0.05
        assert 0.9 < float(noise.std()) < 1.1
        # Pixels half a cell apart belong together, pixels two cells apart do not.
        near = (noise[..., cell_px // 2 :] * noise[..., : -cell_px // 2]).mean()
        far = (noise[..., 2 * cell_px :] * noise[..., : -2 * cell_px]).mean()
        assert float(near) > 0.6
        assert abs(float(far)) < 0.1
