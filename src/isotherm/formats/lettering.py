"""Print in a picture, read by OCR: RapidOCR with its OpenVINO back end, whose small models come with the wheel.

Nothing is downloaded, and nothing is read unless it is asked for.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from isotherm.core.errors import MissingExtraError

Colours = UInt8[np.ndarray, "H W 3"]
Look = UInt8[np.ndarray, "_ _ 3"]

LEAST_SCORE = 0.6
"""Texts of which the engine is less sure are not used."""
SURE = 0.8
"""How sure the engine must be of a text on a label, each time that it is read."""
LOOK_PX, SECOND_LOOK = 960, 0.77
"""A photo is made so small that its longer side has at most so many pixels, and for a second reading so much smaller.

On drawn labels the detector found more at this size than in larger pictures."""
LARGE_PX = 1440
"""From this longer side on a photo shows more in quarters [px]."""
NARROWEST, NARROWEST_LOOK = 1 / 8, 1 / 2
"""The shorter side of what the engine is given is at least this share of the longer one; that of a photo's look.

The engine enlarges a picture until its shorter side has 736 px: one of 1 x 960 px would take gigabytes."""
ENGINE_BYTES = 640 << 20
"""Address space that the engine takes once it is in use, and keeps (measured: 480 to 600 MiB)."""
_ENGINE_LOCK = threading.Lock()


@dataclass(frozen=True)
class Lettered:
    """A text in a picture: how sure the engine is of it (0 to 1), its middle and its size [px]."""

    text: str
    score: float
    x: float
    y: float
    width: float
    height: float


def lettering(picture: Colours, *, threads: int = -1, upside_down: bool = False) -> list[Lettered]:
    """Return the texts that the engine finds in a picture.

    Parameters
    ----------
    picture
        (H W 3) uint8.
    threads
        How many it may use; -1 for as many as there are processors.
    upside_down
        Whether texts that stand on their head are turned.

    Raises
    ------
    MissingExtraError
        No OCR engine is installed.
    """
    with _ENGINE_LOCK:
        reader = engine(threads)
        # Its detector takes the channels as OpenCV has them.
        found = reader(np.ascontiguousarray(_widened(picture, NARROWEST)[..., ::-1]), use_cls=upside_down)
    if found.txts is None or found.boxes is None:
        return []
    texts = []
    for text, score, corners in zip(found.txts, found.scores, np.asarray(found.boxes, dtype=float), strict=True):
        if score >= LEAST_SCORE:
            (x, y), (width, height) = corners.mean(axis=0), np.ptp(corners, axis=0)
            texts.append(Lettered(str(text), float(score), float(x), float(y), float(width), float(height)))
    return texts


def read_twice(photo: Colours, *, threads: int = 1) -> dict[str, float]:
    """Return the texts that two readings of a photo at two sizes agree on, each with the lesser of both scores.

    What is read only once is not believed. A large photo is read in quarters too, for small labels in it.
    """
    found: dict[str, float] = {}
    for part in _parts(photo):
        first, second = (
            {_folded(one.text): one for one in lettering(look, threads=threads, upside_down=True) if one.score >= SURE}
            for look in _looks(part)
        )
        for key, one in first.items():
            if key in second:
                found.setdefault(one.text, min(one.score, second[key].score))
    return found


def _parts(photo: Colours) -> Iterator[Look]:
    """Yield a photo, and where it is large its quarters, which overlap by a tenth of its sides."""
    yield photo
    height, width = photo.shape[:2]
    if max(height, width) >= LARGE_PX:
        down, across = round(0.55 * height), round(0.55 * width)
        for top, left in product((0, height - down), (0, width - across)):
            yield photo[top : top + down, left : left + across]


def _looks(photo: Look) -> tuple[Look, Look]:
    image = Image.fromarray(photo)
    image.thumbnail((LOOK_PX, LOOK_PX), Image.Resampling.LANCZOS)
    smaller = max(1, round(image.width * SECOND_LOOK)), max(1, round(image.height * SECOND_LOOK))
    looks = np.asarray(image), np.asarray(image.resize(smaller, Image.Resampling.LANCZOS))
    return _widened(looks[0], NARROWEST_LOOK), _widened(looks[1], NARROWEST_LOOK)


def _widened(picture: Look, least: float) -> Look:
    """Return a picture whose sides differ no more than that; its last row or column fills what it lacked."""
    height, width = picture.shape[:2]
    side = math.ceil(least * max(height, width))
    return np.pad(picture, ((0, max(0, side - height)), (0, max(0, side - width)), (0, 0)), mode="edge")


def _folded(text: str) -> str:
    return "".join(text.casefold().split())


def can_read_print() -> bool:
    """Say whether the engine is installed."""
    return find_spec("rapidocr") is not None


@lru_cache(maxsize=2)
def engine(threads: int = -1) -> Any:
    """Return the OCR engine, made when it is first asked for; raises MissingExtraError where it is not installed."""
    try:
        from rapidocr import EngineType, RapidOCR
    except ImportError as error:
        raise MissingExtraError("reading print in pictures", "ocr") from error
    kinds = {f"{step}.engine_type": EngineType.OPENVINO for step in ("Det", "Cls", "Rec")}
    own = {"Global.log_level": "error", "EngineConfig.openvino.inference_num_threads": threads}
    return RapidOCR(params={**kinds, **own})
