"""`LabelledMask`: which class each pixel is, whatever kind of file said so; and PNG masks, with their polarity.

Classes are numbered from 1 on in the order of their names' list; 0 is background and 255 is "do not judge this pixel".
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Integer, Num, UInt8
from PIL import Image, UnidentifiedImageError

from isotherm.core.errors import ConfigError, DataError
from isotherm.formats.reader import MAX_PIXELS

BACKGROUND, IGNORED = 0, 255
MOST_CLASSES = 254
SURE_SHARE = 0.4
"""Of two grey levels the one with less than this share of the pixels is taken as the defect where nobody says."""

Mask = Bool[np.ndarray, "H W"]
Polarity = Literal["bright", "dark"]
"""Which side of a grey mask is the defect."""


@dataclass(frozen=True, eq=False)
class LabelledMask:
    """The class of each pixel.

    Parameters
    ----------
    labels
        (H W) 0 background, 1 .. C the classes, 255 ignored.
    classes
        Their C names.
    notes
        What was assumed, for the user.

    Raises
    ------
    DataError
        A label has no class, or two classes share a name.
    """

    labels: UInt8[np.ndarray, "H W"]
    classes: tuple[str, ...] = ("defect",)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.classes)) != len(self.classes) or len(self.classes) > MOST_CLASSES:
            raise DataError(f"classes must differ and be at most {MOST_CLASSES}; not {', '.join(self.classes)}")
        named = self.labels[self.labels != IGNORED]
        if named.size and int(named.max()) > len(self.classes):
            raise DataError(f"a pixel has the class {int(named.max())}, but there are only {len(self.classes)} names")

    @classmethod
    def of(cls, mask: Mask, name: str = "defect") -> LabelledMask:
        """Return a mask as labels of one class."""
        return cls(mask.astype(np.uint8), (name,))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width [px]."""
        return self.labels.shape[0], self.labels.shape[1]

    @property
    def mask(self) -> Mask:
        """Where there is any class; ignored pixels are none."""
        return np.asarray((self.labels != BACKGROUND) & (self.labels != IGNORED))

    @property
    def judged(self) -> Mask:
        """Where the labels say something."""
        return np.asarray(self.labels != IGNORED)

    def of_class(self, name: str) -> Mask:
        """Return where a class is; raises DataError for a class that there is not."""
        if name not in self.classes:
            raise DataError(f"no class {name!r}; there are: {', '.join(self.classes) or 'none'}")
        return np.asarray(self.labels == self.classes.index(name) + 1)

    def fitted(self, size: tuple[int, int], name: str) -> LabelledMask:
        """Return these labels where they are of the height and width of what they label.

        Raises
        ------
        DataError
            They are not; the message says what is likely.
        """
        if self.size == size:
            return self
        turned = "; height and width look swapped" if self.size == size[::-1] else ""
        raise DataError(
            f"{name}: the labels are {self.size[1]} x {self.size[0]} pixels (width x height), "
            f"what they label is {size[1]} x {size[0]}{turned}; they must be of one size"
        )


def labels_from_picture(
    data: bytes, name: str, *, polarity: Polarity | None = None, classes: Sequence[str] = ()
) -> LabelledMask:
    """Read a mask that is stored as a picture.

    Parameters
    ----------
    data
        The bytes of a PNG, BMP, TIFF, GIF or JPEG picture.
    name
        What messages call it.
    polarity
        Which side is the defect. None: the rarer one, and a note says which that was.
    classes
        Names, where the pixels hold the numbers of several classes; a palette picture always holds numbers.

    Raises
    ------
    DataError
        No picture, too large, grey levels of which neither side is clearly the rarer one, or numbers without a name.
    """
    values, palette = _pixels(data, name)
    if palette or len(classes) > 1:
        return _numbered(values, name, tuple(classes))
    bright, notes = _bright(values, name)
    if polarity is None:
        polarity, guessed = _rarer(bright, name)
        notes = (*notes, guessed)
    mask = bright if polarity == "bright" else ~bright
    return LabelledMask(mask.astype(np.uint8), tuple(classes) or ("defect",), notes)


def _pixels(data: bytes, name: str) -> tuple[Num[np.ndarray, "H W"], bool]:
    """Return grey levels or numbers of classes, and whether they are such numbers for sure."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "BMP", "TIFF", "GIF", "JPEG")) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise DataError(f"{name}: {picture.width} x {picture.height} pixels; at most {MAX_PIXELS} are read")
            palette = picture.mode == "P"
            plain = picture if picture.mode in ("P", "1", "L", "I", "F") or picture.mode[0] == "I" else None
            values = np.asarray(plain if plain is not None else picture.convert("L"))
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: neither JSON of LabelMe or COCO (an object) nor a picture") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{name}: cannot be read as a picture: {error}") from error
    return values.astype(np.uint8) if values.dtype == np.bool_ else values, palette


def _numbered(values: Num[np.ndarray, "H W"], name: str, classes: tuple[str, ...]) -> LabelledMask:
    labelled = values[values != IGNORED]
    highest = int(labelled.max()) if labelled.size else 0
    most = len(classes) or MOST_CLASSES
    if float(values.min()) < 0 or float(values.max()) > IGNORED or highest > most:
        raise DataError(
            f"{name}: pixels hold numbers up to {highest}; "
            f"expected 0 (background), 1 .. {most} (classes) and {IGNORED} (ignored)"
        )
    names = classes or tuple(f"class {number}" for number in range(1, highest + 1))
    return LabelledMask(values.astype(np.uint8), names)


def _bright(values: Num[np.ndarray, "H W"], name: str) -> tuple[Mask, tuple[str, ...]]:
    """Cut grey levels half-way; grey edges, as of a mask stored as JPEG, are told."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise DataError(f"{name}: a mask cannot hold numbers that are not finite")
    if low == high:
        return np.full(values.shape, high > 0), ()
    middle = (low + high) / 2
    between = float(np.mean((values > low + 0.02 * (high - low)) & (values < high - 0.02 * (high - low))))
    notes = (f"{between:.1%} of the pixels are neither dark nor bright: cut half-way",) if between else ()
    return np.asarray(values > middle), notes


def _rarer(bright: Mask, name: str) -> tuple[Polarity, str]:
    share = float(bright.mean())
    rare: Polarity = "bright" if share <= 0.5 else "dark"
    least = min(share, 1 - share)
    if least == 0:
        # Black throughout is an empty mask in the usual polarity; white throughout is one in the other.
        rare = "bright" if share == 0 else "dark"
    if least > SURE_SHARE:
        raise DataError(f"{name}: {share:.0%} of the pixels are bright; say whether bright or dark is the defect")
    return rare, f"{rare} pixels are taken as the defect ({least:.1%} of all); give the polarity to be sure"


def png_of_labels(labelled: LabelledMask, *, polarity: Polarity = "bright") -> bytes:
    """Return labels as PNG: 255 and 0 for one class, the numbers with a palette for several or with ignored pixels.

    Raises
    ------
    ConfigError
        Dark defects are asked for, but there are numbers to be kept.
    """
    numbered = len(labelled.classes) > 1 or not bool(labelled.judged.all())
    if numbered and polarity == "dark":
        raise ConfigError(
            "several classes or ignored pixels are stored by number; only one class can be dark on bright"
        )
    if numbered:
        picture = Image.fromarray(labelled.labels).convert("P")
        picture.putpalette(palette_of_classes().tobytes())
        picture.putdata(labelled.labels.ravel().tolist())
    else:
        picture = Image.fromarray(np.where(labelled.mask == (polarity == "bright"), 255, 0).astype(np.uint8))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def palette_of_classes() -> UInt8[np.ndarray, "256 3"]:
    """Return a colour for each number, far from its neighbours': the number's bits spread over red, green and blue."""
    number = np.arange(256)
    return np.stack([_spread_bits(number, first) for first in range(3)], axis=1)


def _spread_bits(number: Integer[np.ndarray, " N"], first: int) -> UInt8[np.ndarray, " N"]:
    """Return every third bit of a number from the `first` on, the lowest as the highest bit of the result."""
    found = np.zeros(number.shape, np.uint8)
    for place, bit in enumerate(range(first, 8, 3)):
        found |= ((number >> bit & 1) << (7 - place)).astype(np.uint8)
    return found
