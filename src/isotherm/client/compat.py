"""The requests of the per-site classifier API, one by one and played over folders of pictures."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from isotherm.client.transport import RefusedError, Transport, json_of
from isotherm.core.errors import DataError
from isotherm.core.progress import Progress, silent

IMAGE_TYPES = ("jpg", "jpeg", "png", "bmp", "gif", "webp", "tif", "tiff", "csv", "txt")
Split = Literal["train", "test"]
TRAINING_S = 24 * 3600.0
"""How long the answer to ``make_model`` is waited for [s]."""


@dataclass(frozen=True)
class LabelledFile:
    """A picture in the folder of its category."""

    path: Path
    category: str


@dataclass(frozen=True)
class SaveReport:
    """How many pictures were kept, and (path, reason) of those that were not."""

    saved: int
    refused: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class Prediction:
    """The answer for one picture."""

    path: Path
    image_class: str
    class_confidence: float


class CompatClient:
    """``save_data``, ``make_model`` and ``predict`` of one server; `Transport` has the connection."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def save_data(self, temple_id: str, split: Split, category: str, path: Path) -> None:
        """Send one labelled picture; raises RefusedError with the server's reason."""
        body = {"temple_id": temple_id, "train_test": split, "category": category} | _fields(path)
        # The same picture under the same name changes nothing, so the request may be repeated.
        self._transport.send("POST", "/api/save_data", json=body, repeat=True)

    def save_folder(self, temple_id: str, split: Split, folder: Path, *, progress: Progress = silent) -> SaveReport:
        """Send the pictures of ``folder/<category>/``; one that is refused does not stop the others."""
        files, refused = labelled_files(folder), []
        for done, each in enumerate(files, 1):
            try:
                self.save_data(temple_id, split, each.category, each.path)
            except RefusedError as error:
                if error.status in (401, 403):
                    raise
                refused.append((each.path, error.detail))
            progress(done, len(files), f"sending {split} pictures of {temple_id}")
        return SaveReport(len(files) - len(refused), tuple(refused))

    def make_model(self, temple_id: str, *, forceful: bool = False) -> dict[str, Any]:
        """Have a model made, wait until it is, and return the flags; raises RefusedError with the server's reasons."""
        body = {"temple_id": temple_id, "forceful": forceful}
        answer = self._transport.send("POST", "/api/make_model", json=body, timeout=TRAINING_S)
        return dict(json_of(answer))

    def predict(self, temple_id: str, paths: Sequence[Path]) -> list[Prediction]:
        """Have pictures judged in one request."""
        fields = [_fields(path) for path in paths]
        body = {"temple_id": temple_id} | {key: [each[key] for each in fields] for key in _KEYS}
        found = json_of(self._transport.send("POST", "/api/predict", json=body, repeat=True))
        answers = zip(paths, found["image_class"], found["class_confidence"], strict=True)
        return [Prediction(path, str(name), float(value)) for path, name, value in answers]

    def predict_all(
        self, temple_id: str, paths: Sequence[Path], *, batch: int = 32, progress: Progress = silent
    ) -> Iterator[Prediction]:
        """Have any number of pictures judged, `batch` in each request."""
        for start in range(0, len(paths), batch):
            yield from self.predict(temple_id, paths[start : start + batch])
            progress(min(start + batch, len(paths)), len(paths), f"judging pictures of {temple_id}")


_KEYS = ("image", "image_name", "image_type")


def _fields(path: Path) -> dict[str, str]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return {
        "image": base64.b64encode(data).decode(),
        "image_name": path.stem,
        "image_type": path.suffix.lower().removeprefix("."),
    }


def labelled_files(folder: Path) -> list[LabelledFile]:
    """Return the pictures of ``folder/<category>/``, by category and name.

    Raises
    ------
    DataError
        There are none.
    """
    found = [
        LabelledFile(path, category.name)
        for category in _entries(folder)
        if category.is_dir() and not category.name.startswith(".")
        for path in pictures(category, needed=False)
    ]
    if not found:
        raise DataError(f"{folder}: no pictures in folders of categories ({folder}/<category>/<picture>)")
    return found


def pictures(path: Path, *, needed: bool = True) -> list[Path]:
    """Return a picture itself, or those of a folder by name; raises DataError where one is `needed` and none there."""
    found = [path] if path.is_file() else [each for each in _entries(path) if each.is_file() and _is_picture(each)]
    if needed and not found:
        raise DataError(f"{path}: no pictures ({', '.join(IMAGE_TYPES)})")
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from error


def _is_picture(path: Path) -> bool:
    return path.suffix.lower().removeprefix(".") in IMAGE_TYPES and not path.name.startswith(".")
