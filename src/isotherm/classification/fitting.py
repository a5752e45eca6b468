"""The fit loop of networks that classify: a validation part that is never learnt from, early stopping, augmentation."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import nn

from isotherm.classification.folds import held_out_fold
from isotherm.classification.learning import Learning
from isotherm.classification.method import Examples, Fitted, Fold, Places, class_weights
from isotherm.classification.networks import Net, onnx_of
from isotherm.classification.stored_network import StoredNetwork
from isotherm.core.errors import DataError
from isotherm.core.progress import Progress
from isotherm.nn.augment import augmented
from isotherm.nn.fitting import fitting_device, torch_device
from isotherm.nn.lessons import Lesson
from isotherm.nn.together import Team, team_of

AT_ONCE = 256
Build = Callable[[tuple[int, int], int], Net]
"""(H, W) and C -> an untrained network."""
Pixels = Float32[np.ndarray, "N 3 H W"]


def fit_classifier(examples: Examples, build: Build, how: Learning, *, seed: int, progress: Progress) -> Fitted:
    """Teach a network categories.

    The state with the lowest loss on the validation part is kept; without enough examples to hold any out, the last.
    The same seed on the same machine gives the same weights; torch's own random state is left as it was.

    Raises
    ------
    DataError
        The loss is no number any more.
    ConfigError
        CUDA is asked for and not there.
    """
    folds = held_out_fold(examples.labels, examples.groups, share=how.validation, seed=seed)
    learnt = folds[0].learnt if folds else np.arange(len(examples))
    size = examples.values.shape[2], examples.values.shape[3]
    device = torch_device(fitting_device())
    team = team_of(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build(size, examples.classes).to(device)
        if team.count > 1:
            # What is left out while learning differs between the processes; the first weights do not.
            torch.manual_seed(team.seed(seed))
        course = _Course(module, examples, learnt, how, seed=seed, team=team)
        about = _learn(course, folds, progress)
    module.cpu().eval()
    classifier = StoredNetwork(onnx_of(module, size), examples.classes)
    logits, embeddings = _answers(classifier, examples)
    logits[learnt] = math.nan
    return Fitted(classifier, logits, embeddings, folds, about)


def _learn(course: _Course, folds: tuple[Fold, ...], progress: Progress) -> dict[str, float | int]:
    """Learn until the validation loss falls no more; the module ends in its best state."""
    passes, patience = course.passes
    best, best_loss, best_epoch, epoch = copy.deepcopy(course.module.state_dict()), math.inf, 0, 0
    for epoch in range(1, passes + 1):
        loss = course.epoch()
        judged = course.loss_of(folds[0].judged) if folds else loss
        if judged < best_loss or not folds:
            best, best_loss, best_epoch = copy.deepcopy(course.module.state_dict()), judged, epoch
        message = f"epoch {epoch} loss {loss:.4f}" + (f", validation {judged:.4f}" if folds else "")
        if epoch - best_epoch >= patience:
            progress(passes, passes, f"{message}, stopped early; best was epoch {best_epoch}")
            break
        progress(epoch, passes, message)
    course.module.load_state_dict(best)
    return {"epochs": epoch, "best_epoch": best_epoch, "loss": best_loss}


class _Course:
    """The network's weights on their way down."""

    def __init__(
        self, module: Net, examples: Examples, learnt: Places, how: Learning, *, seed: int, team: Team
    ) -> None:
        self.module, self._how, self._team = module, how, team
        self._learner = team.averaging(module)
        self.passes = how.passes(len(examples)), how.passes_without_gain(len(examples))
        self._examples, self._learnt = examples, learnt
        self._device = next(module.parameters()).device
        self._generator = torch.Generator().manual_seed(team.seed(seed))
        # All processes go through the pictures in one order.
        self._order = self._generator if team.count == 1 else torch.Generator().manual_seed(seed)
        labels = examples.labels[learnt]
        weights = (
            class_weights(labels, examples.classes) if how.class_weight == "balanced" else np.ones(examples.classes)
        )
        self._loss = nn.CrossEntropyLoss(torch.tensor(weights, dtype=torch.float32, device=self._device))
        self._optimiser = torch.optim.Adam(module.groups(how.learning_rate))
        self._rates = torch.optim.lr_scheduler.LambdaLR(self._optimiser, how.rate_after)

    def epoch(self) -> float:
        """Pass over the examples once; returns the mean loss."""
        self._learner.train()
        order = self._learnt[torch.randperm(len(self._learnt), generator=self._order).numpy()]
        losses = [self._step(places) for places in _parts(order, self._how.batch_size)]
        mean = self._team.mean(float(np.mean(losses)))
        if not math.isfinite(mean):
            raise DataError(f"the loss became {mean}; a smaller learning rate would do")
        return mean

    def _step(self, places: Places) -> float:
        pixels, labels = self._taken(self._team.share(torch.from_numpy(places), least=1).numpy())
        if self._how.augment:
            keep = torch.ones(len(pixels), 1, *pixels.shape[2:])
            pixels = augmented(Lesson(pixels, pixels, keep), self._generator, mirror=self._how.mirror).shown
        loss = self._loss(self._learner(pixels.to(self._device)), labels.to(self._device))
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        self._rates.step()
        return float(loss.item())

    def _taken(self, places: Places) -> tuple[torch.Tensor, torch.Tensor]:
        # In order, because the values may be mapped from a file.
        sorted_places = np.sort(places)
        values = np.asarray(self._examples.values[sorted_places], np.float32)
        return torch.from_numpy(values), torch.from_numpy(self._examples.labels[sorted_places])

    @torch.no_grad()
    def loss_of(self, places: Places) -> float:
        """Return the mean loss over some examples, as they are."""
        self.module.eval()
        total = 0.0
        for part in _parts(places, AT_ONCE):
            pixels, labels = self._taken(part)
            total += float(self._loss(self.module(pixels.to(self._device)), labels.to(self._device))) * len(part)
        return self._team.agreed(total / len(places))


def _parts(places: Places, size: int) -> Iterator[Places]:
    return (places[start : start + size] for start in range(0, len(places), size))


def _answers(
    classifier: StoredNetwork, examples: Examples
) -> tuple[Float64[np.ndarray, "N C"], Float32[np.ndarray, "N E"]]:
    """Return what the stored network, which will be used, says about all examples."""
    found = [classifier.answer(examples.values[part]) for part in _parts(np.arange(len(examples)), AT_ONCE)]
    return np.concatenate([each.logits for each in found]), np.concatenate([each.embeddings for each in found])
