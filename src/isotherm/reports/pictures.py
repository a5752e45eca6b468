"""Panels of a run as small pictures that a page can carry in itself."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable

from PIL import Image

from isotherm.core.errors import OutputError
from isotherm.core.findings import ImageResult
from isotherm.reports.panels import HEADER, MARGIN

QUALITY = 82


def for_page(read: Callable[[str], bytes], results: Iterable[ImageResult]) -> dict[str, bytes]:
    """Return the panels of a run as JPEG, by the name of their input; `read` gives one by its name.

    Raises
    ------
    OutputError
        A panel that was written has gone or is damaged.
    """
    return {result.image: _jpeg(result.panel, read(result.panel)) for result in results if result.panel}


def _jpeg(name: str, data: bytes) -> bytes:
    stream = io.BytesIO()
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            # The page says what the two lines at the top say.
            shown = picture.crop((MARGIN, HEADER, *picture.size))
            # Full colour resolution keeps thin outlines and small print sharp.
            shown.save(stream, "JPEG", quality=QUALITY, subsampling="4:4:4", optimize=True)
    except (OSError, SyntaxError) as error:
        raise OutputError(f"cannot read {name} again: {error}") from error
    return stream.getvalue()
