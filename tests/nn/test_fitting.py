"""The fit loop: it lowers the loss, is seeded, stops early, streams, masks and corrupts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from isotherm.anomaly.method import Inputs
from isotherm.core.errors import ConfigError
from isotherm.core.progress import silent
from isotherm.nn import lessons
from isotherm.nn.autoencoder import AUTOENCODER, folded_arrays
from isotherm.nn.fitting import FitPlan, Task, fit_network, has_bfloat16
from isotherm.nn.lessons import Lesson, Lessons, held_out
from isotherm.nn.losses import squared_error
from isotherm.testing.anomaly import BatchImages

SIZE = 64
PLAN = FitPlan(epochs=3, patience=3, batch_size=4, learning_rate=1e-3, validation=0.25, bfloat16=False)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    # Many small steps: threads would mostly wait for each other.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def scenes(count: int, seed: int = 0) -> BatchImages:
    """Smooth pictures: a bright bar whose place and height vary a little."""
    rng = np.random.default_rng(seed)
    across = np.linspace(-1, 1, SIZE, dtype=np.float32)
    bars = [0.8 * np.exp(-(((across - rng.normal(0, 0.1)) / 0.3) ** 2)) for _ in range(count)]
    grey = np.stack([np.tile(bar, (SIZE, 1)) for bar in bars]).astype(np.float32)
    return of(np.ascontiguousarray(np.repeat(grey[:, None], 3, axis=1)))


def of(pixels: np.ndarray, ignore: np.ndarray | None = None) -> BatchImages:
    return BatchImages(Inputs(pixels, ignore))


class Level(nn.Module):
    """The smallest network: one brightness for all pictures, and what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.zeros(1))
        self.shown: list[torch.Tensor] = []

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        self.shown.append(pictures.clone())
        return self.level.expand_as(pictures)


def level_error(answer: torch.Tensor, lesson: Lesson) -> torch.Tensor:
    return squared_error(answer, lesson.wanted, lesson.keep)


def level_task(corrupt: Callable[[Lesson, torch.Generator], Lesson] = lambda lesson, _: lesson) -> Task[Level]:
    return Task(Level, level_error, corrupt)


def test_fitting_lowers_the_loss_and_is_seeded() -> None:
    losses: list[str] = []
    plan = replace(PLAN, epochs=12, patience=12, learning_rate=3e-3)
    fitted = fit_network(scenes(12), AUTOENCODER, plan, seed=1, progress=lambda _d, _t, text: losses.append(text))
    first, last = (float(text.split("loss ")[1].split(",")[0]) for text in (losses[0], losses[-1]))
    assert last < first / 3
    assert not fitted.network.training
    assert f"{fitted.loss:.5f}" in "".join(losses)
    again = fit_network(scenes(12), AUTOENCODER, plan, seed=1, progress=silent).network
    for name, array in folded_arrays(fitted.network).items():
        np.testing.assert_array_equal(array, folded_arrays(again)[name])


def test_fitting_leaves_the_random_state_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    fit_network(scenes(4), AUTOENCODER, PLAN, seed=0, progress=silent)
    torch.testing.assert_close(torch.rand(2), expected)


def test_it_stops_early_and_keeps_the_best() -> None:
    # A step of 0.6 from level 0 towards 0.5 overshoots, and a rate that never falls cannot settle.
    messages: list[tuple[int, int, str]] = []
    plan = replace(PLAN, epochs=50, patience=2, learning_rate=0.6, augment=False)
    fitted = fit_network(
        of(np.full((8, 3, 32, 32), 0.5, np.float32)),
        level_task(),
        plan,
        seed=0,
        progress=lambda *step: messages.append(step),
    )
    assert len(messages) < 50
    assert messages[-1][:2] == (50, 50)
    assert "stopped early; best was epoch" in messages[-1][2]
    best = min(float(text.split("validation ")[1].split(",")[0]) for _, _, text in messages)
    assert fitted.loss == pytest.approx(best, abs=1e-5)
    assert (float(fitted.network.level.detach()) - 0.5) ** 2 == pytest.approx(fitted.loss, rel=1e-3)


def test_what_is_to_be_ignored_is_not_learnt() -> None:
    pixels = np.full((6, 3, 32, 32), 0.2, np.float32)
    ignore = np.zeros((6, 32, 32), np.bool_)
    pixels[:, :, :20], ignore[:, :20] = 1.0, True
    plan = replace(PLAN, epochs=200, patience=50, learning_rate=0.02, last_rate=0.0, augment=False)
    masked = fit_network(of(pixels, ignore), level_task(), plan, seed=0, progress=silent).network
    learnt = fit_network(of(pixels), level_task(), plan, seed=0, progress=silent).network
    assert float(masked.level.detach()) == pytest.approx(0.2, abs=0.01)
    assert float(learnt.level.detach()) > 0.6


def test_the_corruption_changes_what_is_shown_and_judges_every_pass_alike() -> None:
    def darken(lesson: Lesson, generator: torch.Generator) -> Lesson:
        factor = torch.rand(len(lesson), 1, 1, 1, generator=generator)
        return replace(lesson, shown=lesson.wanted * factor)

    images = of(np.full((8, 3, 32, 32), 0.5, np.float32))
    fitted = fit_network(images, level_task(darken), replace(PLAN, augment=False), seed=0, progress=silent)
    shown = [float(pictures[0, 0, 0, 0]) for pictures in fitted.network.shown]
    assert max(shown) < 0.5
    # Two batches of learning and one of validation in each of three passes.
    assert shown[2] == shown[5] == shown[8]
    assert len({*shown}) == 7
    assert float(fitted.validation.shown.min()) == 0.5


def test_the_step_size_falls_as_a_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []

    class Noted(torch.optim.Adam):
        def step(self, *arguments: object) -> None:  # type: ignore[override]
            rates.append(self.param_groups[0]["lr"])

    monkeypatch.setattr(torch.optim, "Adam", Noted)
    plan = replace(PLAN, epochs=5, patience=5, batch_size=8, last_rate=0.1, augment=False)
    fit_network(of(np.zeros((8, 3, 32, 32), np.float32)), level_task(), plan, seed=0, progress=silent)
    np.testing.assert_allclose(rates, 1e-3 * (0.1 + 0.45 * (1 + np.cos(np.pi * np.arange(5) / 4))), rtol=1e-6)


def test_a_set_larger_than_a_chunk_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lessons, "CHUNK", 3)
    asked: list[int] = []

    class Counted(BatchImages):
        def batches(self, size: int) -> Iterator[object]:  # type: ignore[override]
            asked.append(size)
            yield from super().batches(size)

    fit_network(Counted(scenes(8).inputs), level_task(), PLAN, seed=0, progress=silent)
    # The first picture tells how large all are; then the validation part is gathered.
    assert asked == [1] + [3] * (1 + PLAN.epochs)


def test_memory_limits_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    each = (3 + 1) * SIZE * SIZE * 4
    monkeypatch.setattr(lessons, "MEMORY", 5 * each)
    chunks = Lessons(scenes(12), 0.1, 0).chunks()
    assert [len(chunk) for chunk in chunks] in ([4, 5, 2], [5, 4, 2], [5, 5, 1])


def test_a_teacher_is_asked_once_for_each_picture() -> None:
    asked: list[int] = []

    def teacher(pictures: np.ndarray) -> np.ndarray:
        asked.append(len(pictures))
        return np.full((len(pictures), 2, 4, 4), 1e6, np.float32)

    kept = Lessons(scenes(6), 0.2, 0, teacher)
    for _ in range(3):
        (chunk,) = kept.chunks()
    # One to see how large features are, then all.
    assert asked == [1, 6]
    assert chunk.truth is not None
    assert chunk.truth.dtype == torch.float16
    assert bool(torch.isfinite(chunk.truth).all())
    assert chunk.pick(torch.tensor([0])).to(torch.device("cpu")).truth.dtype == torch.float32


def test_the_validation_part_is_neither_empty_nor_everything() -> None:
    assert held_out(2, 0.01, 0).sum() == 1
    assert held_out(2, 0.5, 0).sum() == 1
    assert held_out(10_000, 0.5, 0).sum() == lessons.MAX_VALIDATION
    assert (held_out(40, 0.2, 1) == held_out(40, 0.2, 1)).all()


def test_two_pictures_are_enough_and_bfloat16_works() -> None:
    plan = replace(PLAN, epochs=1, patience=1, validation=0.1, bfloat16=True)
    network = fit_network(scenes(2), AUTOENCODER, plan, seed=0, progress=silent).network
    assert all(np.isfinite(array).all() for array in folded_arrays(network).values())


def test_bfloat16_is_used_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[torch.dtype] = []

    class Convolved(Level):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(3, 3, 1)

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            answer: torch.Tensor = self.convolution(pictures)
            kinds.append(answer.dtype)
            return answer

    for there, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr("isotherm.nn.fitting.has_bfloat16", lambda _device, there=there: there)
        kinds.clear()
        plan = replace(PLAN, epochs=1, batch_size=8, bfloat16=True)
        fit_network(scenes(4), Task(Convolved, level_error), plan, seed=0, progress=silent)
        assert kinds == [expected, torch.float32]
    assert isinstance(has_bfloat16(torch.device("cpu")), bool)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_gpu_that_is_not_there_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match="no CUDA device here; train on cpu"):
        fit_network(scenes(2), AUTOENCODER, replace(PLAN, device="cuda"), seed=0, progress=silent)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_is_used_when_it_is_asked_for() -> None:
    places: list[str] = []

    def noted(answer: torch.Tensor, lesson: Lesson) -> torch.Tensor:
        places.append(answer.device.type)
        return squared_error(answer, lesson.wanted, lesson.keep)

    task = Task(AUTOENCODER.build, noted)
    plan = replace(PLAN, device="cuda", bfloat16=True)
    fitted = fit_network(scenes(6), task, plan, seed=0, progress=silent)
    assert set(places) == {"cuda"}
    assert next(fitted.network.parameters()).device.type == "cpu"
