"""What is done with each picture of an inspection: read, score, measure, draw; in batches, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from isotherm.core.errors import DataError
from isotherm.core.findings import ImageResult
from isotherm.core.scene import SceneEdit
from isotherm.formats import ReadHints
from isotherm.workflows.beside import Listing
from isotherm.workflows.examine import Examiner, PictureFiles
from isotherm.workflows.models import BATCH, Scored, TrainedModel
from isotherm.workflows.reading import Outcome, inputs_of, read_inputs

MAX_BATCH_PIXELS = 32_000_000
"""A batch of large pictures is cut short here, so that memory does not grow with their size."""


@dataclass(frozen=True, eq=False)
class PictureWork:
    """What is done with each picture.

    Parameters
    ----------
    root
        The folder that names in the results are relative to.
    files, examiner
        Where its pictures go, and how it is measured.
    edit, hints
        Scene parameters in place of the files'; unit and scale where files cannot say them.
    jobs
        Threads that read, and threads that measure and draw.
    """

    root: Path
    files: PictureFiles
    examiner: Examiner
    edit: SceneEdit
    hints: ReadHints
    jobs: int

    def finished(self, found: Listing, names: Sequence[str]) -> Iterator[list[ImageResult]]:
        """Yield results in batches; while one batch is measured and drawn, the next one is read and scored."""
        outcomes = read_inputs(inputs_of(found, self.root), edit=self.edit, hints=self.hints, jobs=self.jobs)
        finish = partial(_finish, self.examiner, self.files)
        waiting: list[Future[ImageResult]] = []
        with ThreadPoolExecutor(self.jobs, thread_name_prefix="isotherm-examine") as pool:
            for batch in _batches(zip(outcomes, names, strict=True)):
                scored = _score([outcome for outcome, _ in batch], self.examiner.model)
                coming = [pool.submit(finish, name, *pair) for (_, name), pair in zip(batch, scored, strict=True)]
                if waiting:
                    yield [future.result() for future in waiting]
                waiting = coming
            if waiting:
                yield [future.result() for future in waiting]


def _batches(items: Iterator[tuple[Outcome, str]]) -> Iterator[list[tuple[Outcome, str]]]:
    batch, pixels = list[tuple[Outcome, str]](), 0
    for item in items:
        batch.append(item)
        pixels += item[0].thermogram.counts.size if item[0].thermogram else 0
        if len(batch) == BATCH or pixels > MAX_BATCH_PIXELS:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch


def _score(outcomes: list[Outcome], model: TrainedModel | None) -> list[tuple[Outcome, Scored | None]]:
    """Score what was read; what the model cannot judge becomes an outcome with its error."""
    if model is None:
        return [(outcome, None) for outcome in outcomes]
    good = [outcome.thermogram for outcome in outcomes if outcome.thermogram is not None]
    try:
        found = iter(list(model.score_many(good)))
    except DataError as error:
        if len(outcomes) == 1:
            return [(Outcome(outcomes[0].path, outcomes[0].name, None, str(error)), None)]
        # One picture spoils its batch: each for itself.
        return list(chain.from_iterable(_score([outcome], model) for outcome in outcomes))
    return [(outcome, next(found) if outcome.thermogram is not None else None) for outcome in outcomes]


def _finish(examiner: Examiner, files: PictureFiles, name: str, outcome: Outcome, scored: Scored | None) -> ImageResult:
    if outcome.thermogram is None:
        return ImageResult(outcome.name, "failed", error=outcome.error)
    try:
        examination = examiner.examine(outcome.name, outcome.thermogram, scored)
    except DataError as error:
        return ImageResult(outcome.name, "failed", error=str(error))
    return files.write(name, examination, outcome.thermogram)
