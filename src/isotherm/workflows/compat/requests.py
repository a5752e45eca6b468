"""What the three requests of the per-site API say, checked field by field before anything is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isotherm.core.errors import IsothermError, UsageError
from isotherm.workflows.compat.pictures import decoded, image_type_of
from isotherm.workflows.service.names import check_name

COMMON = "common"
"""The ``temple_id`` whose training images are joined to the training of every temple."""
SPLITS = {"train": "train", "test": "test"}


class RefusedError(UsageError):
    """A request that cannot be answered, with one reason for each thing that is wrong with it."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("; ".join(self.reasons))


@dataclass(frozen=True)
class Picture:
    """One picture of a request: its name with the type as its ending, and its bytes."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Encoded:
    """The same before its base64 is decoded: that of many takes long, and each can wait for its turn."""

    name: str
    image_type: str
    text: str = field(repr=False)
    most_bytes: int

    def data(self) -> bytes:
        """Return its bytes; raises FormatError as `decoded`."""
        return decoded(self.text, self.image_type, most_bytes=self.most_bytes)


@dataclass(frozen=True)
class SaveData:
    """Keep one picture of a category, to learn from (``train``) or to be judged by (``test``)."""

    temple_id: str
    split: str
    category: str
    picture: Picture


@dataclass(frozen=True)
class MakeModel:
    """Teach a temple's classifier; `forceful` replaces one that is there."""

    temple_id: str
    forceful: bool


@dataclass(frozen=True)
class Predict:
    """Name the category of pictures; `scalar` where the request held one that was not in a list."""

    temple_id: str
    pictures: tuple[Encoded, ...]
    scalar: bool


def save_data_of(body: object, *, most_bytes: int) -> SaveData:
    """Read the request of ``/api/save_data``.

    Raises
    ------
    UsageError, FormatError
        A field is missing, of a wrong type or not usable; the message names it.
    """
    fields = _object(body)
    temple_id = _name(fields, "temple_id")
    split = SPLITS.get(_text(fields, "train_test"))
    if split is None:
        raise UsageError(f"train_test must be one of {', '.join(SPLITS)}")
    category = _name(fields, "category")
    name, kind = _text(fields, "image_name"), _text(fields, "image_type")
    image = _encoded(name, kind, _text(fields, "image"), most_bytes)
    return SaveData(temple_id, split, category, Picture(image.name, image.data()))


def make_model_of(body: object) -> MakeModel:
    """Read the request of ``/api/make_model``; without ``forceful`` it is not.

    Raises
    ------
    UsageError
        A field is missing or of a wrong type.
    """
    fields = _object(body)
    forceful = fields.get("forceful", False)
    if isinstance(forceful, str) and forceful.lower() in ("true", "false"):
        forceful = forceful.lower() == "true"
    if not isinstance(forceful, bool):
        raise UsageError("forceful must be true or false")
    temple_id = _name(fields, "temple_id")
    if temple_id == COMMON:
        raise UsageError(f"{COMMON!r} is joined to the training of every temple and has no model of its own")
    return MakeModel(temple_id, forceful)


def predict_of(body: object, *, most_bytes: int, most_images: int) -> Predict:
    """Read the request of ``/api/predict``: one picture, or lists of as many images as names.

    ``image_type`` may be one text for all of them.

    Raises
    ------
    RefusedError
        Pictures cannot be used; each has a reason with its place in the list, from 0. Their base64 is not looked at.
    UsageError, FormatError
        Another field is missing or wrong.
    """
    fields = _object(body)
    temple_id = _name(fields, "temple_id")
    image = _required(fields, "image")
    if not isinstance(image, list):
        picture = _encoded(_text(fields, "image_name"), _text(fields, "image_type"), _text(fields, "image"), most_bytes)
        return Predict(temple_id, (picture,), scalar=True)
    if not 1 <= len(image) <= most_images:
        raise UsageError(f"image must hold 1 to {most_images} images, not {len(image)}")
    names = _as_many(_required(fields, "image_name"), "image_name", len(image))
    kind = _required(fields, "image_type")
    kinds = [kind] * len(image) if isinstance(kind, str) else _as_many(kind, "image_type", len(image))
    return Predict(temple_id, _pictures(names, kinds, image, most_bytes), scalar=False)


def _pictures(
    names: Sequence[object], kinds: Sequence[object], images: Sequence[object], most_bytes: int
) -> tuple[Encoded, ...]:
    """Return all pictures, or say what is wrong with each that is."""
    found, reasons = [], []
    for place, (name, kind, image) in enumerate(zip(names, kinds, images, strict=True)):
        each = {"image_name": name, "image_type": kind, "image": image}
        try:
            texts = [_text(each, key) for key in each]
            found.append(_encoded(texts[0], texts[1], texts[2], most_bytes))
        except IsothermError as error:
            reasons.append(f"image {place}: {error}")
    if reasons:
        raise RefusedError(reasons)
    return tuple(found)


def _encoded(name: str, kind: str, image: str, most_bytes: int) -> Encoded:
    image_type = image_type_of(kind)
    return Encoded(f"{check_name('image (image_name)', name)}.{image_type}", image_type, image, most_bytes)


def _object(body: object) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise UsageError("the request must be a JSON object")
    return body


def _required(fields: Mapping[str, Any], key: str) -> Any:
    if key not in fields:
        raise UsageError(f"{key} is missing")
    return fields[key]


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = _required(fields, key)
    if not isinstance(value, str):
        raise UsageError(f"{key} must be text, not {_KINDS.get(type(value), 'something else')}")
    return value


def _name(fields: Mapping[str, Any], key: str) -> str:
    return check_name(_CALLED[key], _text(fields, key))


def _as_many(value: object, key: str, count: int) -> list[Any]:
    if not isinstance(value, list) or len(value) != count:
        raise UsageError(f"{key} must be a list of {count}, as image is")
    return value


_CALLED = {"temple_id": "temple (temple_id)", "category": "category"}
_KINDS = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}
