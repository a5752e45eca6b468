"""The fit loop of networks that learn from normal pictures: what they learn, and from what, is given to it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import nn

from isotherm.core.device import wanted
from isotherm.core.errors import ConfigError
from isotherm.core.progress import Progress
from isotherm.nn.augment import augmented
from isotherm.nn.lessons import Images, Lesson, Lessons
from isotherm.nn.together import Team, team_of

Network = TypeVar("Network", bound=nn.Module)
Loss = Callable[[Any, Lesson], torch.Tensor]
"""A network's answer (a tensor or a tuple of tensors, float32) and the lesson -> what is to become small."""
Corruption = Callable[[Lesson, torch.Generator], Lesson]
"""Makes the pictures that are shown harder than those that are wanted."""
SCORED_WITH = 1
"""Seed of the corruption of the validation part, which is the same in every pass and every fit."""


def fitting_device() -> Literal["cpu", "cuda"]:
    """Return where to learn: the wanted device, and for ``auto`` CUDA where torch finds one."""
    device = wanted()
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


@dataclass(frozen=True)
class FitPlan:
    """How long and how to learn.

    Parameters
    ----------
    epochs
        Largest number of passes over the pictures.
    patience
        Passes without a better validation loss before it stops.
    validation
        Share of the pictures that is kept for validation.
    bfloat16
        Compute the convolutions in bfloat16 where the processor has it; weights, losses and validation stay float32.
    device
        Where to compute; by default what `isotherm.core.device` wants.
    last_rate
        Step size of the last pass, as a share of the first; it falls as a cosine.
    augment
        Whether pictures are mirrored, tilted, and given another brightness and contrast.
    """

    epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    validation: float
    bfloat16: bool
    device: Literal["cpu", "cuda"] = field(default_factory=fitting_device)
    last_rate: float = 1.0
    augment: bool = True


@dataclass(frozen=True)
class Task(Generic[Network]):
    """What is learnt.

    Parameters
    ----------
    build
        Makes the untrained network; torch's random state is seeded while it runs.
    loss, corrupt
        See `Loss` and `Corruption`.
    """

    build: Callable[[], Network]
    loss: Loss
    corrupt: Corruption = lambda lesson, _generator: lesson


@dataclass(frozen=True)
class Fitted(Generic[Network]):
    """A network in the state of the best validation loss, on the processor and ready for use.

    Parameters
    ----------
    validation
        The held-out pictures, as they were before any corruption.
    loss
        Its validation loss.
    """

    network: Network
    validation: Lesson
    loss: float


def fit_network(
    images: Images, task: Task[Network], plan: FitPlan, *, seed: int, progress: Progress
) -> Fitted[Network]:
    """Learn a task from two or more normal pictures; see `fit_lessons`."""
    torch_device(plan.device)
    return fit_lessons(Lessons(images, plan.validation, seed), task, plan, seed=seed, progress=progress)


def fit_lessons(
    lessons: Lessons, task: Task[Network], plan: FitPlan, *, seed: int, progress: Progress
) -> Fitted[Network]:
    """Learn a task from normal pictures.

    The pictures are cut off at 0 and 1. The same seed on the same machine gives the same weights; torch's own random
    state is left as it was.

    Raises
    ------
    ConfigError
        The plan asks for a GPU that is not there.
    """
    device = torch_device(plan.device)
    team = team_of(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = task.build()
    # bfloat16 and this layout together: benchmarks/bench_autoencoder.py says how much they bring.
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    scored = task.corrupt(lessons.validation, torch.Generator().manual_seed(SCORED_WITH))
    course = Course(network, task, plan, seed=seed, team=team)
    best, best_loss, best_epoch = copy.deepcopy(network.state_dict()), math.inf, 0
    for epoch in range(1, plan.epochs + 1):
        loss = course.epoch(lessons.chunks())
        validation = team.agreed(_validate(network, task.loss, scored, plan))
        if validation < best_loss:
            best, best_loss, best_epoch = copy.deepcopy(network.state_dict()), validation, epoch
        message = f"epoch {epoch} loss {loss:.5f}, validation {validation:.5f}"
        if epoch - best_epoch >= plan.patience:
            progress(plan.epochs, plan.epochs, f"{message}, stopped early; best was epoch {best_epoch}")
            break
        progress(epoch, plan.epochs, message)
    network.load_state_dict(best)
    return Fitted(network.cpu().eval(), lessons.validation, best_loss)


def torch_device(name: str) -> torch.device:
    """Return the device of a name; raises ConfigError where it is not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device cuda: torch finds no CUDA device here; train on cpu")
    return torch.device(name)


def has_bfloat16(device: torch.device) -> bool:
    """Say whether the device computes in bfloat16; a processor that only imitates it is slower than in float32."""
    if device.type == "cuda":
        return True
    # torch also says yes (`mkldnn._is_mkldnn_bf16_supported`) where AVX-512 without bfloat16 has to imitate it.
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


class Course:
    """The network's weights on their way down."""

    def __init__(self, network: nn.Module, task: Task[Any], plan: FitPlan, *, seed: int, team: Team) -> None:
        self._team, self._task, self._plan = team, task, plan
        self._network = team.averaging(network)
        self._generator = torch.Generator().manual_seed(team.seed(seed))
        # All processes go through the pictures in one order.
        self._order = self._generator if team.count == 1 else torch.Generator().manual_seed(seed)
        self._device = torch.device(plan.device)
        self._mixed = plan.bfloat16 and has_bfloat16(self._device)
        self._optimiser = torch.optim.Adam(network.parameters(), lr=plan.learning_rate, fused=True)
        self._done = 0

    def epoch(self, chunks: Iterator[Lesson]) -> float:
        """Pass over all pictures once; returns the mean loss."""
        self._network.train()
        self._set_rate()
        total, count = 0.0, 0
        for chunk in chunks:
            for members in torch.split(torch.randperm(len(chunk), generator=self._order), self._plan.batch_size):
                loss = self.step(chunk.pick(self._team.share(members)))
                total, count = total + loss * len(members), count + len(members)
        self._done += 1
        return self._team.mean(total / count)

    def step(self, lesson: Lesson) -> float:
        """Learn from a few pictures once; returns their loss."""
        if self._plan.augment:
            lesson = augmented(lesson, self._generator)
        lesson = self._task.corrupt(lesson, self._generator).to(self._device)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._mixed):
            answer = self._network(lesson.shown)
        loss = self._task.loss(exact(answer), lesson)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        return loss.item()

    def _set_rate(self) -> None:
        way = self._done / max(1, self._plan.epochs - 1)
        last = self._plan.last_rate
        for group in self._optimiser.param_groups:
            group["lr"] = self._plan.learning_rate * (last + (1 - last) * 0.5 * (1 + math.cos(math.pi * way)))


@torch.no_grad()
def _validate(network: nn.Module, loss: Loss, lesson: Lesson, plan: FitPlan) -> float:
    network.eval()
    total = 0.0
    for members in torch.split(torch.arange(len(lesson)), plan.batch_size):
        part = lesson.pick(members).to(torch.device(plan.device))
        total += loss(network(part.shown), part).item() * len(part)
    return total / len(lesson)


def exact(answer: Any) -> Any:
    """Return a network's answer (a tensor or a tuple of them) in float32."""
    return tuple(each.float() for each in answer) if isinstance(answer, tuple) else answer.float()
