"""The networks of EfficientAD that learn what a teacher says about normal pictures, and their loss."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import cast

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import nn
from torch.nn import functional

from isotherm.nn.fitting import Fitted, Task
from isotherm.nn.folding import Array, folded
from isotherm.nn.lessons import Lesson, Lessons
from isotherm.nn.losses import mean_kept
from isotherm.nn.unet import Stage, convolve, double

STRIDE = 8
"""Distance of two cells of the answers [input px]."""
KEPT_SHARE = 0.75
"""A cell of which less is part of the scene does not count."""
FLOOR = 0.01
"""Share of the mean variance that is added to each feature's: what hardly ever changes must not explode."""
BATCH = 16
Answer = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class Students(nn.Module):
    """A student that sees neighbourhoods, and an autoencoder that sees whole pictures through a narrow middle.

    Parameters
    ----------
    features
        D, what the teacher says about a cell.
    size
        H and W of the pictures, multiples of 32.
    trunk
        Channels of the student after each halving; the last stays.
    dilations
        Distances of the neighbours that the student's further stages look at [cells].
    narrow
        Channels of the autoencoder, and length of the vector that has to tell all about a picture.
    """

    def __init__(
        self, features: int, size: tuple[int, int], trunk: Sequence[int], dilations: Sequence[int], narrow: int
    ) -> None:
        super().__init__()
        middle = (size[0] // 32, size[1] // 32)
        last = trunk[-1]
        self.halve = nn.ModuleList(convolve(a, b, stride=2) for a, b in pairwise((3, *trunk)))
        self.look = nn.ModuleList(Stage(nn.Conv2d(last, last, 3, 1, d, d, bias=False)) for d in dilations)
        self.answer = nn.ModuleList([Stage(nn.Conv2d(last, 2 * features, 1), bare=True)])
        widths = (3, narrow // 2, narrow // 2, narrow, narrow, narrow)
        self.down = nn.ModuleList(convolve(a, b, stride=2) for a, b in pairwise(widths))
        self.squeeze = nn.ModuleList([Stage(nn.Conv2d(narrow, narrow, middle), bare=True)])
        self.spread = nn.ModuleList([Stage(nn.ConvTranspose2d(narrow, narrow, middle, bias=False))])
        self.up = nn.ModuleList(double(narrow, narrow) for _ in range(2))
        self.rebuild = nn.ModuleList([convolve(narrow, narrow), Stage(nn.Conv2d(narrow, features, 1), bare=True)])

    def forward(self, pictures: torch.Tensor) -> Answer:
        """Return three of (N D H/8 W/8): the student for the teacher and for the autoencoder, the autoencoder."""
        seen = pictures
        for stage in (*self.halve, *self.look, *self.answer):
            seen = stage(seen)
        local, imitated = seen.chunk(2, dim=1)
        code = pictures
        for stage in (*self.down, *self.squeeze):
            code = stage(code)
        rebuilt = torch.relu(code)
        for stage in (*self.spread, *self.up, *self.rebuild):
            rebuilt = stage(rebuilt)
        return local, imitated, rebuilt

    def arrays(self) -> dict[str, Array]:
        """Return weights and biases with the normalisation folded in: ``halve.0.weight`` and so on."""
        named: dict[str, Array] = {}
        for part, stages in self.named_children():
            for index, stage in enumerate(cast(Iterable[Stage], stages)):
                named[f"{part}.{index}.weight"], named[f"{part}.{index}.bias"] = folded(stage.convolution, stage.norm)
        return named


class Scale:
    """Mean and spread of the teacher's features over all cells that are learnt from."""

    def __init__(self, lessons: Lessons) -> None:
        count, total, squares = 0.0, np.zeros(()), np.zeros(())
        for lesson in _parts(lessons.chunks()):
            truth, keep = _truth(lesson), kept_cells(lesson.keep)
            count += float(keep.sum())
            total = total + _cell_sum(truth * keep)
            squares = squares + _cell_sum(truth**2 * keep)
        mean = total / max(count, 1.0)
        variance = np.maximum(squares / max(count, 1.0) - mean**2, 0)
        self.mean: Float32[np.ndarray, " D"] = np.asarray(mean, np.float32)
        deviation = np.sqrt(variance + (FLOOR * float(np.mean(variance)) or 1.0))
        self.deviation: Float32[np.ndarray, " D"] = np.asarray(deviation, np.float32)

    def apply(self, truth: torch.Tensor) -> torch.Tensor:
        """Return features (N D h w) with mean 0 and deviation 1."""
        mean, deviation = (torch.from_numpy(each).to(truth.device) for each in (self.mean, self.deviation))
        return (truth - mean[:, None, None]) / deviation[:, None, None]


def _cell_sum(values: torch.Tensor) -> Float64[np.ndarray, " D"]:
    total: np.ndarray = values.sum(dim=(0, 2, 3), dtype=torch.float64).numpy()
    return total


def imitation(students: partial[Students], scale: Scale, hard: float) -> Task[Students]:
    """Return the task: say what the teacher says, in the scaled features.

    Parameters
    ----------
    students
        Builds the network.
    hard
        Share of the student's errors that are too small to count.
    """

    def loss(answer: Answer, lesson: Lesson) -> torch.Tensor:
        local, imitated, rebuilt = answer
        truth, keep = scale.apply(_truth(lesson)), kept_cells(lesson.keep)
        whole = mean_kept((truth - rebuilt) ** 2, keep) + mean_kept((rebuilt - imitated) ** 2, keep)
        return hardest((truth - local) ** 2 * keep, hard) + whole

    return Task(students, loss)


def hardest(errors: torch.Tensor, share: float) -> torch.Tensor:
    """Return the mean of the errors that are not among the smallest `share` of all (EfficientAD, section 3.2)."""
    count = max(1, math.ceil((1 - share) * errors.numel()))
    return errors.flatten().topk(count, sorted=False).values.mean()


@torch.no_grad()
def held_out_maps(fitted: Fitted[Students], scale: Scale) -> tuple[Array, Array]:
    """Return the local and the global errors (P) of all cells of the held-out pictures that count."""
    local_errors, global_errors = [], []
    for lesson in _parts(iter([fitted.validation])):
        local, imitated, rebuilt = fitted.network(lesson.shown)
        keep = kept_cells(lesson.keep)[:, 0] > 0
        local_errors.append(((scale.apply(_truth(lesson)) - local) ** 2).mean(dim=1)[keep])
        global_errors.append(((rebuilt - imitated) ** 2).mean(dim=1)[keep])
    return torch.cat(local_errors).numpy(), torch.cat(global_errors).numpy()


def kept_cells(keep: torch.Tensor) -> torch.Tensor:
    """Return (N 1 H/8 W/8) from (N 1 H W): 1 where a cell counts."""
    return (functional.avg_pool2d(keep, STRIDE) >= KEPT_SHARE).float()


def _truth(lesson: Lesson) -> torch.Tensor:
    assert lesson.truth is not None
    return lesson.truth


def _parts(lessons: Iterator[Lesson]) -> Iterator[Lesson]:
    """Yield a few pictures at a time, their features as float32."""
    for lesson in lessons:
        for members in torch.split(torch.arange(len(lesson)), BATCH):
            yield lesson.pick(members).to(torch.device("cpu"))
