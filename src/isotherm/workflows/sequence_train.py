"""Teach a network what defects look like: labelled recordings in, a model folder out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from isotherm.core.config import setting, to_mapping, validate
from isotherm.core.errors import ConfigError, DataError, FormatError, ModelError, one_line
from isotherm.core.processes import is_first_process
from isotherm.core.progress import Progress, silent
from isotherm.runtime.bundle import check_target
from isotherm.runtime.windows import Windows
from isotherm.segmentation import NETWORKS
from isotherm.segmentation.network import NetConfig, Network
from isotherm.segmentation.plan import Example, Examples, FitConfig, window_px
from isotherm.sequences.defect_model import DefectModel, save_model
from isotherm.sequences.features import Features, FeaturesConfig
from isotherm.sequences.stored import about_in
from isotherm.workflows.reading import printable
from isotherm.workflows.sequence_card import card_of, facts_of, materials_in, range_of
from isotherm.workflows.sequence_copies import altered_examples
from isotherm.workflows.sequence_data import (
    DataSettings,
    LabelledFolder,
    LabelledRecording,
    Skipped,
    digest_of,
    labelled_recordings,
    split_by_specimen,
)
from isotherm.workflows.sequence_opening import PrepareSettings, open_recording, prepared
from isotherm.workflows.versions import installed

if TYPE_CHECKING:
    from isotherm.segmentation.fitting import Fitted

NET = "unet"
INPUTS = {"maps": "std14", "either": "std14", "frames": "frames25"}
"""What a network is given where nothing else is asked for, by what it wants."""
MOST_DIFFERENCE = 0.02
"""Mean difference of probabilities from which on an exported network is not the one that was taught; usual is 1e-6."""


@dataclass(frozen=True)
class SequenceTrainSettings:
    """What training needs to know beside the network and how it learns."""

    validation: float = setting(
        0.2,
        "share of the specimens that is kept aside, to choose the best state and the threshold with",
        low=0.01,
        high=0.9,
    )
    seed: int = setting(0, "seed of everything random; the same seed gives the same model", low=0, high=2**31 - 1)
    memory_gb: float = setting(
        8.0, "most memory for the maps of all recordings; where more is needed nothing is begun [GB]", low=0.01
    )
    augment_copies: int = setting(
        0,
        "altered copies of each recording to learn from too: other heating, noise, frames, bits, fixtures in view",
        low=0,
        high=1000,
    )

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class SequenceTraining:
    """Everything about a training but its data and its folder.

    Parameters
    ----------
    net, net_config
        A name of `isotherm.segmentation.NETWORKS`, and its size.
    features
        The maps or frames that it is given; None: what the network wants.
    prepare, data
        How the recordings are opened, and what their files cannot say.
    """

    net: str = NET
    net_config: NetConfig = field(default_factory=NetConfig)
    features: FeaturesConfig | None = None
    fit: FitConfig = field(default_factory=FitConfig)
    train: SequenceTrainSettings = field(default_factory=SequenceTrainSettings)
    prepare: PrepareSettings = field(default_factory=PrepareSettings)
    data: DataSettings = field(default_factory=DataSettings)

    def features_for(self, network: Network) -> FeaturesConfig:
        """Return the maps or frames for a network.

        Raises
        ------
        ConfigError
            It wants frames in the order of time and is to get maps, or the other way round.
        """
        if self.features is None:
            return FeaturesConfig(preset=INPUTS[network.wants])  # type: ignore[arg-type]
        preset = self.features.preset
        if network.wants == "frames" and not preset.startswith("frames"):
            raise ConfigError(
                f"network {self.net} sees frames in the order of time: frames16 or frames25, not {preset}"
            )
        if network.wants == "maps" and preset.startswith("frames"):
            raise ConfigError(f"network {self.net} sees maps, such as {INPUTS['maps']}, not {preset}")
        return self.features


@dataclass(frozen=True, eq=False)
class Lesson:
    """One recording, ready to learn from.

    Parameters
    ----------
    names
        Of the channels of its inputs.
    materials
        That the plate is made of, where it was simulated.
    seconds
        Time from the flash to its last frame [s]; None where the times are not known.
    """

    recording: LabelledRecording
    example: Example
    names: tuple[str, ...]
    digest: str
    simulated: bool
    materials: tuple[str, ...]
    seconds: float | None


@dataclass(frozen=True, eq=False)
class TaughtNetwork:
    """What came out of a training: the model, as its folder holds it, and what could not be used."""

    model: DefectModel
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]


def train_network(
    data: Path | Sequence[Path], model_dir: Path, training: SequenceTraining, *, progress: Progress = silent
) -> TaughtNetwork:
    """Learn from folders of labelled recordings and write the model's folder.

    All recordings of a specimen are on one side of the split. Recordings that cannot be used are left out and listed in
    the manifest (``data.skipped``).

    Parameters
    ----------
    data
        A folder or several; see `isotherm.workflows.sequence_data` for how labels and specimens are found in each.
    model_dir
        Where the model is written, whole or not at all; an older model there is replaced.

    Raises
    ------
    MissingExtraError
        torch or MONAI are not installed.
    UnknownNameError, ConfigError
        A name or a setting is wrong, or network and input do not go together.
    DataError
        Nothing usable, fewer than two specimens with a defect, or more memory needed than allowed.
    OutputError
        `model_dir` holds something that is no model, or cannot be written.
    """
    check_target(model_dir)
    network = NETWORKS.get(training.net)
    features = training.features_for(network)
    folder = _labelled([data] if isinstance(data, Path) else data, training, progress)
    check_memory(folder.recordings, features, training.train)
    lessons, skipped = _lessons(folder.recordings, training, features, network, progress)
    if not lessons:
        raise DataError(f"none of {len(skipped)} recordings can be used; {skipped[0].name}: {skipped[0].reason}")
    sides = _split(lessons, training.train)
    altered = _altered(sides[0], features, training, progress)
    fitted = _taught(sides, altered, network, training, progress)
    unusable = (*folder.skipped, *skipped)
    about = _about_network(training, network, fitted) | {"data": _about_data(sides, len(altered), unusable)}
    exported, difference = _exported(fitted, sides[1][0], network)
    about["validation"]["onnx_difference"] = difference
    with _written_to(model_dir) as target:
        save_model(target, exported, about | {"card": card_of(about)}, features)
        model = DefectModel.load(target)
    notes = dict.fromkeys((*folder.notes, *(note for lesson in lessons for note in lesson.recording.notes)))
    return TaughtNetwork(model, unusable, tuple(notes))


@contextmanager
def _written_to(model_dir: Path) -> Iterator[Path]:
    """Give the folder to write to: of processes that learn together only the first one's stays."""
    if is_first_process():
        yield model_dir
        return
    with TemporaryDirectory(prefix="isotherm-") as spare:
        yield Path(spare) / "model"


def _labelled(folders: Sequence[Path], training: SequenceTraining, progress: Progress) -> LabelledFolder:
    """Return the recordings of all folders; where there are several, names and specimens begin with their folder's."""
    found = [labelled_recordings(each, training.data, prepare=training.prepare, progress=progress) for each in folders]
    if len(found) == 1:
        return found[0]
    heads = _different([printable(Path(each.resolve().name)) for each in folders])
    named = list(zip(heads, found, strict=True))
    return LabelledFolder(
        tuple(
            replace(one, name=f"{head}/{one.name}", specimen=f"{head}/{one.specimen}")
            for head, each in named
            for one in each
        ),
        tuple(replace(one, name=f"{head}/{one.name}") for head, each in named for one in each.skipped),
        tuple(f"{head}: {note}" for head, each in named for note in each.notes),
    )


def _different(names: Sequence[str]) -> list[str]:
    """Return names with a number behind those that are there more than once."""
    return [name if names.count(name) == 1 else f"{name} ({place})" for place, name in enumerate(names, start=1)]


def check_memory(
    recordings: Sequence[LabelledRecording], features: FeaturesConfig, settings: SequenceTrainSettings
) -> None:
    """Raise DataError where the maps of all recordings and copies, and their labels, need more memory than allowed."""
    most_gb, each = settings.memory_gb, 1 + settings.augment_copies
    channels = int("".join(filter(str.isdigit, features.preset)))
    # Two more for labels and for where they count; float32.
    needed_gb = each * sum(one.truth.labels.size for one in recordings) * (channels + 2) * 4 / 1e9
    if needed_gb > most_gb:
        raise DataError(
            f"{len(recordings)} recordings as {features.preset} need {needed_gb:.2g} GB of memory, {most_gb:g} GB are "
            "allowed: allow more (--memory-gb), crop (--crop), or learn from fewer recordings or channels"
        )


def _lessons(
    recordings: Sequence[LabelledRecording],
    training: SequenceTraining,
    features: FeaturesConfig,
    network: Network,
    progress: Progress,
) -> tuple[list[Lesson], list[Skipped]]:
    from isotherm.segmentation.fitting import check_network

    lessons: dict[str, Lesson] = {}
    skipped = []
    for number, recording in enumerate(recordings, start=1):
        try:
            lesson = lesson_of(recording, features, training.prepare)
            if lesson.digest in lessons:
                raise DataError(f"it is the same as {lessons[lesson.digest].recording.name}")
            if not lessons:
                # Before hours of work: whether there is such a network.
                check_network(network, len(lesson.names), training.net_config)
            lessons[lesson.digest] = lesson
        except (DataError, FormatError) as error:
            skipped.append(Skipped(recording.name, one_line(error)))
        progress(number, len(recordings), "maps")
    return list(lessons.values()), skipped


def lesson_of(recording: LabelledRecording, features: FeaturesConfig, prepare: PrepareSettings) -> Lesson:
    """Prepare a recording and make its maps.

    Raises
    ------
    DataError, FormatError
        It cannot be used; the message says why.
    """
    sequence = prepared(open_recording(recording.path, prepare), "cooling", prepare)
    maps = Features().maps(sequence, features)
    truth = recording.truth
    if truth.labels.shape != maps.values.shape[1:]:
        (height, width), size = truth.labels.shape, maps.values.shape
        raise DataError(f"its labels are {width} x {height} pixels, its frames {size[2]} x {size[1]}")
    about = about_in(recording.path)
    return Lesson(
        recording=recording,
        example=Example(maps.values, truth.labels > 0, truth.judged),
        names=maps.names,
        digest=digest_of(recording.path),
        simulated=about.get("simulated") is True,
        materials=materials_in(about),
        seconds=float(sequence.times_s[-1]) if sequence.timed else None,
    )


Sides = tuple[list[Lesson], list[Lesson]]
"""What is learnt from, and what decides."""


def _split(lessons: Sequence[Lesson], settings: SequenceTrainSettings) -> Sides:
    _, held = split_by_specimen(
        [lesson.recording for lesson in lessons], validation=settings.validation, seed=settings.seed
    )
    specimens = {recording.specimen for recording in held}
    return (
        [lesson for lesson in lessons if lesson.recording.specimen not in specimens],
        [lesson for lesson in lessons if lesson.recording.specimen in specimens],
    )


def _altered(
    lessons: Sequence[Lesson], features: FeaturesConfig, training: SequenceTraining, progress: Progress
) -> list[Example]:
    copies, made = training.train.augment_copies, list[Example]()
    if not copies:
        return made
    for number, lesson in enumerate(lessons, start=1):
        rng = np.random.default_rng([training.train.seed, number])
        made += altered_examples(lesson.recording, features, training.prepare, copies=copies, rng=rng)
        progress(number, len(lessons), "altered copies")
    return made


def _taught(
    sides: Sides, altered: Sequence[Example], network: Network, training: SequenceTraining, progress: Progress
) -> Fitted:
    from isotherm.segmentation.fitting import fit_segmenter

    first, second = ([lesson.example for lesson in side] for side in sides)
    examples = Examples([*first, *altered], second, sides[0][0].names)
    seed = training.train.seed
    return fit_segmenter(network, examples, training.net_config, training.fit, seed=seed, progress=progress)


def _exported(fitted: Fitted, lesson: Lesson, network: Network) -> tuple[bytes, float]:
    """Return the ONNX model of a network, and by how much the probabilities of both differ on a recording (mean)."""
    from isotherm.runtime.onnx_network import OnnxNetwork
    from isotherm.segmentation.export import onnx_of
    from isotherm.segmentation.fitting import probability_of

    data = onnx_of(fitted.module, len(lesson.names))
    side = window_px(network)
    exported = OnnxNetwork(data, channels=len(lesson.names), multiple=network.multiple, window_px=side)
    taught = probability_of(fitted.module, lesson.example, Windows(network.multiple, side))
    difference = float(np.abs(exported.run(lesson.example.known_inputs) - taught).mean())
    if not difference <= MOST_DIFFERENCE:
        raise ModelError(f"the ONNX model answers otherwise than the network that was taught (by {difference:.2g})")
    return data, difference


def _about_network(training: SequenceTraining, network: Network, fitted: Fitted) -> dict[str, Any]:
    return {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": installed("isotherm", "numpy", "openvino", "torch", "monai"),
        "network": training.net,
        "net": to_mapping(training.net_config),
        "fit": to_mapping(training.fit),
        "training": to_mapping(training.train),
        "channels": list(fitted.names),
        "multiple": network.multiple,
        "window_px": window_px(network),
        "threshold": fitted.threshold,
        "validation": {
            "dice": fitted.dice,
            "step": fitted.step,
            "how": "best state and threshold have the largest Dice over the pixels of the validation recordings, so "
            "that this Dice is a little too good",
        },
        "prepare": to_mapping(training.prepare),
    }


def _about_data(sides: Sides, altered: int, skipped: Sequence[Skipped]) -> dict[str, Any]:
    lessons = [*sides[0], *sides[1]]
    return {
        "training": _counts(sides[0]) | {"altered_copies": altered},
        "validation": _counts(sides[1]),
        # So that an evaluation can tell what the model has seen.
        "digests": sorted(lesson.digest for lesson in lessons),
        "simulated": sum(lesson.simulated for lesson in lessons),
        "materials": sorted({name for lesson in lessons for name in lesson.materials}),
        **facts_of([lesson.recording for lesson in lessons]),
        "seconds": range_of([lesson.seconds for lesson in lessons]),
        "skipped": [asdict(item) for item in skipped],
    }


def _counts(lessons: Sequence[Lesson]) -> dict[str, int]:
    return {
        "recordings": len(lessons),
        "specimens": len({lesson.recording.specimen for lesson in lessons}),
        "defects": sum(lesson.recording.truth.diameter_mm.size for lesson in lessons),
    }
