"""Every network keeps the seam's promises with every attention, learns, and sees what it says it sees."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import nn

from isotherm.core.errors import ConfigError
from isotherm.segmentation import NETWORKS
from isotherm.segmentation.attention import Attention
from isotherm.segmentation.network import NetConfig, Wants
from isotherm.segmentation.volumes import over_time, volume_of
from isotherm.testing.segmentation import check_network, cooling_frames

NAMES = NETWORKS.names()
# One of each kind of stage with each attention; all the others are built and run below.
SAMPLE = [
    ("attunet", "scse"), ("unet++", "eca"), ("unet3d", "st"), ("lstm", "se"),
    *(("cnn1d", attention) for attention in ("se", "scse", "eca", "st")),
]  # fmt: skip
IMPOSSIBLE = [("lstm", "scse"), ("lstm", "st")]


def built(name: str, channels: int = 16, **settings: object) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS.get(name).build(channels, NetConfig(width=4, **settings))


def frames(count: int = 2, channels: int = 16, side: int = 16) -> torch.Tensor:
    return torch.from_numpy(cooling_frames(count, channels, (side, side), seed=0))


@pytest.mark.parametrize("name", NAMES)
def test_networks_keep_the_promises_of_their_seam(name: str) -> None:
    check_network(NETWORKS.get(name), NetConfig(width=4))


@pytest.mark.parametrize(("name", "attention"), SAMPLE)
def test_networks_with_attention_keep_them_too(name: str, attention: Attention) -> None:
    check_network(NETWORKS.get(name), NetConfig(width=4, attention=attention))


@pytest.mark.parametrize("attention", get_args(Attention)[1:])
@pytest.mark.parametrize("name", NAMES)
def test_each_attention_is_in_each_network(name: str, attention: Attention) -> None:
    if (name, attention) in IMPOSSIBLE:
        with pytest.raises(ConfigError, match="use se or eca, or network cnn1d"):
            built(name, attention=attention)
        return
    plain, with_attention = (len(list(built(name, attention=each).parameters())) for each in ("none", attention))
    assert with_attention > plain
    with torch.no_grad():
        assert built(name, attention=attention).eval()(frames()).shape == (2, 1, 16, 16)


@pytest.mark.parametrize("name", NAMES)
def test_networks_learn(name: str) -> None:
    module, given = built(name).train(), frames()
    # What is to be found is in the sign of one frame.
    wanted = (given[:, 8:9] > 0).float()
    optimiser = torch.optim.Adam(module.parameters(), lr=0.02)
    losses = []
    for _ in range(12):
        answer = module(given)
        main = answer[0] if isinstance(answer, tuple) else answer
        loss = nn.functional.binary_cross_entropy_with_logits(main, wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.85 * losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_default_networks_are_small(name: str) -> None:
    module = NETWORKS.get(name).build(16, NetConfig())
    assert sum(weight.numel() for weight in module.parameters()) < 600_000


@pytest.mark.parametrize(("name", "heads"), [("unet++", 4), ("unet++3d", 3)])
def test_the_first_of_several_answers_is_the_one_in_use(name: str, heads: int) -> None:
    module, given = built(name), frames()
    used = module.eval()(given)
    module.train()
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.eval()
    answers = module(given)
    assert len(answers) == heads
    torch.testing.assert_close(answers[0], used)


@pytest.mark.parametrize("count", [4, 5, 25, 30])
@pytest.mark.parametrize("name", ["unet3d", "unet++3d", "seqpca"])
def test_networks_over_time_take_any_number_of_frames(name: str, count: int) -> None:
    with torch.no_grad():
        assert built(name, count).eval()(frames(1, count)).shape == (1, 1, 16, 16)


@pytest.mark.parametrize(
    ("name", "fewest"), [("unet3d", 4), ("unet++3d", 4), ("lstm", 2), ("cnn1d", 5), ("pca_unet", 4), ("seqpca", 4)]
)
def test_too_few_frames_are_refused(name: str, fewest: int) -> None:
    built(name, fewest)
    with pytest.raises(ConfigError, match=f"{name.replace('+', '.')} needs at least {fewest} frames"):
        built(name, fewest - 1)


@pytest.mark.parametrize("attention", ["none", "se", "eca"])
@pytest.mark.parametrize("name", ["lstm", "cnn1d"])
def test_networks_of_pixels_see_one_pixel(name: str, attention: Attention) -> None:
    module, given = built(name, attention=attention).eval(), frames()
    changed = given.clone()
    changed[1, :, 3, 5] += torch.linspace(0, 3, 16)
    with torch.no_grad():
        difference = (module(changed) - module(given)).abs() > 1e-6
    assert difference.nonzero().tolist() == [[1, 0, 3, 5]]


def test_each_pixel_weights_its_times() -> None:
    values = torch.tensor([[1.0, 2.0, 6.0], [1.0, 2.0, 6.0]]).T.reshape(1, 1, 3, 1, 2)
    scores = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 100.0]]).T.reshape(1, 1, 3, 1, 2)
    # The mean where all times count alike, the last where only that one does.
    torch.testing.assert_close(over_time(torch.cat([values, scores], 1)), torch.tensor([[[[3.0, 6.0]]]]))


def test_the_last_frame_fills_the_time_axis_up() -> None:
    given = frames(1, 5)
    filled = volume_of(given, 5)
    assert filled.shape == (1, 1, 8, 16, 16)
    assert torch.equal(filled[0, 0, :5], given[0])
    assert torch.equal(filled[0, 0, 5:], given[0, -1:].expand(3, -1, -1))


def test_components_inside_do_not_mind_the_unit() -> None:
    module, given = built("pca_unet").eval(), frames()
    with torch.no_grad():
        torch.testing.assert_close(module(50 * given + 300), module(given), rtol=1e-2, atol=1e-3)


class Pixels(nn.Module):
    """A linear layer on each pixel: the smallest network that keeps the promises."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels, 1, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.layer(maps)


class WithUnused(Pixels):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.unused = nn.Conv2d(1, 1, 1)


class OfTheBatch(Pixels):
    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.layer(maps - maps.mean(dim=0, keepdim=True))


class Several(Pixels):
    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.layer(maps), self.layer(maps)


class TwoChannels(Pixels):
    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.layer(maps).expand(-1, 2, -1, -1)


class Overwriting(Pixels):
    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.layer(maps.mul_(2))


class OfATracedSize(Pixels):
    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.layer(maps) / float(maps.shape[2])


class Unseeded(Pixels):
    made = 0.0

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        Unseeded.made += 1
        nn.init.constant_(self.layer.bias, Unseeded.made)


class Own:
    """A network of somebody else."""

    name = "own"
    wants: Wants = "either"
    multiple = 1

    def __init__(self, kind: type[nn.Module]) -> None:
        self.kind = kind

    def build(self, channels: int, config: NetConfig) -> nn.Module:
        return self.kind(channels)


def test_the_check_lets_a_network_pass_that_keeps_the_promises() -> None:
    check_network(Own(Pixels))


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (WithUnused, "must have a part in what is learnt"),
        (OfTheBatch, "must not depend on its neighbours"),
        (Several, "must return one tensor"),
        (TwoChannels, "logits must have the shape"),
        (Overwriting, "must leave its input alone"),
        (OfATracedSize, "probabilities must be those of the network"),
        (Unseeded, "the same seed must give the same weights"),
    ],
)
def test_the_check_finds_a_broken_promise(kind: type[nn.Module], promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_network(Own(kind))
