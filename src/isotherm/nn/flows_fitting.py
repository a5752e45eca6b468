"""The fit loop of normalising flows on cached feature maps: one flow, one scale at a time."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float16, Float32
from torch import nn

from isotherm.core.progress import Progress
from isotherm.nn.fitting import fitting_device, torch_device
from isotherm.nn.flows import Array, FibreSubnet, Flow, MapSubnet, flow_arrays
from isotherm.nn.together import Team, team_of

Maps = tuple[Float16[np.ndarray, "_ h w D"], Bool[np.ndarray, "_ h w"]]
"""Feature maps of some pictures, and which of their cells are part of the scene."""
WARMUP = 0.05
"""Share of the steps in which the step size rises from 0; then it falls to 0 as a cosine."""
CHECKS = 20
"""How often the validation part is judged in a full fit."""
MAX_GRADIENT = 10.0
"""Longest gradient: one odd picture must not throw a flow off."""
LEAST_DEVIATION = 1e-3
"""Smallest deviation of the likelihood between cells [nats a channel]: copies of one picture differ by rounding."""
FIBRES = 65_536
"""How many vectors of the validation part are judged at most."""


@runtime_checkable
class MapSource(Protocol):
    """Feature maps of one scale."""

    @property
    def mean(self) -> Float32[np.ndarray, " D"]:
        """Mean of each feature over the cells that are learnt from."""
        ...

    @property
    def deviation(self) -> Float32[np.ndarray, " D"]:
        """Standard deviation of each feature, never 0."""
        ...

    @property
    def validation(self) -> Maps:
        """Maps that are not learnt from."""
        ...

    def chunks(self) -> Iterator[Maps]:
        """Yield the maps that are learnt from, in the same order at every call."""
        ...


@dataclass(frozen=True)
class FlowPlan:
    """How long and how to learn.

    Parameters
    ----------
    steps
        Largest number of steps.
    patience
        Checks (of `CHECKS` in all) without a better validation likelihood before it stops.
    batch_size
        Pictures or vectors a step.
    device
        Where to learn; the flow comes back to the processor.
    """

    steps: int
    patience: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    device: Literal["cpu", "cuda"] = field(default_factory=fitting_device)


@dataclass(frozen=True)
class Sample:
    """Some standardised features (N D h w) or vectors (B D), where they are (B E), and which cells count (N h w)."""

    values: torch.Tensor
    condition: torch.Tensor | None = None
    kept: torch.Tensor | None = None

    def to(self, device: torch.device) -> Sample:
        """Return the same on another device."""
        condition, kept = (None if each is None else each.to(device) for each in (self.condition, self.kept))
        return Sample(self.values.to(device), condition, kept)

    def shared(self, team: Team) -> Sample:
        """Return this process's part; alone it is all of it."""
        if team.count == 1:
            return self
        part = team.share(torch.arange(len(self.values)), least=1)
        condition, kept = (None if each is None else each[part] for each in (self.condition, self.kept))
        return Sample(self.values[part], condition, kept)

    def surprise(self, flow: Surprise) -> torch.Tensor:
        """Return the negative log-likelihood of each cell that counts, in nats a channel."""
        surprise = flow(self.values, self.condition)
        return surprise if self.kept is None else surprise[self.kept]


Surprise = Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]
"""`Flow.surprise`, or what computes as it does."""


class _Surprise(nn.Module):
    """A flow whose call is its `surprise`, because gradients are only averaged of what is called."""

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self.flow = flow

    def forward(self, values: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        return self.flow.surprise(values, condition)


Samples = Callable[[Maps, torch.Generator], Iterator[Sample]]
"""Cuts a chunk of maps into batches in random order."""


def map_samples(source: MapSource, batch_size: int) -> Samples:
    """Return a function that gives whole maps; cells that do not count hold the mean feature."""
    standardise = _standardised(source)

    def samples(maps: Maps, generator: torch.Generator) -> Iterator[Sample]:
        values, kept = torch.from_numpy(maps[0]), torch.from_numpy(maps[1])
        for members in torch.split(torch.randperm(len(values), generator=generator), batch_size):
            picked = standardise(values[members]) * kept[members][..., None]
            # The features come last in memory, which is the layout (channels last) that convolutions like best.
            yield Sample(picked.permute(0, 3, 1, 2), kept=kept[members])

    return samples


def fibre_samples(source: MapSource, places: Float32[np.ndarray, "P E"], batch_size: int) -> Samples:
    """Return a function that gives vectors from anywhere in any picture, each with the encoding of its place."""
    standardise, encodings = _standardised(source), torch.from_numpy(places)

    def samples(maps: Maps, generator: torch.Generator) -> Iterator[Sample]:
        vectors = torch.from_numpy(maps[0]).reshape(-1, maps[0].shape[-1])
        cells = torch.from_numpy(np.flatnonzero(maps[1]))
        shuffled = cells[torch.randperm(len(cells), generator=generator)]
        for members in torch.split(shuffled, batch_size):
            yield Sample(standardise(vectors[members]), encodings[members % len(encodings)])

    return samples


def _standardised(source: MapSource) -> Callable[[torch.Tensor], torch.Tensor]:
    mean, deviation = torch.from_numpy(source.mean), torch.from_numpy(source.deviation)
    return lambda values: (values.float() - mean) / deviation


def fit_map_flow(
    source: MapSource, kernels: Sequence[int], width: int, plan: FlowPlan, *, seed: int, progress: Progress
) -> dict[str, Array]:
    """Learn a flow of whole maps, with a step for each of `kernels`; returns its arrays (see `_arrays`)."""
    generator = torch.Generator().manual_seed(seed)
    subnets = [partial(MapSubnet, kernel=kernel, width=width) for kernel in kernels]
    flow: Flow = Flow(len(source.mean), subnets, generator)
    samples = map_samples(source, plan.batch_size)
    fit_flow(flow, source, samples, plan, generator=generator, progress=progress)
    return _arrays(flow, _validation(source, samples))


def fit_fibre_flow(
    source: MapSource,
    places: Float32[np.ndarray, "P E"],
    plan: FlowPlan,
    *,
    couplings: int,
    width: int,
    seed: int,
    progress: Progress,
) -> dict[str, Array]:
    """Learn a flow of single vectors that are told their place (P of the grid); returns its arrays (see `_arrays`)."""
    generator = torch.Generator().manual_seed(seed)
    subnets = [partial(FibreSubnet, encoding=places.shape[1], width=width)] * couplings
    flow: Flow = Flow(len(source.mean), subnets, generator)
    samples = fibre_samples(source, places, plan.batch_size)
    fit_flow(flow, source, samples, plan, generator=generator, progress=progress)
    return _arrays(flow, _validation(source, samples))


@torch.no_grad()
def _arrays(flow: Flow, judged: list[Sample]) -> dict[str, Array]:
    """Return the arrays of a flow (`flow_arrays`).

    With them goes ``typical``, mean and standard deviation of the negative log-likelihood of cells that were not learnt
    from: the unit in which depths of different noise can be added.
    """
    surprises = torch.cat([sample.surprise(flow.surprise) for sample in judged]).double()
    deviation = max(float(surprises.std(correction=0)), LEAST_DEVIATION)
    return {**flow_arrays(flow), "typical": np.array([float(surprises.mean()), deviation], np.float32)}


def fit_flow(
    flow: Flow,
    source: MapSource,
    samples: Samples,
    plan: FlowPlan,
    *,
    generator: torch.Generator,
    progress: Progress,
) -> Flow:
    """Raise the likelihood of the maps; returns the flow of the best validation likelihood, ready for use.

    Raises
    ------
    ConfigError
        The plan asks for a GPU that is not there.
    """
    device = torch_device(plan.device)
    team = team_of(device)
    flow.to(device)
    learner = team.averaging(_Surprise(flow))
    optimiser = torch.optim.Adam(flow.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda done: _pace(done, plan.steps))
    best = _Best(flow, [sample.to(device) for sample in _validation(source, samples)], team)
    every = max(1, plan.steps // CHECKS)
    for step, sample in zip(range(1, plan.steps + 1), _endless(source, samples, generator), strict=False):
        # All processes draw the same batches, because nothing else is drawn.
        loss = sample.shared(team).to(device).surprise(learner).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(flow.parameters(), MAX_GRADIENT)
        optimiser.step()
        schedule.step()
        if step % every == 0 or step == plan.steps:
            best.check(flow, step)
            told = f"step {step} loss {team.mean(loss.item()):.4f}, validation {best.last:.4f}"
            progress(step, plan.steps, told)
            if best.stale >= plan.patience:
                progress(plan.steps, plan.steps, f"step {step}, stopped early; best was step {best.step}")
                break
    flow.load_state_dict(best.state)
    return flow.cpu().eval()


def _pace(done: int, steps: int) -> float:
    warm = max(1.0, WARMUP * steps)
    if done < warm:
        return (done + 1) / (warm + 1)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - warm) / max(1.0, steps - warm))))


def _endless(source: MapSource, samples: Samples, generator: torch.Generator) -> Iterator[Sample]:
    while True:
        for chunk in source.chunks():
            yield from samples(chunk, generator)


def _validation(source: MapSource, samples: Samples) -> list[Sample]:
    """Cut the validation part into batches once; of vectors some are drawn."""
    drawn, seen = [], 0
    for sample in samples(source.validation, torch.Generator().manual_seed(0)):
        drawn.append(sample)
        seen += sample.values[:, 0].numel()
        if sample.values.dim() == 2 and seen >= FIBRES:
            break
    return drawn


class _Best:
    """The best state so far, by the likelihood of the validation part."""

    def __init__(self, flow: Flow, judged: list[Sample], team: Team) -> None:
        self._judged, self._team = judged, team
        self.last = self._loss = self._judge(flow)
        self.state, self.step, self.stale = copy.deepcopy(flow.state_dict()), 0, 0

    def check(self, flow: Flow, step: int) -> None:
        self.last = self._judge(flow)
        self.stale += 1
        if self.last < self._loss:
            self.state, self.step, self.stale = copy.deepcopy(flow.state_dict()), step, 0
            self._loss = self.last

    @torch.no_grad()
    def _judge(self, flow: Flow) -> float:
        mean = torch.cat([sample.surprise(flow.surprise) for sample in self._judged]).mean()
        return self._team.agreed(float(mean))
