"""The fit loop of networks that find defects."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import nn

from isotherm.core.errors import ConfigError
from isotherm.core.progress import Progress
from isotherm.nn.fitting import exact, fitting_device, has_bfloat16, torch_device
from isotherm.nn.together import Team, team_of
from isotherm.runtime.windows import Windows
from isotherm.segmentation.augment import augmented
from isotherm.segmentation.crops import Crops
from isotherm.segmentation.losses import loss_named
from isotherm.segmentation.network import NetConfig, Network
from isotherm.segmentation.plan import Example, Examples, FitConfig, window_px

THRESHOLDS = np.linspace(0, 1, 1001)
LOWEST, HIGHEST = 0.05, 0.95
"""The threshold is looked for between these: beyond them it would hang on a few pixels."""


@dataclass(frozen=True)
class Fitted:
    """A network in its best state on the validation specimens, on the processor and ready for use.

    Parameters
    ----------
    names
        Of the channels that it takes.
    threshold
        Of the probability, 0..1; the one with the largest Dice on the validation specimens.
    dice
        That Dice, over the pixels of all validation specimens: chosen, so a little too good.
    step
        The step at which it was best.
    """

    module: nn.Module
    names: tuple[str, ...]
    threshold: float
    dice: float
    step: int


def fit_segmenter(
    network: Network, examples: Examples, net: NetConfig, config: FitConfig, *, seed: int, progress: Progress
) -> Fitted:
    """Teach a network to find defects.

    The same seed on the same machine gives the same weights; torch's own random state is left as it was.

    Raises
    ------
    ConfigError
        The network has no such attention or needs more channels, or CUDA is asked for and not there.
    """
    device = torch_device(fitting_device())
    team = team_of(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = network.build(len(examples.names), net).to(device)
        side = -(-config.crop_px // network.multiple) * network.multiple
        crops = Crops(examples.training, side, np.random.default_rng(team.seed(seed)))
        course = _Course(module, crops, config, seed=seed, team=team)
        windows = Windows(network.multiple, window_px(network))
        best = Fitted(module, examples.names, 0.5, -1.0, 0)
        weights = copy.deepcopy(module.state_dict())
        for step in range(1, config.steps + 1):
            loss = course.step(examples.names)
            if step == config.steps or step % max(1, config.steps // config.checks) == 0:
                threshold, dice = best_cut(module, examples.validation, windows)
                if dice > best.dice:
                    best = replace(best, threshold=threshold, dice=dice, step=step)
                    weights = copy.deepcopy(module.state_dict())
            told = f", validation Dice {best.dice:.3f} (step {best.step})" if best.step else ""
            progress(step, config.steps, f"learning: step {step}, loss {loss:.4f}{told}")
    module.load_state_dict(weights)
    module.cpu().eval()
    return best


def check_network(network: Network, channels: int, net: NetConfig) -> None:
    """Raise ConfigError where there is no such network; torch's random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        network.build(channels, net)


class _Course:
    """The network's weights on their way down."""

    def __init__(self, module: nn.Module, crops: Crops, config: FitConfig, *, seed: int, team: Team) -> None:
        self._module, self._crops, self._config, self._team = team.averaging(module), crops, config, team
        self._device = next(module.parameters()).device
        self._mixed = config.bfloat16 and has_bfloat16(self._device)
        self._loss = loss_named(config.loss)
        self._generator = torch.Generator().manual_seed(team.seed(seed))
        self._optimiser = torch.optim.AdamW(module.parameters(), lr=config.learning_rate, fused=True)
        self._rates = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, max_lr=config.learning_rate, total_steps=config.steps + 1, pct_start=0.15
        )

    def step(self, names: tuple[str, ...]) -> float:
        """Learn from a few crops once; returns their loss."""
        self._module.train()
        batch = self._crops.draw(self._team.share_of(self._config.batch_size))
        if self._config.augment:
            batch = augmented(batch, names, self._generator)
        batch = batch.to(self._device)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._mixed):
            answer = self._module(batch.inputs)
        loss = self._loss(exact(answer), batch.truth, batch.keep)
        if not torch.isfinite(loss):
            raise ConfigError(f"the loss {self._config.loss} became {loss.item()}; a smaller learning rate would do")
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._module.parameters(), 10.0)
        self._optimiser.step()
        self._rates.step()
        return self._team.mean(loss.item())


def best_cut(module: nn.Module, examples: Sequence[Example], windows: Windows) -> tuple[float, float]:
    """Return the threshold of the probability with the largest Dice over the pixels of recordings, and that Dice.

    Pictures are computed as they are in use (`isotherm.runtime.onnx_network`).
    """
    module.eval()
    on_defects, elsewhere = np.zeros(THRESHOLDS.size - 1), np.zeros(THRESHOLDS.size - 1)
    for each in examples:
        probability = probability_of(module, each, windows)
        counts = np.ones_like(each.truth) if each.judged is None else each.judged
        on_defects += np.histogram(probability[counts & each.truth], THRESHOLDS)[0]
        elsewhere += np.histogram(probability[counts & ~each.truth], THRESHOLDS)[0]
    return _best_dice(on_defects, elsewhere)


@torch.no_grad()
def probability_of(module: nn.Module, example: Example, windows: Windows) -> Float32[np.ndarray, "H W"]:
    """Return the probability of a defect for each pixel of a recording, by a network in its state of use (`eval`)."""
    device = next(module.parameters()).device

    def compute(values: Float32[np.ndarray, "C h w"]) -> Float32[np.ndarray, "h w"]:
        inputs = torch.from_numpy(values)[None].to(device)
        return np.asarray(torch.sigmoid(module(inputs).float()).cpu().numpy()[0, 0])

    return windows.run(example.known_inputs, compute)


def _best_dice(on_defects: Float64[np.ndarray, " B"], elsewhere: Float64[np.ndarray, " B"]) -> tuple[float, float]:
    hits, false = (np.cumsum(counts[::-1])[::-1] for counts in (on_defects, elsewhere))
    dice = 2 * hits / np.maximum(hits + false + on_defects.sum(), 1)
    at = THRESHOLDS[:-1]
    allowed = (at >= LOWEST) & (at <= HIGHEST)
    # Where many do as well (a network that is sure of itself), the middle one.
    good = np.flatnonzero(allowed & (dice >= dice[allowed].max() - 1e-9))
    chosen = int(good[good.size // 2])
    return float(at[chosen]), float(dice[chosen])
