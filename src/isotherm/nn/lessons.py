"""Normal pictures as tensors to learn from: what a network sees, what it should answer, and where that counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float32

Pictures = Float32[np.ndarray, "N 3 H W"]
Features = Float32[np.ndarray, "N D h w"]
Teacher = Callable[[Pictures], Features]
"""What a network should know about pictures, from one that knows; values are kept as half floats."""

CHUNK = 512
"""Most pictures in memory at once; larger sets are shuffled within chunks of this size."""
MEMORY = 768 * 2**20
"""Most bytes of one chunk: 512 pictures of 256 px with 150 features at a stride of 8 px."""
MAX_VALIDATION = 128
"""Largest validation part; it stays in memory."""
_HALF_MAX = 6e4


@runtime_checkable
class Batch(Protocol):
    """Some pictures (an `isotherm.anomaly.method.Inputs`)."""

    @property
    def pixels(self) -> Pictures:
        """Values of about 0..1."""
        ...

    @property
    def ignore(self) -> Bool[np.ndarray, "N H W"] | None:
        """True where a pixel must not be learnt from."""
        ...

    def __len__(self) -> int: ...


@runtime_checkable
class Images(Protocol):
    """Pictures in the same order at every pass (an `isotherm.anomaly.method.Images`; that room lies above)."""

    def __len__(self) -> int: ...

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield all pictures, so many at a time."""
        ...


@dataclass(frozen=True, eq=False)
class Lesson:
    """N pictures.

    Parameters
    ----------
    shown
        (N 3 H W) what the network sees, 0..1.
    wanted
        (N 3 H W) the normal picture, which it should redraw, 0..1.
    keep
        (N 1 H W) 1 where an answer counts, 0 where the pixel is to be ignored.
    truth
        (N D h w) what else there is to know: a teacher's features, or which pixels are faulty; None where nothing is.
    """

    shown: torch.Tensor
    wanted: torch.Tensor
    keep: torch.Tensor
    truth: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.shown)

    def pick(self, members: torch.Tensor) -> Lesson:
        """Return some of the pictures."""
        return self._changed(lambda tensor: tensor[members])

    def to(self, device: torch.device) -> Lesson:
        """Return it on a device, ready for convolutions: channels last, features as float32."""
        return self._changed(lambda tensor: tensor.to(device).float().contiguous(memory_format=torch.channels_last))

    def _changed(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Lesson:
        shown = change(self.shown)
        wanted = shown if self.wanted is self.shown else change(self.wanted)
        return Lesson(shown, wanted, change(self.keep), None if self.truth is None else change(self.truth))


def joined(lessons: list[Lesson]) -> Lesson:
    """Return the pictures of several lessons, none of them changed yet, as one."""
    pixels, keep = (torch.cat([getattr(each, name) for each in lessons]) for name in ("shown", "keep"))
    truths = [each.truth for each in lessons if each.truth is not None]
    return Lesson(pixels, pixels, keep, torch.cat(truths) if truths else None)


class Lessons:
    """Pictures for learning in chunks, and the validation part, which is drawn at random once.

    Parameters
    ----------
    images
        Two or more.
    share
        Part of the pictures that is kept for validation.
    teacher
        Asked once for each picture, or in every pass where there are more pictures than fit into one chunk.
    """

    def __init__(self, images: Images, share: float, seed: int, teacher: Teacher | None = None) -> None:
        self._images, self._teacher = images, teacher
        self._held = held_out(len(images), share, seed)
        self._chunk = self._affordable()
        judging, learning = [], []
        for lesson, held in self._numbered():
            judging.append(lesson.pick(held))
            if len(images) <= self._chunk:
                learning.append(lesson.pick(~held))
        self.validation = joined(judging)
        self._kept = learning or None

    def chunks(self) -> Iterator[Lesson]:
        """Yield the pictures for learning, a chunk at a time."""
        return iter(self._kept) if self._kept is not None else self._learning()

    def _learning(self) -> Iterator[Lesson]:
        for lesson, held in self._numbered():
            if not held.all():
                yield lesson.pick(~held)

    def _numbered(self) -> Iterator[tuple[Lesson, torch.Tensor]]:
        start = 0
        for batch in self._images.batches(self._chunk):
            yield self._lesson(batch), torch.from_numpy(self._held[start : start + len(batch)])
            start += len(batch)

    def _lesson(self, batch: Batch) -> Lesson:
        pixels = np.clip(batch.pixels, 0.0, 1.0)
        keep = np.ones((len(pixels), 1, *pixels.shape[2:]), np.float32)
        if batch.ignore is not None:
            keep -= batch.ignore[:, None]
        truth = None
        if self._teacher is not None:
            truth = torch.from_numpy(np.clip(self._teacher(pixels), -_HALF_MAX, _HALF_MAX).astype(np.float16))
        shown = torch.from_numpy(pixels).contiguous(memory_format=torch.channels_last)
        return Lesson(shown, shown, torch.from_numpy(keep), truth)

    def _affordable(self) -> int:
        """Return how many pictures fit into one chunk, judged by the first."""
        first = self._lesson(next(iter(self._images.batches(1))))
        tensors = (first.shown, first.keep, *([] if first.truth is None else [first.truth]))
        return max(1, min(CHUNK, MEMORY // sum(tensor.nbytes for tensor in tensors)))


def held_out(count: int, share: float, seed: int) -> Bool[np.ndarray, " N"]:
    """Draw the pictures that are not learnt from: at least one, at most `MAX_VALIDATION`, never all."""
    number = min(max(1, round(share * count)), MAX_VALIDATION, count - 1)
    held = np.zeros(count, np.bool_)
    held[np.random.default_rng(seed).permutation(count)[:number]] = True
    return held
